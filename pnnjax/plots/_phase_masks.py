"""The phase masks of a diffractive network."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from ._style import (
    PHASE,
    AnyArray,
    checked,
    colorbar,
    extent,
    figure,
    label_axes,
    style,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def phase_masks(
    masks: Float[AnyArray, "masks ny nx"],  # rad
    pitch: float | None = None,  # m
) -> "Figure":
    r"""Each mask's phase, modulo $2\pi$, in the order in which light meets them.

    **Arguments:** `pitch`: the distance of neighboring pixels; without it the axes
    count pixels.
    """
    values = checked(masks, "masks", 3)
    wrapped = np.mod(values, 2 * np.pi) / np.pi
    edges, length = extent(values.shape[1:], pitch)
    rows = -(-len(values) // 5)
    columns = -(-len(values) // rows)
    with style():
        fig = figure(1.5 + 1.8 * columns, 0.6 + 1.9 * rows)
        axes = fig.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for i, (ax, mask) in enumerate(zip(axes.flat, wrapped)):
            ax.imshow(mask, PHASE, extent=edges, vmin=0, vmax=2)
            ax.set_title(f"Mask {i + 1}")
            if i >= len(values) - columns:
                ax.tick_params(labelbottom=True)
        for ax in axes.flat[len(values) :]:
            ax.set_visible(False)
        label_axes(axes[-1, 0], length)
        image = axes[0, 0].images[0]
        colorbar(image, axes, r"Phase ($\pi$ rad)", [0, 0.5, 1, 1.5, 2])
    return fig
