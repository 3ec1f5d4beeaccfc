"""Holomorphic equilibrium propagation: exact gradients from finite nudges."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Complex, Float, PRNGKeyArray, PyTree

from .._estimator import Claim, Conditions, Order, PhysicalCost
from .._layer import AbstractEnergyLayer
from ._phases import direction, energy_cotangents, settling_cost, strength
from ._settling import AbstractSettling


class HolomorphicEP(AbstractSettling):
    r"""The first Fourier coefficient of the energy's derivative on a circle of nudges.

    With $\beta_k = \beta e^{2\pi i k/N}$ and $s_k$ the complex state that settles under
    $\beta_k\bar y$,

    $$\bar\theta = \operatorname{Re}\frac{1}{N\beta}\sum_{k=0}^{N-1}
    e^{-2\pi i k/N}\,\partial_\theta E(s_k)$$

    Two points are centered equilibrium propagation.

    **Arguments:** `beta`, the circle's radius, in units of (energy / output); `points`,
    $N \ge 2$; `continuous`: the nudge goes round without a pause, so that each state
    starts from the one before, and the second turn is measured.
    **Raises:** `ValueError` if `beta` is 0 or there are fewer than two points.
    **Error:** of order $\beta^N$ within the radius in which the state is analytic.
    **Source:** Laborieux and Zenke, NeurIPS 2022, arXiv:2209.00530.
    """

    conditions: ClassVar[Conditions] = Conditions(
        AbstractEnergyLayer,
        required={
            "holomorphic": "its energy is not an analytic function of the state (a "
            "hard limit or an absolute value is not), so complex nudges mean nothing"
        },
    )

    beta: Float[Array, "..."]
    points: int = eqx.field(static=True)
    continuous: bool = eqx.field(static=True)

    def __init__(
        self, beta: float | Array = 0.5, points: int = 4, continuous: bool = False
    ):
        if points < 2:
            raise ValueError(f"A circle needs at least two `points`, not {points}.")
        self.beta = strength(beta, "beta")
        self.points = points
        self.continuous = continuous

    @property
    def claim(self) -> Claim:
        return Order(self.points, in_="beta")

    def backward(
        self,
        layer: Any,
        x: Float[Array, "..."],
        residuals: PyTree[Array],
        y_bar: Float[Array, "..."],
        *,
        key: PRNGKeyArray | None,
    ) -> tuple[PyTree, Float[Array, "..."]]:
        del key
        along, length = direction(y_bar)
        beta = self.beta.astype(y_bar.dtype)
        turns = _unit_circle(self.points, y_bar.dtype)
        nudges = [turn * (beta * along).astype(turn.dtype) for turn in turns]
        start = jax.tree.map(lambda s: lax.complex(s, jnp.zeros_like(s)), residuals)
        if self.continuous:
            states = _circled(layer, x, start, jnp.stack(nudges))
        else:
            states = [layer.relax(start, x, nudge) for nudge in nudges]
        weight = (length / (beta * self.points)).astype(turns[0].dtype)
        weights = [weight * jnp.conj(turn) for turn in turns]
        return energy_cotangents(layer, x, list(zip(states, weights, strict=True)))

    def cost(self, layer: Any, x: Any) -> PhysicalCost:
        turns = 1 + self.continuous
        # A complex state is two numbers an element.
        return settling_cost(
            layer, x, phases=1 + turns * self.points, compared=2 * self.points
        )


def _unit_circle(points: int, dtype) -> list[Complex[Array, ""]]:
    angles = 2 * np.pi * np.arange(points) / points
    return [
        lax.complex(jnp.asarray(np.cos(a), dtype), jnp.asarray(np.sin(a), dtype))
        for a in angles
    ]


def _circled(layer, x, start, nudges):
    """The states of the second turn, each settled from the one before."""

    def turn(state):
        def settle(state, nudge):
            state = layer.relax(state, x, nudge)
            return state, state

        return lax.scan(settle, state, nudges)

    _, states = turn(turn(start)[0])
    return [jax.tree.map(lambda s: s[k], states) for k in range(len(nudges))]
