"""The intensity at the planes of a diffractive network, and at its detectors."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Complex

from ._style import (
    GRAY,
    PALETTE,
    POWER,
    AnyArray,
    checked,
    colorbar,
    extent,
    figure,
    label_axes,
    power,
    style,
    with_prefix,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_RIGHT = PALETTE[5]


def stack(
    fields: Complex[AnyArray, "planes ny nx"],  # √W per pixel
    regions: Sequence[tuple[int, int, int, int]],
    label: int,
    pitch: float | None = None,  # m
) -> "Figure":
    """One example's intensity at each plane; on the last one, the detector regions.

    Every plane is scaled to its own peak. Bars show the power on each detector; the
    right one is blue.

    **Arguments:** `fields`: from the input to the plane of the detectors. `regions`:
    of a `Detector`: pixels `(y, y_end, x, x_end)`, the ends outside. `label`: the
    detector that should receive the most. `pitch`: the distance of neighboring pixels;
    without it the axes count pixels.
    """
    intensity = power(checked(fields, "fields", 3))
    shape = intensity.shape[1:]
    for y, y_end, x, x_end in regions:
        if not (0 <= y < y_end <= shape[0] and 0 <= x < x_end <= shape[1]):
            raise ValueError(
                f"Region {(y, y_end, x, x_end)} is empty or leaves the {shape} pixels."
            )
    if not 0 <= label < len(regions):
        raise ValueError(f"`label` is {label}, but there are {len(regions)} detectors.")
    edges, length = extent(shape, pitch)
    with style():
        axes, bars = _grid(len(intensity))
        for i, (ax, plane) in enumerate(zip(axes, intensity)):
            relative = plane / max(float(plane.max()), 1e-300)
            ax.imshow(relative, POWER, extent=edges, vmin=0, vmax=1)
            ax.set_title("Input" if i == 0 else f"Plane {i}")
        axes[-1].set_title("Detectors")
        label_axes(axes[0], length)
        pixel = (edges[1] - edges[0]) / shape[1]
        _draw_boxes(axes[-1], regions, label, (edges[0], edges[3]), pixel)
        powers = [intensity[-1, y:v, x:u].sum() for y, v, x, u in regions]
        _draw_powers(bars, np.array(powers), label)
        colorbar(axes[0].images[0], [*axes, bars], "Intensity (share of peak)")
        fig = bars.get_figure(root=True)
        assert fig is not None
    return fig


def _grid(planes: int) -> tuple[list["Axes"], "Axes"]:
    """Axes for all planes, and for the bars after them."""
    rows = -(-(planes + 1) // 5)
    columns = -(-(planes + 1) // rows)
    fig = figure(1.9 * columns + 1.2, 2.0 * rows + 0.4)
    axes = fig.subplots(rows, columns, squeeze=False).ravel()
    for ax in axes[1:planes]:
        ax.tick_params(labelbottom=False, labelleft=False)
    for ax in axes[planes + 1 :]:
        ax.set_visible(False)
    return list(axes[:planes]), axes[planes]


def _draw_boxes(
    ax: "Axes",
    regions: Sequence[tuple[int, int, int, int]],
    label: int,
    corner: tuple[float, float],
    pixel: float,
) -> None:
    from matplotlib.patches import Rectangle

    for i, (y, y_end, x, x_end) in enumerate(regions):
        box = Rectangle(
            (corner[0] + x * pixel, corner[1] + y * pixel),
            (x_end - x) * pixel,
            (y_end - y) * pixel,
            fill=False,
            edgecolor=_RIGHT if i == label else "white",
            linewidth=2.0 if i == label else 0.8,
            zorder=3 if i == label else 2,
        )
        ax.add_patch(box)


def _draw_powers(ax: "Axes", powers: np.ndarray, label: int) -> None:
    factor, unit = with_prefix(float(powers.max()), "W")
    colors = [_RIGHT if i == label else GRAY for i in range(len(powers))]
    ax.bar(range(len(powers)), factor * powers, color=colors)
    ax.set_xticks(range(0, len(powers), 1 + len(powers) // 6))
    ax.set_box_aspect(1)
    ax.yaxis.tick_right()
    ax.yaxis.set_label_position("right")
    ax.spines["right"].set_visible(True)
    ax.spines["left"].set_visible(False)
    ax.set(title="Readout", xlabel="Detector", ylabel=f"Power ({unit})")
