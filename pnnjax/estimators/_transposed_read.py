"""Backpropagation in a crossbar: a read from the other side, and an outer product."""

from typing import Any, ClassVar

from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from .._estimator import AbstractEstimator, Claim, Conditions, Exact, PhysicalCost
from .._layer import AbstractTransposableLayer


class TransposedRead(AbstractEstimator):
    r"""The error, read through the same cells from the outputs' side.

    $\bar x = W^\top\bar y$ is one more read of the array, and $\bar W = \bar y
    x^\top$ is formed at the cells where both signals meet: what pulses that coincide
    there do in hardware. The layer's `traffic` is filled too, for a pulsed update.

    **Error:** rounding, where each cell sees what enters and leaves at the edges. What
    lines and converters do to the signals on the way is missing in $\bar W$.
    **Source:** Gokmen & Vlasov, *Front. Neurosci.* 10, 333 (2016),
    doi:10.3389/fnins.2016.00333.
    """

    claim: ClassVar[Claim] = Exact()
    conditions: ClassVar[Conditions] = Conditions(
        AbstractTransposableLayer,
        required={
            "reciprocal": "it is not reciprocal, so a read from the outputs' side does "
            "not see the transposed matrix"
        },
        expected={
            "accessible": "its lines or converters change the signals on their way to "
            "the cells, so the product of what is known at the edges is not the "
            "gradient"
        },
    )

    def forward(
        self, layer: Any, x: Float[Array, "..."], *, key: PRNGKeyArray | None
    ) -> tuple[Float[Array, "..."], PyTree[Array]]:
        return layer(x, key=key), None

    def backward(
        self,
        layer: Any,
        x: Float[Array, "..."],
        residuals: PyTree[Array],
        y_bar: Float[Array, "..."],
        *,
        key: PRNGKeyArray | None,
    ) -> tuple[PyTree, Float[Array, "..."]]:
        del residuals
        return layer.outer_product(x, y_bar), layer.read_back(y_bar, key=key)

    def cost(self, layer: Any, x: Any) -> PhysicalCost:
        outputs, inputs = layer.conductance.shape[-2:]
        return PhysicalCost(runs=2, measurements=outputs + inputs)
