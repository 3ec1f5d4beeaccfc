"""A system's response to its input, and to its error."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from ._style import GRAY, PALETTE, AnyArray, checked, figure, style, with_prefix

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def two_runs(
    forward: Float[AnyArray, "time nodes"],
    backward: Float[AnyArray, "time nodes"],
    *,
    step: float,  # s
    titles: tuple[str, str] = ("Forward", "Error, in reversed time"),
    highlighted: Sequence[int] = (),
) -> "Figure":
    """Every node over time, in the run that computes and in the one that teaches.

    Each panel is scaled by its own largest value. Both are drawn in the order in which
    the system lives through them.

    **Arguments:** `step`: between two samples. `highlighted`: nodes in color.
    **Raises:** `ValueError` if a run can't be drawn or a node is not there.
    """
    runs = [checked(forward, "forward", 2), checked(backward, "backward", 2)]
    nodes = runs[0].shape[1]
    strange = [node for node in highlighted if not 0 <= node < nodes]
    if runs[1].shape[1] != nodes or strange:
        raise ValueError(
            f"There are {nodes} nodes in `forward`, {runs[1].shape[1]} in `backward`, "
            f"and no nodes {strange}."
        )
    with style():
        fig = figure(7.2, 3.2)
        for ax, run, title in zip(fig.subplots(1, 2), runs, titles, strict=True):
            factor, unit = with_prefix(step * len(run), "s")
            times = factor * step * np.arange(len(run) + 1)
            scaled = run / max(np.abs(run).max(), np.finfo(float).tiny)
            scaled = np.concatenate([np.zeros((1, nodes)), scaled])
            ax.plot(times, scaled, color=GRAY, linewidth=0.5, alpha=0.6)
            for rank, node in enumerate(highlighted):
                color = PALETTE[rank % len(PALETTE)]
                ax.plot(times, scaled[:, node], color=color, marker="o", ms=3)
            ax.set(
                title=title, xlabel=f"Time ({unit})", ylabel="Relative to the largest"
            )
            ax.grid(True)
    return fig
