"""Angles against velocities: how oscillators move."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from ._style import GRAY, PALETTE, AnyArray, checked, figure, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def phase_portrait(
    position: Float[AnyArray, "times examples oscillators"],
    velocity: Float[AnyArray, "times examples oscillators"],
    outputs: int,
    titles: Sequence[str],
    *,
    names: tuple[str, str] = ("Angle (rad)", "Velocity"),
) -> "Figure":
    """The path of each oscillator in phase space, from a ring to a dot.

    The last `outputs` oscillators are drawn in color and numbered where they end.

    **Arguments:** `velocity` may be a momentum; `titles`: one for each example, which
    is a panel; `names`: of the two axes, with their units.
    **Raises:** `ValueError` if shapes, titles or outputs do not fit each other.
    """
    q, p = checked(position, "position", 3), checked(velocity, "velocity", 3)
    _, examples, oscillators = q.shape
    if p.shape != q.shape or len(titles) != examples or not 0 < outputs <= oscillators:
        raise ValueError(
            f"`position` is of shape {q.shape}, to which a `velocity` of shape "
            f"{p.shape}, {len(titles)} titles and {outputs} outputs do not fit."
        )
    with style():
        fig = figure(2.8 * examples + 0.6, 3.2)
        panels = fig.subplots(1, examples, sharex=True, sharey=True, squeeze=False)[0]
        for column, (ax, title) in enumerate(zip(panels, titles, strict=True)):
            paths = q[:, column], p[:, column]
            ax.plot(*(a[:, :-outputs] for a in paths), color=GRAY, lw=0.4, alpha=0.4)
            _colored(ax, *(a[:, oscillators - outputs :] for a in paths))
            ax.set(title=title, xlabel=names[0])
            ax.grid(True)
        panels[0].set_ylabel(names[1])
    return fig


def _colored(ax, positions: np.ndarray, velocities: np.ndarray) -> None:
    for number, (q, p) in enumerate(zip(positions.T, velocities.T, strict=True)):
        color = PALETTE[number % len(PALETTE)]
        ax.plot(q, p, color=color, linestyle="-" if number < len(PALETTE) else "--")
        ax.plot(q[0], p[0], "o", color=color, markersize=4, fillstyle="none")
        ax.plot(q[-1], p[-1], "o", color=color, markersize=4)
        ax.annotate(
            str(number),
            (q[-1], p[-1]),
            xytext=(3, 3),
            textcoords="offset points",
            color=color,
            fontsize=8,
        )
