"""Coupled phase oscillators that settle into a minimum of the XY energy."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Inexact, PRNGKeyArray

from .._layer import AbstractClampableLayer, Facts
from ..integrators import AbstractRelaxation, UntilSettled
from ._xy import checked_coupling, pull_on, quadratures, sweep, torque

Phases = tuple[Inexact[Array, "*batch _"], ...]
"""Of the free oscillators (rad), group by group."""


class Kuramoto(AbstractClampableLayer):
    r"""Phase oscillators of equal frequency, some of them held at the input's phases.

    In the rotating frame $\gamma_i\dot\phi_i = -\partial E/\partial\phi_i$ with the
    energy of `xy_energy`. The output is $\cos(\phi_i - \phi_\text{ref})$ of the last
    oscillators, as a mixer shows it: their sine, unless another reference is chosen.
    With a key, the oscillators start at random phases if `scatter` says so: the way to
    meet the several minima that strong couplings have.

    Only the strict upper triangle of a coupling within a group counts, so couplings
    stay symmetric, whatever an optimizer does.

    **Error:** every step lowers the energy, whatever the couplings become, since the
    friction $\gamma_i$ follows the fields: see `rate`.
    **Source:** Wang, Wanjura, Marquardt, *Neuromorph. Comput. Eng.* (2024),
    doi:10.1088/2634-4386/ad9b7f.
    """

    couplings: tuple[Float[Array, "_ _"], ...]
    lateral: tuple[Float[Array, "_ _"] | None, ...]
    field: tuple[Float[Array, "2 _"], ...]
    connected: tuple[tuple[Bool[Array, "_ _"]], tuple[Bool[Array, "_ _"]]] | None
    relaxation: AbstractRelaxation
    outputs: int = eqx.field(static=True)
    rate: float
    start: float
    scatter: float
    reference: float
    facts = Facts(conservative=True, smooth=True, holomorphic=True)

    def __init__(
        self,
        sizes: tuple[int, ...],
        *,
        key: PRNGKeyArray,
        relaxation: AbstractRelaxation | None = None,
        outputs: int | None = None,
        lateral: bool = False,
        scale: float = 1.0,
        pinning: float = 1.0,
        rate: float = 1.0,
        start: float = 0.0,  # rad
        scatter: float = 0.0,  # rad
        reference: float = math.pi / 2,  # rad
    ):
        r"""Groups of oscillators, each coupled to the next; the first is the input.

        **Arguments:**

        - `sizes`: of the groups. `lateral` couples each group but the first within
            itself as well, so that `(inputs, others)` is all to all.
        - `relaxation`: `UntilSettled()` unless given.
        - `outputs`: how many are read, at the end of the last group; all of it, unless
            given.
        - `scale`: the couplings begin normal, of variance `scale**2` over how many the
            oscillator has from below; `pinning`: the field begins with this strength,
            towards phase zero.
        - `rate`: in a step, one group after the other turns, each oscillator by this
            times its angle to the field at it. With `lateral` couplings $L$, by this
            times its torque over $|p_i| + 2\sum_j|L_{ij}|$, with $p$ the pull of all
            but its group: a bound of how the energy curves. Below 2, that is downhill.
        - `start`, `scatter`: oscillators start at `start`; with a key, uniformly within
            `scatter` of it.

        **Raises:** `ValueError` for what can't be built, and for a `rate` of 2 or more,
        with which the relaxation may diverge.
        """
        _check_sizes(sizes, outputs)
        _check_settings(rate, scatter)
        keys = jax.random.split(key, (len(sizes), 2))
        pairs = list(zip(sizes, sizes[1:]))
        self.couplings = tuple(
            scale / math.sqrt(max(n, 1)) * jax.random.normal(k, (n, m))
            for (n, m), k in zip(pairs, keys[:, 0])
        )
        self.lateral = tuple(
            scale / math.sqrt(m) * jnp.triu(jax.random.normal(k, (m, m)), 1)
            if lateral
            else None
            for (_, m), k in zip(pairs, keys[:, 1])
        )
        self.field = tuple(
            pinning * jnp.stack([jnp.ones(m), jnp.zeros(m)]) for m in sizes[1:]
        )
        self.connected = None
        self.relaxation = UntilSettled() if relaxation is None else relaxation
        self.outputs = sizes[-1] if outputs is None else outputs
        self.rate = rate
        self.start = start
        self.scatter = scatter
        self.reference = reference

    @classmethod
    def from_coupling(
        cls,
        coupling: Float[Array | np.ndarray, "_ _"],
        inputs: int,
        outputs: int,
        *,
        field: Float[Array | np.ndarray, "2 free"] | None = None,
        connected: Bool[np.ndarray, "_ _"] | None = None,
        relaxation: AbstractRelaxation | None = None,
        rate: float = 1.0,
        start: float = 0.0,  # rad
        scatter: float = 0.0,  # rad
        reference: float = math.pi / 2,  # rad
    ) -> "Kuramoto":
        r"""Any graph: the first `inputs` oscillators are held, the last ones read.

        **Arguments:** `coupling`: $W$; `field`: its quadratures at the others, none
        unless given; `connected`: which pairs have a coupling that can be trained, all
        unless given. For the others, see the constructor.
        **Raises:** `ValueError` naming the entry that is not symmetric, not finite, on
        the diagonal, between two inputs, or where `connected` says that there is none.
        """
        wires = ~np.eye(len(coupling), dtype=bool) if connected is None else connected
        weights = checked_coupling(np.asarray(coupling), inputs, wires)
        free = len(weights) - inputs
        layer = cls(
            (inputs, free),
            key=jax.random.key(0),
            relaxation=relaxation,
            outputs=outputs,
            lateral=True,
            rate=rate,
            start=start,
            scatter=scatter,
            reference=reference,
        )
        across, within = _blocks(weights, inputs)
        wired = None if connected is None else _blocks(connected, inputs)
        drive = np.zeros((2, free), weights.dtype) if field is None else field
        return eqx.tree_at(
            lambda k: (k.couplings, k.lateral, k.field, k.connected),
            layer,
            (across, (jnp.triu(within[0], 1),), (jnp.asarray(drive),), wired),
            is_leaf=lambda node: node is None,
        )

    def __call__(
        self,
        x: Float[Array, "*batch inputs"],  # rad
        *,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "*batch outputs"]:
        return self.readout(self.relax(self.initial_state(x, key=key), x, None))

    def initial_state(
        self,
        x: Float[Array, "*batch inputs"],  # rad
        *,
        key: PRNGKeyArray | None = None,
    ) -> Phases:
        if x.shape[-1] != self.couplings[0].shape[0]:
            raise ValueError(
                f"There are {self.couplings[0].shape[0]} input oscillators, but `x` "
                f"has {x.shape[-1]} phases: its shape is {x.shape}."
            )
        x = eqx.error_if(x, ~jnp.isfinite(x), "An input phase is NaN or infinite.")
        shapes = [(*x.shape[:-1], field.shape[-1]) for field in self.field]
        # Through `x`, so that its check is not optimized away.
        origin = 0.0 * jnp.sum(x, axis=-1, keepdims=True) + self.start
        state = tuple(jnp.broadcast_to(origin, shape) for shape in shapes)
        if key is None or self.scatter == 0:
            return state
        return tuple(
            phases + self.scatter * jax.random.uniform(k, s, x.dtype, -1.0)
            for phases, s, k in zip(state, shapes, jax.random.split(key, len(shapes)))
        )

    def relax(
        self,
        state: Phases,
        x: Float[Array, "*batch inputs"],  # rad
        nudge: Inexact[Array, "*batch outputs"] | None,
    ) -> Phases:
        drive = self._drive(x)
        if nudge is not None:
            # The output is a cosine too, so nudging it is one more field.
            toward = math.cos(self.reference), math.sin(self.reference)
            field = jnp.stack([side * nudge for side in toward], axis=-2)
            drive = [d.astype(nudge.dtype) for d in drive]
            drive[-1] = drive[-1].at[..., -self.outputs :].add(-field)
        return self._settle(state, drive, nudged=nudge is not None)

    def relax_clamped(
        self,
        state: Phases,
        x: Float[Array, "*batch inputs"],  # rad
        output: Float[Array, "*batch outputs"],
    ) -> Phases:
        """Each read oscillator is held at the nearer of the two phases of its output.

        An output beyond 1 or -1, which no cosine reaches, is pulled as far as it goes.
        """
        output = jnp.clip(output, -1.0, 1.0)
        free, read = jnp.split(state[-1], [state[-1].shape[-1] - self.outputs], axis=-1)
        side = jnp.where(jnp.sin(read - self.reference) < 0, -1.0, 1.0)
        phase = self.reference + side.astype(output.dtype) * jnp.arccos(output)
        turns = jnp.round((read - phase) / (2 * math.pi))
        last = jnp.concatenate([free, phase + 2 * math.pi * turns], axis=-1)
        state = (*state[:-1], last)
        return self._settle(state, self._drive(x), nudged=True, held=self.outputs)

    def readout(self, state: Phases) -> Inexact[Array, "*batch outputs"]:
        return jnp.cos(state[-1][..., -self.outputs :] - self.reference)

    def energy(
        self,
        state: Phases,
        x: Float[Array, "*batch inputs"],  # rad
    ) -> Inexact[Array, "*batch"]:
        """In the unit of the couplings; what the inputs share is left out."""
        z, drive, matrices = self._parts(state, x)
        terms = [
            -jnp.sum(own * (drive[i] + 0.5 * pull_on(i, z, *matrices)), axis=(-2, -1))
            for i, own in enumerate(z)
        ]
        return jnp.sum(jnp.stack(terms), axis=0)

    def residual(
        self,
        state: Phases,
        x: Float[Array, "*batch inputs"],  # rad
    ) -> Phases:
        z, drive, matrices = self._parts(state, x)
        return tuple(
            torque(own, drive[i] + pull_on(i, z, *matrices)) for i, own in enumerate(z)
        )

    def _settle(self, state, drive, *, nudged, held=0):
        complex_ = [a for a in (state[0], drive[0]) if jnp.iscomplexobj(a)]
        dtype = (*complex_, drive[0])[0].dtype
        state = tuple(phases.astype(dtype) for phases in state)
        drive, matrices = [d.astype(dtype) for d in drive], self._matrices(dtype)

        def step(phases):
            return sweep(phases, drive, *matrices, self.rate, held)

        return self.relaxation(step, state, nudged=nudged)

    def _parts(self, state, x):
        z = [quadratures(phases) for phases in state]
        drive = [field.astype(z[0].dtype) for field in self._drive(x)]
        return z, drive, self._matrices(z[0].dtype)

    def _drive(self, x):
        """The field at each group; that of the held oscillators is fixed too."""
        from_inputs = quadratures(x) @ self._matrices(x.dtype)[0][0]
        shapes = [(*x.shape[:-1], *field.shape) for field in self.field]
        fields = [
            jnp.broadcast_to(field.astype(x.dtype), shape)
            for field, shape in zip(self.field, shapes)
        ]
        return [fields[0] + from_inputs, *fields[1:]]

    def _matrices(self, dtype: Any):
        """The couplings from group to group, and the symmetric ones within each."""
        couplings, lateral = self.couplings, self.lateral
        if self.connected is not None:
            couplings, lateral = jax.tree.map(
                lambda wire, value: jnp.where(wire, value, 0),
                self.connected,
                (couplings, lateral),
            )
        halves = [None if half is None else jnp.triu(half, 1) for half in lateral]
        within = [None if h is None else (h + h.T).astype(dtype) for h in halves]
        return [matrix.astype(dtype) for matrix in couplings], within


def _blocks(matrix, inputs):
    """From the held oscillators to the others, and among these."""
    matrix = jnp.asarray(matrix)
    return (matrix[:inputs, inputs:],), (matrix[inputs:, inputs:],)


def _check_sizes(sizes, outputs):
    if len(sizes) < 2 or min(sizes[1:]) < 1 or sizes[0] < 0:
        raise ValueError(
            "`sizes` are the inputs, and then one or more groups of at least one "
            f"oscillator, not {sizes}."
        )
    if outputs is not None and not 1 <= outputs <= sizes[-1]:
        raise ValueError(
            f"`outputs` must be from 1 to the {sizes[-1]} oscillators of the last "
            f"group, but is {outputs}."
        )


def _check_settings(rate, scatter):
    if not 0 < rate < 2:
        raise ValueError(
            f"`rate` must be above 0 and below 2, where it may diverge, not {rate}."
        )
    if not scatter >= 0:
        raise ValueError(f"`scatter` can't be negative, but is {scatter} rad.")
