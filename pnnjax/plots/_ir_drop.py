"""What the resistance of a crossbar's lines leaves of the voltages."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from ._style import POWER, AnyArray, checked, colorbar, figure, style, with_prefix

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def ir_drop(
    on_rows: Float[AnyArray, "rows columns"],  # V
    on_columns: Float[AnyArray, "_ _"],  # V
) -> "Figure":
    """The voltage at each node of the row lines and of the column lines, and across
    each cell.

    Rows are driven from the left, and columns sensed below.

    **Raises:** `ValueError` if the shapes differ.
    """
    rows = checked(on_rows, "on_rows", 2)
    columns = checked(on_columns, "on_columns", 2)
    if rows.shape != columns.shape:
        raise ValueError(
            "A cell joins a node of a row to one of a column, but `on_rows` has the "
            f"shape {rows.shape} and `on_columns` {columns.shape}."
        )
    maps = {
        "Row lines": rows,
        "Column lines": columns,
        "Across the cells": rows - columns,
    }
    low = min(0.0, *(one.min() for one in maps.values()))
    high = max(0.0, *(one.max() for one in maps.values()))
    factor, unit = with_prefix(float(max(high, -low)), "V")
    limits = factor * np.asarray([low, high if high > low else low + 1])
    with style():
        fig = figure(9.6, 3.2)
        axes = fig.subplots(1, 3, sharey=True)
        for ax, (title, one) in zip(axes, maps.items()):
            ax.imshow(factor * one, POWER, vmin=limits[0], vmax=limits[1])
            ax.set(title=title, xlabel="Column")
            ax.grid(False)
        axes[0].set_ylabel("Row")
        colorbar(axes[0].images[0], axes, f"Voltage ({unit})")
    return fig
