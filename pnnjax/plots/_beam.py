"""A beam on its way through a slab, over the index that bends it."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from ._style import (
    GRAY,
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


def beam(
    index: Float[AnyArray, "steps nx"],  # change of the index
    intensity: Float[AnyArray, "along across"],  # W per sample
    length: float,  # m
    pitch: float,  # m
    *,
    boxes: tuple[tuple[int, int], ...] = (),
    lit: int | None = None,
) -> "Figure":
    """The index of a slab above, the light in it below; light comes from the left.

    Dark plain slab at the sides is left out, where nothing is detected.

    **Arguments:** `boxes`: samples from the first to before the last, in which light is
    detected at the right end: drawn beside with their power. `lit`: the one that should
    receive the most.
    **Raises:** `ValueError` where the two maps differ in shape, or a box leaves them.
    """
    change, light = checked(index, "index", 2), checked(intensity, "intensity", 2)
    if change.shape != light.shape:
        raise ValueError(
            f"`index` is {change.shape}, but `intensity` {light.shape}: both are the "
            "steps along the slab by the samples across it."
        )
    nx = light.shape[1]
    for first, end in boxes:
        if not 0 <= first < end <= nx:
            raise ValueError(f"box {(first, end)} leaves the {nx} samples.")
    along, unit = with_prefix(length, "m")
    across, sideways = with_prefix(nx * pitch / 2, "m")
    half = across * nx * pitch / 2
    shown = half * _reach(change, light, boxes)
    edges = (0, along * length, -half, half)
    factor, watt = with_prefix(float(light.max()), "W")
    maps = {"origin": "lower", "extent": edges, "aspect": "auto"}
    with style():
        fig = figure(8.4 if boxes else 7.2, 6.2)
        grid = fig.subplots(
            2, 2 if boxes else 1, width_ratios=(5, 1) if boxes else None, squeeze=False
        )
        upper, lower = grid[:, 0]
        slab = upper.imshow(1e3 * change.T, "cividis", **maps)
        colorbar(slab, upper, r"Index change ($10^{-3}$)")
        # The root shows weak light too, as the amplitude does.
        image = lower.imshow(np.sqrt(factor * light.T), POWER, vmin=0, **maps)
        ticks = np.linspace(0, np.sqrt(factor * light.max()), 5)
        bar = colorbar(image, lower, f"Intensity ({watt}/sample)", ticks)
        bar.set_ticklabels([f"{tick**2:.3g}" for tick in ticks])
        for ax in (upper, lower):
            ax.set_ylabel(f"$x$ ({sideways})")
            ax.set_ylim(-shown, shown)
        lower.set_xlabel(f"$z$ ({unit})")
        if boxes:
            grid[0, 1].axis("off")
            _detected(grid[1, 1], light[-1], boxes, lit, across * pitch)
            grid[1, 1].set_ylim(-shown, shown)
    return fig


def _reach(change, light, boxes):
    """What part of half the window has an index, a box, or a hundredth of the peak."""
    nx = light.shape[1]
    used = (change > 0.01 * change.max()).any(0) | (light > 0.01 * light.max()).any(0)
    for first, end in boxes:
        used[first:end] = True
    from_middle = np.abs(np.arange(nx) - (nx - 1) / 2) + 0.5
    return 2 * from_middle[used].max() / nx if used.any() else 1.0


def _detected(ax, light, boxes, lit, pitch):
    powers = np.asarray([light[first:end].sum() for first, end in boxes])
    corners = (np.asarray(boxes) - len(light) / 2) * pitch
    colors = [PALETTE[1] if i == lit else GRAY for i in range(len(boxes))]
    ax.barh(
        corners.mean(1),
        powers / powers.sum(),
        0.9 * np.ptp(corners, axis=1),
        color=colors,
    )
    ax.set_yticks(corners.mean(1), [str(i) for i in range(len(boxes))])
    ax.set_xlabel("Share of power")
