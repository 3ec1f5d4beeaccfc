"""Layered Hopfield networks: units that settle between an input and an output."""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact, PRNGKeyArray, PyTree

from .._layer import AbstractClampableLayer, Facts
from ..integrators import AbstractRelaxation, FixedSteps
from ._activation import AbstractActivation, HardSigmoid
from ._hopfield_couplings import AbstractCoupling, DenseCoupling

State = tuple[Inexact[Array, "..."], ...]


class HopfieldNetwork(AbstractClampableLayer):
    r"""Layers of units, each coupled to the next; the last one is the output.

    The state is a tuple of the layers above the input $s_0 = x$, which is held:

    $$E = \sum_{k \ge 1}\sum_i G(s_{k,i}) - \sum_{k \ge 1}\Phi_k(s_{k-1}, s_k)$$

    with the potential $G$ of the activation $\rho$ and the interaction $\Phi_k$ of the
    $k$-th coupling, dimensionless. It is least where every unit is $\rho(h)$ under the
    force $h = \partial\sum\Phi/\partial s$ on it. A step moves each unit by a share,
    `rate`, of the way there. What the input does to the first layer is found once.

    **Source:** Hopfield, *PNAS* 81, 3088 (1984), doi:10.1073/pnas.81.10.3088; the
    steps at rate 1: Laborieux et al., *Front. Neurosci.* 15, 633674 (2021),
    doi:10.3389/fnins.2021.633674.
    """

    couplings: tuple[AbstractCoupling, ...]
    activation: AbstractActivation
    relaxation: AbstractRelaxation
    rate: float
    asynchronous: bool = eqx.field(static=True)

    def __init__(
        self,
        layers: Sequence[int] | Sequence[AbstractCoupling],
        *,
        key: PRNGKeyArray | None = None,
        activation: AbstractActivation = HardSigmoid(),
        relaxation: AbstractRelaxation = FixedSteps(20, 10),
        rate: float = 1.0,
        asynchronous: bool = True,
    ):
        """Couple `layers` densely, or as they are.

        **Arguments:**

        - `layers`: the sizes from the input to the output, between which `key` draws
            dense couplings; or the couplings themselves, without a key.
        - `rate`: above 0 and at most 1.
        - `asynchronous`: every other layer moves, then the rest, the output among them,
            sees it and moves. The energy then never rises. Otherwise all move at once,
            which may end in a cycle of two states at a `rate` near 1.

        **Raises:** `ValueError` if neighbors do not fit, naming them; for a `rate` out
        of range.
        """
        if not 0 < rate <= 1:
            raise ValueError(f"`rate` must be above 0 and at most 1, not {rate}.")
        self.couplings = _coupled(tuple(layers), key)
        self.activation = activation
        self.relaxation = relaxation
        self.rate = rate
        self.asynchronous = asynchronous

    @property
    def facts(self) -> Facts:
        parts = (self.activation, *self.couplings)
        return Facts(
            conservative=True,
            smooth=True,
            holomorphic=all(p.holomorphic for p in parts),
        )

    def __call__(
        self, x: Float[Array, "..."], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "..."]:
        return self.readout(self.relax(self.initial_state(x, key=key), x, None))

    def initial_state(
        self, x: Float[Array, "..."], *, key: PRNGKeyArray | None = None
    ) -> State:
        batch = x.shape[: x.ndim - len(self.couplings[0].below)]
        return tuple(
            jnp.full((*batch, *c.above), self.activation.rest, x.dtype)
            for c in self.couplings
        )

    def relax(
        self,
        state: PyTree[Array],
        x: Float[Array, "..."],
        nudge: Inexact[Array, "..."] | None,
    ) -> State:
        if nudge is None:
            force = self.couplings[0].drive_above(x)
            return self._settle(state, self._moves(force, None), nudged=False)
        if jnp.iscomplexobj(nudge):
            state = tuple(s.astype(nudge.dtype) for s in state)
        force = self.couplings[0].drive_above(x).astype(state[0].dtype)
        return self._settle(state, self._moves(force, nudge), nudged=True)

    def relax_clamped(
        self, state: PyTree[Array], x: Float[Array, "..."], output: Float[Array, "..."]
    ) -> State:
        moves = self._moves(self.couplings[0].drive_above(x), None)[:-1]
        return self._settle((*state[:-1], output), moves, nudged=True)

    def readout(self, state: PyTree[Array]) -> Inexact[Array, "*batch outputs"]:
        return state[-1]

    def residual(self, state: PyTree[Array], x: Float[Array, "..."]) -> State:
        force = self.couplings[0].drive_above(x).astype(state[0].dtype)
        return tuple(
            self.activation.net_force(s, self._force(k, state, force, None))
            for k, s in enumerate(state)
        )

    def energy(
        self, state: PyTree[Array], x: Float[Array, "..."]
    ) -> Inexact[Array, "*batch"]:
        total = jnp.zeros((), state[0].dtype)
        for coupling, below, above in zip(self.couplings, (x, *state), state):
            units = tuple(range(-len(coupling.above), 0))
            potential = jnp.sum(self.activation.potential(above), axis=units)
            total = total + (potential - coupling.interaction(below, above))
        return total

    def _force(self, k, state, first, nudge):
        """On layer `k` of the state; `first` is what the input does to layer 0."""
        force = first if k == 0 else self.couplings[k].drive_above(state[k - 1])
        if k + 1 < len(state):
            return force + self.couplings[k + 1].drive_below(state[k], state[k + 1])
        return force if nudge is None else force - nudge

    def _moves(self, first, nudge):
        """How each layer moves, given the state of all."""

        def move(k, state):
            response = self.activation(self._force(k, state, first, nudge))
            return blend(state[k], response, self.rate)

        return [lambda state, k=k: move(k, state) for k in range(len(self.couplings))]

    def _settle(self, state, moves, *, nudged):
        count = len(moves)
        groups = [range(count)]
        if self.asynchronous:
            # The layer below a convolution after the one above: both then need the
            # same convolution, which is made once.
            last = (count - 1) % 2
            groups = [range(1 - last, count, 2), range(last, count, 2)]

        def step(state):
            for group in groups:
                moved = {k: moves[k](state) for k in group}
                state = tuple(moved.get(k, s) for k, s in enumerate(state))
            return state

        return self.relaxation(step, state, nudged=nudged)


def blend(
    state: Inexact[Array, "..."], response: Inexact[Array, "..."], rate: float
) -> Inexact[Array, "..."]:
    """A share, `rate`, of the way from `state` to `response`."""
    return response if rate == 1 else state + rate * (response - state)


def _coupled(
    layers: tuple[int | AbstractCoupling, ...], key: PRNGKeyArray | None
) -> tuple[AbstractCoupling, ...]:
    sizes = [n for n in layers if isinstance(n, int)]
    couplings = tuple(c for c in layers if isinstance(c, AbstractCoupling))
    if couplings and key is None:
        _check_fit(couplings)
        return couplings
    if couplings or key is None or len(sizes) < 2:
        raise ValueError(
            "Give at least two sizes and a `key` to draw couplings, or at least one "
            f"coupling and no key; not {layers} and "
            f"{'no key' if key is None else 'a key'}."
        )
    keys = jax.random.split(key, len(sizes) - 1)
    return tuple(
        DenseCoupling.random(below, above, key=own)
        for below, above, own in zip(sizes, sizes[1:], keys, strict=False)
    )


def _check_fit(couplings: tuple[AbstractCoupling, ...]) -> None:
    for k, (lower, upper) in enumerate(zip(couplings, couplings[1:], strict=False)):
        if lower.above != upper.below:
            raise ValueError(
                f"Coupling {k} ends in a layer of shape {lower.above}, but coupling "
                f"{k + 1} begins at one of shape {upper.below}."
            )
    if len(couplings[-1].above) != 1:
        raise ValueError(
            f"The output must be one row of units, but coupling {len(couplings) - 1} "
            f"ends in a layer of shape {couplings[-1].above}."
        )
