"""A motion and its echo, site by site."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from ._style import PALETTE, POWER, AnyArray, checked, figure, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def echo_course(
    forward: Float[AnyArray, "times sites"],
    echo: Float[AnyArray, "_ _"],
    duration: float,  # s, of each
    title: str = "",
) -> "Figure":
    """Intensities on the way there and back; below, what the error signal changed.

    Both begin where they start and end where they end: an echo without an error signal
    is the mirror image of the forward motion. The difference is the largest of all
    sites, over the largest intensity.

    **Raises:** `ValueError` if the two do not have the same shape.
    """
    there, back = checked(forward, "forward", 2), checked(echo, "echo", 2)
    if there.shape != back.shape or len(there) < 2:
        raise ValueError(
            f"`forward` and `echo` must have one shape, with two times or more, but "
            f"have {there.shape} and {back.shape}."
        )
    times = np.linspace(0, duration, len(there))
    apart = np.max(np.abs(back[::-1] - there), 1) / np.max(there)
    with style():
        fig = figure(6.4, 5.0)
        ax, low = fig.subplots(2, 1, height_ratios=(3, 1))
        whole = np.concatenate([there[:-1], back])
        image = ax.imshow(
            whole.T,
            cmap=POWER,
            aspect="auto",
            extent=(0, 2 * duration, there.shape[1] - 0.5, -0.5),
            vmin=0,
        )
        ax.axvline(duration, color="white", linewidth=1.0, linestyle="--")
        ax.set(xlabel="Time (s)", ylabel="Site", title=title)
        fig.colorbar(image, ax=ax, label="Intensity")
        low.plot(times, apart, color=PALETTE[0])
        low.ticklabel_format(axis="y", scilimits=(0, 0))
        low.set(
            xlabel="Time of the forward motion (s)",
            ylabel="Difference",
            xlim=(0, duration),
            ylim=(0, None),
        )
        low.grid(True)
    return fig
