"""Refresh: pairs of cells that both went up, and are set back to their difference."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array, PRNGKeyArray

from .._analog_memory import AbstractPulsedDevice
from ._mixed_precision import MixedPrecisionState
from ._program_and_verify import approached, check_cycles
from ._pulsed_update import Place, PulsedUpdateState, each


def refreshed(
    pulsed: optax.GradientTransformation,
    device: AbstractPulsedDevice,
    *,
    threshold: float,
    tolerance: float,
    every: int = 1,
    cycles: int = 60,
    longest: int = 1000,
    seed: int = 0,
) -> optax.GradientTransformation:
    """`pulsed`, and after it, full pairs are reset and their difference reprogrammed.

    For cells that pulses only move up, such as those of phase-change memory, in pairs
    whose difference is the weight: arrays of shape `"2 ..."`. Where both of a pair are
    above `threshold` after an update, both are reset to the device's `low`, and one is
    programmed, as by `program_and_verify`, to what it was above the other.

    **Arguments:**

    - `pulsed`: a `pulsed_update`, `mixed_precision` or `program_and_verify` of
      `device`.
    - `threshold`, `tolerance`: in the unit of the parameters.
    - `every`: after how many updates pairs are looked at.

    **Raises:** `ValueError` for an array that is no pair, a threshold below the
    device's `low`, or no updates between two looks; `TypeError` if `pulsed` remembers
    no cells.
    **Source:** Nandakumar et al., *Front. Neurosci.* 14, 406 (2020),
    doi:10.3389/fnins.2020.00406.
    """
    check_cycles(tolerance, cycles, 0.0)
    _check(device, threshold, every)

    def init(params: Any) -> Any:
        return _with_cells(pulsed.init(params))

    def move(place: Place, cell: Any, key: PRNGKeyArray) -> tuple[Array, Any]:
        state, target = _set_back(place.value + place.change, device.low, threshold)
        state, cell = approached(
            device,
            state,
            cell,
            target,
            tolerance=tolerance,
            cycles=cycles,
            read_noise=0.0,
            longest=longest,
            # What went too far can't come back, and steps from a reset are long.
            share=0.1,
            key=key,
        )
        return state - place.value, cell

    def update(updates: Any, state: Any, params: Any | None = None) -> tuple[Any, Any]:
        outcome: Any = pulsed.update(updates, state, params)
        changes, after = outcome
        key = jax.random.fold_in(jax.random.key(seed), after.step)

        def look(changes: Any, cells: Any) -> tuple[Any, Any]:
            return each(move, changes, params, cells, key)

        def wait(changes: Any, cells: Any) -> tuple[Any, Any]:
            return changes, cells

        due = after.step % every == 0
        changes, cells = lax.cond(due, look, wait, changes, after.cells)
        return changes, after._replace(cells=cells)

    return optax.GradientTransformation(init, update)


def _set_back(state: Array, low: float, threshold: float) -> tuple[Array, Array]:
    """Pairs after the reset, and where they are to go; others are there already."""
    if state.shape[:1] != (2,):
        raise ValueError(
            f"Pairs of cells are arrays of shape (2, ...), and not {state.shape}: "
            "leave the others out with `optax.masked`."
        )
    full = jnp.all(state > threshold, axis=0, keepdims=True)
    full = jnp.broadcast_to(full, state.shape)
    above = low + jnp.maximum(state - state[::-1], 0.0)
    reset = jnp.where(full, low, state)
    return reset, jnp.where(full, above, reset)


def _with_cells(state: Any) -> PulsedUpdateState | MixedPrecisionState:
    if not isinstance(state, PulsedUpdateState | MixedPrecisionState):
        raise TypeError(
            "`refreshed` needs the cells of a `pulsed_update`, a `mixed_precision` or a"
            f" `program_and_verify`, not a {type(state).__name__}."
        )
    return state


def _check(device: AbstractPulsedDevice, threshold: float, every: int) -> None:
    if threshold <= device.low or every < 1:
        raise ValueError(
            f"`threshold` must be above the device's `low`, {device.low:g}, and `every`"
            f" at least 1, but they are {threshold} and {every}."
        )
