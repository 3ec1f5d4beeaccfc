"""Memory cells whose steps vanish at their bounds, as those of oxides do."""

import math

from jaxtyping import Array, Float, PRNGKeyArray

from ._step_device import (
    AbstractStepDevice,
    Cells,
    Variation,
    log_rate,
    saturating,
    stepped,
)


class SoftBounds(AbstractStepDevice):
    r"""Steps $s\,(1 \pm \beta)$ in the middle $m$ that fall linearly to the bounds.

    Up, $g \mapsto g + s\,(1 + \beta)\,(b_+ - g)/(b_+ - m)$, so that $n$ pulses leave
    $(1 - s(1 + \beta)/(b_+ - m))^n$ of the way to the bound; down likewise. Steps are
    equal at the symmetry point, $m + \beta$ times half the range: towards it, random
    pulses lead.

    **Error:** none for pulses of one direction; of both, see `saturating`.
    **Source:** Fusi, Abbott, *Nat. Neurosci.* 10, 485 (2007), doi:10.1038/nn1859; the
    law is that of aihwkit's `SoftBoundsDevice`, whose zero is our middle.
    """

    step: float
    low: float = 0.0
    high: float = 1.0
    asymmetry: float = 0.0
    variation: Variation = Variation()
    lifetime: float = math.inf
    diffusion: float = 0.0

    @property
    def middle_steps(self) -> tuple[float, float]:
        return self.step * (1 + self.asymmetry), self.step * (1 - self.asymmetry)

    def build(
        self, cell: Cells, shape: tuple[int, ...], *, key: PRNGKeyArray | None
    ) -> Cells:
        return cell._replace(
            up=log_rate(cell.up / (cell.high - self.middle)),
            down=log_rate(cell.down / (self.middle - cell.low)),
        )

    def steps(
        self, state: Float[Array, "..."], cell: Cells
    ) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        rise, fall = cell.up * stepped(cell.up), cell.down * stepped(cell.down)
        return rise * (cell.high - state), fall * (state - cell.low)

    def respond(
        self,
        state: Float[Array, "..."],
        cell: Cells,
        up: Float[Array, "..."],
        down: Float[Array, "..."],
    ) -> Float[Array, "..."]:
        upward, downward = up * cell.up, down * cell.down
        drift = upward * (cell.high - state) - downward * (state - cell.low)
        return state + saturating(drift, upward + downward)
