"""Layered units whose couplings upwards and downwards are not the same."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact, PRNGKeyArray, PyTree

from .._layer import AbstractEquilibriumLayer, Facts
from ..integrators import AbstractRelaxation, FixedSteps
from ._activation import AbstractActivation, HardSigmoid
from ._hopfield import State, blend


class AsymmetricNetwork(AbstractEquilibriumLayer):
    r"""A layered network without an energy: layer $k$ settles where

    $$s_k = \rho\big(s_{k-1} W_k + b_k + s_{k+1} B_{k+1}\big)$$

    with $s_0 = x$ and the feedback $B_k$ apart from $W_k^\top$. The last layer is the
    output. Layers move as in `HopfieldNetwork`, every other one at a time; whether they
    settle is up to the couplings.

    **Source:** Scellier et al. (2018), arXiv:1808.04873.
    """

    forward: tuple[Float[Array, "below above"], ...]
    feedback: tuple[Float[Array, "above below"], ...]
    """From the second layer down to the first one, and so on up."""
    bias: tuple[Float[Array, " above"], ...]
    activation: AbstractActivation
    relaxation: AbstractRelaxation
    rate: float

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        key: PRNGKeyArray,
        asymmetry: float = 1.0,
        activation: AbstractActivation = HardSigmoid(),
        relaxation: AbstractRelaxation = FixedSteps(20, 10),
        rate: float = 1.0,
    ):
        r"""Draw couplings uniform within $\pm\sqrt{6/(n_\text{below} +
        n_\text{above})}$.

        **Arguments:** `asymmetry`: 0 for feedback that begins as the transpose, 1 for
        one drawn on its own; between, a mixture of the same variance.
        **Raises:** `ValueError` for less than two sizes, or a number out of range.
        """
        if len(sizes) < 2:
            raise ValueError(f"An input and an output are needed, not {sizes}.")
        if not 0 < rate <= 1:
            raise ValueError(f"`rate` must be above 0 and at most 1, not {rate}.")
        if not 0 <= asymmetry <= 1:
            raise ValueError(f"`asymmetry` must be 0 to 1, not {asymmetry}.")
        keys = jax.random.split(key, (2, len(sizes) - 1))
        pairs = list(zip(sizes, sizes[1:], strict=False))
        self.forward = tuple(map(_glorot, pairs, keys[0]))
        own = map(_glorot, pairs[1:], keys[1][1:])
        same = math.sqrt(1 - asymmetry**2)
        self.feedback = tuple(
            (same * weight + asymmetry * other).T
            for weight, other in zip(self.forward[1:], own, strict=True)
        )
        self.bias = tuple(jnp.zeros_like(weight[0]) for weight in self.forward)
        self.activation = activation
        self.relaxation = relaxation
        self.rate = rate

    @property
    def facts(self) -> Facts:
        return Facts(smooth=True, holomorphic=self.activation.holomorphic)

    def __call__(
        self, x: Float[Array, "*batch inputs"], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "*batch outputs"]:
        return self.readout(self.relax(self.initial_state(x, key=key), x, None))

    def initial_state(
        self, x: Float[Array, "*batch inputs"], *, key: PRNGKeyArray | None = None
    ) -> State:
        return tuple(
            jnp.full((*x.shape[:-1], len(b)), self.activation.rest, x.dtype)
            for b in self.bias
        )

    def relax(
        self,
        state: PyTree[Array],
        x: Float[Array, "*batch inputs"],
        nudge: Inexact[Array, "*batch outputs"] | None,
    ) -> State:
        first = self._upward(0, x)
        if nudge is not None:
            first = first.astype(nudge.dtype)
        state = tuple(s.astype(first.dtype) for s in state)

        def step(state):
            moved = list(state)
            for start in (0, 1):
                before = tuple(moved)
                for k in range(start, len(state), 2):
                    response = self.activation(self._force(k, before, first, nudge))
                    moved[k] = blend(before[k], response, self.rate)
            return tuple(moved)

        return self.relaxation(step, state, nudged=nudge is not None)

    def readout(self, state: PyTree[Array]) -> Inexact[Array, "*batch outputs"]:
        return state[-1]

    def residual(self, state: PyTree[Array], x: Float[Array, "*batch inputs"]) -> State:
        first = self._upward(0, x).astype(state[0].dtype)
        return tuple(
            self.activation.net_force(s, self._force(k, state, first, None))
            for k, s in enumerate(state)
        )

    def _upward(self, k, below):
        drive = below @ self.forward[k].astype(below.dtype)
        return drive + jnp.broadcast_to(self.bias[k].astype(below.dtype), drive.shape)

    def _force(self, k, state, first, nudge):
        force = first if k == 0 else self._upward(k, state[k - 1])
        if k + 1 < len(state):
            return force + state[k + 1] @ self.feedback[k].astype(force.dtype)
        return force if nudge is None else force - nudge


def _glorot(pair: tuple[int, int], key: PRNGKeyArray) -> Float[Array, "below above"]:
    bound = math.sqrt(6 / sum(pair))
    return jax.random.uniform(key, pair, minval=-bound, maxval=bound)
