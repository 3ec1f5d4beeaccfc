"""The geometry of springs between nodes in the plane, and what can't be built."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Inexact

Place = int | tuple[int, int]
"""A node, or one axis (0 or 1) of it."""
Springs = tuple[tuple[int, int], ...]


def distances(
    positions: Inexact[Array | np.ndarray, "*batch nodes 2"],  # m
    springs: Springs,
) -> Inexact[Array | np.ndarray, "*batch springs"]:  # m
    """From one end of each spring to the other; analytic in the positions."""
    numbers = np if isinstance(positions, np.ndarray) else jnp
    start, end = np.asarray(springs).T
    apart = positions[..., end, :] - positions[..., start, :]
    return numbers.sqrt(numbers.sum(apart**2, axis=-1))


def compatibility(
    positions: Float[np.ndarray, "nodes 2"],  # m
    springs: Springs,
) -> Float[np.ndarray, "springs coordinates"]:
    """By how much each spring is stretched by a small motion of each coordinate."""
    return _along(_directions(positions, springs), positions, springs)


def indices(
    places: Sequence[Place],
    positions: Float[np.ndarray, "nodes 2"],
    *,
    among: Sequence[int] | None = None,
    role: str = "",
) -> tuple[int, ...]:
    """The coordinates that `places` stand for.

    **Raises:** `ValueError` for one that does not exist, is twice there, or is not
    `among` those that are free.
    """
    pairs = []
    for place in places:
        pairs += [(place, 0), (place, 1)] if isinstance(place, int) else [place]
    for k, (node, axis) in enumerate(pairs):
        if not 0 <= node < len(positions) or axis not in (0, 1):
            raise ValueError(
                f"There is no axis {axis} of node {node}: nodes are from 0 to "
                f"{len(positions) - 1}, and axes 0 and 1."
            )
        if (node, axis) in pairs[:k]:
            raise ValueError(f"Axis {axis} of node {node} is there twice.")
        if among is not None and 2 * node + axis not in among:
            raise ValueError(
                f"Axis {axis} of node {node} is fixed or moved: it can't be {role}."
            )
    return tuple(2 * node + axis for node, axis in pairs)


def checked_springs(
    springs: Sequence[tuple[int, int]], positions: Float[np.ndarray, "nodes 2"]
) -> Springs:
    """`springs`, if their ends exist and are apart.

    **Raises:** `ValueError` that names the spring.
    """
    if len(springs) == 0:
        raise ValueError("The network has no springs.")
    if not np.isfinite(positions).all():
        node = int(np.argwhere(~np.isfinite(positions))[0, 0])
        raise ValueError(f"The position of node {node} is NaN or infinite.")
    for number, (start, end) in enumerate(springs):
        if not (0 <= start < len(positions) and 0 <= end < len(positions)):
            raise ValueError(
                f"Spring {number} is between nodes {start} and {end}, but nodes are "
                f"from 0 to {len(positions) - 1}."
            )
        if np.array_equal(positions[start], positions[end]):
            raise ValueError(
                f"Spring {number} has no direction: its ends, nodes {start} and {end}, "
                "are at the same place."
            )
    return tuple((int(start), int(end)) for start, end in springs)


def checked_stiffness(stiffness: Any, count: int, dtype: Any) -> Float[Array, " n"]:
    """One stiffness (N/m) a spring.

    **Raises:** `ValueError` that names the spring whose stiffness is not positive.
    """
    if not isinstance(stiffness, Tracer):
        values = np.broadcast_to(np.asarray(stiffness, dtype), (count,))
        bad = np.flatnonzero(~(np.isfinite(values) & (values > 0)))
        if bad.size:
            raise ValueError(
                f"The stiffness of spring {bad[0]} is {values[bad[0]]} N/m, but must "
                "be positive."
            )
    return 1.0 * jnp.broadcast_to(jnp.asarray(stiffness, dtype), (count,))


def refuse_mechanisms(
    positions: Float[np.ndarray, "nodes 2"],
    springs: Springs,
    free: Sequence[int],
    rest_lengths: Float[np.ndarray, " springs"],
    linearized: bool,
) -> None:
    """**Raises:** `ValueError` if something moves without a spring to resist it.

    Springs resist being turned too where they are taut, but not to first order.
    """
    if not free:
        raise ValueError(
            "Every coordinate is fixed or moved: nothing is left to settle."
        )
    resisted = [compatibility(positions, springs)]
    if not linearized:
        lengths = distances(positions, springs)
        taut = np.sqrt(np.maximum(1 - rest_lengths / lengths, 0))
        across = _directions(positions, springs)[:, ::-1] * [-1, 1]
        resisted.append(_along(taut[:, None] * across, positions, springs))
    _, values, modes = np.linalg.svd(np.concatenate(resisted)[:, list(free)])
    rank = int(np.sum(values > 1e-9 * values.max()))
    if rank == len(free):
        return
    motion = modes[-1]
    node, axis = divmod(free[int(np.argmax(np.abs(motion)))], 2)
    raise ValueError(
        f"No spring resists {len(free) - rank} motion(s) of the network: in one, "
        f"node {node} moves most, along axis {axis}. Add springs, or fix nodes."
    )


def _directions(positions, springs):
    """Of unit length, from one end of each spring to the other."""
    start, end = np.asarray(springs).T
    apart = positions[end] - positions[start]
    return apart / distances(positions, springs)[:, None]


def _along(directions, positions, springs):
    """How the ends of each spring move apart along its direction."""
    start, end = np.asarray(springs).T
    matrix = np.zeros((len(springs), *positions.shape), positions.dtype)
    row = np.arange(len(springs))
    matrix[row, end] = directions
    matrix[row, start] = -directions
    return matrix.reshape(len(springs), -1)
