"""How a network in memory cells ages."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from jaxtyping import Float

from ._style import LINES, PALETTE, AnyArray, checked, figure, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARKS = {
    1.0: "1 s",
    60.0: "1 min",
    3600.0: "1 h",
    86_400.0: "1 day",
    31_557_600.0: "1 year",
}


def accuracy_over_time(
    times: Float[AnyArray, " times"],  # s
    accuracies: Mapping[str, Float[AnyArray, "chips times"]],
    *,
    reference: float | None = None,
    start: float | None = None,  # s
) -> "Figure":
    """The mean of the chips by name, with a band of one standard deviation.

    **Arguments:** `reference`: the accuracy without any error; `start`: when drift
    begins, a vertical line.
    **Raises:** `ValueError` without accuracies.
    """
    if not accuracies:
        raise ValueError("There are no accuracies to draw.")
    times = checked(times, "times", 1)
    with style():
        fig = figure(6.4, 3.8)
        ax = fig.subplots()
        if reference is not None:
            ax.axhline(reference, color="black", linewidth=0.8, label="in software")
        if start is not None:
            ax.axvline(start, color="black", linewidth=0.8, linestyle=":")
        for i, (name, chips) in enumerate(accuracies.items()):
            chips = checked(chips, name, 2)
            mean, spread = chips.mean(0), chips.std(0)
            color, line = PALETTE[i % len(PALETTE)], LINES[i % len(LINES)]
            ax.fill_between(
                times, mean - spread, mean + spread, color=color, alpha=0.2, linewidth=0
            )
            ax.plot(times, mean, line, color=color, marker="o", ms=3.5, label=name)
        ax.set_xscale("log")
        inside = [t for t in MARKS if times.min() <= 1.01 * t <= 1.02 * times.max()]
        ax.set_xticks(inside, [MARKS[t] for t in inside])
        ax.minorticks_off()
        ax.set_xlabel("Time after programming")
        ax.set_ylabel("Accuracy")
        ax.grid(True)
        fig.legend(loc="outside upper center", ncols=2)
    return fig
