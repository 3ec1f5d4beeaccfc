"""Signals over time, what is predicted of them, and how long they are remembered."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from ._style import (
    GRAY,
    LINES,
    PALETTE,
    AnyArray,
    checked,
    colorbar,
    figure,
    style,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def prediction(
    target: Float[AnyArray, " time"],
    predictions: Mapping[str, Float[AnyArray, " _"]],
    *,
    states: Float[AnyArray, "_ units"],
    label: str = "Output",
) -> "Figure":
    """A series with its predictions, how far these are off, and the states they read.

    Each unit is drawn about its mean, in its standard deviations.

    **Raises:** `ValueError` without predictions, or if the lengths differ.
    """
    target = checked(target, "target", 1)
    states = checked(states, "states", 2)
    known = {name: checked(values, name, 1) for name, values in predictions.items()}
    for name, values in {"states": states, **known}.items():
        if len(values) != len(target):
            raise ValueError(f"`{name}` has {len(values)} times, not {len(target)}.")
    if not known:
        raise ValueError("There are no predictions to draw.")
    with style():
        fig = figure(7.2, 4.8)
        top, middle, bottom = fig.subplots(
            3, 1, sharex=True, height_ratios=(2.2, 1, 1.6)
        )
        top.plot(target, color=GRAY, linewidth=2.6, alpha=0.6, label="target")
        for (name, values), color, line in zip(known.items(), PALETTE, LINES):
            top.plot(values, line, color=color, linewidth=1.0, label=name)
            middle.plot(values - target, line, color=color, linewidth=1.0)
        top.set_ylabel(label)
        top.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, borderpad=0)
        middle.axhline(0, color=GRAY, linewidth=0.6)
        middle.set_ylabel("Error")
        for ax in (top, middle):
            ax.grid(True)
        _raster(bottom, states)
        bottom.set(xlabel="Step", ylabel="Unit")
        fig.align_ylabels([top, middle, bottom])
    return fig


def free_run(
    target: Float[AnyArray, " time"],
    free: Float[AnyArray, " _"],
    *,
    delay: int,
) -> "Figure":
    """A series, a system that goes on by itself, and both against their own past.

    Above, over time, with the size of the error below; right, the attractors: each
    value against that of `delay` steps earlier.

    **Raises:** `ValueError` if the lengths differ, or `delay` is longer.
    """
    target, free = checked(target, "target", 1), checked(free, "free", 1)
    if len(target) != len(free) or not 0 < delay < len(target):
        raise ValueError(
            f"`target` has {len(target)} times and `free` has {len(free)}; both must "
            f"have the same number, above the delay of {delay}."
        )
    with style():
        fig = figure(9.6, 4.2)
        panels = fig.subplot_mosaic(
            [["course", "true"], ["error", "own"]],
            width_ratios=(3.4, 1),
        )
        course, error = panels["course"], panels["error"]
        course.plot(target, color=GRAY, linewidth=2.6, alpha=0.6, label="series")
        course.plot(free, color=PALETTE[0], linewidth=1.0, label="goes on by itself")
        course.set_ylabel("Value")
        course.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderpad=0)
        error.semilogy(np.abs(free - target) + 1e-12, color=PALETTE[1], linewidth=0.8)
        error.set(xlabel="Step", ylabel="Size of the error")
        error.sharex(course)
        shapes = (("true", target, GRAY), ("own", free, PALETTE[0]))
        for name, values, color in shapes:
            ax = panels[name]
            ax.plot(values[delay:], values[:-delay], color=color, linewidth=0.7)
            ax.set_ylabel(f"{delay} steps ago")
            ax.sharex(panels["true"])
            ax.sharey(panels["true"])
        panels["own"].set_xlabel("Value")
        for ax in panels.values():
            ax.grid(True)
    return fig


def memory_curves(
    curves: Mapping[str, Float[AnyArray, " _"]],
) -> "Figure":
    """How much of each past input can be read out; in the legend, the sums.

    **Raises:** `ValueError` without curves.
    """
    if not curves:
        raise ValueError("There are no curves to draw.")
    with style():
        fig = figure(6.4, 3.4)
        ax = fig.subplots()
        for (name, curve), color, line in zip(curves.items(), PALETTE, LINES):
            values = checked(curve, name, 1)
            label = f"{name}: {values.sum():.1f}"
            ax.plot(values, line, color=color, label=label)
            ax.fill_between(
                np.arange(len(values)), values, color=color, alpha=0.12, linewidth=0
            )
        ax.set(xlabel="Delay (steps)", ylabel="Memory of that input", ylim=(0, 1.05))
        ax.set_xlim(left=0)
        ax.grid(True)
        ax.legend(title="Memory capacity")
    return fig


def _raster(ax: Any, states: np.ndarray) -> None:
    moved = states - states.mean(0)
    spread = moved.std(0)
    moved = moved / np.where(spread > 0, spread, 1)
    image = ax.imshow(moved.T, "RdBu_r", vmin=-3, vmax=3, aspect="auto", origin="lower")
    colorbar(image, ax, r"State ($\sigma$)")
