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
    first, second = jax.random.split(key)
    start = jnp.full((cells,), device.low)
    varied = device.manufacture(start, key=first)
    upward = jnp.tile(jnp.repeat(jnp.asarray([True, False]), pulses), sweeps)
    course = _staircase(device, start, varied, upward, second)
    mean = device.manufacture(start[:1], key=None)
    smooth = _staircase(device, start[:1], mean, upward, None)
    with style():
        fig = figure(8.0, 3.0)
        left, right = fig.subplots(1, 2, width_ratios=(2, 1))
        for number, own in enumerate(np.asarray(course).T):
            color = PALETTE[number % len(PALETTE)]
            left.plot(own, color=color, linewidth=0.8)
        left.plot(np.asarray(smooth), color="black", linewidth=1.2, label="mean cell")
        left.set(xlabel="Pulse", ylabel="State")
        left.legend(loc="upper right")
        left.grid(True)
        _steps(right, device)
    return fig


def _staircase(
    device: AbstractPulsedDevice,
    start: Array,
    cell: PyTree[Array],
    upward: Array,
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

    @jax.jit
    def run() -> Array:
        order = upward, jnp.arange(len(upward))
        return jax.lax.scan(once, (start, cell), order)[1]

    return jnp.concatenate([start[None], run()])


def _steps(ax: Any, device: AbstractPulsedDevice) -> None:
    # At the very ends, a step is what the bound leaves of it.
    margin = 0.02 * (device.high - device.low)
    states = jnp.linspace(device.low + margin, device.high - margin, 200)
    cell = device.manufacture(states, key=None)
    one, none = jnp.ones_like(states), jnp.zeros_like(states)
    orders = {"up": (one, none), "down": (none, one)}
    for (name, (up, down)), color in zip(orders.items(), PALETTE):
        moved, _ = device.pulse(states, cell, up, down, key=None)
        ax.plot(states, np.abs(moved - states), color=color, label=name)
    ax.axhline(device.granularity, color=GRAY, linestyle=":", label="granularity")
    ax.set(xlabel="State", ylabel="Step", ylim=(0, None))
    ax.legend()
    ax.grid(True)
