"""What a device did and what failed, as time went on."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..devices import LoggedRun
from ._style import GRAY, PALETTE, figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKERS = "osDv^P"


def device_log(
    log: Sequence[LoggedRun], *, marks: Mapping[str, float] = {}
) -> "Figure":
    """Runs against time with the faults on the way, and how many there were of each.

    The mark of a fault is filled where a further attempt was good.

    **Arguments:** `marks`: moments to be marked by a line (s), such as restarts.
    **Raises:** `ValueError` if the log is empty.
    """
    if not log:
        raise ValueError("The log is empty: the device has made no run.")
    kinds = sorted({fault for run in log for fault in run.faults})
    with style():
        fig = figure(9.0, 3.6)
        left, right = fig.subplots(1, 2, width_ratios=(2, 1))
        _course(left, log, kinds)
        for name, moment in marks.items():
            left.axvline(moment, color=GRAY, linestyle="--", linewidth=1)
            beside = left.get_xaxis_transform()
            left.text(moment, 1.01, name, color=GRAY, transform=beside, ha="center")
        _counts(right, log, kinds)
    return fig


def _course(ax: "Axes", log: Sequence[LoggedRun], kinds: list[str]) -> None:
    from matplotlib.ticker import MaxNLocator

    number = np.arange(1, len(log) + 1)
    ends = np.asarray([run.began + run.seconds for run in log])
    ax.step(ends, number, where="post", color=GRAY)
    for kind, look in zip(kinds, _looks(kinds), strict=True):
        at = [i for i, run in enumerate(log) if kind in run.faults]
        lost = [i for i in at if not log[i].good and log[i].faults[-1] == kind]
        ax.plot(ends[at], number[at], **look)
        if lost:
            ax.plot(ends[lost], number[lost], **look, markerfacecolor="white")
    ax.set(xlabel="Time (s)", ylabel="Runs")
    ax.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    ax.grid(True)


def _counts(ax: "Axes", log: Sequence[LoggedRun], kinds: list[str]) -> None:
    from matplotlib.ticker import MaxNLocator

    faults = [fault for run in log for fault in run.faults]
    for row, (kind, look) in enumerate(zip(kinds, _looks(kinds), strict=True)):
        number = faults.count(kind)
        ax.barh(row, number, color=look["color"], height=0.5)
        # The bar's end tells which mark on the left is which.
        ax.plot(number, row, **look, markeredgecolor="white", zorder=3)
        ax.text(number, row, f"   {number}", va="center", fontsize=8)
    ax.set_yticks(range(len(kinds)), kinds)
    ax.set_ylim(max(len(kinds), 1) - 0.5, -0.5)
    ax.set_xlim(0, 1.2 * max([faults.count(kind) for kind in kinds], default=1))
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    good = sum(run.good for run in log)
    ax.set(xlabel="Failed attempts", title=f"{good} of {len(log)} runs good")
    ax.grid(True, axis="x")


def _looks(kinds: list[str]) -> list[dict[str, Any]]:
    return [
        {
            "color": PALETTE[index % len(PALETTE)],
            "marker": MARKERS[index % len(MARKERS)],
            "markersize": 7,
            "linestyle": "none",
        }
        for index in range(len(kinds))
    ]
