"""An annealer as a layered network: spins in fields that the input sets."""

import itertools
from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from .._layer import AbstractBoundedLayer, AbstractEnergyLayer, Facts
from ._ising import IsingProblem

Layers = tuple[Float[Array, "*#batch _"], ...]
"""An array for each layer of spins, from the first hidden one to the outputs."""
Couplings = tuple[Float[Array, "_ _"], ...]
"""Those of each layer with the next one."""


def layered_energy(
    spins: Layers, fields: Layers, couplings: Couplings
) -> Float[Array, "*#batch"]:
    r"""$E = -\sum_l s_l^\top J_l s_{l+1} - \sum_l h_l\cdot s_l$, dimensionless."""
    feeds = [s @ j for s, j in zip(spins[:-1], couplings, strict=True)]
    pairs = zip([*feeds, *fields], [*spins[1:], *spins], strict=True)
    terms = [jnp.sum(a * b, -1) for a, b in pairs]
    return -sum(terms[1:], terms[0])


def layer_field(
    layer: int, spins: Layers, fields: Layers, couplings: Couplings
) -> Float[Array, "*#batch _"]:
    """What acts on the spins of a layer: their own fields and both neighbors'."""
    total = fields[layer]
    if layer > 0:
        total = total + spins[layer - 1] @ couplings[layer - 1]
    if layer < len(couplings):
        total = total + spins[layer + 1] @ couplings[layer].T
    return total


def anneal(
    spins: Layers,
    fields: Layers,
    couplings: Couplings,
    temperatures: Float[Array, " sweeps"],
    *,
    key: PRNGKeyArray,
    observe: Callable[[Layers], PyTree] = lambda spins: None,
) -> tuple[Layers, PyTree]:
    r"""Heat-bath sweeps, one at each temperature: every second layer at once.

    In the field $f$ a spin is drawn anew, up with probability $1/(1 + e^{-2f/T})$: at a
    constant temperature the spins come to be distributed as $e^{-E/T}$.

    **Arguments:** `temperatures`: $T > 0$, in units of the energy.
    **Returns:** the last spins, and what `observe(spins)` saw after each sweep.
    """
    sizes = [s.shape[-1] for s in spins]
    shape = (*spins[0].shape[:-1], sum(sizes))

    def sweep(spins, now):
        temperature, key = now
        draws = jax.random.uniform(key, shape, spins[0].dtype, -1, 1)
        draws = jnp.split(draws, np.cumsum(sizes)[:-1], axis=-1)

        def update(layer: int, old: Array, field: Array) -> Array:
            return _signs(draws[layer] < jnp.tanh(field / temperature), old)

        spins = _alternate(spins, fields, couplings, update)
        return spins, observe(spins)

    keys = jax.random.split(key, len(temperatures))
    return lax.scan(sweep, spins, (temperatures, keys))


def quench(
    spins: Layers, fields: Layers, couplings: Couplings, sweeps: int
) -> tuple[Layers, None]:
    """Sweeps at zero temperature: each spin turns into its field, or stays without."""

    def update(layer: int, old: Array, field: Array) -> Array:
        return jnp.where(field == 0, old, _signs(field > 0, old))

    def sweep(spins, _):
        return _alternate(spins, fields, couplings, update), None

    return lax.scan(sweep, spins, None, length=sweeps)


class SpinState(NamedTuple):
    """The spins of an `IsingMachine`, and what its next anneals draw from."""

    spins: Layers
    key: PRNGKeyArray | None
    """One an example; without it, spins follow their fields."""


class IsingMachine(AbstractEnergyLayer, AbstractBoundedLayer):
    r"""Layers of spins $s = \pm1$; the input is a field on those of the first one.

    $$E = -s_1^\top(W^\top x + b_1) - \sum_l s_l^\top J_l s_{l+1}
    - \sum_{l>1} b_l\cdot s_l$$

    Each output is the mean of some spins of the last layer. With a key, the machine is
    annealed from the temperature `hot` to `cold`, `reads` times from the same spins; a
    nudged machine is annealed in reverse: warmed again only to where `fraction` of
    the schedule has passed. The spins of least energy among those that it began with
    and the reads are kept. Without a key, the spins follow their fields until none
    turns.

    Spins don't follow a small nudge: JAX's derivative is zero, and the limit of
    `EquilibriumPropagation` too. With a finite nudge, not centered, it gives
    exactly the gradient of

    $$L_\beta = \tfrac1\beta\left[\min_s (E + \beta C) - \min_s E\right] \le C(s_0)$$

    with $C = \bar y\cdot y / |\bar y|$, as far as the anneals find the minima. In the
    paper the cost is $-t\cdot y$ for targets $t = \pm1$, which for spins is the squared
    error.

    **Source:** Laydevant, Marković and Grollier, *Nat. Commun.* 15, 3671 (2024),
    doi:10.1038/s41467-024-46879-4, with simulated for quantum annealing. There
    $\beta = 5$ is the field on an output spin: here
    `beta = 5 * copies * sqrt(outputs)`.
    """

    weight: Float[Array, "inputs hidden"]
    couplings: Couplings
    biases: tuple[Float[Array, " _"], ...]
    copies: int = eqx.field(static=True)
    reads: int = eqx.field(static=True)
    sweeps: int = eqx.field(static=True)
    hot: float
    cold: float
    fraction: float = eqx.field(static=True)
    limit: float
    facts: ClassVar[Facts] = Facts(conservative=True)

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        copies: int = 1,
        reads: int = 10,
        sweeps: int = 100,
        hot: float = 2.0,
        cold: float = 0.02,
        fraction: float = 0.25,
        limit: float = 1.0,
        key: PRNGKeyArray,
    ):
        """`key` draws the couplings.

        **Arguments:** `sizes`: inputs, spins of each hidden layer, spins of the last
        layer; `copies`: how many spins are one output; `reads`; `sweeps` of an anneal,
        fewer of a reverse one; `hot`, `cold`: temperatures, in units of the energy,
        with a constant ratio between sweeps; `fraction`: what a reverse anneal leaves
        out; `limit`: of the couplings and biases.
        **Raises:** `ValueError` for what can't be a machine.
        """
        _check_sizes(sizes, copies)
        _check_schedule(reads, sweeps, hot, cold, fraction, limit)
        first, *rest = [
            limit * _initial(own, pair)
            for own, pair in zip(
                jax.random.split(key, len(sizes) - 1),
                itertools.pairwise(sizes),
                strict=True,
            )
        ]
        self.weight = first
        self.couplings = tuple(rest)
        self.biases = tuple(jnp.zeros(n) for n in sizes[1:])
        self.copies = copies
        self.reads = reads
        self.sweeps = sweeps
        self.hot = hot
        self.cold = cold
        self.fraction = fraction
        self.limit = limit

    def __call__(
        self, x: Float[Array, "*batch inputs"], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "*batch outputs"]:
        return self.readout(self.relax(self.initial_state(x, key=key), x, None))

    def initial_state(
        self, x: Float[Array, "*batch inputs"], *, key: PRNGKeyArray | None = None
    ) -> SpinState:
        """Random spins; without a key, those that the layers below turn up or down."""
        fields = self._fields(x, None)
        if key is None:
            spins = [_signs(fields[0] >= 0, fields[0])]
            for coupling, field in zip(self.couplings, fields[1:], strict=True):
                spins.append(_signs(spins[-1] @ coupling + field >= 0, field))
            return SpinState(tuple(spins), None)
        own, *keys = jax.random.split(key, 1 + len(fields))
        spins = tuple(
            jax.random.rademacher(k, h.shape, h.dtype)
            for k, h in zip(keys, fields, strict=True)
        )
        return SpinState(spins, jax.random.split(own, x.shape[:-1]))

    def relax(
        self,
        state: SpinState,
        x: Float[Array, "*batch inputs"],
        nudge: Float[Array, "*batch outputs"] | None,
    ) -> SpinState:
        """The energy, with that of the nudge, is never higher than before."""
        fields = self._fields(x, nudge)
        if state.key is None:
            spins, _ = quench(state.spins, fields, self.couplings, self.sweeps)
            return SpinState(spins, None)
        temperatures = self._temperatures(nudge is not None, x)

        def one(spins: Layers, key: PRNGKeyArray, fields: Layers) -> SpinState:
            key, later = jax.random.split(key)
            start, fields = _stacked(spins, self.reads), _stacked(fields, 1)
            reads, _ = anneal(start, fields, self.couplings, temperatures, key=key)
            return SpinState(self._lowest(spins, reads, fields), later)

        return _over(x.ndim - 1, one)(state.spins, state.key, fields)

    def record(
        self,
        state: SpinState,
        x: Float[Array, "*batch inputs"],
        nudge: Float[Array, "*batch outputs"] | None,
    ) -> Float[Array, "*batch sweeps spins"]:
        """All spins after each sweep of one anneal, as `relax` would make it.

        **Raises:** `ValueError` if the state has no key: nothing is annealed.
        """
        if state.key is None:
            raise ValueError(
                "Without a key nothing is annealed: give `initial_state` one."
            )
        temperatures = self._temperatures(nudge is not None, x)

        def one(spins: Layers, key: PRNGKeyArray, fields: Layers) -> Array:
            key, _ = jax.random.split(key)
            arguments = spins, fields, self.couplings, temperatures
            return anneal(*arguments, key=key, observe=jnp.concatenate)[1]

        fields = self._fields(x, nudge)
        return _over(x.ndim - 1, one)(state.spins, state.key, fields)

    def energy(
        self, state: SpinState, x: Float[Array, "*batch inputs"]
    ) -> Float[Array, "*batch"]:
        return layered_energy(state.spins, self._fields(x, None), self.couplings)

    def readout(self, state: SpinState) -> Float[Array, "*batch outputs"]:
        last = state.spins[-1]
        return last.reshape(*last.shape[:-1], -1, self.copies).mean(-1)

    def residual(self, state: SpinState, x: Float[Array, "*batch inputs"]) -> SpinState:
        """What of its field a spin does not yet follow: 0 if none would turn."""
        fields = self._fields(x, None)
        forces = tuple(
            jnp.clip(s + layer_field(i, state.spins, fields, self.couplings), -1, 1) - s
            for i, s in enumerate(state.spins)
        )
        return SpinState(forces, state.key)

    def project(self) -> "IsingMachine":
        """Couplings and biases within the limit of the machine."""
        parameters = (self.weight, self.couplings, self.biases)
        clipped = jax.tree.map(
            lambda p: jnp.clip(p, -self.limit, self.limit), parameters
        )
        return eqx.tree_at(lambda m: (m.weight, m.couplings, m.biases), self, clipped)

    def problem(self, x: Float[Array, " inputs"]) -> IsingProblem:
        """What one input asks of any Ising machine, its spins layer after layer."""
        fields = self._fields(x, None)
        ends = np.cumsum([0, *[len(h) for h in fields]])
        edges = [
            np.stack(np.meshgrid(np.arange(a, b), np.arange(b, c), indexing="ij"), -1)
            for a, b, c in zip(ends[:-2], ends[1:-1], ends[2:], strict=True)
        ]
        return IsingProblem.from_edges(
            int(ends[-1]),
            np.concatenate([pairs.reshape(-1, 2) for pairs in edges]),
            jnp.concatenate([j.ravel() for j in self.couplings]),
            jnp.concatenate(fields),
        )

    def _fields(self, x: Array, nudge: Array | None) -> Layers:
        lead = x.shape[:-1]
        first, *rest = self.biases
        fields = [x @ self.weight + jnp.broadcast_to(first, (*lead, len(first)))]
        fields += [jnp.broadcast_to(b, (*lead, len(b))) for b in rest]
        if nudge is not None:
            fields[-1] = fields[-1] - jnp.repeat(nudge, self.copies, -1) / self.copies
        return tuple(fields)

    def _temperatures(self, reverse: bool, x: Array) -> Float[Array, " sweeps"]:
        schedule = np.geomspace(self.hot, self.cold, self.sweeps)
        passed = int(self.fraction * self.sweeps) if reverse else 0
        return jnp.asarray(schedule[passed:], x.dtype)

    def _lowest(self, start: Layers, reads: Layers, fields: Layers) -> Layers:
        # The start comes first: it is kept unless a read is lower.
        every = tuple(
            jnp.concatenate([s[None], r]) for s, r in zip(start, reads, strict=True)
        )
        best = jnp.argmin(layered_energy(every, fields, self.couplings))
        return tuple(s[best] for s in every)


def _alternate(
    spins: Layers,
    fields: Layers,
    couplings: Couplings,
    update: Callable[[int, Array, Array], Array],
) -> Layers:
    """Update each second layer, then the others; layers in a group are not coupled."""
    layers = list(spins)
    for i in [*range(0, len(layers), 2), *range(1, len(layers), 2)]:
        field = layer_field(i, tuple(layers), fields, couplings)
        layers[i] = update(i, layers[i], field)
    return tuple(layers)


def _signs(up: Array, like: Array) -> Array:
    return jnp.where(up, 1, -1).astype(like.dtype)


def _stacked(layers: Layers, count: int) -> Layers:
    return tuple(jnp.broadcast_to(s, (count, *s.shape)) for s in layers)


def _over(axes: int, function: Callable) -> Callable:
    for _ in range(axes):
        function = jax.vmap(function)
    return function


def _initial(key: PRNGKeyArray, shape: tuple[int, int]) -> Float[Array, "_ _"]:
    return jax.random.uniform(key, shape, minval=-1, maxval=1) / np.sqrt(shape[0])


def _check_sizes(sizes: Sequence[int], copies: int) -> None:
    if len(sizes) < 3 or min(sizes) < 1:
        raise ValueError(
            "`sizes` must name the inputs, one hidden layer of spins or more, and the "
            f"last layer, each at least 1, but is {tuple(sizes)}."
        )
    if copies < 1 or sizes[-1] % copies:
        raise ValueError(
            f"The last layer has {sizes[-1]} spins, which can't be shared out in equal "
            f"groups of `copies`={copies}."
        )


def _check_schedule(
    reads: int, sweeps: int, hot: float, cold: float, fraction: float, limit: float
) -> None:
    if reads < 1 or sweeps < 2:
        raise ValueError(
            "The machine is annealed at least once, in two sweeps or more, not with "
            f"reads={reads}, sweeps={sweeps}."
        )
    if not 0 < cold <= hot:
        raise ValueError(
            f"Temperatures must be above 0 and fall, not from hot={hot} to cold={cold}."
        )
    if not 0 < fraction < 1:
        raise ValueError(
            "`fraction` is what a reverse anneal leaves out of the schedule, between "
            f"0 and 1, but is {fraction}."
        )
    if not limit > 0:
        raise ValueError(f"`limit` must be positive, but is {limit}.")
