"""Coupled learning: a free state, and one whose outputs are held nearer the target."""

from typing import Any, ClassVar

from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from .._estimator import Biased, Claim, Conditions, PhysicalCost
from .._layer import AbstractClampableLayer
from ._phases import direction, energy_cotangents, settling_cost, strength
from ._settling import AbstractSettling


class CoupledLearning(AbstractSettling):
    r"""Compares the free state with one in which the outputs are held.

    The outputs are moved by `eta` against the error and held there,
    $y_C = y_F - \eta\,\bar y / \lVert\bar y\rVert$, and

    $$\bar\theta = \frac{\lVert\bar y\rVert}{\eta}
    \left[\partial_\theta E(s_C) - \partial_\theta E(s_F)\right]$$

    Displacements are imposed here, not forces, so this is not equilibrium propagation:
    the gradient comes multiplied by the stiffness of the outputs (the inverse of their
    response to forces), which is a number for one output and a matrix for several.

    **Arguments:** `eta`, in units of the output.
    **Raises:** `ValueError` if `eta` is 0.
    **Error:** as `eta` goes to 0, colinear with the gradient for one output; for
    several it is turned by their mutual stiffness.
    **Source:** Stern, Hexner, Rocks and Liu, *Phys. Rev. X* 11, 021045 (2021),
    doi:10.1103/PhysRevX.11.021045.
    """

    claim: ClassVar[Claim] = Biased(min_cosine=0.5)
    conditions: ClassVar[Conditions] = Conditions(AbstractClampableLayer)

    eta: Float[Array, "..."]

    def __init__(self, eta: float | Array = 0.01):
        self.eta = strength(eta, "eta")

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
        eta = self.eta.astype(y_bar.dtype)
        along, length = direction(y_bar)
        held = layer.readout(residuals) - eta * along
        clamped = layer.relax_clamped(residuals, x, held)
        weight = length / eta
        return energy_cotangents(layer, x, [(clamped, weight), (residuals, -weight)])

    def cost(self, layer: Any, x: Any) -> PhysicalCost:
        return settling_cost(layer, x, phases=2, compared=2)
