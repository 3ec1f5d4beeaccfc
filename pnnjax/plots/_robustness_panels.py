"""What is left of each of many methods as something gets worse."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from ._looks import MARKERS, Look, looks
from ._style import GRAY, LINES, AnyArray, checked, figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Runs = Mapping[str, tuple[Float[AnyArray, " _"], Float[AnyArray, "_ _"]]]


def robustness_panels(
    results: Mapping[str, Runs],
    *,
    label: str,
    quantity: str,
    columns: int = 3,
    appearance: Mapping[str, Look] | None = None,
) -> "Figure":
    """A small panel for each method: the median of the runs, and between the quartiles.

    **Arguments:** `results`: by method, then by what gets worse: its levels (not below
    zero) and the results there; `label`: what a level is; `quantity`: what the
    results are. `appearance`: how each method looks, or else by its place.
    **Raises:** `ValueError` without results, or if a shape does not fit.
    """
    if not results:
        raise ValueError("There are no results to draw.")
    given = looks(list(results)) if appearance is None else appearance
    causes = list(dict.fromkeys(cause for runs in results.values() for cause in runs))
    rows = -(-len(results) // columns)
    with style():
        fig = figure(0.5 + 1.5 * columns, 0.9 + 0.95 * rows)
        axes = fig.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for ax, (name, runs) in zip(axes.flat, results.items()):
            for i, cause in enumerate(causes):
                if cause in runs:
                    _draw(ax, f"{name}, {cause}", *runs[cause], i, given[name].color)
            ax.set_title(name, fontsize=8, pad=2)
            ax.grid(True)
            ax.tick_params(labelsize=7, length=2)
        for ax in axes.flat[len(results) :]:
            ax.set_axis_off()
        for ax in axes.flat[max(0, len(results) - columns) : len(results)]:
            ax.tick_params(labelbottom=True)
        _scale(axes.flat[0], results)
        fig.supxlabel(label, fontsize=9)
        fig.supylabel(quantity, fontsize=9)
        for i, cause in enumerate(causes):
            axes.flat[0].plot([], [], **_line(i), color=GRAY, label=cause)
        fig.legend(loc="outside upper center", ncols=len(causes), fontsize=8)
    return fig


def _draw(
    ax: "Axes", name: str, levels: AnyArray, runs: AnyArray, i: int, color: str
) -> None:
    levels, runs = checked(levels, f"levels of {name}", 1), checked(runs, name, 2)
    if runs.shape[1] != len(levels):
        raise ValueError(f"`{name}` has shape {runs.shape}, not (runs, {len(levels)}).")
    low, middle, high = np.quantile(runs, [0.25, 0.5, 0.75], axis=0)
    ax.fill_between(levels, low, high, color=color, alpha=0.15, linewidth=0)
    ax.plot(levels, middle, color=color, **_line(i))


def _line(i: int) -> dict:
    return {
        "linestyle": LINES[i % len(LINES)],
        "marker": MARKERS[i % len(MARKERS)],
        "markersize": 2.5,
        "linewidth": 1.2,
    }


def _scale(ax: "Axes", results: Mapping[str, Runs]) -> None:
    every = {
        float(v)
        for runs in results.values()
        for levels, _ in runs.values()
        for v in np.asarray(levels)
    }
    positive = [v for v in every if v > 0]
    if not positive:
        return
    if 0.0 in every:
        # A logarithmic axis that has a place for what is undisturbed.
        ax.set_xscale("symlog", linthresh=min(positive), linscale=0.5)
    elif max(positive) > 5 * min(positive):
        ax.set_xscale("log")
