"""Optical backpropagation: a weak probe through what the signal has saturated."""

from typing import Any, ClassVar

from jaxtyping import Array, Inexact, PRNGKeyArray, PyTree

from .._estimator import AbstractEstimator, Biased, Claim, Conditions, PhysicalCost
from .._layer import AbstractPumpProbeLayer, output_size


class OpticalBackprop(AbstractEstimator):
    r"""Sends the error back as a probe, and takes what passes for the derivative.

    With $T$ the amplitude transmission that the signal has set, the probe returns
    $\bar x = T\bar y$, while the derivative has the further factor
    $1 + \alpha_0 E^2 / (1 + E^2)^2$ along the field, between 1 and
    $\kappa = 1 + \alpha_0 / 4$. The medium itself is not trained.

    **Error:** the cosine with the gradient is at least
    $2\sqrt\kappa / (1 + \kappa)$ (Kantorovich): 0.83 at an optical depth of 10, and
    above the claim of 0.6 up to 30.
    **Source:** Guo et al., *Photonics Research* 9, B71 (2021), doi:10.1364/PRJ.411104;
    Spall et al.,
    *Adv. Photonics* 7, 016004 (2025), doi:10.1117/1.AP.7.1.016004.
    """

    claim: ClassVar[Claim] = Biased(min_cosine=0.6)
    conditions: ClassVar[Conditions] = Conditions(AbstractPumpProbeLayer)

    def forward(
        self, layer: Any, x: Inexact[Array, "..."], *, key: PRNGKeyArray | None
    ) -> tuple[Inexact[Array, "..."], PyTree[Array]]:
        return layer(x, key=key), None

    def backward(
        self,
        layer: Any,
        x: Inexact[Array, "..."],
        residuals: PyTree[Array],
        y_bar: Inexact[Array, "..."],
        *,
        key: PRNGKeyArray | None,
    ) -> tuple[PyTree, Inexact[Array, "..."]]:
        del residuals, key
        return None, layer.probe(x, y_bar)

    def cost(self, layer: Any, x: Any) -> PhysicalCost:
        return PhysicalCost(runs=2, measurements=2 * output_size(layer, x))
