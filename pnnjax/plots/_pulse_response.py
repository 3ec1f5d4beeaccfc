"""What pulses make of memory cells."""

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray, PyTree

from .._analog_memory import AbstractPulsedDevice
from ._style import GRAY, PALETTE, figure, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def pulse_response(
    device: AbstractPulsedDevice,
    pulses: int = 500,
    *,
    key: PRNGKeyArray,
    cells: int = 5,
    sweeps: int = 2,
) -> "Figure":
    """Left, cells that are pulsed up and down; right, the mean cell's steps.

    Cells begin at the device's `low` and receive `pulses` up, then as many down, one by
    one, `sweeps` times. They are drawn in color, the mean cell without noise in black.
    Where its two steps are equal is the symmetry point.

    **Raises:** `ValueError` for no pulses, cells or sweeps.
    """
    if min(pulses, cells, sweeps) < 1:
        raise ValueError(
            "There must be a pulse, a cell and a sweep, not "
            f"{pulses}, {cells} and {sweeps}."
        )
    upward = np.tile(np.repeat([True, False], pulses), sweeps)
    course, smooth, steps = _responses(device, cells, upward, key)
    with style():
        fig = figure(8.0, 3.0)
        left, right = fig.subplots(1, 2, width_ratios=(2, 1))
        for number, own in enumerate(course.T):
            color = PALETTE[number % len(PALETTE)]
            left.plot(own, color=color, linewidth=0.8)
        left.plot(smooth, color="black", linewidth=1.2, label="mean cell")
        left.set(xlabel="Pulse", ylabel="State")
        left.legend(loc="upper right")
        left.grid(True)
        _draw_steps(right, device.granularity, *steps)
    return fig


def _responses(
    device: AbstractPulsedDevice, cells: int, upward: np.ndarray, key: PRNGKeyArray
) -> Any:
    """Courses of several cells and of the mean one, and the latter's steps."""
    # At the very ends, a step is what the bound leaves of it.
    margin = 0.02 * (device.high - device.low)

    @jax.jit
    def run(key: PRNGKeyArray) -> Any:
        first, second = jax.random.split(key)
        start = jnp.full((cells,), device.low)
        varied = device.manufacture(start, key=first)
        course = _staircase(device, start, varied, upward, second)
        mean = device.manufacture(start[:1], key=None)
        smooth = _staircase(device, start[:1], mean, upward, None)
        states = jnp.linspace(device.low + margin, device.high - margin, 200)
        cell = device.manufacture(states, key=None)
        one, none = jnp.ones_like(states), jnp.zeros_like(states)
        up, _ = device.pulse(states, cell, one, none, key=None)
        down, _ = device.pulse(states, cell, none, one, key=None)
        return course, smooth, (states, up - states, states - down)

    return jax.tree.map(np.asarray, run(key))


def _staircase(
    device: AbstractPulsedDevice,
    start: Array,
    cell: PyTree[Array],
    upward: np.ndarray,
    key: PRNGKeyArray | None,
) -> Array:
    """The state after each pulse, the start included: `"pulses cells"`."""

    def once(carry: tuple, order: tuple) -> tuple[tuple, Array]:
        state, cell = carry
        is_up, number = order
        up = jnp.where(is_up, jnp.ones_like(state), jnp.zeros_like(state))
        own = None if key is None else jax.random.fold_in(key, number)
        state, cell = device.pulse(state, cell, up, 1.0 - up, key=own)
        return (state, cell), state

    order = jnp.asarray(upward), jnp.arange(len(upward))
    course = jax.lax.scan(once, (start, cell), order)[1]
    return jnp.concatenate([start[None], course])


def _draw_steps(
    ax: Any, granularity: float, states: np.ndarray, up: np.ndarray, down: np.ndarray
) -> None:
    for name, steps, color in zip(("up", "down"), (up, down), PALETTE):
        ax.plot(states, steps, color=color, label=name)
    ax.axhline(granularity, color=GRAY, linestyle=":", label="granularity")
    ax.set(xlabel="State", ylabel="Step", ylim=(0, None))
    ax.legend()
    ax.grid(True)
