"""Light on its way in, and out, for several inputs beside each other."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Complex

from ._style import (
    PHASE,
    POWER,
    AnyArray,
    colorbar,
    extent,
    figure,
    label_axes,
    power,
    style,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def labeled_fields(
    fields: Complex[AnyArray, "2 examples ny nx"],  # √W a pixel
    titles: Sequence[str],
    pitch: float | None = None,  # m
) -> "Figure":
    """A column an example: the phase of the light before the system, its power after.

    The phase fades where the light does, and counts from that of the light's sum; all
    powers have one scale.

    **Arguments:** `fields`: those before, then those after. `pitch`: the distance of
    neighboring pixels; without it the axes count pixels.
    **Raises:** `ValueError` if there are not as many titles as examples.
    """
    values = np.asarray(fields)
    if len(titles) != values.shape[1]:
        raise ValueError(f"{len(titles)} titles are for {values.shape[1]} examples.")
    before, after = values
    turned = before * np.exp(-1j * np.angle(before.sum((1, 2), keepdims=True)))
    light = np.abs(before) / np.abs(before).max()
    intensity = power(after)
    edges, length = extent(before.shape[1:], pitch)
    with style():
        fig = figure(2.4 * len(titles) + 1.3, 5.0)
        axes = fig.subplots(2, len(titles), squeeze=False, sharex=True, sharey=True)
        for i, (top, bottom) in enumerate(axes.T):
            top.imshow(
                np.angle(turned[i]) / np.pi,
                PHASE,
                vmin=-1,
                vmax=1,
                extent=edges,
                alpha=np.minimum(1, 2 * light[i]),
            )
            top.set_title(titles[i])
            bottom.imshow(
                intensity[i] / intensity.max(), POWER, vmin=0, vmax=1, extent=edges
            )
        label_axes(axes[1, 0], length)
        _phase_bar(axes[0])
        colorbar(axes[1, 0].images[0], axes[1], "Power (share of peak)")
    return fig


def _phase_bar(axes: np.ndarray) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    opaque = ScalarMappable(Normalize(-1, 1), PHASE)
    colorbar(opaque, axes, r"Phase ($\pi$ rad)", ticks=[-1, -0.5, 0, 0.5, 1])
