"""Two methods on the same seeds: how they learned, and by how much they differ."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from .._history import History
from ._style import GRAY, LINES, PALETTE, AnyArray, checked, figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Steps = Int[AnyArray, " _"]
Alignment = tuple[Steps, Mapping[str, Float[AnyArray, " _"]]]


def comparison(
    values: Mapping[str, Float[AnyArray, " seeds"]],
    seeds: Sequence[int],
    interval: tuple[float, float, float],
    *,
    quantity: str,
    histories: Mapping[str, Sequence[History]] = {},
    alignments: Mapping[str, Alignment] = {},
) -> "Figure":
    """Final values by seed with the mean difference; curves and alignment if given.

    Curves are means over seeds with a band of one standard deviation. The second method
    minus the first is drawn in its own axis, a dot a seed.

    **Arguments:** `values`: of two methods, by label. `interval`: the mean difference,
    and the two ends of its interval, which may be `nan`. `quantity`: what the values
    are. `alignments`: steps, and the cosines at these by layer.
    **Raises:** `ValueError` unless there are two methods with a value a seed.
    """
    labels = list(values)
    if len(labels) != 2:
        raise ValueError(f"Two methods are compared, but there are {len(labels)}.")
    pairs = [checked(values[label], label, 1) for label in labels]
    if any(len(each) != len(seeds) for each in pairs):
        raise ValueError(f"There are {len(seeds)} seeds: give a value for each.")
    metric = _metric(histories)
    rows = 1 + (metric is not None) + bool(alignments)
    with style():
        fig = figure(9.6, 0.5 + 3.1 * rows)
        axes = iter(fig.subplots(rows, 2, squeeze=False).ravel())
        if metric is not None:
            _curves(next(axes), next(axes), histories, metric)
        _joined(next(axes), pairs, labels, quantity)
        _differences(next(axes), pairs[1] - pairs[0], seeds, interval, quantity)
        for label in labels if alignments else ():
            _aligned(next(axes), label, alignments.get(label))
        handles = [
            _sign(color, label) for color, label in zip(PALETTE, labels, strict=False)
        ]
        fig.legend(handles=handles, loc="outside upper left", ncols=2, fontsize=9)
    return fig


def _metric(histories: Mapping[str, Sequence[History]]) -> str | None:
    """What to draw beside the loss: `""` if there is nothing."""
    if not histories:
        return None
    every = [history for runs in histories.values() for history in runs]
    return next((n for n in every[0].metrics if all(n in h.metrics for h in every)), "")


def _curves(
    left: "Axes",
    right: "Axes",
    histories: Mapping[str, Sequence[History]],
    metric: str,
) -> None:
    positive = True
    for (_, runs), color in zip(histories.items(), PALETTE, strict=False):
        length = min(len(run.loss) for run in runs)
        losses = np.stack([_running_mean(run.loss[:length]) for run in runs])
        positive = positive and bool((losses > 0).all())
        _band(left, np.arange(1, length + 1), losses, color)
        if metric and all(np.array_equal(run.steps, runs[0].steps) for run in runs):
            found = np.stack([run.metrics[metric] for run in runs])
            _band(right, np.asarray(runs[0].steps), found, color)
    left.set(xlabel="Training step", ylabel="Loss")
    left.set_yscale("log" if positive else "linear")
    right.set(xlabel="Training step", ylabel=metric.capitalize() or "No metric")
    for ax in (left, right):
        ax.grid(True)


def _band(ax: "Axes", step: np.ndarray, runs: np.ndarray, color: str) -> None:
    mean, spread = runs.mean(0), runs.std(0, ddof=1) if len(runs) > 1 else 0.0
    ax.plot(step, mean, color=color, marker="o" if len(step) <= 12 else "", ms=3)
    ax.fill_between(
        step, mean - spread, mean + spread, color=color, alpha=0.2, linewidth=0
    )


def _joined(
    ax: "Axes", pairs: list[np.ndarray], labels: list[str], quantity: str
) -> None:
    for a, b in zip(*pairs, strict=True):
        ax.plot([0, 1], [a, b], color=GRAY, linewidth=0.9, alpha=0.7, zorder=1)
    for place, (each, color) in enumerate(zip(pairs, PALETTE, strict=False)):
        ax.plot(np.full(len(each), place), each, "o", color=color, ms=4, zorder=2)
        ax.plot(
            [place + (0.12 if place else -0.12)], [each.mean()], "D", color=color, ms=7
        )
    ax.set_xlim(-0.5, 1.5)
    ax.set_xticks([0, 1], ["A", "B"])
    ax.set_ylabel(quantity.capitalize())
    ax.grid(True, axis="y")


def _differences(
    ax: "Axes",
    found: np.ndarray,
    seeds: Sequence[int],
    interval: tuple[float, float, float],
    quantity: str,
) -> None:
    mean, low, high = interval
    ax.axvline(0, color="black", linewidth=0.8)
    order, top = np.argsort(found), len(found) + 0.4
    ax.plot(found[order], np.arange(len(found)), "o", color=GRAY, ms=4)
    if len(found) <= 20:
        names = [f"seed {seeds[i]}" for i in order]
        ax.set_yticks([*range(len(found)), top], [*names, "mean"])
    else:
        ax.set_yticks([top], ["mean"])
    ax.plot([mean], [top], "D", color=PALETTE[2], ms=7)
    if np.isfinite([low, high]).all():
        ax.plot([low, high], [top, top], color=PALETTE[2], linewidth=2.2)
        ax.axvspan(low, high, color=PALETTE[2], alpha=0.12, linewidth=0)
    ax.set_ylim(-0.7, top + 0.9)
    ax.set_xlabel(f"B − A: {quantity}")
    ax.grid(True, axis="x")


def _aligned(ax: "Axes", label: str, alignment: Any) -> None:
    ax.set_title(label)
    ax.set(xlabel="Training step", ylabel="Cosine with the exact gradient")
    if alignment is None:
        ax.text(0.5, 0.5, "not known", ha="center", transform=ax.transAxes)
        return
    steps, cosines = alignment
    for i, (layer, found) in enumerate(cosines.items()):
        # The first two colors are those of the methods.
        color = PALETTE[2 + i % (len(PALETTE) - 2)]
        line = LINES[i // (len(PALETTE) - 2) % len(LINES)]
        ax.plot(steps, found, line, color=color, marker="o", ms=3, label=layer)
    ax.axhline(1, color="black", linewidth=0.8, linestyle=":")
    ax.axhline(0, color="black", linewidth=0.8)
    lowest = min(0.0, *(np.nanmin(found) for found in cosines.values()))
    ax.set_ylim(lowest - 0.08, 1.08)
    ax.grid(True, axis="y")
    ax.legend(fontsize=8)


def _sign(color: str, label: str) -> Any:
    from matplotlib.lines import Line2D

    letter = "A" if color == PALETTE[0] else "B"
    return Line2D([], [], color=color, marker="o", label=f"{letter}: {label}")


def _running_mean(values: np.ndarray) -> np.ndarray:
    window = np.ones(max(1, len(values) // 50))
    count = np.convolve(np.ones(len(values)), window, "same")
    return np.convolve(values, window, "same") / count
