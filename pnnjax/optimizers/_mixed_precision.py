"""Mixed precision: changes gather in digital memory until they are worth a pulse."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from .._analog_memory import AbstractPulsedDevice
from ._pulsed_update import Place, check_pulsing, each, manufactured, prepared, split


class MixedPrecisionState(NamedTuple):
    """What `mixed_precision` remembers."""

    step: Int[Array, ""]
    cells: tuple[PyTree[Array], ...]
    """Those that hold each array of parameters."""
    gathered: tuple[Float[Array, "..."] | None, ...]
    r"""$\chi$ of each: wanted, and not yet made."""


def mixed_precision(
    device: AbstractPulsedDevice,
    *,
    longest: int = 1000,
    seconds: float = 0.0,  # s
    seed: int = 0,
) -> optax.GradientTransformation:
    r"""Matrices are multiplied by analog cells, updates added up by a computer.

    The wanted changes are added to a number $\chi$ for each cell; when that holds
    $\epsilon$, the granularity, $p = \lfloor|\chi|/\epsilon\rfloor$ pulses are sent
    in its direction, and $p\,\epsilon$ is taken from it. The cells are not read back.

    To be the last of an `optax.chain`, of any kind, for real parameters.

    **Arguments:** see `pulsed_update`; pulses above `longest` are not lost, but sent
    later.
    **Raises:** as `pulsed_update`.
    **Source:** Nandakumar et al., *Front. Neurosci.* 14, 406 (2020),
    doi:10.3389/fnins.2020.00406.
    """
    check_pulsing(longest, seconds)
    level = float(device.granularity)

    def zeros(value: Array, key: PRNGKeyArray) -> Array:
        del key
        return jnp.zeros_like(value)

    def init(params: Any) -> Any:
        key = jax.random.fold_in(jax.random.key(seed), 0)
        cells = manufactured(device, params, key)
        return MixedPrecisionState(jnp.int32(0), cells, prepared(zeros, params, key))

    def move(place: Place, memory: Any, key: PRNGKeyArray) -> tuple[Array, Any]:
        pulse_key, rest_key = jax.random.split(key)
        cell, gathered = memory
        total = gathered + place.change
        whole = jnp.minimum(jnp.floor(jnp.abs(total) / level), longest)
        up, down = split(whole, place._replace(change=total), longest)
        moved, cell = device.pulse(place.value, cell, up, down, key=pulse_key)
        if seconds > 0:
            moved, cell = device.rest(moved, cell, seconds, key=rest_key)
        return moved - place.value, (cell, total - (up - down) * level)

    def update(updates: Any, state: Any, params: Any | None = None) -> tuple[Any, Any]:
        key = jax.random.fold_in(jax.random.key(seed), state.step + 1)
        memories = tuple(zip(state.cells, state.gathered, strict=True))
        changes, memories = each(move, updates, params, memories, key)
        cells, gathered = (tuple(memory[k] for memory in memories) for k in range(2))
        return changes, MixedPrecisionState(state.step + 1, cells, gathered)

    return optax.GradientTransformation(init, update)
