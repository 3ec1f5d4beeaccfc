"""What one gets for what it costs."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from ._looks import Look, looks
from ._style import GRAY, AnyArray, checked, figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Measured = Mapping[str, tuple[Float[AnyArray, " _"], Float[AnyArray, " _"]]]


def cost_and_quality(
    measured: Measured,
    *,
    cost: str,
    quality: str,
    higher: bool,
    appearance: Mapping[str, Look] | None = None,
) -> "Figure":
    """The median of each method, with bars from the lower to the upper quartile.

    The line is the Pareto front of the medians: no method is better at less cost. The
    axis of the cost is logarithmic, and so is that of the quality where less is better.

    **Arguments:** `measured`: costs (above zero) and qualities by method; `cost`,
    `quality`: what they are, with units; `higher`: whether more quality is better.
    `appearance`: how each method looks, or else by its place.
    **Raises:** `ValueError` without methods, or if shapes differ.
    """
    if not measured:
        raise ValueError("There are no methods to draw.")
    given = looks(list(measured)) if appearance is None else appearance
    with style():
        rows = -(-len(measured) // 3)
        fig = figure(5.0, 3.4 + 0.16 * rows)
        ax = fig.subplots()
        ax.set_xscale("log")
        ax.set_yscale("linear" if higher else "log")
        medians = {}
        for name, (costs, qualities) in measured.items():
            x = checked(costs, f"costs of {name}", 1)
            y = checked(qualities, f"qualities of {name}", 1)
            if x.shape != y.shape:
                raise ValueError(
                    f"{name!r} has {len(x)} costs, but {len(y)} qualities."
                )
            medians[name] = _draw(ax, name, x, y, given[name])
        front = pareto_front(list(medians.values()), higher)
        ax.plot(*zip(*front), color=GRAY, linewidth=1.2, zorder=1, linestyle="--")
        ax.set(xlabel=cost, ylabel=quality)
        ax.grid(True)
        fig.legend(loc="outside lower center", ncols=3, fontsize=7.5, handletextpad=0.3)
    return fig


def pareto_front(
    points: list[tuple[float, float]], higher: bool
) -> list[tuple[float, float]]:
    """Those (cost, quality) that none other beats in both, by rising cost."""
    sign = -1 if higher else 1
    front: list[tuple[float, float]] = []
    for x, y in sorted(points, key=lambda point: (point[0], sign * point[1])):
        if not front or sign * y < sign * front[-1][1]:
            front.append((x, y))
    return front


def _draw(
    ax: "Axes", name: str, x: np.ndarray, y: np.ndarray, look: Look
) -> tuple[float, float]:
    (left, mid, right), (low, middle, high) = (
        np.quantile(v, [0.25, 0.5, 0.75], method="closest_observation") for v in (x, y)
    )
    ax.plot([left, right], [middle, middle], color=look.color, alpha=0.35, linewidth=1)
    ax.plot([mid, mid], [low, high], color=look.color, alpha=0.35, linewidth=1)
    ax.plot(
        [mid],
        [middle],
        look.marker,
        color=look.color,
        markersize=7,
        alpha=0.9,
        label=name,
    )
    return float(mid), float(middle)
