"""Which oscillators lock to which input, over the plane of two input frequencies."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int

from ._style import PALETTE, AnyArray, checked, figure, style

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
    second. Where none does is white.

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
        ax.pcolormesh(x, y, _colors(patterns, region)[region], shading="nearest")
        for number, pattern in enumerate(patterns):
            for column, row in _middles(region == number):
                text = _name(pattern.reshape(inside.shape[2:])) or "none"
                across = np.interp(column, range(len(x)), x)
                up = np.interp(row, range(len(y)), y)
                ax.text(across, up, text, ha="center", va="center", fontsize=7)
        for number, name in enumerate(names):
            color = PALETTE[number % len(PALETTE)]
            own = spots[np.asarray(labels) == number]
            ax.scatter(
                *own.T, s=16, color=color, label=name, edgecolors="w", linewidths=0.4
            )
        ax.set(xlabel=f"Input A ({unit})", ylabel=f"Input B ({unit})")
        fig.legend(*ax.get_legend_handles_labels(), loc="outside right center")
    return fig


def _colors(
    patterns: Bool[np.ndarray, "patterns pairs"],
    region: Int[np.ndarray, "rows columns"],
) -> np.ndarray:
    """Light ones, all different for the ten greatest regions."""
    import matplotlib

    area = np.bincount(region.ravel(), minlength=len(patterns)) * patterns.any(1)
    rank = np.argsort(np.argsort(-area))
    colors = 0.5 + 0.5 * matplotlib.colormaps["tab20"](2 * (rank % 10) + 1)
    colors[~patterns.any(1)] = 1.0
    return colors


def _middles(inside: Bool[np.ndarray, "rows columns"]) -> list[tuple[float, float]]:
    """Column and row of the middle of each part that has room for a name."""
    from scipy.ndimage import center_of_mass, label

    found: Any = label(inside)
    parts, count = found
    large = [n + 1 for n in range(count) if np.sum(parts == n + 1) > 0.01 * inside.size]
    return [(c, r) for r, c in center_of_mass(inside, parts, large)]


def _name(pattern: Bool[np.ndarray, "oscillators inputs"]) -> str:
    pairs = sorted((k, i) for i, k in zip(*np.nonzero(pattern), strict=True))
    return " ".join(f"{i + 1}{'AB'[k]}" for k, i in pairs)
