"""The cells of a crossbar, and the weights that they make."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from ._style import POWER, AnyArray, checked, colorbar, figure, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def crossbar_map(
    conductance: Float[AnyArray, "devices outputs inputs"],  # parts of the maximum
    weight: Float[AnyArray, "_ _"],
) -> "Figure":
    """The states of the cells, array by array, and the weights.

    Inputs run downwards, as the rows of the array do, outputs to the right.

    **Raises:** `ValueError` if the two do not fit each other.
    """
    cells = checked(conductance, "conductance", 3)
    values = checked(weight, "weight", 2)
    if cells.shape[1:] != values.shape:
        raise ValueError(
            f"`conductance` has arrays of the shape {cells.shape[1:]}, but `weight` "
            f"the shape {values.shape}."
        )
    count = len(cells)
    wide = min(max(values.shape[0] / values.shape[1], 0.4), 2.5)
    largest = np.abs(values).max() or 1.0
    with style():
        fig = figure((count + 1) * (2.4 * wide + 0.3) + 1.6, 3.2)
        axes = fig.subplots(1, count + 1, sharey=True)
        for k, (ax, one) in enumerate(zip(axes, cells)):
            ax.imshow(one.T, POWER, vmin=0, vmax=1, aspect="auto")
            ax.set(title=f"Array {k}", xlabel="Output")
        shown = axes[-1].imshow(
            values.T, "RdBu_r", vmin=-largest, vmax=largest, aspect="auto"
        )
        axes[-1].set(title="Weight", xlabel="Output")
        axes[0].set_ylabel("Input")
        for ax in axes:
            ax.grid(False)
        colorbar(axes[0].images[0], axes[:-1], "State (of the maximum)")
        colorbar(shown, axes[-1], "Weight")
    return fig
