"""Memory cells whose steps change exponentially with the state."""

import math

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ._step_device import AbstractStepDevice, Cells, Variation, mixed


class ExponentialStep(AbstractStepDevice):
    r"""$g \mapsto g \pm s\,(1 \pm \beta)\max(0, 1 - A_\pm e^{\pm\gamma_\pm z})$.

    $z = a\,y + b$, where $y$ goes from -1 to 1 between the mean cell's bounds, or as
    much faster as the cell's own are nearer; $a$ is `slope`, $b$ `offset`, $A$
    `amplitude`, $\gamma$ `exponent`.

    As a flow $\dot v = \lambda s\,v\,(1 - v)$ of $v = A e^{\gamma z}$, which is
    $n$ steps for a time that differs from $n$ by a series in $\lambda s$: two terms.

    **Error:** for pulses of one direction, below $10^{-5}$ of the range where steps
    change by less than a tenth from one to the next; of both, see `mixed`.
    **Source:** the law, and the defaults, which describe a CMOS cell, are those of
    aihwkit's `ExpStepDevice` (Rasch et al. (2021), doi:10.48550/arXiv.2104.02184).
    """

    step: float
    low: float = 0.0
    high: float = 1.0
    asymmetry: float = 0.0
    slope: float = 0.244
    offset: float = 0.2425
    amplitude_up: float = 0.00081
    amplitude_down: float = 0.36833
    exponent_up: float = 12.44625
    exponent_down: float = 12.78785
    variation: Variation = Variation()
    lifetime: float = math.inf
    diffusion: float = 0.0

    def __check_init__(self):
        if 0 in (self.slope, self.exponent_up, self.exponent_down):
            raise ValueError(
                "With a `slope` or an exponent of 0, steps do not change exponentially "
                "with the state: take `ConstantStep`, or 0.244 and 12.5."
            )
        if min(self.middle_steps) < 0 or self.granularity == 0:
            raise ValueError(
                "No pulse moves the mean cell in the middle of its range: `amplitude "
                "* exp(exponent * offset)` must be less than 1 for one direction."
            )

    @property
    def middle_steps(self) -> tuple[float, float]:
        rise = self.amplitude_up * math.exp(self.exponent_up * self.offset)
        fall = self.amplitude_down * math.exp(-self.exponent_down * self.offset)
        up, down = self.step * (1 + self.asymmetry), self.step * (1 - self.asymmetry)
        return up * max(0.0, 1 - rise), down * max(0.0, 1 - fall)

    def build(
        self, cell: Cells, shape: tuple[int, ...], *, key: PRNGKeyArray | None
    ) -> Cells:
        return cell

    def steps(
        self, state: Float[Array, "..."], cell: Cells
    ) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        upper, lower = self._lost(state, cell, 1.0), self._lost(state, cell, -1.0)
        rise, fall = jnp.maximum(1.0 - upper, 0.0), jnp.maximum(1.0 - lower, 0.0)
        return cell.up * rise, cell.down * fall

    def respond(
        self,
        state: Float[Array, "..."],
        cell: Cells,
        up: Float[Array, "..."],
        down: Float[Array, "..."],
    ) -> Float[Array, "..."]:
        bend = self.slope / ((cell.high - cell.low) / 2)

        def rise(state: Array, count: Array) -> Array:
            lost = self._lost(state, cell, 1.0)
            way = _travelled(count, lost, self.exponent_up * bend, cell.up)
            return jnp.minimum(state + way, cell.high)

        def fall(state: Array, count: Array) -> Array:
            lost = self._lost(state, cell, -1.0)
            way = _travelled(count, lost, self.exponent_down * bend, cell.down)
            return jnp.maximum(state - way, cell.low)

        return mixed(rise, fall, state, up, down, self.granularity / (2 * self.half))

    def _lost(self, state: Array, cell: Cells, sign: float) -> Array:
        """By how much of itself a step is shorter: $v$."""
        place = (state - self.middle) / ((cell.high - cell.low) / 2)
        z = self.slope * place + self.offset
        if sign > 0:
            return self.amplitude_up * jnp.exp(self.exponent_up * z)
        return self.amplitude_down * jnp.exp(-self.exponent_down * z)


def _travelled(
    count: Float[Array, "..."],
    lost: Float[Array, "..."],
    bend: Float[Array, "..."],
    step: Float[Array, "..."],
) -> Float[Array, "..."]:
    r"""How far `count` steps $s\,(1 - v)$ lead, $v$ growing as $e^{\lambda x}$.

    A flow of time $m$ leads to $x = -\ln(1 + (1 - v)(e^{-\lambda s m} - 1))/\lambda$.
    The steps take $n = \int dx/f\,(1 + f'/2 - f f''/12 - f'^2/12 + \dots)$, where
    $f = s\,(1 - v)$, of which the first term is $m$ and the others are below.
    """
    left = jnp.maximum(1.0 - lost, 0.0)
    pace = bend * step

    def way(time: Array) -> Array:
        decay = jnp.expm1(jnp.minimum(-pace * time, 80.0))
        # What runs away is stopped far beyond the bounds.
        return -jnp.log1p(jnp.maximum(left * decay, -1.0 + 1e-6)) / bend

    time, x = count, way(count)
    for _ in range(2):
        # That of 1 - v, without its digits being lost where v is nearly 1.
        logarithm = bend * (x - step * time)
        growth = lost * jnp.expm1(jnp.clip(bend * x, -80.0, 80.0))
        time = count - (0.5 + pace / 12) * logarithm - pace / 6 * growth
        x = way(jnp.maximum(time, 0.0))
    return jnp.where(left > 0, x, 0.0)
