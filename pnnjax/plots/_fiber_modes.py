"""The modes of a fiber."""

from typing import TYPE_CHECKING, Any

import numpy as np

from ..optics import GradedIndexModes
from ._style import extent, figure, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def fiber_modes(
    modes: GradedIndexModes,
    pitch: float,  # m
    pixels: int,
) -> "Figure":
    """The field of each mode, a row for each group of equal propagation constants.

    Red and blue are the two signs; each mode has its own scale.

    **Arguments:** squares of `pixels` a side, `pitch` apart, are drawn.
    **Raises:** `ValueError` if `pitch` or `pixels` is not positive.
    """
    if pixels < 1:
        raise ValueError(f"`pixels` must be at least 1, but is {pixels}.")
    edges, unit = extent((pixels, pixels), pitch)
    x = (np.arange(pixels) - (pixels - 1) / 2) * pitch
    along = modes.profiles(x)
    groups = modes.groups
    with style():
        fig = figure(1.3 * groups + 0.4, 1.4 * groups + 0.4)
        axes: Any = fig.subplots(groups, groups, squeeze=False)
        for ax in axes.ravel():
            ax.set_axis_off()
        for mx, my in modes.orders:
            ax, field = axes[mx + my, my], along[my][:, None] * along[mx]
            most = np.abs(field).max()
            ax.imshow(field, "RdBu_r", extent=edges, vmin=-most, vmax=most)
            ax.set_title(f"$m_x = {mx}$, $m_y = {my}$", fontsize=8)
        corner = axes[-1, 0]
        corner.set_axis_on()
        corner.set(xlabel=f"$x$ ({unit})", ylabel=f"$y$ ({unit})")
    return fig
