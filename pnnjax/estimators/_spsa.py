"""Simultaneous perturbation: all parameters at once, in random directions."""

from typing import Any, ClassVar

import equinox as eqx
from jaxtyping import Array, Float, PRNGKeyArray

from .._estimator import Claim, Unbiased
from ._codes import RandomCode
from ._knobs import Scales, own_units
from ._perturbation import AbstractPerturbation, Knobs, demodulated, needs_key
from ._phases import strength


class SPSA(AbstractPerturbation):
    r"""Simultaneous perturbation stochastic approximation: two runs a sample.

    With signs $\Delta_i = \pm1$ drawn for all parameters,

    $$\bar\theta_i = \Big\langle \frac{C(\theta + \epsilon s\Delta)
    - C(\theta - \epsilon s\Delta)}{2\epsilon s_i}\,\Delta_i \Big\rangle_K$$

    averaged over `samples` $K$. With $P$ parameters of one scale, one sample is
    $\sqrt P$ times as long as the gradient, the mean cosine between the two is
    $\sqrt{2/\pi P}$, and that of an average $\sqrt{K/(K+P-1)}$, both for large $P$.

    **Arguments:** `epsilon`, in units of `scales` ($s$); `samples`, `inputs`,
    `at_once`, as for `FiniteDifference`.
    **Raises:** `ValueError` if `epsilon` is 0, there is no sample, or no key.
    **Error:** the mean is off by the order of the square of `epsilon`.
    **Source:** Spall, *IEEE Trans. Autom. Control* 37, 332 (1992),
    doi:10.1109/9.119632.
    """

    claim: ClassVar[Claim] = Unbiased()

    epsilon: Float[Array, "..."]
    samples: int = eqx.field(static=True)
    scales: Scales = eqx.field(static=True)
    inputs: bool = eqx.field(static=True)
    at_once: int = eqx.field(static=True)

    def __init__(
        self,
        epsilon: float | Array = 1e-3,
        samples: int = 1,
        *,
        scales: Scales = own_units,
        inputs: bool = True,
        at_once: int = 1,
    ):
        if samples < 1:
            raise ValueError(f"`samples` must be at least 1, not {samples}.")
        self.epsilon = strength(epsilon, "epsilon")
        self.samples = samples
        self.scales = scales
        self.inputs = inputs
        self.at_once = at_once

    def slopes(
        self, knobs: Knobs, layer: Any, *, of_inputs: bool, key: PRNGKeyArray | None
    ) -> Float[Array, "systems count"]:
        del layer, of_inputs
        return demodulated(
            knobs,
            RandomCode(2 * self.samples, paired=True),
            self.epsilon,
            periods=1,
            noise=0.0,
            at_once=self.at_once,
            key=needs_key(key, self),
        )

    def steps(self, count: int) -> int:
        del count
        return 2 * self.samples
