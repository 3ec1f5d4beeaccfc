"""Arrays of bounded size that together hold a matrix, and what is read of each."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from ._line_resistance import LineResistance, column_currents, row_currents


def read_columns(
    states: Float[Array, "arrays outputs inputs"],  # parts of `maximum`
    x: Float[Array, "batch inputs"],
    wires: LineResistance | None,
    maximum: float,  # S
    tile: tuple[int, int] | None,
) -> Float[Array, "arrays tiles batch outputs"]:
    """What the columns of each tile sense, one tile of inputs after the other.

    In parts of what a cell of `maximum` passes at an input of 1. Where the last tile is
    not full, its free cells are those farthest from the terminals.
    """
    outputs = states.shape[1]
    cells = _cut(states.astype(x.dtype), tile)
    signals = _cut_inputs(x, tile)
    if wires is None:
        found = jnp.einsum("aoirc,ibr->aiboc", cells, signals)
    else:
        found = jnp.einsum(
            "aoibc->aiboc",
            _each(
                lambda g, v: column_currents(maximum * g, v, wires) / maximum,
                cells,
                jnp.broadcast_to(signals, (*cells.shape[:2], *signals.shape)),
            ),
        )
    return found.reshape(*found.shape[:3], -1)[..., :outputs]


def read_rows(
    states: Float[Array, "arrays outputs inputs"],  # parts of `maximum`
    y: Float[Array, "batch outputs"],
    wires: LineResistance,
    maximum: float,  # S
    tile: tuple[int, int] | None,
) -> Float[Array, "arrays batch inputs"]:
    """What the rows of all tiles sense together, while the columns are driven."""
    inputs = states.shape[2]
    cells = _cut(states.astype(y.dtype), tile)
    cols, count = cells.shape[-1], cells.shape[1]
    signals = jnp.pad(y, ((0, 0), (0, count * cols - y.shape[1])))
    signals = jnp.swapaxes(signals.reshape(-1, count, cols), 0, 1)[:, None]
    found = _each(
        lambda g, v: row_currents(maximum * g, v, wires) / maximum,
        cells,
        jnp.broadcast_to(signals, (*cells.shape[:3], *signals.shape[2:])),
    )
    joined = jnp.einsum("aoibr->abir", found)
    return joined.reshape(*joined.shape[:2], -1)[..., -inputs:]


def _cut(states, tile):
    """The tiles' cells: "arrays tiles_out tiles_in rows columns"."""
    arrays, outputs, inputs = states.shape
    rows, columns = _size(states.shape, tile)
    lacking = (0, 0), (0, -outputs % columns), (-inputs % rows, 0)
    full = jnp.pad(states, lacking)
    parts = full.reshape(arrays, full.shape[1] // columns, columns, -1, rows)
    return jnp.einsum("aocir->aoirc", parts)


def _cut_inputs(x, tile):
    """What drives each tile's rows: "tiles batch rows"."""
    batch, inputs = x.shape
    rows = inputs if tile is None else min(tile[0], inputs)
    full = jnp.pad(x, ((0, 0), (-inputs % rows, 0)))
    return jnp.swapaxes(full.reshape(batch, -1, rows), 0, 1)


def _size(shape, tile):
    _, outputs, inputs = shape
    rows, columns = (inputs, outputs) if tile is None else tile
    return min(rows, inputs), min(columns, outputs)


def _each(read, cells, signals):
    """One tile after the other: each has most of the cache to itself."""
    lead = cells.shape[:3]
    flat = (
        cells.reshape(-1, *cells.shape[3:]),
        signals.reshape(-1, *signals.shape[3:]),
    )
    found = lax.map(lambda pair: read(*pair), flat)
    return found.reshape(*lead, *found.shape[1:])
