"""Voltages in a resistive network, layer by layer."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Integer

from ._style import PALETTE, AnyArray, checked, figure, style, with_prefix

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def node_voltages(
    state: Sequence[Float[AnyArray, "examples _"]],  # V
    labels: Integer[AnyArray, " examples"],
) -> "Figure":
    """How the free nodes' voltages are distributed over many examples.

    Of a hidden layer, the two halves, whose diodes point opposite ways, and how much of
    the time the diodes conduct (0 V); of the outputs, that of the labeled class and all
    others.

    **Arguments:** `state`: the layers of a `circuits.DeepResistiveNetwork`, the outputs
    last; `labels`: which output is to be the highest.
    **Raises:** `ValueError` for an empty state, voltages that are not finite, or labels
    that are not one an example, each an output's index.
    """
    if not state:
        raise ValueError("`state` has no layers to draw.")
    layers = [checked(v, f"state[{i}]", 2) for i, v in enumerate(state)]
    chosen = _chosen(layers[-1], labels)
    with style():
        fig = figure(3.6 * len(layers), 3.2)
        axes = fig.subplots(1, len(layers), squeeze=False)[0]
        for i, (ax, voltage) in enumerate(zip(axes[:-1], layers[:-1], strict=True)):
            up = voltage.shape[1] - voltage.shape[1] // 2
            halves = voltage[:, :up], voltage[:, up:]
            moving = [half[half != 0] for half in halves]
            held = 1 - sum(map(len, moving)) / voltage.size
            _draw(ax, moving, ["diode up", "diode down"])
            ax.set_title(f"Hidden layer {i + 1}: {100 * held:.0f} % held at 0 V")
        _draw(axes[-1], [layers[-1][chosen], layers[-1][~chosen]], ["label", "others"])
        axes[-1].set_title("Outputs")
        axes[0].set_ylabel("Nodes and examples")
    return fig


def _draw(ax: "Axes", parts: Sequence[np.ndarray], names: Sequence[str]) -> None:
    every = np.concatenate(parts) if any(map(len, parts)) else np.zeros(1)
    scale, unit = with_prefix(float(np.abs(every).max()), "V")
    low, high = scale * float(every.min()), scale * float(every.max())
    bins = np.linspace(low, high, 81).tolist() if high > low else 80
    for part, name, color in zip(parts, names, PALETTE, strict=False):
        ax.hist(scale * part, bins, color=color, alpha=0.6, label=name, log=True)
    ax.set_xlabel(f"Voltage ({unit})")
    ax.legend()


def _chosen(outputs: np.ndarray, labels: Integer[AnyArray, " examples"]) -> np.ndarray:
    """Where the output is the labeled one."""
    count, classes = outputs.shape
    labels = np.asarray(labels)
    if labels.shape != (count,) or labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"`labels` must be {count} numbers from 0 to {classes - 1}, one an example."
        )
    return np.arange(classes) == labels[:, None]
