"""How well estimated gradients point where the exact ones do."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from ._style import LINES, PALETTE, AnyArray, checked, figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def gradient_alignment(
    alignments: Mapping[str, Any],
    against: Float[AnyArray, " points"] | None = None,
    label: str | None = None,
) -> "Figure":
    """The cosine between estimated and exact gradients, by layer.

    **Arguments:** `alignments`: either layer to cosines, drawn as lines; or estimator
    to layer to one cosine, drawn as bars in groups. `against`, `label`: for lines, the
    horizontal positions and what they are, with the unit: `"Noise (rad)"`; without
    `against`, the cosines are those of successive training steps.
    **Raises:** `ValueError` if a value is no cosine, if lines differ in length, or if
    `against` and `label` are not given together, or are given for bars.
    """
    if not alignments:
        raise ValueError("There are no alignments to draw.")
    if (against is None) != (label is None):
        raise ValueError("Give `against` and `label` together.")
    nested = [isinstance(value, Mapping) for value in alignments.values()]
    if any(nested) and against is not None:
        raise ValueError("Bars have no horizontal positions: leave out `against`.")
    if any(nested) != all(nested):
        raise ValueError("Either all values are mappings, or none is.")
    with style():
        fig = figure(6.4, 3.6)
        ax = fig.subplots()
        if all(nested):
            lowest = min(0.0, _draw_bars(ax, alignments))
        else:
            lowest = _draw_lines(ax, alignments, against, label or "Training step")
        ax.set_ylabel("Cosine with the exact gradient")
        ax.axhline(1, color="black", linewidth=0.8, linestyle=":")
        _show_from(ax, lowest)
        ax.grid(True, axis="y")
        fig.legend(loc="outside right upper")
    return fig


def _show_from(ax: "Axes", lowest: float) -> None:
    if lowest <= 0.5:
        ax.axhline(0, color="black", linewidth=0.8)
        lowest = min(lowest, 0.0)
    margin = 0.08 * max(1 - lowest, 0.01)
    ax.set_ylim(lowest - (margin if lowest else 0.0), 1 + margin)


def _cosines(values: Any, name: str, dimensions: int) -> np.ndarray:
    cosines = checked(values, name, dimensions).astype(float)
    # Rounding in float32 may carry a cosine past one by parts in a million.
    if np.abs(cosines).max() > 1 + 1e-4:
        raise ValueError(f"`{name}` holds {np.abs(cosines).max()}, which is no cosine.")
    return cosines


def _draw_lines(
    ax: "Axes", alignments: Mapping[str, Any], against: Any, label: str
) -> float:
    lines = {name: _cosines(v, name, 1) for name, v in alignments.items()}
    length = len(next(iter(lines.values())))
    x = np.arange(1, length + 1) if against is None else checked(against, "against", 1)
    for i, (name, cosines) in enumerate(lines.items()):
        if len(cosines) != len(x):
            raise ValueError(
                f"`{name}` has {len(cosines)} cosines at {len(x)} positions."
            )
        color = PALETTE[i % len(PALETTE)]
        line = LINES[i // len(PALETTE) % len(LINES)]
        marker = "o" if len(x) <= 12 else ""
        ax.plot(x, cosines, line, marker=marker, markersize=3, color=color, label=name)
    if against is not None and x.min() > 0 and x.max() > 30 * x.min():
        ax.set_xscale("log")
    ax.set_xlabel(label)
    return min(cosines.min() for cosines in lines.values())


def _draw_bars(ax: "Axes", alignments: Mapping[str, Mapping[str, Any]]) -> float:
    groups = alignments.values()
    layers = list(dict.fromkeys(layer for group in groups for layer in group))
    if not layers:
        raise ValueError("There are no alignments to draw.")
    width = 0.8 / len(alignments)
    lowest = 1.0
    for i, (estimator, group) in enumerate(alignments.items()):
        present = [j for j, layer in enumerate(layers) if layer in group]
        values = [
            float(_cosines(group[layers[j]], f"{estimator}, {layers[j]}", 0))
            for j in present
        ]
        offset = (i - (len(alignments) - 1) / 2) * width
        ax.bar(
            np.array(present) + offset,
            values,
            0.92 * width,
            color=PALETTE[i % len(PALETTE)],
            label=estimator,
        )
        lowest = min([lowest, *values])
    ax.set_xticks(range(len(layers)), layers)
    if sum(map(len, layers)) > 60:
        slanted = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"}
        ax.set_xticks(range(len(layers)), layers, **slanted)
    ax.set_xlabel("Layer")
    return lowest
