"""Equilibrium propagation: gradients from settled states, free and nudged."""

from typing import Any, ClassVar

import equinox as eqx
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from .._estimator import Claim, Conditions, Order, PhysicalCost
from .._layer import AbstractEnergyLayer
from ._phases import direction, energy_cotangents, settling_cost, strength
from ._settling import AbstractSettling


class EquilibriumPropagation(AbstractSettling):
    r"""The energy's derivative at nudged equilibria, compared.

    With $s_b$ the state that settles when the energy gains $b\,\bar y\cdot y(s)$,

    $$\bar\theta = \frac{1}{2\beta}\left[\partial_\theta E(s_{\beta})
    - \partial_\theta E(s_{-\beta})\right]$$

    where centered, else $[\partial_\theta E(s_\beta) - \partial_\theta E(s_0)]/\beta$.
    Each nudge starts from the free state and is of length `beta`, whatever the length
    of $\bar y$, by which the contrast is then multiplied.

    **Arguments:** `beta`, in units of (energy / output); `centered`.
    **Raises:** `ValueError` if `beta` is 0.
    **Error:** of order `beta`, centered of its square, where the state has settled.
    **Source:** Scellier and Bengio, *Front. Comput. Neurosci.* 11, 24 (2017),
    doi:10.3389/fncom.2017.00024; centered: Laborieux et al., *Front. Neurosci.* 15,
    633674 (2021), doi:10.3389/fnins.2021.633674.
    """

    conditions: ClassVar[Conditions] = Conditions(AbstractEnergyLayer)

    beta: Float[Array, "..."]
    centered: bool = eqx.field(static=True)

    def __init__(self, beta: float | Array = 0.1, centered: bool = True):
        self.beta = strength(beta, "beta")
        self.centered = centered

    @property
    def claim(self) -> Claim:
        return Order(2 if self.centered else 1, in_="beta")

    def backward(
        self,
        layer: Any,
        x: Float[Array, "..."],
        residuals: PyTree[Array],
        y_bar: Float[Array, "..."],
        *,
        key: PRNGKeyArray | None,
    ) -> tuple[PyTree, Float[Array, "..."]]:
        del key  # what the relaxations draw is in the state
        beta = self.beta.astype(y_bar.dtype)
        along, length = direction(y_bar)
        plus = layer.relax(residuals, x, beta * along)
        if self.centered:
            minus, step = layer.relax(residuals, x, -beta * along), 2 * beta
        else:
            minus, step = residuals, beta
        weight = length / step
        return energy_cotangents(layer, x, [(plus, weight), (minus, -weight)])

    def cost(self, layer: Any, x: Any) -> PhysicalCost:
        return settling_cost(layer, x, phases=2 + self.centered, compared=2)
