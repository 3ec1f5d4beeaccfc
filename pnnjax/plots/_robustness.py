"""What is left of a result as something gets worse."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from ._style import LINES, PALETTE, AnyArray, checked, figure, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def robustness(
    levels: Float[AnyArray, " levels"],
    results: Mapping[str, Float[AnyArray, "runs levels"]],
    *,
    label: str,
    quantity: str,
) -> "Figure":
    """The mean of the runs for each method, with a band from the least to the greatest.

    **Arguments:** `levels`: how bad it gets, above zero; `label`: what that is, with
    its unit; `quantity`: what the results are.
    **Raises:** `ValueError` without results, or if a shape does not fit.
    """
    if not results:
        raise ValueError("There are no results to draw.")
    levels = checked(levels, "levels", 1)
    with style():
        fig = figure(6.4, 3.6)
        ax = fig.subplots()
        for i, (name, runs) in enumerate(results.items()):
            runs = checked(runs, name, 2)
            if runs.shape[1] != len(levels):
                raise ValueError(
                    f"`{name}` has shape {runs.shape}, not (runs, {len(levels)})."
                )
            color = PALETTE[i % len(PALETTE)]
            ax.fill_between(
                levels, runs.min(0), runs.max(0), color=color, alpha=0.15, linewidth=0
            )
            ax.plot(
                levels,
                np.mean(runs, 0),
                color=color,
                linestyle=LINES[i % len(LINES)],
                marker="o",
                markersize=4,
                label=name,
            )
        ax.set_xscale("log")
        ax.set_xticks(levels, [f"{level:.3g}" for level in levels])
        ax.minorticks_off()
        ax.set_xlabel(label)
        ax.set_ylabel(quantity)
        ax.grid(True)
        fig.legend(loc="outside right upper")
    return fig
