"""Which oscillators lock to which input, over the plane of two input frequencies."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Int

from ._style import GRAY, PALETTE, AnyArray, checked, figure, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def synchronization_map(
    first: Float[AnyArray, " columns"],
    second: Float[AnyArray, " rows"],
    locked: Bool[AnyArray, "rows columns oscillators 2"],
    points: Float[AnyArray, "points 2"],
    labels: Int[AnyArray, " points"],
    names: Sequence[str],
    *,
    unit: str = "MHz",
) -> "Figure":
    """A region for each pattern of locking, and examples where they lie.

    `2A 4B` is where oscillator 2 locks to the first input, and oscillator 4 to the
    second. White is where none does.

    **Arguments:** `names`: of the labels.
    **Raises:** `ValueError` if the map does not fit its axes.
    """
    x, y = checked(first, "first", 1), checked(second, "second", 1)
    spots, inside = checked(points, "points", 2), np.asarray(locked)
    if inside.shape[:2] != (len(y), len(x)):
        raise ValueError(
            f"`locked` is of shape {inside.shape}, for {len(y)} rows and {len(x)} "
            "columns."
        )
    with style():
        fig = figure(6.4, 4.6)
        ax = fig.subplots()
        flat = inside.reshape(len(y) * len(x), -1)
        patterns, region = np.unique(flat, axis=0, return_inverse=True)
        region = region.reshape(len(y), len(x))
        ax.pcolormesh(x, y, _colors(patterns)[region], shading="nearest")
        for number, pattern in enumerate(patterns):
            rows, columns = np.nonzero(region == number)
            if pattern.any() and len(rows) > 0.01 * region.size:
                place = x[columns].mean(), y[rows].mean()
                text = _name(pattern.reshape(inside.shape[2:]))
                ax.text(*place, text, ha="center", va="center", color=GRAY, fontsize=7)
        for number, name in enumerate(names):
            color = PALETTE[number % len(PALETTE)]
            own = spots[np.asarray(labels) == number]
            ax.scatter(
                *own.T, s=16, color=color, label=name, edgecolors="w", linewidths=0.4
            )
        ax.set(xlabel=f"Input A ({unit})", ylabel=f"Input B ({unit})")
        fig.legend(*ax.get_legend_handles_labels(), loc="outside right center")
    return fig


def _colors(patterns: Bool[np.ndarray, "patterns pairs"]) -> np.ndarray:
    """Light ones; a pattern has the same color in every map."""
    import matplotlib

    pastel = matplotlib.colormaps["tab20"](np.arange(1, 20, 2))
    code = patterns @ 2 ** np.arange(patterns.shape[1])
    colors = 0.5 + 0.5 * pastel[code % len(pastel)]
    colors[~patterns.any(1)] = 1.0
    return colors


def _name(pattern: Bool[np.ndarray, "oscillators inputs"]) -> str:
    pairs = sorted((k, i) for i, k in zip(*np.nonzero(pattern), strict=True))
    return " ".join(f"{i + 1}{'AB'[k]}" for k, i in pairs)
