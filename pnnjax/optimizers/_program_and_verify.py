"""Program and verify: pulses, a read, and pulses again, until the state is right."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from .._analog_memory import AbstractPulsedDevice
from .._fast_random import fast_normal
from ._pulsed_update import (
    Place,
    PulsedUpdateState,
    check_pulsing,
    each,
    manufactured,
    split,
)


def program_and_verify(
    device: AbstractPulsedDevice,
    *,
    tolerance: float,
    cycles: int = 20,
    read_noise: float = 0.0,
    longest: int = 1000,
    seconds: float = 0.0,  # s
    seed: int = 0,
) -> optax.GradientTransformation:
    """Each update is programmed: cells are read and pulsed until they are there.

    In each cycle, a cell that reads more than `tolerance` away from where the update
    leads receives half as many pulses as the mean cell would need in the middle of its
    range, at least one: few go too far.

    To be the last of an `optax.chain`, of any kind, for real parameters.

    **Arguments:** `tolerance` and `read_noise` (the standard deviation of a read) in
    the unit of the parameters; `cycles`: how many there are at most. For the others,
    see `pulsed_update`; `longest` is for one cycle.
    **Raises:** `ValueError` for a tolerance or noise that is negative, or no cycle.
    **Error:** none is promised: what a cell's bounds or steps do not allow stays away.
    """
    check_pulsing(longest, seconds)
    check_cycles(tolerance, cycles, read_noise)

    def init(params: Any) -> Any:
        key = jax.random.fold_in(jax.random.key(seed), 0)
        return PulsedUpdateState(jnp.int32(0), manufactured(device, params, key))

    def move(place: Place, cell: Any, key: PRNGKeyArray) -> tuple[Array, Any]:
        approach_key, rest_key = jax.random.split(key)
        target = place.value + place.change
        moved, cell = approached(
            device,
            place.value,
            cell,
            target,
            tolerance=tolerance,
            cycles=cycles,
            read_noise=read_noise,
            longest=longest,
            share=0.5,
            key=approach_key,
        )
        if seconds > 0:
            moved, cell = device.rest(moved, cell, seconds, key=rest_key)
        return moved - place.value, cell

    def update(updates: Any, state: Any, params: Any | None = None) -> tuple[Any, Any]:
        key = jax.random.fold_in(jax.random.key(seed), state.step + 1)
        changes, cells = each(move, updates, params, state.cells, key)
        return changes, PulsedUpdateState(state.step + 1, cells)

    return optax.GradientTransformation(init, update)


def approached(
    device: AbstractPulsedDevice,
    state: Float[Array, "..."],
    cell: PyTree[Array],
    target: Float[Array, "..."],
    *,
    tolerance: float,
    cycles: int,
    read_noise: float,
    longest: int,
    share: float,
    key: PRNGKeyArray,
) -> tuple[Float[Array, "..."], PyTree[Array]]:
    """`(state, cell)` after as many cycles as it takes, or as there are.

    In each, `share` of the pulses that the mean cell would need in the middle.
    """
    pulses = share / float(device.granularity)

    def missing(state: Array, key: PRNGKeyArray) -> Array:
        if read_noise == 0:
            return target - state
        noise = fast_normal(key, state.shape, state.dtype)
        return target - (state + read_noise * noise)

    def cycle(carry: tuple) -> tuple:
        number, state, cell, wanted = carry
        count = jnp.maximum(jnp.round(jnp.abs(wanted) * pulses), 1.0)
        count = jnp.where(jnp.abs(wanted) > tolerance, count, 0.0)
        up, down = split(count, Place(state, wanted, None), longest)
        keys = jax.random.split(jax.random.fold_in(key, number))
        state, cell = device.pulse(state, cell, up, down, key=keys[0])
        return number + 1, state, cell, missing(state, keys[1])

    def unfinished(carry: tuple) -> Array:
        number, _, _, wanted = carry
        return (number < cycles) & jnp.any(jnp.abs(wanted) > tolerance)

    first = missing(state, jax.random.fold_in(key, cycles))
    start = jnp.int32(0), state, cell, first
    _, state, cell, _ = lax.while_loop(unfinished, cycle, start)
    return state, cell


def check_cycles(tolerance: float, cycles: int, read_noise: float) -> None:
    """**Raises:** `ValueError` for what can't be."""
    if tolerance < 0 or cycles < 1 or read_noise < 0:
        raise ValueError(
            "`tolerance` and `read_noise` can't be negative, and there must be a "
            f"cycle, but they are {tolerance}, {read_noise} and {cycles}."
        )
