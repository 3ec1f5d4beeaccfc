"""A relief as a solid for a printer."""

from pathlib import Path

import numpy as np
from jaxtyping import Array, Float

from ._sampling import Pitch, pitches


def write_stl(
    path: str | Path,
    height: Float[Array, "ny nx"],  # m
    pitch: Pitch,  # m
    base: float,  # m
) -> None:
    """Write a relief on a plate of thickness `base` as a binary STL file.

    Pixels are flat-topped columns. Lengths are in millimeters, as printers expect. The
    surface is closed: every edge is shared by triangles of opposite directions.

    **Raises:** if the solid would be open: a height below zero, or no base.
    """
    dy, dx = pitches(pitch)
    if not (base > 0 and np.all(np.asarray(height) >= 0)):
        raise ValueError("`base` must be positive, and no `height` below zero.")
    top = 1e3 * (np.asarray(height, np.float64) + base)
    triangles = relief_triangles(top, 1e3 * dy, 1e3 * dx)
    records = np.zeros(
        len(triangles), [("normal", "<3f4"), ("corners", "<9f4"), ("unused", "<u2")]
    )
    sides = np.diff(triangles, axis=1)
    normal = np.cross(sides[:, 0], sides[:, 1])
    records["normal"] = normal / np.linalg.norm(normal, axis=1, keepdims=True)
    records["corners"] = triangles.reshape(-1, 9)
    with open(path, "wb") as file:
        file.write(b"pnnjax relief, millimeters".ljust(80))
        file.write(np.uint32(len(records)).tobytes())
        file.write(records.tobytes())


def relief_triangles(top: np.ndarray, dy: float, dx: float) -> np.ndarray:
    """Corners `"triangles corner xyz"`, counterclockwise from outside."""
    ny, nx = top.shape
    around = np.pad(top, 1)
    # The four columns that meet at each corner of the pixels, from low to high.
    corners = [around[:-1, :-1], around[:-1, 1:], around[1:, :-1], around[1:, 1:]]
    levels = np.sort(np.stack(corners, -1), axis=-1)
    j, i = np.meshgrid(np.arange(ny + 1), np.arange(nx + 1), indexing="ij")
    places = np.stack([i * dx, j * dy], -1).astype(float)
    up = _quads(places[:-1, :-1], places[:-1, 1:], places[1:, 1:], places[1:, :-1])
    caps = [_at(up, top.ravel()), _at(up[:, ::-1], np.zeros(ny * nx))]
    facing_y = _walls(around[:-1, 1:-1], around[1:, 1:-1], levels, places, axis=1)
    facing_x = _walls(around[1:-1, 1:], around[1:-1, :-1], levels, places, axis=0)
    return np.concatenate([*caps, facing_y, facing_x])


def _quads(*corners):
    return np.stack([corner.reshape(-1, 2) for corner in corners], 1)


def _at(quads, z):
    """Two triangles for each horizontal quad, at its height."""
    raised = np.concatenate(
        [quads, np.broadcast_to(z[:, None, None], (len(z), 4, 1))], 2
    )
    return np.concatenate([raised[:, [0, 1, 2]], raised[:, [0, 2, 3]]])


def _walls(left, right, levels, places, axis):
    """Between columns on the left and on the right of the pixel edges along `axis`.

    An edge of a wall is broken at the levels of all columns that touch it, so that the
    triangles around it fit.
    """
    start = [slice(None), slice(None)]
    end = start.copy()
    start[axis], end[axis] = slice(None, -1), slice(1, None)
    low, high = np.minimum(left, right), np.maximum(left, right)
    clipped = [
        np.clip(levels[tuple(cut)], low[..., None], high[..., None]).reshape(-1, 4)
        for cut in (start, end)
    ]
    feet = [places[tuple(cut)].reshape(-1, 2) for cut in (start, end)]
    strips = []
    for k in range(3):
        (a, b), (c, d) = ((level[:, k], level[:, k + 1]) for level in clipped)
        lower = [(feet[0], a), (feet[1], c), (feet[1], d)]
        upper = [(feet[0], a), (feet[1], d), (feet[0], b)]
        strips += [(lower, d > c), (upper, b > a)]
    flip = (left > right).ravel()
    triangles = []
    for points, real in strips:
        triangle = np.stack([np.column_stack(point) for point in points], 1)
        triangle = np.where(flip[:, None, None], triangle[:, ::-1], triangle)
        triangles.append(triangle[real])
    return np.concatenate(triangles)
