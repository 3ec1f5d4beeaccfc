"""A memristor as a memory cell that voltage pulses move."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from .._analog_memory import AbstractPulsedDevice
from .._fast_random import fast_normal
from ._memristor import AbstractMemristor


class Pulse(NamedTuple):
    """A rectangle of voltage."""

    amplitude: float
    """V."""
    duration: float
    """s."""


class PulsedMemristor(AbstractPulsedDevice):
    r"""Equal pulses up, equal pulses down; the state is $R_\text{on}/R$.

    `up` pulses and `down` pulses, well mixed, move the memristor's own state as
    $\dot x = n_\uparrow T_\uparrow F(x, v_\uparrow) + n_\downarrow T_\downarrow
    F(x, v_\downarrow)$ does in one unit of time: exact for pulses of one kind, since
    nothing happens between them. A cell is a factor of its rate.

    **Error:** of fourth order in what a call moves, over `steps`.
    """

    memristor: AbstractMemristor
    up: Pulse
    down: Pulse
    cell_variation: float
    pulse_variation: float
    steps: int = eqx.field(static=True)

    def __init__(
        self,
        memristor: AbstractMemristor,
        up: Pulse,
        down: Pulse,
        *,
        cell_variation: float = 0.0,
        pulse_variation: float = 0.0,
        steps: int = 8,
    ):
        """**Arguments:**

        - `up`, `down`: what raises the conductance, and what lowers it.
        - `cell_variation`, `pulse_variation`: standard deviations of the rate from
            cell to cell and from pulse to pulse, relative to the mean.

        **Raises:** `ValueError` if a pulse moves the state nowhere, or the wrong way.
        """
        self.memristor = memristor
        self.up = up
        self.down = down
        self.cell_variation = cell_variation
        self.pulse_variation = pulse_variation
        self.steps = steps
        self._check()

    def _check(self):
        with jax.ensure_compile_time_eval():
            rates = _middle_rates(self)
        named = ("up", self.up, 1), ("down", self.down, -1)
        for (name, pulse, sign), rate in zip(named, rates, strict=True):
            moved = pulse.duration * float(rate)
            if not sign * moved > 0:
                raise ValueError(
                    f"A pulse `{name}` of {pulse.amplitude} V and {pulse.duration} s "
                    f"moves the state by {moved:.3g}: beyond a threshold, with the "
                    "other sign, or longer, it would."
                )
        if not self.steps >= 1:
            raise ValueError(f"`steps` must be at least 1, but is {self.steps}.")

    @property
    def low(self) -> float:
        return float(self.memristor.on_resistance / self.memristor.off_resistance)

    @property
    def high(self) -> float:
        return 1.0

    @property
    def granularity(self) -> float:
        return mean_step(self)

    def manufacture(
        self, state: Float[Array, "..."], *, key: PRNGKeyArray | None
    ) -> Float[Array, "..."]:
        one = jnp.ones_like(state)
        if key is None:
            return one
        spread = fast_normal(key, state.shape, state.dtype)
        return jnp.maximum(one + self.cell_variation * spread, 0)

    def pulse(
        self,
        state: Float[Array, "..."],
        cell: Float[Array, "..."],
        up: Float[Array, "..."],
        down: Float[Array, "..."],
        *,
        key: PRNGKeyArray | None,
    ) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        if key is not None:
            spread = fast_normal(key, (2, *state.shape), state.dtype)
            up = up + self.pulse_variation * jnp.sqrt(up) * spread[0]
            down = down + self.pulse_variation * jnp.sqrt(down) * spread[1]
        time_up = cell * up * self.up.duration
        time_down = cell * down * self.down.duration

        def motion(x: Array) -> Array:
            rise = self.memristor.rate(x, self.up.amplitude)
            fall = self.memristor.rate(x, self.down.amplitude)
            return (time_up * rise + time_down * fall) / self.steps

        def step(x: Array, _: None) -> tuple[Array, None]:
            return jnp.clip(_runge_kutta(motion, x), 0, 1), None

        on = self.memristor.on_resistance
        start = self.memristor.state_of(on / jnp.clip(state, self.low, self.high))
        x, _ = lax.scan(step, start, None, self.steps)
        pulsed = on / self.memristor.resistance(x)
        return jnp.where((up > 0) | (down > 0), pulsed, state), cell

    def rest(
        self,
        state: Float[Array, "..."],
        cell: Float[Array, "..."],
        seconds: float | Float[Array, ""],
        *,
        key: PRNGKeyArray | None,
    ) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        """Nothing moves without a voltage."""
        del seconds, key
        return state, cell


def mean_step(device: AbstractPulsedDevice) -> float:
    """What `granularity` is: half of a step up and a step down from the middle."""
    with jax.ensure_compile_time_eval():
        return float(_half_steps(device))


@eqx.filter_jit
def _half_steps(device: AbstractPulsedDevice) -> Array:
    middle = jnp.full(2, 0.5 * (device.low + device.high))
    once = jnp.asarray([1.0, 0.0])
    cell = device.manufacture(middle, key=None)
    moved, _ = device.pulse(middle, cell, once, 1 - once, key=None)
    return (moved[0] - moved[1]) / 2


@eqx.filter_jit
def _middle_rates(device: PulsedMemristor) -> list[Array]:
    rate = device.memristor.rate
    return [rate(jnp.asarray(0.5), p.amplitude) for p in (device.up, device.down)]


def _runge_kutta(motion, x: Array) -> Array:
    first = motion(x)
    second = motion(x + first / 2)
    third = motion(x + second / 2)
    fourth = motion(x + third)
    return x + (first + 2 * second + 2 * third + fourth) / 6
