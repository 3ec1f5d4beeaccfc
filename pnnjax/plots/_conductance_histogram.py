"""How the states of memory cells are spread, layer by layer."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ._style import PALETTE, checked, figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BINS = 60


def conductance_histogram(
    states: Mapping[str, Mapping[str, Any]], label: str = "State of a cell"
) -> "Figure":
    """The share of the cells in each of sixty ranges, on a logarithmic axis.

    **Arguments:** `states`: layer to occasion to the states of all cells, of any shape,
    such as `{"first": {"before": ..., "after": ...}}`: a panel a layer, an outline an
    occasion. `label`: what a state is, with its unit.
    **Raises:** `ValueError` if there is nothing to draw, or a state is not finite.
    """
    if not states or not all(states.values()):
        raise ValueError("There are no states to draw.")
    with style():
        fig = figure(1.2 + 2.9 * len(states), 3.2)
        axes = fig.subplots(1, len(states), squeeze=False, sharey=True)[0]
        for ax, (name, occasions) in zip(axes, states.items(), strict=True):
            _draw(ax, name, occasions)
            ax.set_xlabel(label)
        axes[0].set_ylabel("Share of the cells")
        handles, labels = axes[0].get_legend_handles_labels()
        fig.legend(handles, labels, loc="outside right upper")
    return fig


def _draw(ax: "Axes", name: str, occasions: Mapping[str, Any]) -> None:
    flat = {
        occasion: checked(np.ravel(values), f"{name}, {occasion}", 1).astype(float)
        for occasion, values in occasions.items()
    }
    every = np.concatenate([*flat.values()])
    edges = np.histogram_bin_edges(every, BINS)
    for index, (occasion, values) in enumerate(flat.items()):
        share = np.histogram(values, edges)[0] / values.size
        color = PALETTE[index % len(PALETTE)]
        ax.stairs(share, edges, color=color, linewidth=1.6, label=occasion)
        ax.stairs(share, edges, fill=True, color=color, alpha=0.15)
    ax.set_yscale("log")
    ax.set_title(f"{name}: {flat[next(iter(flat))].size:,} cells")
    ax.grid(True, axis="y")
