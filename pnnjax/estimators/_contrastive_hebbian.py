"""Contrastive Hebbian learning: the outputs are free, then held at the target."""

from typing import Any, ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from .._estimator import Biased, Claim, Conditions, PhysicalCost
from .._layer import AbstractClampableLayer
from ._phases import energy_cotangents, settling_cost
from ._settling import AbstractSettling


class ContrastiveHebbian(AbstractSettling):
    r"""Compares the free state with one whose outputs are held at the target.

    $$\bar\theta = \partial_\theta E(s_C) - \partial_\theta E(s_F), \qquad
    y_C = y_F - \bar y$$

    For half the squared error $y_C$ is the target itself.

    **Error:** it follows the gradient of the difference of two energies, which vanishes
    where the squared error does; the larger the error, the further it is from the
    gradient of the loss.
    **Source:** Movellan, *Connectionist Models* 10 (1991),
    doi:10.1016/B978-1-4832-1448-1.50007-X; Xie and Seung, *Neural Computation* 15, 441
    (2003), doi:10.1162/089976603762552988.
    """

    claim: ClassVar[Claim] = Biased(min_cosine=0.1)
    conditions: ClassVar[Conditions] = Conditions(AbstractClampableLayer)

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
        held = layer.readout(residuals) - y_bar
        clamped = layer.relax_clamped(residuals, x, held)
        one = jnp.ones(y_bar.shape[:-1], y_bar.dtype)
        return energy_cotangents(layer, x, [(clamped, one), (residuals, -one)])

    def cost(self, layer: Any, x: Any) -> PhysicalCost:
        return settling_cost(layer, x, phases=2, compared=2)
