"""How a batch reaches a device: whole, or cut where one run can't hold it."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap
from jaxtyping import Array, PRNGKeyArray

from ._device import without_gradient
from ._limits import Limits


class Piece(NamedTuple):
    """What one run does of a batch."""

    rows: slice
    """Of the flattened batch; all of it, as it is, where nothing is cut."""
    x_shape: tuple[int, ...]
    y_shape: tuple[int, ...]


def whole_batch(
    send: Callable[[Any, PRNGKeyArray | None, Array], Array],
    layer: Any,
    key: PRNGKeyArray | None,
    x: Array,
) -> Array:
    """`send(layer, key, x)`, which `vmap` turns into one call with a leading axis.

    A callback's own batching rule would call it for each example (`io_callback`). The
    examples' keys are folded into one. In a sweep over `layer`, it is called for each
    of its points. No gradient flows through.
    """
    arrays, static = eqx.partition(without_gradient(layer), eqx.is_array)

    @custom_vmap
    def run(arrays: Any, key: PRNGKeyArray | None, x: Array) -> Array:
        return send(eqx.combine(arrays, static), key, x)

    @run.def_vmap
    def rule(
        size: int, batched: list, arrays: Any, keys: Array | None, x: Array
    ) -> tuple[Array, bool]:
        mapped, shared = eqx.partition(arrays, batched[0])
        if not jax.tree.leaves(mapped):
            key = _one_key(keys) if keys is not None and batched[1] else keys
            return run(arrays, key, x), True

        def one_point(point: tuple) -> Array:
            mapped, key, x_point = point
            return run(
                eqx.combine(mapped, shared),
                key if batched[1] else keys,
                x_point if batched[2] else x,
            )

        each = (keys if batched[1] else None, x if batched[2] else None)
        return jax.lax.map(one_point, (mapped, *each)), True

    return jax.lax.stop_gradient(run(arrays, key, jax.lax.stop_gradient(x)))


def cut(
    limits: Limits, x_shape: tuple[int, ...], y_shape: tuple[int, ...]
) -> list[Piece]:
    """The runs that an input of `x_shape` takes.

    **Raises:** `ValueError` if it must be cut, but batch axes can't be told from those
    of an example.
    """
    if limits.batch_limit is None:
        return [Piece(slice(None), x_shape, y_shape)]
    axes = len(x_shape) - limits.example_ndim
    if axes < 0:
        raise ValueError(
            f"An input of shape {x_shape} is less than one example of "
            f"{limits.example_ndim} axes: give the device another `example_ndim`."
        )
    examples, step = math.prod(x_shape[:axes]), limits.batch_limit
    if examples <= step:
        return [Piece(slice(None), x_shape, y_shape)]
    if y_shape[:axes] != x_shape[:axes]:
        raise ValueError(
            f"A batch of shape {x_shape[:axes]} is to be cut into runs of {step}, but "
            f"the output of shape {y_shape} has no such batch: give the device another "
            f"`example_ndim` than {limits.example_ndim}."
        )
    rows = [slice(at, min(at + step, examples)) for at in range(0, examples, step)]
    counts = [part.stop - part.start for part in rows]
    return [
        Piece(part, (count, *x_shape[axes:]), (count, *y_shape[axes:]))
        for part, count in zip(rows, counts, strict=True)
    ]


def _one_key(keys: Array) -> PRNGKeyArray:
    """One key for a batch of keys, which depends on all of them."""
    bits = keys
    if jnp.issubdtype(keys.dtype, jax.dtypes.prng_key):
        bits = jax.random.key_data(keys)
    mixed = jax.lax.reduce(
        bits, jnp.zeros((), bits.dtype), jax.lax.bitwise_xor, tuple(range(bits.ndim))
    )
    return jax.random.fold_in(keys[0], mixed)
