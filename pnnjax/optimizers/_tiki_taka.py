"""Tiki-Taka: gradients gather in fast cells, and are moved on to slow ones."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from .._analog_memory import AbstractPulsedDevice
from .._fast_random import fast_normal
from ._column_turn import Turn
from ._pulse_counts import rounded
from ._pulsed_update import Place, check_pulsing, counts, each, prepared, split
from ._symmetry_point import symmetry_point

Transfer = Callable[[Array, Array | None, Array], tuple[Array, Array, Array | None]]
"""From what was read, times the rate, the buffer and a key: direction, number of
pulses, buffer."""


class Pair(NamedTuple):
    """The cells of one array of parameters."""

    fast: Float[Array, "..."]
    zero: Float[Array, "..."]
    """The fast cells' symmetry points, which count as zero."""
    fast_cells: PyTree[Array]
    slow_cells: PyTree[Array]
    buffer: Float[Array, "..."] | None
    """What was read and not yet written, in numbers of the digital memory."""


class TikiTakaState(NamedTuple):
    """What `tiki_taka` and `buffered_tiki_taka` remember."""

    step: Int[Array, ""]
    pairs: tuple[Pair | None, ...]


def tiki_taka(
    fast: AbstractPulsedDevice,
    slow: AbstractPulsedDevice,
    *,
    rate: float | optax.Schedule,
    every: int = 1,
    columns: int = 1,
    mix: float = 0.0,
    read_noise: float = 0.0,
    longest: int = 1000,
    seed: int = 0,
) -> optax.GradientTransformation:
    r"""Descent in spite of asymmetric cells: $W = C + \gamma\,(A - A_0)$, version 1.

    The fast cells $A$ receive the gradient's pulses, as in `pulsed_update`, and forget
    towards their symmetry points $A_0$. After `every` updates, one column or several
    (each all numbers of one last index) are read, in rotation, and $\eta\,(A - A_0)$
    written to the slow cells $C$. So $C$ gathers a mean of gradients, and is at rest
    where that is zero, not where its own steps are symmetric.

    To be the last of an `optax.chain`, behind a mere rate, for real parameters. That
    rate is the one of the fast cells: only what pulses overwrite is forgotten, so let
    `rate` fall rather than it.

    **Arguments:**

    - `fast`, `slow`: the devices, in the unit of the parameters.
    - `rate`: $\eta$ of the transfer, or a schedule of it by the number of updates.
    - `columns`: how many are read at a time, the first ones again after the last; of an
      array that has no more, all. `mix`: $\gamma$.
    - `read_noise`: standard deviation of each number that is read of $A$.
    - `longest`: as in `pulsed_update`, also for a transfer.

    **Raises:** `ValueError` for a rate that is not positive, no updates between
    transfers, or no column to read.
    **Source:** Gokmen, Haensch, *Front. Neurosci.* 14, 103 (2020),
    doi:10.3389/fnins.2020.00103.
    """
    granularity = float(slow.granularity)

    def transfer(wanted: Array, buffer: Any, key: PRNGKeyArray) -> Any:
        return wanted, rounded(key, jnp.abs(wanted) / granularity), buffer

    _check(rate, every, columns, read_noise, longest)
    schedule = _schedule(rate)
    plan = _Plan(
        fast, slow, transfer, schedule, False, every, columns, mix, read_noise, longest
    )
    return _transformation(plan, seed)


def buffered_tiki_taka(
    fast: AbstractPulsedDevice,
    slow: AbstractPulsedDevice,
    *,
    rate: float | optax.Schedule,
    threshold: float = 1.0,
    momentum: float = 0.1,
    every: int = 1,
    columns: int = 1,
    mix: float = 0.0,
    read_noise: float = 0.0,
    longest: int = 1000,
    seed: int = 0,
) -> optax.GradientTransformation:
    r"""`tiki_taka` with a digital buffer between fast and slow cells: version 2.

    What is read of a column is added, times `rate`, to a number $H$ for each cell. The
    slow cell receives a pulse for each time that $|H|$ holds $\theta$, and only then:
    noise of reads and of fast cells averages out before.

    **Arguments:** `threshold`: $\theta$, in granularities of the slow cells.
    `momentum`: the part of what was written that stays in the buffer. For the others,
    see `tiki_taka`.
    **Raises:** as `tiki_taka`, and `ValueError` if `threshold` is not positive or
    `momentum` not below 1.
    **Source:** Gokmen, *Front. Artif. Intell.* 4, 699148 (2021),
    doi:10.3389/frai.2021.699148; the momentum is aihwkit's.
    """
    if not threshold > 0 or not 0 <= momentum < 1:
        raise ValueError(
            "`threshold` must be positive and `momentum` from 0 to below 1, such as "
            f"1.0 and 0.1, not {threshold} and {momentum}."
        )
    level = threshold * float(slow.granularity)

    def transfer(wanted: Array, buffer: Any, key: PRNGKeyArray) -> Any:
        del key
        buffer = buffer + wanted
        whole = jnp.minimum(jnp.floor(jnp.abs(buffer) / level), longest)
        written = jnp.sign(buffer) * whole * level
        return buffer, whole, buffer - (1.0 - momentum) * written

    _check(rate, every, columns, read_noise, longest)
    schedule = _schedule(rate)
    plan = _Plan(
        fast, slow, transfer, schedule, True, every, columns, mix, read_noise, longest
    )
    return _transformation(plan, seed)


class _Plan(NamedTuple):
    fast: AbstractPulsedDevice
    slow: AbstractPulsedDevice
    transfer: Transfer
    rate: optax.Schedule
    buffered: bool
    every: int
    columns: int
    mix: float
    read_noise: float
    longest: int


def _transformation(plan: _Plan, seed: int) -> optax.GradientTransformation:
    granularity = float(plan.fast.granularity)

    def pair(value: Array, key: PRNGKeyArray) -> Pair:
        keys = jax.random.split(key)
        cells = plan.fast.manufacture(value, key=keys[0])
        zero = symmetry_point(plan.fast, value, cells)
        others = plan.slow.manufacture(value, key=keys[1])
        buffer = jnp.zeros_like(value) if plan.buffered else None
        # A copy, so that no array is there twice where memory is handed over.
        return Pair(jnp.copy(zero), zero, cells, others, buffer)

    def init(params: Any) -> Any:
        key = jax.random.fold_in(jax.random.key(seed), 0)
        return TikiTakaState(jnp.int32(0), prepared(pair, params, key))

    def update(updates: Any, state: Any, params: Any | None = None) -> tuple[Any, Any]:
        def move(place: Place, pair: Pair, key: PRNGKeyArray) -> tuple[Array, Pair]:
            return _moved(plan, granularity, state.step, place, pair, key)

        key = jax.random.fold_in(jax.random.key(seed), state.step + 1)
        changes, pairs = each(move, updates, params, state.pairs, key)
        return changes, TikiTakaState(state.step + 1, pairs)

    return optax.GradientTransformation(init, update)


def _moved(
    plan: _Plan,
    granularity: float,
    step: Array,
    place: Place,
    pair: Pair,
    key: PRNGKeyArray,
) -> tuple[Array, Pair]:
    """The fast cells after their pulses and, where it is time, columns of the slow."""
    keys = jax.random.split(key, 3)
    up, down = counts(place, granularity, plan.longest, keys[0])
    gathered, cells = plan.fast.pulse(pair.fast, pair.fast_cells, up, down, key=keys[1])
    # Passes over all cells, which most have no need of.
    shown = plan.mix * (pair.fast - pair.zero) if plan.mix else 0.0
    change = plan.mix * (gathered - pair.fast) if plan.mix else 0.0
    start = place.value - shown
    pair = pair._replace(fast=gathered, fast_cells=cells)

    def written(pair: Pair) -> tuple[Array, Pair]:
        return _written(plan, start, pair, step, keys[2])

    def kept(pair: Pair) -> tuple[Array, Pair]:
        return jnp.zeros_like(start), pair

    if plan.every == 1:
        moved, pair = written(pair)
    else:
        moved, pair = lax.cond((step + 1) % plan.every == 0, written, kept, pair)
    return change + moved, pair


def _written(
    plan: _Plan, state: Array, pair: Pair, step: Array, key: PRNGKeyArray
) -> tuple[Array, Pair]:
    """Columns of the fast cells, moved on to the slow ones: how these change."""
    keys = jax.random.split(key, 3)
    turn = Turn(step // plan.every, plan.columns, state.shape)
    read = turn.columns(pair.fast) - turn.columns(pair.zero)
    if plan.read_noise > 0:
        read = read + plan.read_noise * fast_normal(keys[0], read.shape, read.dtype)
    buffer = None if pair.buffer is None else turn.columns(pair.buffer)
    wanted = jnp.asarray(plan.rate(step), read.dtype) * read
    wanted, count, left = plan.transfer(wanted, buffer, keys[1])
    up, down = split(count, Place(read, wanted, None), plan.longest)
    old, before = jax.tree.map(turn.columns, pair.slow_cells), turn.columns(state)
    after, new = plan.slow.pulse(before, old, up, down, key=keys[2])

    def renewed(array: Array, before: Array, after: Array) -> Array:
        # Most of what belongs to a cell never changes.
        return array if after is before else turn.put(array, after)

    cells = jax.tree.map(renewed, pair.slow_cells, old, new)
    change = turn.put(jnp.zeros_like(state), after - before)
    if left is None or pair.buffer is None:
        return change, pair._replace(slow_cells=cells)
    buffer = turn.put(pair.buffer, left)
    return change, pair._replace(slow_cells=cells, buffer=buffer)


def _schedule(rate: float | optax.Schedule) -> optax.Schedule:
    return rate if callable(rate) else optax.constant_schedule(rate)


def _check(
    rate: float | optax.Schedule,
    every: int,
    columns: int,
    read_noise: float,
    longest: int,
) -> None:
    check_pulsing(longest, 0.0)
    bad = not callable(rate) and not rate > 0
    if bad or every < 1 or columns < 1 or read_noise < 0:
        raise ValueError(
            "`rate` must be positive, `every` and `columns` at least 1 and `read_noise`"
            f" not negative, but they are {rate}, {every}, {columns} and {read_noise}."
        )
