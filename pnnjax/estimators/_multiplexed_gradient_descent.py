"""Multiplexed gradients: every parameter wiggles by a code, and is listened for."""

from typing import Any

import equinox as eqx
from jaxtyping import Array, Float, PRNGKeyArray

from .._estimator import Claim, Order, Unbiased
from ._codes import AbstractCode
from ._knobs import Scales, own_units
from ._perturbation import AbstractPerturbation, Knobs, demodulated, needs_key
from ._phases import strength


class MultiplexedGradientDescent(AbstractPerturbation):
    r"""Homodyne detection of what each parameter's own wiggle does to the cost.

    All parameters move by $\tilde\theta_i(t) = A s_i c_i(t)$, each by a code of its
    own, and the modulation $\tilde C$ of the one cost is multiplied with each,

    $$\bar\theta_i = \sum_t \tilde C(t)\,\tilde\theta_i(t) \Big/
    \sum_t \tilde\theta_i(t)^2.$$

    A `SequentialCode` makes this finite differences, a `RandomCode` simultaneous
    perturbation; with `WalshCode` and `SinusoidalCode` all parameters move all the
    time, and do not disturb each other. Noise of the cost is averaged over
    `periods` of the code. (An optimizer with this rule's three time scales is
    `pnn.optimizers.multiplexed_gradient_descent`.)

    **Arguments:** `code`; `amplitude` $A$, in units of `scales` ($s$); `periods`;
    `noise`: the deviation of each reading of the cost (in its unit), drawn where there
    is a key; `inputs`, `at_once`, as for `FiniteDifference`.
    **Raises:** `ValueError` if `amplitude` is 0, there is no period, or no key for a
    random code.
    **Error:** as the code has it, in powers of `amplitude`; that by noise has the
    deviation $\sigma / (A s_i \sqrt{\sum_t c_i^2})$.
    **Source:** McCaughan et al., *APL Mach. Learn.* 1, 026118 (2023),
    doi:10.1063/5.0157645.
    """

    code: AbstractCode
    amplitude: Float[Array, "..."]
    periods: int = eqx.field(static=True)
    noise: float
    scales: Scales = eqx.field(static=True)
    inputs: bool = eqx.field(static=True)
    at_once: int = eqx.field(static=True)

    def __init__(
        self,
        code: AbstractCode,
        amplitude: float | Array = 1e-3,
        periods: int = 1,
        *,
        noise: float = 0.0,
        scales: Scales = own_units,
        inputs: bool = True,
        at_once: int = 1,
    ):
        if periods < 1:
            raise ValueError(f"`periods` must be at least 1, not {periods}.")
        self.code = code
        self.amplitude = strength(amplitude, "amplitude")
        self.periods = periods
        self.noise = noise
        self.scales = scales
        self.inputs = inputs
        self.at_once = at_once

    @property
    def claim(self) -> Claim:
        order = self.code.order
        return Order(order, in_="amplitude") if order else Unbiased()

    def slopes(
        self, knobs: Knobs, layer: Any, *, of_inputs: bool, key: PRNGKeyArray | None
    ) -> Float[Array, "systems count"]:
        del layer, of_inputs
        return demodulated(
            knobs,
            self.code,
            self.amplitude,
            periods=self.periods,
            noise=self.noise,
            at_once=self.at_once,
            key=key if self.code.order else needs_key(key, self),
        )

    def steps(self, count: int) -> int:
        return self.periods * self.code.steps(count)
