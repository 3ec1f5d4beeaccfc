"""Frames of a movie of waves."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from ._style import POWER, AnyArray, checked, colorbar, extent, figure, style
from ._wave_speed import Cell, mark

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RANGE = 1e-3
"""Of the logarithmic colors."""


def wave_movie(
    intensity: Float[AnyArray, "movies frames ny nx"],  # squared unit of the field
    titles: Sequence[str],
    times: Sequence[str],
    *,
    sources: Sequence[Cell] = (),
    probes: Sequence[Cell] = (),
    names: Sequence[str] = (),
    outline: Float[AnyArray, "ny nx"] | None = None,
) -> "Figure":
    """What $|u|^2$ is at several times, each movie a row; colors are logarithmic.

    Each row has its own full scale: the frames of a row compare, rows do not.

    **Arguments:** `titles`: of the rows; `times`: of the columns; `outline`: where it
    crosses the middle between its extremes, a line is drawn: the edges of a material.
    **Raises:** `ValueError` if titles or times do not fit the frames.
    """
    values = checked(intensity, "intensity", 4)
    rows, columns, ny, nx = values.shape
    if len(titles) != rows or len(times) != columns:
        raise ValueError(
            f"`intensity` has {rows} movies of {columns} frames, but there are "
            f"{len(titles)} titles and {len(times)} times."
        )
    edges, _ = extent((ny, nx), None)
    shape = float(np.clip(ny / nx, 0.4, 1.6))
    with style():
        fig = figure(1.9 * columns + 1.0, 1.9 * shape * rows + 0.6)
        axes = fig.subplots(rows, columns, squeeze=False)
        image = None
        for row, title in enumerate(titles):
            top = values[row].max() or 1.0
            for column, time in enumerate(times):
                ax = axes[row, column]
                # Zeros have no logarithm: they are the darkest color.
                level = np.log10(np.maximum(values[row, column] / top, RANGE))
                image = ax.imshow(
                    level, POWER, extent=edges, vmin=np.log10(RANGE), vmax=0
                )
                _edges(ax, outline)
                last = column == columns - 1
                mark(
                    ax, (ny, nx), sources, probes, names if last else [""] * len(probes)
                )
                ax.set(xticks=[], yticks=[])
                if row == 0:
                    ax.set_title(time)
            axes[row, 0].set_ylabel(title)
        bar = colorbar(image, axes, r"$|u|^2$, of the row's greatest")
        ticks = np.arange(np.log10(RANGE), 1)
        bar.set_ticks(ticks, labels=[f"$10^{{{t:.0f}}}$" for t in ticks])
    return fig


def _edges(ax, outline) -> None:
    if outline is None:
        return
    plate = checked(outline, "outline", 2)
    if plate.max() > plate.min():
        level = (plate.max() + plate.min()) / 2
        ax.contour(plate, [level], colors="white", linewidths=0.6)
