"""Coupled oscillators on their way to rest."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from ._style import GRAY, PALETTE, PHASE, AnyArray, checked, figure, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def oscillator_phases(
    phases: Float[AnyArray, "steps examples oscillators"],  # rad
    outputs: int,
    titles: Sequence[str],
) -> "Figure":
    """Above, where oscillators come to rest; below, how they get there.

    The last `outputs` oscillators are numbered and stand outside of the circle of the
    others; below they are drawn in color. Phases are taken from where each one starts,
    so that none jumps by a turn.

    **Arguments:** `titles`: one for each example, which is a column.
    **Raises:** `ValueError` if titles or oscillators are too few.
    """
    values = checked(phases, "phases", 3)
    steps, examples, oscillators = values.shape
    if len(titles) != examples or not 1 <= outputs <= oscillators:
        raise ValueError(
            f"`phases` are of shape {values.shape}, to which {len(titles)} titles and "
            f"{outputs} outputs do not fit."
        )
    with style():
        fig = figure(2.6 * examples, 4.8)
        circles, courses = np.reshape(fig.subplots(2, examples), (2, examples))
        for column, title in enumerate(titles):
            _circle(circles[column], values[-1, column], outputs)
            circles[column].set_title(title)
            _course(courses[column], values[:, column] / np.pi, outputs)
            courses[column].sharey(courses[0])
        courses[0].set_ylabel(r"Phase ($\pi$ rad)")
        for ax in courses:
            ax.set_xlabel("Step")
        fig.legend(
            *courses[0].get_legend_handles_labels(),
            loc="outside right center",
            title="Output",
        )
    return fig


def _circle(ax: Any, phases: np.ndarray, outputs: int) -> None:
    inner, outer = phases[:-outputs], phases[-outputs:]
    turn = np.linspace(0, 2 * np.pi, 200)
    ax.plot(np.cos(turn), np.sin(turn), color=GRAY, linewidth=0.6)
    ax.scatter(
        np.cos(inner),
        np.sin(inner),
        c=np.mod(inner, 2 * np.pi),
        cmap=PHASE,
        vmin=0,
        vmax=2 * np.pi,
        s=14,
        edgecolors=GRAY,
        linewidths=0.3,
    )
    # Neighbors on the circle are labeled at four distances, not to cover each other.
    for rank, number in enumerate(np.argsort(np.mod(outer, 2 * np.pi))):
        place = np.asarray([np.cos(outer[number]), np.sin(outer[number])])
        color, reach = PALETTE[number % len(PALETTE)], 1.15 + 0.17 * (rank % 4)
        ax.plot(*np.outer(place, (1.06, reach)), color=color, linewidth=1.0)
        ax.text(
            *(place * (reach + 0.1)),
            str(number),
            color=color,
            ha="center",
            va="center",
            fontsize=8,
        )
    ax.set(xlim=(-1.85, 1.85), ylim=(-1.85, 1.85), aspect="equal")
    ax.set_axis_off()


def _course(ax: Any, phases: np.ndarray, outputs: int) -> None:
    ax.plot(phases[:, :-outputs], color=GRAY, linewidth=0.4, alpha=0.5)
    for number, course in enumerate(phases[:, -outputs:].T):
        ax.plot(
            course,
            color=PALETTE[number % len(PALETTE)],
            linestyle="-" if number < len(PALETTE) else "--",
            label=str(number),
        )
    ax.grid(True)
