"""Mixed precision: changes gather in digital memory until they are worth a pulse."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from .._analog_memory import AbstractPulsedDevice
from ._pulsed_update import Place, check_pulsing, each, prepared, split


class Gathered(NamedTuple):
    """What belongs to one array of parameters."""

    change: Float[Array, "..."]
    r"""$\chi$, wanted and not yet made."""
    cells: PyTree[Array]


class MixedPrecisionState(NamedTuple):
    """What `mixed_precision` remembers."""

    step: Int[Array, ""]
    gathered: tuple[Gathered | None, ...]


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

    def begun(value: Array, key: PRNGKeyArray) -> Gathered:
        return Gathered(jnp.zeros_like(value), device.manufacture(value, key=key))

    def init(params: Any) -> Any:
        key = jax.random.fold_in(jax.random.key(seed), 0)
        return MixedPrecisionState(jnp.int32(0), prepared(begun, params, key))

    def move(
        place: Place, memory: Gathered, key: PRNGKeyArray
    ) -> tuple[Array, Gathered]:
        pulse_key, rest_key = jax.random.split(key)
        total = memory.change + place.change
        whole = jnp.minimum(jnp.floor(jnp.abs(total) / level), longest)
        up, down = split(whole, place._replace(change=total), longest)
        moved, cells = device.pulse(place.value, memory.cells, up, down, key=pulse_key)
        if seconds > 0:
            moved, cells = device.rest(moved, cells, seconds, key=rest_key)
        return moved - place.value, Gathered(total - (up - down) * level, cells)

    def update(updates: Any, state: Any, params: Any | None = None) -> tuple[Any, Any]:
        key = jax.random.fold_in(jax.random.key(seed), state.step + 1)
        changes, gathered = each(move, updates, params, state.gathered, key)
        return changes, MixedPrecisionState(state.step + 1, gathered)

    return optax.GradientTransformation(init, update)
