"""A sound on its way through the ear and a delay loop, to a word."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from ._style import GRAY, PALETTE, POWER, AnyArray, checked, colorbar, figure, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def cochleagram(
    loudness: Float[AnyArray, "frames channels"],
    frequencies: Float[AnyArray, " _"],  # Hz
    frame: float,  # s
    *,
    states: Float[AnyArray, "_ nodes"],
    scores: Float[AnyArray, "_ classes"],
    names: Sequence[str],
    title: str = "",
) -> "Figure":
    """Above, what the ear hears; then virtual nodes; below, the evidence so far.

    Nodes are drawn without their mean over time. The class that has the highest score
    in the end is drawn in color, and so is the next one.

    **Arguments:** `frame`: how long a frame is; `names`: of the classes.
    **Raises:** `ValueError` if the arrays differ in how many frames there are, or names
    or frequencies are too few.
    """
    heard, nodes = checked(loudness, "loudness", 2), checked(states, "states", 2)
    course, pitch = checked(scores, "scores", 2), checked(frequencies, "frequencies", 1)
    if not len(heard) == len(nodes) == len(course):
        raise ValueError(
            f"There are {len(heard)} frames of sound, {len(nodes)} of nodes and "
            f"{len(course)} of scores."
        )
    if len(pitch) != heard.shape[1] or len(names) != course.shape[1]:
        raise ValueError(
            f"{heard.shape[1]} channels have {len(pitch)} frequencies, and "
            f"{course.shape[1]} classes have {len(names)} names."
        )
    with style():
        fig = figure(6.4, 6.4)
        axes = fig.subplots(3, sharex=True, height_ratios=(1, 1, 0.9))
        _heard(axes[0], heard, pitch, frame)
        _nodes(axes[1], nodes, frame)
        _evidence(axes[2], course, frame, names)
        axes[0].set_title(title)
    return fig


def _heard(ax: Any, heard: np.ndarray, pitch: np.ndarray, frame: float) -> None:
    image = ax.imshow(
        heard.T,
        POWER,
        aspect="auto",
        origin="lower",
        extent=(0, len(heard) * frame, -0.5, len(pitch) - 0.5),
    )
    shown = np.linspace(0, len(pitch) - 1, min(5, len(pitch))).round().astype(int)
    ax.set_yticks(shown, [f"{pitch[i]:.0f}" for i in shown])
    ax.set_ylabel("Frequency (Hz)")
    colorbar(image, ax, "Loudness")


def _nodes(ax: Any, nodes: np.ndarray, frame: float) -> None:
    moved = nodes - nodes.mean(0)
    most = np.abs(moved).max() or 1.0
    image = ax.imshow(
        moved.T,
        "RdBu_r",
        aspect="auto",
        origin="lower",
        vmin=-most,
        vmax=most,
        extent=(0, len(nodes) * frame, -0.5, nodes.shape[1] - 0.5),
    )
    ax.set_ylabel("Virtual node")
    colorbar(image, ax, "Change of state")


def _evidence(ax: Any, course: np.ndarray, frame: float, names: Sequence[str]) -> None:
    first, second = np.argsort(course[-1])[::-1][:2]
    time = frame * np.arange(1, len(course) + 1)
    ax.plot(time, course, color=GRAY, linewidth=0.6, alpha=0.6)
    for place, color in ((first, PALETTE[0]), (second, PALETTE[1])):
        ax.plot(time, course[:, place], color=color, label=names[place])
    ax.legend(loc="upper left", ncols=2, title="Taken for, and next")
    ax.set(xlabel="Time (s)", ylabel="Score so far")
    settled = course[len(course) // 3 :]  # the first few frames tell little
    margin = 0.4 * (np.ptp(settled) or 1.0)
    ax.set_ylim(settled.min() - margin, settled.max() + 1.5 * margin)
    ax.grid(True)
