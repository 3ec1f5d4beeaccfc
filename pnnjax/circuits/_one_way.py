"""Memory cells that pulses move in one direction only."""

from jaxtyping import Array, Float, PRNGKeyArray

from .._analog_memory import AbstractPulsedDevice
from ._step_device import AbstractStepDevice, Cells


class OneWay(AbstractPulsedDevice):
    """A `device` on which pulses down do nothing, as gradual ones on phase change.

    In pairs, a weight goes down by its other cell going up, until both are full: see
    `optimizers.refreshed`. Since a pulse down changes nothing, the granularity is half
    of a step up, and a wanted change of a pair sends twice as many to one cell.
    """

    device: AbstractStepDevice

    @property
    def low(self) -> float:
        return self.device.low

    @property
    def high(self) -> float:
        return self.device.high

    @property
    def granularity(self) -> float:
        return self.device.middle_steps[0] / 2

    def manufacture(
        self, state: Float[Array, "..."], *, key: PRNGKeyArray | None
    ) -> Cells:
        return self.device.manufacture(state, key=key)

    def pulse(
        self,
        state: Float[Array, "..."],
        cell: Cells,
        up: Float[Array, "..."],
        down: Float[Array, "..."],
        *,
        key: PRNGKeyArray | None,
    ) -> tuple[Float[Array, "..."], Cells]:
        return self.device.pulse(state, cell, up, 0.0 * down, key=key)

    def rest(
        self,
        state: Float[Array, "..."],
        cell: Cells,
        seconds: float | Float[Array, ""],
        *,
        key: PRNGKeyArray | None,
    ) -> tuple[Float[Array, "..."], Cells]:
        return self.device.rest(state, cell, seconds, key=key)
