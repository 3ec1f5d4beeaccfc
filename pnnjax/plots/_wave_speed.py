"""A plate by its local wave speed."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from ._style import PALETTE, AnyArray, checked, colorbar, extent, figure, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Cell = tuple[int, int]


def wave_speed(
    speed: Float[AnyArray, "ny nx"],  # any unit
    sources: Sequence[Cell],
    probes: Sequence[Cell],
    names: Sequence[str] = (),
) -> "Figure":
    """The speed in each cell, where waves are fed in, and where they are collected.

    **Arguments:** `names`: of the probes; without, they are numbered.
    **Raises:** `ValueError` if there are other than one name a probe, or a mark is not
    on the plate.
    """
    values = checked(speed, "speed", 2)
    ny, nx = values.shape
    edges, unit = extent(values.shape, None)
    with style():
        fig = figure(6.4, 5.4 * float(np.clip(ny / nx, 0.3, 1.5)) + 0.7)
        ax = fig.subplots()
        image = ax.imshow(values, "Blues_r", extent=edges)
        colorbar(image, ax, "Wave speed")
        ax.set(xlabel=f"$x$ ({_plural(unit)})", ylabel=f"$y$ ({_plural(unit)})")
        mark(ax, values.shape, sources, probes, names)
    return fig


def mark(
    ax: Any,
    shape: tuple[int, ...],
    sources: Sequence[Cell],
    probes: Sequence[Cell],
    names: Sequence[str],
) -> None:
    """Sources as stars, probes as circles with a name each."""
    if len(names) not in (0, len(probes)):
        raise ValueError(f"{len(names)} names do not fit {len(probes)} probes.")
    for y, x in [*sources, *probes]:
        if not (0 <= y < shape[0] and 0 <= x < shape[1]):
            raise ValueError(f"{(y, x)} is not on a plate of {shape} cells.")
    look = {"linestyle": "none", "markeredgecolor": "white", "zorder": 3}
    for y, x in sources:
        ax.plot(x, y, "*", color=PALETTE[1], markersize=13, **look)
    for i, (y, x) in enumerate(probes):
        color = PALETTE[2]
        ax.plot(x, y, "o", color=color, markersize=8, **look)
        text = names[i] if names else str(i)
        ax.annotate(
            text,
            (x, y),
            (7, 0),
            textcoords="offset points",
            va="center",
            color=color,
            fontweight="bold",
        )


def _plural(unit: str) -> str:
    return "cells" if unit == "pixel" else unit
