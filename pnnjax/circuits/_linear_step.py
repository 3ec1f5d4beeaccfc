"""Memory cells whose steps shrink linearly towards the bounds, as capacitors' do."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ._step_device import (
    AbstractStepDevice,
    Cells,
    Variation,
    log_rate,
    saturating,
    spread,
    stepped,
)


class LinearStep(AbstractStepDevice):
    r"""$g \mapsto g \pm s\,(1 \pm \beta)(1 \mp \gamma_\pm y)$, up to the bounds.

    $y$ goes from -1 to 1 between the mean cell's bounds; $\gamma_+$ is `slope_up`:
    0.05 makes steps up at the upper bound 5 % smaller than in the middle.
    `slope_spread` is the deviation of both from cell to cell.

    **Error:** $n$ pulses of one direction are the geometric sum; of both, see
    `saturating`, and what a bound absorbs is left out.
    **Source:** Gokmen, Vlasov, *Front. Neurosci.* 10, 333 (2016),
    doi:10.3389/fnins.2016.00333; the law is that of aihwkit's `LinearStepDevice`, with
    its reference to the mean bounds.
    """

    step: float
    low: float = 0.0
    high: float = 1.0
    asymmetry: float = 0.0
    slope_up: float = 0.0
    slope_down: float = 0.0
    slope_spread: float = 0.05
    variation: Variation = Variation()
    lifetime: float = math.inf
    diffusion: float = 0.0

    @property
    def middle_steps(self) -> tuple[float, float]:
        return self.step * (1 + self.asymmetry), self.step * (1 - self.asymmetry)

    def build(
        self, cell: Cells, shape: tuple[int, ...], *, key: PRNGKeyArray | None
    ) -> Cells:
        keys = [None, None] if key is None else jax.random.split(key)
        slopes = [
            spread(slope, self.slope_spread, shape, cell.up.dtype, own)
            for slope, own in zip((self.slope_up, self.slope_down), keys)
        ]
        up = cell.up * _as_flow(cell.up * slopes[0] / self.half)
        down = cell.down * _as_flow(cell.down * slopes[1] / self.half)
        return cell._replace(up=up, down=down, law=tuple(slopes))

    def steps(
        self, state: Float[Array, "..."], cell: Cells
    ) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        place = (state - self.middle) / self.half
        rise, fall = cell.law
        up = cell.up * stepped(cell.up * rise / self.half)
        down = cell.down * stepped(cell.down * fall / self.half)
        return up * (1.0 - rise * place), down * (1.0 + fall * place)

    def respond(
        self,
        state: Float[Array, "..."],
        cell: Cells,
        up: Float[Array, "..."],
        down: Float[Array, "..."],
    ) -> Float[Array, "..."]:
        place = (state - self.middle) / self.half
        rise, fall = cell.law
        upward, downward = up * cell.up, down * cell.down
        drift = upward * (1.0 - rise * place) - downward * (1.0 + fall * place)
        return state + saturating(drift, (upward * rise + downward * fall) / self.half)


def _as_flow(fraction: Float[Array, "..."]) -> Float[Array, "..."]:
    """By how much a flow must be faster than steps that lose this fraction each."""
    some = fraction > 1e-4
    exact = log_rate(fraction) / jnp.where(some, fraction, 1.0)
    return jnp.where(some, exact, 1.0 + fraction * (0.5 + fraction / 3.0))
