"""How a training run went: loss against step, metrics against step."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np

from .._history import History
from ._style import GRAY, LINES, PALETTE, checked, figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def learning_curve(
    history: History | Sequence[History] | Mapping[str, History | Sequence[History]],
) -> "Figure":
    """Loss against training step, and on a second panel the metrics.

    The bold loss is a centered running mean over a fiftieth of the run. The axis of the
    loss is logarithmic unless a loss is zero or negative.

    **Arguments:** `history`: one run; or several of one kind, as with different seeds,
    drawn as their median and a band from the least to the greatest; or kinds by label.
    **Raises:** `ValueError` if there is nothing to draw, a value is not finite, or runs
    of one kind differ in length.
    """
    groups = {label: _runs(label, runs) for label, runs in _by_label(history).items()}
    if not groups:
        raise ValueError("There is no history to draw.")
    every = [run for runs in groups.values() for run in runs]
    metrics = list(dict.fromkeys(name for run in every for name in _metrics(run)))
    with style():
        fig = figure(9.0 if metrics else 5.0, 3.4)
        axes = fig.subplots(1, 2 if metrics else 1, squeeze=False)[0]
        for (label, runs), color in zip(groups.items(), cycle(PALETTE)):
            _draw_loss(axes[0], runs, color, label)
        positive = all(
            (np.asarray(r.loss) > 0).all() for g in groups.values() for r in g
        )
        axes[0].set(xlabel="Training step", ylabel="Loss")
        axes[0].set_yscale("log" if positive else "linear")
        if len(groups) > 1:
            axes[0].legend()
        if metrics:
            _draw_metrics(axes[1], groups, metrics)
        for ax in axes:
            ax.grid(True)
            ax.xaxis.get_major_locator().set_params(integer=True)
    return fig


def _by_label(history: Any) -> Mapping[str, Any]:
    if isinstance(history, Mapping):
        return history
    return {"": history} if isinstance(history, History) or len(history) else {}


def _runs(label: str, runs: Any) -> list[History]:
    of = f" of {label!r}" if label else ""
    runs = [runs] if isinstance(runs, History) else list(runs)
    if not runs:
        raise ValueError(f"There is no history{of}.")
    for run in runs:
        checked(run.loss, f"loss{of}", 1)
        for name, values in _metrics(run).items():
            if checked(values, f"{name}{of}", 1).shape != np.shape(run.steps):
                raise ValueError(
                    f"`{name}`{of} has {len(values)} values for {len(run.steps)} "
                    f"evaluations."
                )
        if set(_metrics(run)) != set(_metrics(runs[0])):
            raise ValueError(f"The runs{of} differ in their metrics.")
        if len(run.loss) != len(runs[0].loss):
            raise ValueError(
                f"The runs{of} differ in length: {[len(r.loss) for r in runs]} steps."
            )
        if not np.array_equal(run.steps, runs[0].steps):
            raise ValueError(f"The runs{of} were evaluated at different steps.")
    return runs


def _metrics(run: History) -> Mapping[str, Any]:
    return run.metrics if len(run.steps) else {}


def _draw_loss(ax: "Axes", runs: list[History], color: str, label: str) -> None:
    losses = np.stack([np.asarray(run.loss, float) for run in runs])
    step = np.arange(1, losses.shape[1] + 1)
    if len(runs) == 1:
        ax.plot(step, losses[0], color=color, alpha=0.25, linewidth=0.8)
    smooth = np.stack([_running_mean(loss) for loss in losses])
    # The mean is over a fiftieth: more points could not be seen, and fill the file.
    few = slice(None, None, max(1, len(step) // 1000))
    label = _counted(label, runs)
    _median_and_band(ax, step[few], smooth[:, few], color, "-", label)


def _draw_metrics(
    ax: "Axes", groups: Mapping[str, list[History]], metrics: list[str]
) -> None:
    one = len(groups) == 1
    for (label, runs), color in zip(groups.items(), cycle(PALETTE)):
        present = [name for name in metrics if name in _metrics(runs[0])]
        for name in present:
            i = metrics.index(name)
            values = np.stack([np.asarray(r.metrics[name], float) for r in runs])
            _median_and_band(
                ax,
                np.asarray(runs[0].steps),
                values,
                PALETTE[i % len(PALETTE)] if one else color,
                LINES[i % len(LINES)],
                _counted(name, runs) if one else "",
            )
    ax.set_xlabel("Training step")
    if len(metrics) == 1:
        ax.set_ylabel(metrics[0].capitalize())
        return
    ax.set_ylabel("Metric")
    if one:
        ax.legend()
        return
    for name, line in zip(metrics, cycle(LINES)):
        ax.plot([], [], line, color=GRAY, label=name)
    ax.legend()


def _median_and_band(
    ax: "Axes", step: np.ndarray, runs: np.ndarray, color: str, line: str, label: str
) -> None:
    marker = "o" if len(step) <= 12 else ""
    ax.plot(
        step,
        np.median(runs, 0),
        linestyle=line,
        marker=marker,
        markersize=3,
        color=color,
        label=label or "_",
    )
    if len(runs) > 1:
        ax.fill_between(
            step, runs.min(0), runs.max(0), color=color, alpha=0.2, linewidth=0
        )


def _counted(label: str, runs: list[History]) -> str:
    return f"{label} ({len(runs)} runs)" if label and len(runs) > 1 else label


def _running_mean(values: np.ndarray) -> np.ndarray:
    window = np.ones(max(1, len(values) // 50))
    count = np.convolve(np.ones_like(values), window, "same")
    return np.convolve(values, window, "same") / count
