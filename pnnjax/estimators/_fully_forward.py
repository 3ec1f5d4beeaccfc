"""Fully forward mode: the error goes through the same system, in the same direction."""

from typing import Any, ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Inexact, PRNGKeyArray, PyTree

from .._estimator import AbstractEstimator, Claim, Conditions, Exact, PhysicalCost
from .._layer import AbstractSymmetricLayer, output_size
from ._signals import as_complex, like


class FullyForward(AbstractEstimator):
    r"""The gradient of the elements from two complex fields, both sent forwards.

    With $W = W^\top$ what lies behind the elements, $p = W\bar y$ is the error's field
    at the elements though it was never sent backwards. With $a$ the data's field just
    after them, $\bar\phi = -\operatorname{Im} a p$ for a phase and
    $\bar t = \operatorname{Re} a p / t$ for a transmission. Both fields are measured
    with their phase (holography).

    **Error:** rounding.
    **Source:** Xue et al., *Nature* 632, 280 (2024), doi:10.1038/s41586-024-07687-4.
    """

    claim: ClassVar[Claim] = Exact()
    conditions: ClassVar[Conditions] = Conditions(
        AbstractSymmetricLayer,
        required={
            "linear": "it is not linear, so the error's field is none of its fields",
            "symmetric": "what follows its elements is not its own transpose, so an "
            "error sent forwards is not the error sent backwards",
        },
    )

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
        data = layer.modulate(as_complex(x))
        error = layer.propagate(as_complex(y_bar))
        batch = tuple(range(x.ndim - layer.example_ndim))
        overlap = jnp.sum(data * error, batch)
        return layer.cotangent(overlap), like(layer.modulate(error), x)

    def cost(self, layer: Any, x: Any) -> PhysicalCost:
        return PhysicalCost(
            runs=2,
            measurements=4 * x.size + output_size(layer, x),
            flops=8 * x.size,
        )
