"""Memory cells whose steps are equal wherever they are."""

import math

from jaxtyping import Array, Float, PRNGKeyArray

from ._step_device import AbstractStepDevice, Cells, Variation


class ConstantStep(AbstractStepDevice):
    r"""$g \mapsto g \pm s\,(1 \pm \beta)$, up to the bounds: a digital counter.

    **Error:** none for pulses of one direction; of both, pulses that a bound absorbs
    are as many as if the others had cancelled first.
    **Source:** Gokmen, Vlasov, *Front. Neurosci.* 10, 333 (2016),
    doi:10.3389/fnins.2016.00333.
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
        return cell

    def steps(
        self, state: Float[Array, "..."], cell: Cells
    ) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        return cell.up, cell.down

    def respond(
        self,
        state: Float[Array, "..."],
        cell: Cells,
        up: Float[Array, "..."],
        down: Float[Array, "..."],
    ) -> Float[Array, "..."]:
        return state + (up * cell.up - down * cell.down)
