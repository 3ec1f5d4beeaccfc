"""Finite differences: each parameter is moved on its own."""

from typing import Any

import equinox as eqx
from jaxtyping import Array, Float, PRNGKeyArray

from .._estimator import Claim, Order
from ._codes import SequentialCode
from ._knobs import Scales, own_units
from ._perturbation import AbstractPerturbation, Knobs, demodulated
from ._phases import strength


class FiniteDifference(AbstractPerturbation):
    r"""Every parameter up and down, and the cost's difference over the distance.

    $$\bar\theta_i = \frac{C(\theta + \epsilon s_i e_i) - C(\theta - \epsilon s_i e_i)}
    {2\epsilon s_i}$$

    where centered, which takes $2P$ runs for $P$ real parameters; else against the
    forward run, which takes $P$. So do the inputs.

    **Arguments:** `epsilon`, in units of `scales`, which gives $s$: `own_units` or
    `typical_sizes`. `centered`, `inputs`, `at_once`.
    **Raises:** `ValueError` if `epsilon` is 0.
    **Error:** of order `epsilon`, centered of its square; noise of the cost is divided
    by it.
    **Source:** on a photonic chip, Shen et al., *Nat. Photonics* 11, 441 (2017),
    doi:10.1038/nphoton.2017.93.
    """

    epsilon: Float[Array, "..."]
    centered: bool = eqx.field(static=True)
    scales: Scales = eqx.field(static=True)
    inputs: bool = eqx.field(static=True)
    at_once: int = eqx.field(static=True)

    def __init__(
        self,
        epsilon: float | Array = 1e-3,
        centered: bool = True,
        *,
        scales: Scales = own_units,
        inputs: bool = True,
        at_once: int = 1,
    ):
        self.epsilon = strength(epsilon, "epsilon")
        self.centered = centered
        self.scales = scales
        self.inputs = inputs
        self.at_once = at_once

    @property
    def claim(self) -> Claim:
        return Order(2 if self.centered else 1, in_="epsilon")

    def slopes(
        self, knobs: Knobs, layer: Any, *, of_inputs: bool, key: PRNGKeyArray | None
    ) -> Float[Array, "systems count"]:
        del layer, of_inputs
        code = SequentialCode(self.centered)
        return demodulated(
            knobs,
            code,
            self.epsilon,
            periods=1,
            noise=0.0,
            at_once=self.at_once,
            key=key,
        )

    def steps(self, count: int) -> int:
        return SequentialCode(self.centered).steps(count)
