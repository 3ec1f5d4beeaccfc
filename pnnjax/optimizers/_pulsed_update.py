"""Updates by pulses, as far as memory cells follow them."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from .._analog_memory import AbstractPulsedDevice
from .._layer import AbstractTransposableLayer
from ._pulse_counts import coincidences, rounded


class PulsedUpdateState(NamedTuple):
    """What `pulsed_update` remembers."""

    step: Int[Array, ""]
    """How many updates there were: the random numbers follow from it."""
    cells: tuple[PyTree[Array], ...]
    """Those that hold each array of parameters."""


def pulsed_update(
    device: AbstractPulsedDevice,
    *,
    longest: int = 1000,
    seconds: float = 0.0,  # s
    seed: int = 0,
) -> optax.GradientTransformation:
    r"""Parameters are states of memory cells, which pulses move instead of updates.

    To be the last of an `optax.chain`. A wanted change $c$ becomes
    $|c|/\delta$ pulses up or down, $\delta$ the granularity, rounded up or down at
    random so that the mean is right. What cells make of pulses, `device` says.

    On a layer with a `traffic` the outer product is made where the cells are, of
    trains of pulses on its rows and columns that change a cell where they meet
    (Gokmen & Vlasov 2016). Over a batch, a cell meets
    $N_\pm \sim \text{Poisson}\big((t \pm c)/2\delta\big)$ pulses up and down, where
    $t$ is the wanted change of the traffic. So what stands before this must only
    multiply the gradient by a rate, as `optax.sgd(rate)` does.

    Cells are drawn from `seed`, one for each number of each array; to leave an array
    to another optimizer, use `optax.masked` or `optax.multi_transform`, for which
    `circuits.is_conductance` is made.

    **Arguments:** `longest`: no cell receives more pulses up, nor down, in one update;
    what is above is lost. `seconds`: for how long the cells rest after each update.
    **Raises:** `ValueError` if `longest` is not positive or `seconds` negative; without
    parameters; `TypeError` if one is complex.
    **Error:** unbiased before the device. Trains in which a slot holds a coincidence
    with probability $p \le 1$ would have variances smaller by a factor $1 - p$ and
    beyond $p = 1$ miss some; here, each of a row's cells meets pulses of its own.
    **Source:** Gokmen, Vlasov, *Front. Neurosci.* 10, 333 (2016),
    doi:10.3389/fnins.2016.00333.
    """
    check_pulsing(longest, seconds)
    granularity = float(device.granularity)

    def init(params: Any) -> Any:
        key = jax.random.fold_in(jax.random.key(seed), 0)
        return PulsedUpdateState(jnp.int32(0), manufactured(device, params, key))

    def update(updates: Any, state: Any, params: Any | None = None) -> tuple[Any, Any]:
        key = jax.random.fold_in(jax.random.key(seed), state.step + 1)

        def move(place: Place, cell: Any, key: PRNGKeyArray) -> tuple[Array, Any]:
            counts_key, pulse_key, rest_key = jax.random.split(key, 3)
            up, down = counts(place, granularity, longest, counts_key)
            moved, cell = device.pulse(place.value, cell, up, down, key=pulse_key)
            if seconds > 0:
                moved, cell = device.rest(moved, cell, seconds, key=rest_key)
            return moved - place.value, cell

        changes, cells = each(move, updates, params, state.cells, key)
        return changes, PulsedUpdateState(state.step + 1, cells)

    return optax.GradientTransformation(init, update)


class Place(NamedTuple):
    """An array of cells, and what is wanted of it."""

    value: Float[Array, "..."]
    change: Float[Array, "..."]
    traffic: Float[Array, "..."] | None
    """The wanted change of the traffic, if that is counted."""


def counts(
    place: Place, granularity: float, longest: int, key: PRNGKeyArray
) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """Pulses up and down, drawn."""
    if place.traffic is None:
        return split(rounded(key, jnp.abs(place.change) / granularity), place, longest)
    # Of no use where it is less than the change that is wanted in the end.
    traffic = jnp.maximum(jnp.abs(place.traffic), jnp.abs(place.change))
    half = 0.5 / granularity
    means = (traffic + place.change) * half, (traffic - place.change) * half
    up, down = coincidences(key, means)
    return jnp.minimum(up, longest), jnp.minimum(down, longest)


def split(
    count: Float[Array, "..."], place: Place, longest: int
) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """Pulses up where the change is positive, pulses down where it is negative."""
    count = jnp.minimum(count, longest)
    zero = jnp.zeros_like(count)
    upward = place.change > 0
    return jnp.where(upward, count, zero), jnp.where(upward, zero, count)


def each(
    move: Any, updates: Any, params: Any, memories: tuple[Any, ...], key: PRNGKeyArray
) -> tuple[Any, tuple[Any, ...]]:
    """`move(place, memory, key)` of every array: its changes, and the memories.

    The traffic at a layer's cells belongs to its conductance, and has none of its own.
    """
    if params is None:
        raise ValueError("Pulses need the parameters that they act on: pass `params`.")
    leaves, structure = jax.tree.flatten_with_path(updates)
    wanted, values = dict(leaves), jax.tree.leaves(params)
    traffics = _traffics(params)
    changes, after = [], []
    for number, ((path, change), value) in enumerate(zip(leaves, values, strict=True)):
        if path in traffics.values():
            changes.append(jnp.zeros_like(value))
            after.append(memories[number])
            continue
        traffic = wanted[traffics[path]] if path in traffics else None
        place = Place(value, change.astype(value.dtype), traffic)
        own = jax.random.fold_in(key, number)
        moved, memory = move(place, memories[number], own)
        changes.append(moved)
        after.append(memory)
    return jax.tree.unflatten(structure, changes), tuple(after)


def prepared(make: Any, params: Any, key: PRNGKeyArray) -> tuple[Any, ...]:
    """`make(value, key)` of every array that holds cells; `None` of a traffic."""
    leaves, _ = jax.tree.flatten_with_path(params)
    traffics = _traffics(params)
    for path, value in leaves:
        if jnp.iscomplexobj(value):
            raise TypeError(
                f"{jax.tree_util.keystr(path)} is complex, and a memory cell holds a "
                "real number: leave it out with `optax.masked`."
            )

    # Compiled at once, which takes less time than operation by operation.
    @jax.jit
    def made(values: list[Array], key: PRNGKeyArray) -> tuple[Any, ...]:
        return tuple(
            None
            if path in traffics.values()
            else make(value, jax.random.fold_in(key, number))
            for number, ((path, _), value) in enumerate(
                zip(leaves, values, strict=True)
            )
        )

    return made([value for _, value in leaves], key)


def manufactured(
    device: AbstractPulsedDevice, params: Any, key: PRNGKeyArray
) -> tuple[PyTree[Array], ...]:
    """Cells for every array."""
    return prepared(lambda v, k: device.manufacture(v, key=k), params, key)


def check_pulsing(longest: int, seconds: float) -> None:
    """**Raises:** `ValueError` for what no pulses can be."""
    if longest < 1 or not (seconds >= 0 and math.isfinite(seconds)):
        raise ValueError(
            "`longest` must be at least 1 pulse, and `seconds` finite and not "
            f"negative, but they are {longest} and {seconds}."
        )


def _traffics(params: Any) -> dict[Any, Any]:
    """From the path of a conductance to that of its traffic, where there is one."""
    found = {}
    nodes, _ = jax.tree.flatten_with_path(params, is_leaf=_is_matrix)
    for path, node in nodes:
        if _is_matrix(node):
            names = {own[-1].name: own for own, _ in _fields(node)}
            if "conductance" in names and "traffic" in names:
                cells, traffic = names["conductance"], names["traffic"]
                found[(*path, *cells)] = (*path, *traffic)
    return found


def _fields(node: Any) -> list[tuple[Any, Any]]:
    """The arrays that are fields of a layer itself."""
    leaves, _ = jax.tree.flatten_with_path(node)
    return [(path, leaf) for path, leaf in leaves if len(path) == 1]


def _is_matrix(node: Any) -> bool:
    return isinstance(node, AbstractTransposableLayer)
