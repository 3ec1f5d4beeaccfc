"""What each way of training costs, in runs of the physical system."""

from collections.abc import Mapping
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from ._style import GRAY, LINES, PALETTE, AnyArray, checked, figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Curves = Mapping[str, tuple[Float[AnyArray, " _"], Float[AnyArray, " _"]]]


def runs_to_accuracy(curves: Curves, *, target: float) -> "Figure":
    """Accuracy against physical runs for each method, and the runs to the target.

    In the second panel, a bar that is only outlined ends where its method stopped
    without reaching the target; the best accuracy stands beside it. A method without
    any run has no curve.

    **Arguments:** `curves`: physical runs and accuracies of the evaluations, by method.
    **Raises:** `ValueError` without methods, or if shapes differ.
    """
    if not curves:
        raise ValueError("There are no methods to draw.")
    with style():
        fig = figure(10.0, 0.9 + 0.36 * max(8, len(curves)))
        left, right = fig.subplots(1, 2)
        looks = zip(LINES * len(PALETTE), PALETTE * len(LINES))
        for row, (name, (line, color)) in enumerate(zip(curves, cycle(looks))):
            runs = checked(curves[name][0], f"runs of {name}", 1)
            accuracy = checked(curves[name][1], f"accuracies of {name}", 1)
            if runs.shape != accuracy.shape:
                raise ValueError(
                    f"{name!r} has {len(runs)} numbers of runs, but {len(accuracy)} "
                    "accuracies."
                )
            best = np.maximum.accumulate(accuracy)
            if runs[-1] > 0:
                left.plot(runs, accuracy, color=color, linestyle=line, label=name)
            _bar(right, row, runs, best, color, target)
        _finish(left, right, list(curves), target)
    return fig


def _bar(
    ax: "Axes",
    row: int,
    runs: np.ndarray,
    best: np.ndarray,
    color: str,
    target: float,
) -> None:
    reached = np.flatnonzero(best >= target)
    spent = float(runs[reached[0]] if len(reached) else runs[-1])
    label = f"{spent:.2g}" if len(reached) else f"not reached: {best[-1]:.1%}"
    face = color if len(reached) else "none"
    if spent > 0:
        ax.barh(row, spent, color=face, edgecolor=color, height=0.6)
        ax.text(spent, row, f" {label}", va="center", fontsize=8)
    else:
        # A logarithmic axis has no place for it but its edge.
        beside = ax.get_yaxis_transform()
        label = f" {label}, no runs"
        ax.text(0.0, row, label, va="center", fontsize=8, transform=beside)


def _finish(left: "Axes", right: "Axes", names: list[str], target: float) -> None:
    left.axhline(target, color=GRAY, linestyle=":", linewidth=1)
    left.set(xlabel="Physical runs", ylabel="Test accuracy")
    if left.lines[1:]:
        left.set_xscale("log")
    left.grid(True)
    right.set_xscale("log")
    low, high = left.get_xlim()
    # Room for what is written beside the longest bar.
    right.set_xlim(max(low / 2, 1.0), max(high, 10.0) * 60)
    right.set_yticks(range(len(names)), names)
    right.set_ylim(len(names) - 0.5, -0.5)
    right.set_xlabel(f"Physical runs to {target:.0%}")
    right.grid(True, axis="x")
