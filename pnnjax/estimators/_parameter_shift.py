"""Parameter shifts: exact derivatives from differences that are not small."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from .._estimator import Claim, Conditions, Exact, facts_of
from ._codes import SequentialCode
from ._knobs import Scales, own_units
from ._perturbation import AbstractPerturbation, Knobs, demodulated

TWICE = (
    "not each of its parameters turns one phase, once: then a response is no single "
    "sinusoid in each, and two shifts don't tell its slope (`FiniteDifference` or "
    "`SPSA` do, for small steps)"
)


class ParameterShift(AbstractPerturbation):
    r"""The slope of a sinusoid from two points far apart: $2P$ runs, and no small step.

    Where a parameter enters as $e^{i\theta}$, once, every field and every power is
    $a + b\cos\theta + c\sin\theta$, so that at any shift $s$

    $$\frac{\partial y}{\partial\theta}
    = \frac{y(\theta + s) - y(\theta - s)}{2\sin s}.$$

    So is the cost. Of a quantum circuit, expected values are sinusoids in the angles of
    its rotations, those of the inputs too. A linear layer's input is moved by one (in
    its unit), and its difference is exact as it is.

    **Arguments:** `shift` (rad); `inputs`, `at_once`, as for `FiniteDifference`.
    **Raises:** `ValueError` for a shift at which the sine is zero.
    **Error:** rounding. Noise of the cost is the least where the shift is a quarter
    turn.
    **Source:** Mitarai et al., *Phys. Rev. A* 98, 032309 (2018),
    doi:10.1103/PhysRevA.98.032309; Schuld et al., *Phys. Rev. A* 99, 032331 (2019),
    doi:10.1103/PhysRevA.99.032331.
    """

    claim: ClassVar[Claim] = Exact()
    conditions: ClassVar[Conditions] = Conditions(required={"sinusoidal": TWICE})
    scales: ClassVar[Scales] = staticmethod(own_units)

    shift: float
    inputs: bool = eqx.field(static=True)
    at_once: int = eqx.field(static=True)

    def __init__(
        self, shift: float = math.pi / 2, *, inputs: bool = True, at_once: int = 1
    ):
        if abs(math.sin(shift)) < 1e-6:
            raise ValueError(
                f"`shift` is {shift} rad, where the difference is that of one point "
                "with itself: take pi / 2."
            )
        self.shift = shift
        self.inputs = inputs
        self.at_once = at_once

    def slopes(
        self, knobs: Knobs, layer: Any, *, of_inputs: bool, key: PRNGKeyArray | None
    ) -> Float[Array, "systems count"]:
        facts: Mapping[str, bool] = facts_of(layer)
        straight = of_inputs and facts["linear"]
        shift = 1.0 if straight else self.shift
        slopes = demodulated(
            knobs,
            SequentialCode(centered=True),
            jnp.asarray(shift, knobs.dtype),
            periods=1,
            noise=0.0,
            at_once=self.at_once,
            key=key,
        )
        return slopes if straight else slopes * (shift / math.sin(shift))

    def steps(self, count: int) -> int:
        return SequentialCode(centered=True).steps(count)
