"""A memristor that is driven by a voltage: its state and current over time."""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from ._memristor import AbstractMemristor

Waveform = Callable[[Float[Array, ""]], Float[Array, ""]]
"""A voltage (V) at each time (s)."""


class Course(NamedTuple):
    """What is recorded while a voltage is applied."""

    time: Float[Array, " times"]  # s
    voltage: Float[Array, " times"]  # V
    state: Float[Array, " times"]
    """From 0, off, to 1, on."""
    current: Float[Array, " times"]  # A


class Sine(eqx.Module):
    r"""$V\sin(2\pi f t)$."""

    amplitude: float | Float[Array, ""]
    """V."""
    frequency: float | Float[Array, ""]
    """Hz."""

    def __call__(self, time: Float[Array, ""]) -> Float[Array, ""]:
        # Folded to a quarter turn, so that it is zero at every half period.
        turns = self.frequency * time
        half = jnp.round(2 * turns)
        sign = 1 - 2 * jnp.abs(jnp.mod(half, 2))
        return self.amplitude * sign * jnp.sin(jnp.pi * (2 * turns - half))


class Triangle(eqx.Module):
    """Straight lines from 0 to the amplitude, to its negative, and back, forever."""

    amplitude: float | Float[Array, ""]
    """V."""
    frequency: float | Float[Array, ""]
    """Hz."""

    def __call__(self, time: Float[Array, ""]) -> Float[Array, ""]:
        turns = self.frequency * time
        turns = turns - jnp.round(turns)
        fold = 0.5 - jnp.abs(turns)
        slope = jnp.where(jnp.abs(turns) < 0.25, turns, jnp.sign(turns) * fold)
        return 4 * self.amplitude * slope


def hysteresis(
    memristor: AbstractMemristor,
    waveform: Waveform,
    times: Float[Array, " times"],  # s
    *,
    state: float | Float[Array, ""],
    tolerance: float = 1e-7,
) -> Course:
    r"""Solve $\dot x = F(x, v(t))$ from `state` at the first of the increasing `times`.

    Current and voltage are zero together: $i = v / R(x)$. No step is longer than the
    `times` are apart on average, so that no pulse is missed that they resolve.

    **Error:** of the state, about `tolerance` a step, by step size control; where the
    rate jumps, a few times that.
    **Raises:** at run time, if 100,000 steps are not enough.
    """
    import diffrax as dfx

    gap = (times[-1] - times[0]) / (times.size - 1)
    solution = dfx.diffeqsolve(
        dfx.ODETerm(lambda t, x, _: memristor.rate(x, waveform(jnp.asarray(t)))),
        dfx.Tsit5(),
        t0=times[0],
        t1=times[-1],
        dt0=0.1 * gap,
        y0=jnp.asarray(state, times.dtype),
        saveat=dfx.SaveAt(ts=times),
        stepsize_controller=dfx.PIDController(
            rtol=tolerance, atol=tolerance, dtmax=gap
        ),
        max_steps=100_000,
    )
    assert solution.ys is not None  # They are saved at `times`.
    path = jnp.clip(solution.ys, 0, 1)
    voltage = eqx.filter_vmap(waveform)(times)
    return Course(times, voltage, path, voltage / memristor.resistance(path))
