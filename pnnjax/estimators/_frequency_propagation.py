"""Frequency propagation: the error is a ripple on top of the signal."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from .._estimator import Claim, Conditions, Order, PhysicalCost
from .._layer import AbstractEnergyLayer
from ._phases import direction, settling_cost, strength
from ._settling import SMOOTH, AbstractSettling


class FrequencyPropagation(AbstractSettling):
    r"""The product of the state's coefficients at two frequencies.

    The input is constant, the error oscillates: the nudge is
    $\beta\cos(\omega t)\,\bar y$. The state follows,
    $s(t) \approx s^{(0)} + \beta\cos(\omega t)\,s^{(1)}$, and both coefficients are
    read from its spectrum:

    $$\bar\theta = \frac{\partial^2 E}{\partial\theta\,\partial s}(s^{(0)})
    \cdot s^{(1)}$$

    which for a conductance is the product of its two voltages. The oscillation is slow:
    the state settles at each of `points` moments of a period, from the moment before;
    the second period is measured.

    **Arguments:** `beta`, the amplitude, in units of (energy / output); `points` >= 3.
    **Raises:** `ValueError` if `beta` is 0 or there are fewer than three points.
    **Error:** of order `beta` squared, where the state settles between the moments.
    **Source:** Anisetti, Kandala, Scellier and Schwarz, *Neural Computation* 36, 596
    (2024), arXiv:2208.08862.
    """

    claim: ClassVar[Claim] = Order(2, in_="beta")
    conditions: ClassVar[Conditions] = Conditions(AbstractEnergyLayer, required=SMOOTH)

    beta: Float[Array, "..."]
    points: int = eqx.field(static=True)

    def __init__(self, beta: float | Array = 0.1, points: int = 4):
        if points < 3:
            raise ValueError(
                "A frequency is told from a constant by at least three `points` a "
                f"period, not {points}."
            )
        self.beta = strength(beta, "beta")
        self.points = points

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
        phases = 2 * np.pi * np.arange(self.points) / self.points
        ripple = jnp.asarray(np.cos(phases), y_bar.dtype)

        def settle(carry, now):
            state, mean, first = carry
            state = layer.relax(state, x, now * beta * along)
            mean = jax.tree.map(lambda m, s: m + s / self.points, mean, state)
            scale = 2 * now / (self.points * beta)
            first = jax.tree.map(lambda f, s: f + scale * s, first, state)
            return (state, mean, first), None

        def period(state):
            zero = jax.tree.map(jnp.zeros_like, state)
            return lax.scan(settle, (state, zero, zero), ripple)[0]

        _, mean, first = period(period(residuals)[0])
        return _product_of_coefficients(layer, x, mean, first, length)

    def cost(self, layer: Any, x: Any) -> PhysicalCost:
        return settling_cost(layer, x, phases=1 + 2 * self.points, compared=self.points)


def _product_of_coefficients(layer, x, mean, first, weight):
    arrays, static = eqx.partition(layer, eqx.is_inexact_array)

    def slope(arrays, x):
        layer = eqx.combine(arrays, static)
        energy = lambda state: layer.energy(state, x)  # noqa: E731
        return jnp.sum(weight * jax.jvp(energy, (mean,), (first,))[1])

    return jax.grad(slope, (0, 1))(arrays, x)
