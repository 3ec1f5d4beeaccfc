"""Physics-aware training: values from the device, derivatives from a model."""

from collections.abc import Callable
from typing import Any, ClassVar

from jaxtyping import Array, Inexact, PRNGKeyArray, PyTree

from .._estimator import AbstractEstimator, Claim, Exact, PhysicalCost
from .._layer import output_size
from ._autodiff import model_flops, model_pullback


class PhysicsAware(AbstractEstimator):
    r"""Runs the device forwards, and the model's Jacobian at the measured input back.

    $$y = f_\text{device}(x, \theta), \qquad
    \bar x = \left[\partial_x f_\text{model}(x, \theta)\right]^\top \bar y, \qquad
    \bar\theta = \left[\partial_\theta f_\text{model}(x, \theta)\right]^\top \bar y$$

    The layer is the model (the digital twin). On a whole `eqx.nn.Sequential` the inner
    signals are the model's own: for hardware whose inner states can't be measured.

    **Arguments:** `device(layer, x, key=key) -> y`, a `pnn.devices` device or any
    function with the shape and dtype of the layer's output.
    **Error:** exact where device and model have the same Jacobian; otherwise biased by
    their difference, and of use while the angle between the gradients is below 90°.
    **Source:** Wright et al., *Nature* 601, 549 (2022), doi:10.1038/s41586-021-04223-6.
    """

    claim: ClassVar[Claim] = Exact()
    sets_hardware: ClassVar[bool] = True

    device: Callable[..., Inexact[Array, "..."]]

    def forward(
        self, layer: Any, x: Inexact[Array, "..."], *, key: PRNGKeyArray | None
    ) -> tuple[Inexact[Array, "..."], PyTree[Array]]:
        return self.device(layer, x, key=key), None

    def backward(
        self,
        layer: Any,
        x: Inexact[Array, "..."],
        residuals: PyTree[Array],
        y_bar: Inexact[Array, "..."],
        *,
        key: PRNGKeyArray | None,
    ) -> tuple[PyTree, Inexact[Array, "..."]]:
        del residuals, key  # the device's noise is not the model's
        return model_pullback(layer, x, y_bar, None)

    def cost(self, layer: Any, x: Any) -> PhysicalCost:
        return PhysicalCost(
            runs=1,
            measurements=output_size(layer, x),
            flops=3 * model_flops(layer, x),
        )
