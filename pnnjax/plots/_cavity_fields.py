"""The wave in a cavity whose elements are set by the data."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from ._style import (
    PALETTE,
    POWER,
    AnyArray,
    checked,
    colorbar,
    figure,
    style,
    with_prefix,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def cavity_fields(
    power: Float[AnyArray, "examples ny nx"],
    elements: Float[AnyArray, "elements 2"],  # m
    shifts: Float[AnyArray, "examples elements"],
    source: Float[AnyArray, " 2"],  # m
    side: float,  # m
    titles: Sequence[str],
) -> "Figure":
    """The power of the wave in a square cavity, a column an example, in decibels.

    Disks are the elements, lighter the further the data have shifted them; the cross is
    the transmitter.

    **Arguments:** `power`: rows upwards, over the square of `side` around the origin.
    **Raises:** `ValueError` if the numbers of examples or elements do not agree.
    """
    waves, moved = checked(power, "power", 3), checked(shifts, "shifts", 2)
    places = checked(elements, "elements", 2)
    if moved.shape != (len(waves), len(places)) or len(titles) != len(waves):
        raise ValueError(
            f"{len(waves)} examples with {len(places)} elements need as many titles "
            f"and shifts, but there are {len(titles)}, and shifts of {moved.shape}."
        )
    decibels = 10 * np.log10(np.maximum(waves / waves.max(), 1e-6))
    factor, unit = with_prefix(side / 2, "m")
    half = factor * side / 2
    with style():
        fig = figure(3.1 * len(waves) + 1.6, 3.5)
        axes = fig.subplots(1, len(waves), squeeze=False, sharey=True)[0]
        high = float(np.percentile(decibels, 99.5))
        for ax, wave, shift, title in zip(axes, decibels, moved, titles):
            ax.imshow(
                wave,
                POWER,
                origin="lower",
                extent=(-half, half, -half, half),
                vmin=high - 25,
                vmax=high,
            )
            ax.scatter(
                *(factor * places).T,
                c=shift,
                cmap="gray",
                vmin=0,
                vmax=max(float(moved.max()), 1e-12),
                s=26,
                edgecolors=PALETTE[5],
                linewidths=0.8,
            )
            ax.plot(*(factor * np.asarray(source)), "x", color="white", markersize=8)
            ax.set(title=title, xlabel=f"$x$ ({unit})")
        axes[0].set_ylabel(f"$y$ ({unit})")
        colorbar(axes[0].images[0], axes, "Power (dB)")
        colorbar(axes[0].collections[0], axes, "Shift of an element's detuning")
    return fig
