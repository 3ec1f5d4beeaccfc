"""Conductances that drift after programming."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from ._style import PALETTE, AnyArray, checked, figure, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 15
"""Cells drawn of each level."""


def conductance_drift(
    times: Float[AnyArray, " times"],  # s
    conductance: Float[AnyArray, "times levels cells"],  # S
) -> "Figure":
    """A thin line for each of some cells, a thick one for the median of all, by level.

    Both scales are logarithmic, so that a power law is straight; labels are the
    exponents of the medians.
    """
    times = checked(times, "times", 1)
    values = 1e6 * checked(conductance, "conductance", 3)
    with style():
        fig = figure(6.4, 3.8)
        ax = fig.subplots()
        for level in range(values.shape[1]):
            color = PALETTE[level % len(PALETTE)]
            cells, median = values[:, level, :SHOWN], np.median(values[:, level], -1)
            ax.plot(times, cells, color=color, linewidth=0.5, alpha=0.5)
            slope = np.polyfit(np.log(times), np.log(median), 1)[0]
            label = rf"{median[0]:.3g} µS: $\nu$ = {-slope:.3f}"
            ax.plot(times, median, color=color, linewidth=2.2, label=label)
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_xlabel("Time after programming (s)")
        ax.set_ylabel("Conductance (µS)")
        ax.grid(True)
        fig.legend(loc="outside right upper")
    return fig
