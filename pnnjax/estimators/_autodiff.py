"""The exact reference: the layer's own derivative."""

from typing import Any, ClassVar

import equinox as eqx
import jax
from jaxtyping import Array, Inexact, PRNGKeyArray, PyTree

from .._estimator import AbstractEstimator, Claim, Exact, PhysicalCost
from .._layer import respond


class Autodiff(AbstractEstimator):
    """Backpropagation through the model of the layer.

    Nothing is stored between the passes: `backward` runs the model once more. A layer
    outside of `Physical` is differentiated too, and keeps what it needs instead.
    """

    claim: ClassVar[Claim] = Exact()

    def forward(
        self, layer: Any, x: Inexact[Array, "..."], *, key: PRNGKeyArray | None
    ) -> tuple[Inexact[Array, "..."], PyTree[Array]]:
        return respond(layer, x, key), None

    def backward(
        self,
        layer: Any,
        x: Inexact[Array, "..."],
        residuals: PyTree[Array],
        y_bar: Inexact[Array, "..."],
        *,
        key: PRNGKeyArray | None,
    ) -> tuple[PyTree, Inexact[Array, "..."]]:
        del residuals
        return model_pullback(layer, x, y_bar, key)

    def cost(self, layer: Any, x: Any) -> PhysicalCost:
        return PhysicalCost(runs=0, flops=3 * model_flops(layer, x))


def model_pullback(
    layer: Any,
    x: Inexact[Array, "..."],
    y_bar: Inexact[Array, "..."],
    key: PRNGKeyArray | None,
) -> tuple[PyTree, Inexact[Array, "..."]]:
    """`(layer_bar, x_bar)` by differentiating the model at `x`."""
    arrays, static = eqx.partition(layer, eqx.is_inexact_array)
    _, pullback = jax.vjp(
        lambda arrays, x: respond(eqx.combine(arrays, static), x, key), arrays, x
    )
    return pullback(y_bar)


def model_flops(layer: Any, x: Any) -> int:
    """Floating-point operations of one call, as the compiler counts them."""
    arrays, static = eqx.partition(layer, eqx.is_array)

    def run(arrays, x):
        return respond(eqx.combine(arrays, static), x, None)

    analysis = jax.jit(run).lower(arrays, x).cost_analysis()
    if analysis is None:
        raise ValueError("This backend's compiler does not count operations.")
    return round(analysis["flops"])
