"""Equilibrium propagation where the forces need not have a potential."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from .._estimator import Claim, Conditions, Order, PhysicalCost
from .._layer import AbstractEquilibriumLayer
from ._phases import direction, settling_cost, strength
from ._settling import SMOOTH, AbstractSettling


class VectorFieldEP(AbstractSettling):
    r"""The force's derivative at the free state, times how far the nudges moved it.

    With the force $F(s, \theta) = 0$ at the free state $s_0$ and $s_{\pm\beta}$ settled
    under $\pm\beta\bar y$,

    $$\bar\theta = -\left[\partial_\theta F(s_0)\right]^\top
    \frac{s_{\beta} - s_{-\beta}}{2\beta}$$

    **Arguments:** `beta`, in units of (force / output).
    **Raises:** `ValueError` if `beta` is 0.
    **Error:** of order `beta` squared if the force is the slope of an energy. If not,
    the state's response takes the place of the transposed one: the bias grows with
    the asymmetry of the couplings.
    **Source:** Scellier, Goyal, Binas, Mesnard and Bengio (2018), arXiv:1808.04873.
    """

    claim: ClassVar[Claim] = Order(2, in_="beta")
    conditions: ClassVar[Conditions] = Conditions(
        AbstractEquilibriumLayer,
        required=SMOOTH,
        expected={
            "conservative": "its forces have no potential (its couplings are not "
            "symmetric), so the state's response to the error is not the error's way "
            "back; the bias grows with the asymmetry"
        },
    )

    beta: Float[Array, "..."]

    def __init__(self, beta: float | Array = 0.1):
        self.beta = strength(beta, "beta")

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
        beta = self.beta.astype(y_bar.dtype)
        along, length = direction(y_bar)
        plus = layer.relax(residuals, x, beta * along)
        minus = layer.relax(residuals, x, -beta * along)

        def moved(p, m):
            weight = length / (2 * beta)
            return (m - p) * jnp.expand_dims(weight, tuple(range(weight.ndim, p.ndim)))

        arrays, static = eqx.partition(layer, eqx.is_inexact_array)
        _, pullback = jax.vjp(
            lambda arrays, x: eqx.combine(arrays, static).residual(residuals, x),
            arrays,
            x,
        )
        return pullback(jax.tree.map(moved, plus, minus))

    def cost(self, layer: Any, x: Any) -> PhysicalCost:
        return settling_cost(layer, x, phases=3, compared=3)
