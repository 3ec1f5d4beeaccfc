"""Equilibrium propagation with one nudge, of a random sign."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from .._estimator import Claim, Conditions, Order, PhysicalCost
from .._layer import AbstractEnergyLayer
from ._phases import direction, energy_cotangents, settling_cost, strength
from ._settling import AbstractSettling


class RandomSignEP(AbstractSettling):
    r"""One-sided equilibrium propagation whose sign of $\beta$ is drawn anew.

    Each gradient has the one-sided bias, of order $\beta$; over many signs its odd part
    averages out, at the price of two relaxations instead of three. One sign serves one
    example. Without a key there is nothing to draw, and the sign is plus.

    **Arguments:** `beta`, in units of (energy / output).
    **Raises:** `ValueError` if `beta` is 0.
    **Error:** of order `beta`; its mean over keys, of order `beta` squared.
    **Source:** Scellier and Bengio, *Front. Comput. Neurosci.* 11, 24 (2017),
    doi:10.3389/fncom.2017.00024; compared in Laborieux et al., *Front. Neurosci.* 15,
    633674 (2021), doi:10.3389/fnins.2021.633674.
    """

    claim: ClassVar[Claim] = Order(1, in_="beta")
    conditions: ClassVar[Conditions] = Conditions(AbstractEnergyLayer)

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
        along, length = direction(y_bar)
        beta = jnp.broadcast_to(self.beta.astype(y_bar.dtype), length.shape)
        if key is not None:
            own = jax.random.fold_in(key, 1)  # the layer's noise has the key itself
            beta = beta * jax.random.rademacher(own, length.shape, y_bar.dtype)
        nudged = layer.relax(residuals, x, beta[..., None] * along)
        weight = length / beta
        return energy_cotangents(layer, x, [(nudged, weight), (residuals, -weight)])

    def cost(self, layer: Any, x: Any) -> PhysicalCost:
        return settling_cost(layer, x, phases=2, compared=2)
