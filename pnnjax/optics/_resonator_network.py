"""Coupled resonators that compute by what they scatter."""

import math
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Complex, Float, PRNGKeyArray

from .._layer import Facts
from .._scattering import AbstractScatteringLayer
from ._coupled_modes import (
    hamiltonian,
    layered_response,
    matrix_cotangent,
    scattering_matrix,
)


class ResonatorNetwork(AbstractScatteringLayer):
    r"""Groups of resonators, each coupled to the next; the input detunes the first.

    The steady state is linear in the light, and yet the output is no linear function of
    the input, on which $S$ depends as a matrix inverse does:
    $S(x) = 1 - i\sqrt\kappa\,[\omega - H(x)]^{-1}\sqrt\kappa$. The output is
    $\operatorname{Im} S_{ll}$ at each resonator $l$ of the last group, or, with a
    `source`, $\operatorname{Im} S_{ls}$: one quadrature of the reflected or of the
    transmitted light, per unit of the incoming field. Each coupling is one real number,
    so that $S$ is symmetric whatever an optimizer does.

    All rates are in one unit: rad/s, or, where `decay` is 1, that decay.

    **Valid for:** detunings, couplings and decays far below the optical frequency.
    **Error:** rounding. The groups are eliminated one by one: see `layered_response`.
    **Source:** Wanjura, Marquardt, *Nat. Phys.* 20, 1434 (2024),
    doi:10.1038/s41567-024-02534-9.
    """

    detuning: tuple[Float[Array, " _"], ...]
    coupling: tuple[Float[Array, "_ _"], ...]
    decay: tuple[float, ...]
    loss: tuple[float, ...]
    frequency: float
    replicas: int = eqx.field(static=True)
    source: int | None = eqx.field(static=True)

    def __init__(
        self,
        sizes: tuple[int, ...],
        *,
        key: PRNGKeyArray,
        replicas: int = 1,
        source: int | None = None,
        decay: float | Sequence[float] = 1.0,  # rad/s
        loss: float | Sequence[float] = 0.0,  # rad/s
        frequency: float = 0.0,  # rad/s
        scale: float = 1.0,  # rad/s
        offset: float = 0.0,  # rad/s
    ):
        r"""Two or more groups of resonators with random couplings.

        **Arguments:**

        - `sizes`: of the groups. Each input detunes `replicas` resonators of the first,
            which has a multiple of that many.
        - `source`: the resonator, counted through all groups, into whose port light is
            sent; unless given, each of the last group is probed by its own reflection.
        - `decay`: $\kappa$ into the ports, one number for each group or for all of
            them; `loss`: $\kappa'$ into anything else. A group without decay has no
            ports: it scatters, but can't be probed.
        - `frequency`: of the light, from where detunings are measured.
        - `scale`: couplings begin normal, of variance `scale**2` over how many
            resonators the group below has; `offset`: the replicas' detunings begin
            evenly spaced from `-offset` to `offset`, the others are 0.

        **Raises:** `ValueError` for what can't be built.
        """
        count = len(sizes)
        self.decay = _each(decay, count, "decay")
        self.loss = _each(loss, count, "loss")
        _check(sizes, replicas, source, self.decay, self.loss)
        keys = jax.random.split(key, count - 1)
        self.coupling = tuple(
            scale / math.sqrt(n) * jax.random.normal(k, (n, m))
            for n, m, k in zip(sizes, sizes[1:], keys)
        )
        spread = (
            jnp.linspace(-offset, offset, replicas) if replicas > 1 else jnp.zeros(1)
        )
        first = jnp.repeat(spread, sizes[0] // replicas)
        self.detuning = (first, *(jnp.zeros(n) for n in sizes[1:]))
        self.frequency = frequency
        self.replicas = replicas
        self.source = source

    @classmethod
    def from_matrix(
        cls,
        matrix: Float[Array | np.ndarray, "n n"],  # rad/s
        sizes: tuple[int, ...],
        *,
        replicas: int = 1,
        source: int | None = None,
        decay: float | Sequence[float] = 1.0,  # rad/s
        loss: float | Sequence[float] = 0.0,  # rad/s
        frequency: float = 0.0,  # rad/s
    ) -> "ResonatorNetwork":
        """Detunings on the diagonal of `matrix`, couplings elsewhere.

        **Raises:** `ValueError` naming the entry that is not symmetric, not finite, or
        couples groups that are no neighbors.
        """
        values = np.asarray(matrix)
        _check_matrix(values, sizes)
        layer = cls(
            sizes,
            key=jax.random.key(0),
            replicas=replicas,
            source=source,
            decay=decay,
            loss=loss,
            frequency=frequency,
        )
        edges = np.cumsum([0, *sizes])
        parts = [slice(a, b) for a, b in zip(edges, edges[1:])]
        detuning = tuple(jnp.asarray(np.diag(values)[part]) for part in parts)
        coupling = tuple(
            jnp.asarray(values[here, there]) for here, there in zip(parts, parts[1:])
        )
        return eqx.tree_at(
            lambda layer: (layer.detuning, layer.coupling), layer, (detuning, coupling)
        )

    @property
    def facts(self) -> Facts:
        return Facts(
            reciprocal=True, lossless=not any(self.loss), accessible=min(self.decay) > 0
        )

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many resonators each group has."""
        return tuple(len(d) for d in self.detuning)

    @property
    def probes(self) -> tuple[int, ...]:
        total = sum(self.sizes)
        outputs = tuple(range(total - self.sizes[-1], total))
        if self.source is None or self.source in outputs:
            return outputs
        return (self.source, *outputs)

    def port_decay(self) -> Float[np.ndarray, " modes"]:
        return np.repeat(np.asarray(self.decay), self.sizes)

    def __call__(
        self,
        x: Float[Array, "*batch inputs"],  # rad/s
        *,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "*batch outputs"]:
        return self.readout(self.scatter(x)[..., np.asarray(self.probes), :])

    def scatter(
        self,
        x: Float[Array, "*batch inputs"],  # rad/s
    ) -> Complex[Array, "*batch modes probes"]:
        columns = np.eye(sum(self.sizes))[:, np.asarray(self.probes)]
        roots = np.sqrt(self.port_decay())[:, None]
        edges = np.cumsum([0, *self.sizes])
        sent = [(roots * columns)[a:b] for a, b in zip(edges, edges[1:])]
        amplitude = layered_response(
            self._diagonal(x),
            [block.astype(x.dtype) for block in self.coupling],
            [_as_complex(part, x.dtype) if part.any() else None for part in sent],
        )
        inside = jnp.concatenate(amplitude, -2)
        rate = jnp.broadcast_to(_as_complex(-1j * roots, x.dtype), inside.shape)
        direct = jnp.broadcast_to(_as_complex(columns, x.dtype), inside.shape)
        return direct + rate * inside

    def readout(
        self, scattered: Complex[Array, "*batch probes probes"]
    ) -> Float[Array, "*batch outputs"]:
        if self.source is None:
            return jnp.diagonal(scattered, axis1=-2, axis2=-1).imag
        column = self.probes.index(self.source)
        return scattered[..., -self.sizes[-1] :, column].imag

    def cotangent(
        self,
        left: Complex[Array, "*batch modes probes"],
        right: Complex[Array, "*batch modes probes"],
    ) -> tuple["ResonatorNetwork", Float[Array, "*batch inputs"]]:
        detuning, coupling = matrix_cotangent(left, right, self.sizes)
        axes = tuple(range(left.ndim - 2))
        added = tuple(jnp.sum(part, axes) for part in detuning)
        bar = eqx.tree_at(lambda r: (r.detuning, r.coupling), self, (added, coupling))
        inputs = detuning[0].reshape(*left.shape[:-2], self.replicas, -1)
        return bar, jnp.sum(inputs, -2)

    def matrix(
        self,
        x: Float[Array, "*batch inputs"],  # rad/s
    ) -> Complex[Array, "*batch modes modes"]:  # rad/s
        """$H(x)$; its eigenvalues are the resonances, in the lower half plane."""
        first, *others = self.detuning
        width = [k + l for k, l in zip(self.decay, self.loss)]
        return hamiltonian([self._tuned(x), *others], self.coupling, width)

    def scattering_matrix(
        self,
        x: Float[Array, "*batch inputs"],  # rad/s
        frequency: float | Float[Array, ""] | None = None,  # rad/s
    ) -> Complex[Array, "*batch modes modes"]:
        """$S(x)$ of all ports, at the layer's own frequency unless one is given."""
        probe = self.frequency if frequency is None else frequency
        decay = jnp.asarray(self.port_decay(), x.dtype)
        return scattering_matrix(self.matrix(x), decay, probe)

    def _tuned(self, x):
        inputs = self.sizes[0] // self.replicas
        if x.shape[-1] != inputs:
            raise ValueError(
                f"There are {inputs} inputs to {self.sizes[0]} resonators, but `x` has "
                f"{x.shape[-1]}: its shape is {x.shape}."
            )
        x = eqx.error_if(x, ~jnp.isfinite(x), "An input detuning is NaN or infinite.")
        inputs = jnp.concatenate([x] * self.replicas, -1)
        return jnp.broadcast_to(self.detuning[0].astype(x.dtype), inputs.shape) + inputs

    def _diagonal(self, x):
        """Of the matrix to be inverted, group by group."""
        detuning = [self._tuned(x), *(d.astype(x.dtype) for d in self.detuning[1:])]
        return [
            lax.complex(self.frequency - d, jnp.full_like(d, (k + l) / 2))
            for d, k, l in zip(detuning, self.decay, self.loss)
        ]


def _as_complex(values, dtype):
    """`values` as a complex array whose parts are of `dtype`."""
    return lax.complex(
        jnp.asarray(np.real(values), dtype), jnp.asarray(np.imag(values), dtype)
    )


def _each(value, count, name):
    """One number for each group."""
    values = (value,) * count if isinstance(value, int | float) else tuple(value)
    if len(values) != count:
        raise ValueError(f"`{name}` has {len(values)} numbers for {count} groups.")
    if not all(v >= 0 and math.isfinite(v) for v in values):
        raise ValueError(f"`{name}` can't be negative or infinite, but is {value}.")
    return tuple(float(v) for v in values)


def _check(sizes, replicas, source, decay, loss):
    if len(sizes) < 2 or min(sizes) < 1:
        raise ValueError(
            f"`sizes` are two or more groups of at least one resonator, not {sizes}."
        )
    if replicas < 1 or sizes[0] % replicas:
        raise ValueError(
            f"The first group's {sizes[0]} resonators can't be {replicas} replicas: "
            f"take {max(replicas, 1) * max(1, sizes[0] // max(replicas, 1))}."
        )
    if source is not None and not 0 <= source < sum(sizes):
        raise ValueError(
            f"`source` must be from 0 to {sum(sizes) - 1}, but is {source}."
        )
    group = (
        len(sizes) - 1
        if source is None
        else int(np.searchsorted(np.cumsum(sizes), source, side="right"))
    )
    for k in {len(sizes) - 1, group}:
        if decay[k] == 0:
            raise ValueError(
                f"Group {k} has to be probed, but has no ports: its `decay` is 0."
            )
    for k, width in enumerate(np.add(decay, loss)):
        if width == 0:
            raise ValueError(
                f"Group {k} neither decays nor loses anything, so that it may never "
                "settle: give it some `decay` or `loss`."
            )


def _check_matrix(values, sizes):
    n = sum(sizes)
    if values.shape != (n, n):
        raise ValueError(
            f"`sizes` {sizes} make {n} modes, not a {values.shape} matrix."
        )
    group = np.repeat(np.arange(len(sizes)), sizes)
    apart = np.abs(group[:, None] - group) != 1
    np.fill_diagonal(apart, False)
    for row, column in np.argwhere(~np.isfinite(values)):
        raise ValueError(f"[{row}, {column}] is not finite: {values[row, column]}.")
    for row, column in np.argwhere(values != values.T):
        raise ValueError(
            f"Couplings are symmetric, but [{row}, {column}] is {values[row, column]}, "
            f"and [{column}, {row}] is {values[column, row]}."
        )
    for row, column in np.argwhere(apart & (values != 0)):
        raise ValueError(
            f"[{row}, {column}] is {values[row, column]}, but couples groups "
            f"{group[row]} and {group[column]}, which are no neighbors."
        )
