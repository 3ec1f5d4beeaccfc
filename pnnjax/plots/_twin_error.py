"""How well a digital twin foretells its device."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Inexact

from ._style import GRAY, PALETTE, AnyArray, checked, figure, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARKERS = "osD^v"


def twin_error(
    answers: Inexact[AnyArray, "..."],
    guesses: Mapping[str, Inexact[AnyArray, "..."]],
    label: str = "output",
) -> "Figure":
    """What twins say against what the device answered; right is on the diagonal.

    Real and imaginary parts are dots of their own.

    **Arguments:** `guesses`: of the same shape as `answers`, by the name of the twin;
    `label`: what both are, with its unit.
    **Raises:** `ValueError` without guesses, or for another shape.
    """
    if not guesses:
        raise ValueError("There are no guesses to draw.")
    measured = _reals(answers, "answers")
    with style():
        fig = figure(5.4, 3.8)
        ax = fig.subplots()
        for rank, (name, guess) in enumerate(guesses.items()):
            said = _reals(guess, name)
            if said.shape != measured.shape:
                raise ValueError(
                    f"`{name}` has {said.size} values, the device {measured.size}."
                )
            error = np.sqrt(np.mean((said - measured) ** 2) / np.mean(measured**2))
            ax.scatter(
                measured,
                said,
                s=12,
                marker=MARKERS[rank % len(MARKERS)],
                facecolors="none",
                edgecolors=PALETTE[rank % len(PALETTE)],
                linewidths=0.8,
                label=f"{name}: {100 * error:.2g} %",
            )
        ends = np.asarray([measured.min(), measured.max()])
        ax.plot(ends, ends, color=GRAY, linewidth=0.8, zorder=0)
        ax.set(xlabel=f"Measured {label}", ylabel=f"Twin's {label}")
        ax.grid(True)
        fig.legend(loc="outside right upper", title="Error")
    return fig


def twin_drift(
    errors: Sequence[float], refitted: Sequence[int], threshold: float
) -> "Figure":
    """The error of a twin before each segment of a training, and when it was refitted.

    **Raises:** `ValueError` without errors, or for a segment that there is not.
    """
    from matplotlib.ticker import MaxNLocator

    values = 100 * checked(np.asarray(errors, float), "errors", 1)
    strange = [segment for segment in refitted if not 0 <= segment < len(values)]
    if strange:
        raise ValueError(f"There are no segments {strange} among {len(values)}.")
    with style():
        fig = figure(5.6, 3.2)
        ax = fig.subplots()
        segments = np.arange(len(values))
        ax.plot(segments, values, marker="o", markersize=4, color=PALETTE[0])
        ax.axhline(100 * threshold, color=GRAY, linestyle="--", label="Threshold")
        ax.plot(
            segments[list(refitted)],
            values[list(refitted)],
            linestyle="none",
            marker="o",
            markersize=11,
            markerfacecolor="none",
            color=PALETTE[1],
            label="Fitted anew",
        )
        ax.set_yscale("log")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set(xlabel="Segment of the training", ylabel="Error of the twin (%)")
        ax.grid(True)
        fig.legend(loc="outside right upper")
    return fig


def _reals(values: Inexact[AnyArray, "..."], name: str) -> Float[np.ndarray, " n"]:
    flat = checked(np.ravel(np.asarray(values)), name, 1)
    if np.iscomplexobj(flat):
        return np.concatenate([np.real(flat), np.imag(flat)])
    return flat
