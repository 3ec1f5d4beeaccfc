"""The state at which a memory cell's steps up and down are equal."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, PyTree

from .._analog_memory import AbstractPulsedDevice

HALVINGS = 30


def symmetry_point(
    device: AbstractPulsedDevice, like: Float[Array, "..."], cell: PyTree[Array]
) -> Float[Array, "..."]:
    """Where a pulse up and one down leave each cell, by bisection.

    Pulses in random directions lead there; a cell whose steps are equal everywhere
    stays in the middle of its device's range, one without such a state at a bound.

    **Error:** about a step, or in single precision, the place where a change of the
    two steps can be seen: some 1e-4 of the range.
    """
    pulse = jnp.ones_like(like)

    def halve(_: Array, bounds: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bounds
        middle = 0.5 * (low + high)
        moved, _ = device.pulse(middle, cell, pulse, pulse, key=None)
        rises, falls = moved > middle, moved < middle
        return jnp.where(falls, low, middle), jnp.where(rises, high, middle)

    reach = device.high - device.low
    start = (
        jnp.full_like(like, device.low - reach),
        jnp.full_like(like, device.high + reach),
    )
    low, high = lax.fori_loop(0, HALVINGS, halve, start)
    moved, _ = device.pulse(0.5 * (low + high), cell, pulse, pulse, key=None)
    return moved
