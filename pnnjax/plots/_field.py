"""A complex field: its intensity, its phase, or both in one picture."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Complex, Float

from ._style import (
    PHASE,
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


def field(
    field: Complex[AnyArray, "ny nx"],  # √W per pixel
    pitch: float | None = None,  # m
) -> "Figure":
    """Intensity and phase of a field, side by side; its first row is on top.

    The phase fades to gray where the amplitude is below a tenth of the greatest: there
    is no light there to have a phase.

    **Arguments:** `pitch`: the distance of neighboring pixels; without it the axes
    count pixels.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    values = checked(field, "field", 2)
    intensity = power(values)
    factor, unit = with_prefix(float(intensity.max()), "W")
    edges, length = extent(values.shape, pitch)
    with style():
        fig = figure(9.0, 3.1 * _height(values) + 0.7)
        left, right = fig.subplots(1, 2, sharex=True, sharey=True)
        image = left.imshow(intensity * factor, POWER, extent=edges, vmin=0)
        colorbar(image, left, f"Intensity ({unit}/pixel)")
        # A colorbar of the image itself would be as transparent as the image.
        opaque = ScalarMappable(Normalize(-1, 1), PHASE)
        right.imshow(
            np.angle(values) / np.pi,
            PHASE,
            extent=edges,
            norm=opaque.norm,
            alpha=_presence(intensity),
        )
        right.set_facecolor("0.72")
        colorbar(opaque, right, r"Phase ($\pi$ rad)", ticks=[-1, -0.5, 0, 0.5, 1])
        label_axes(left, length)
        right.set_xlabel(left.get_xlabel())
    return fig


def domain_coloring(
    field: Complex[AnyArray, "ny nx"],  # √W per pixel
    pitch: float | None = None,  # m
) -> "Figure":
    """A field in one image: lightness is the amplitude, hue the phase.

    Colors are taken from Oklch, where hues of one lightness look equally light.

    **Arguments:** `pitch`: the distance of neighboring pixels; without it the axes
    count pixels.
    **Source:** Ottosson, *A perceptual color space for image processing* (2020),
    https://bottosson.github.io/posts/oklab/.
    """
    values = checked(field, "field", 2)
    amplitude = np.sqrt(power(values))
    largest = float(amplitude.max())
    edges, length = extent(values.shape, pitch)
    with style():
        fig = figure(5.6, 3.9 * _height(values) + 0.7)
        ax = fig.subplots()
        scaled = amplitude / largest if largest > 0 else amplitude
        ax.imshow(_colors(scaled, np.angle(values)), extent=edges)
        label_axes(ax, length)
        _draw_key(ax.inset_axes((1.06, 0, 0.09, 1)), largest)
    return fig


def _height(values: np.ndarray) -> float:
    return float(np.clip(values.shape[0] / values.shape[1], 0.4, 1.6))


def _presence(intensity: Float[np.ndarray, "ny nx"]) -> np.ndarray:
    largest = intensity.max()
    if largest == 0:
        return np.zeros_like(intensity)
    return np.minimum(1, 10 * np.sqrt(intensity / largest))


def _colors(amplitude: np.ndarray, phase: np.ndarray) -> np.ndarray:
    # Below linear, or all but the brightest light would look black on a screen.
    amplitude = amplitude**0.7
    lightness = 0.78 * amplitude
    # The chroma of 0.13 is about what all hues have in sRGB at this lightness.
    chroma = 0.13 * amplitude
    a, b = chroma * np.cos(phase + 0.5), chroma * np.sin(phase + 0.5)
    cones = np.stack(
        [
            lightness + 0.3963377774 * a + 0.2158037573 * b,
            lightness - 0.1055613458 * a - 0.0638541728 * b,
            lightness - 0.0894841775 * a - 1.2914855480 * b,
        ],
        -1,
    )
    to_rgb = np.array(
        [
            [4.0767416621, -3.3077115913, 0.2309699292],
            [-1.2684380046, 2.6097574011, -0.3413193965],
            [-0.0041960863, -0.7034186147, 1.7076147010],
        ]
    )
    linear = np.clip(cones**3 @ to_rgb.T, 0, 1)
    return np.where(
        linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055
    )


def _draw_key(ax: "Axes", largest: float) -> None:
    phase, amplitude = np.mgrid[np.pi : -np.pi : 256j, 0:1:64j]
    ax.imshow(_colors(amplitude, phase), extent=(0, 1, -1, 1), aspect="auto")
    factor, unit = with_prefix(largest, r"$\sqrt{\mathrm{W}}$")
    ax.yaxis.tick_right()
    ax.yaxis.set_label_position("right")
    ax.set_ylabel(r"Phase ($\pi$ rad)")
    ax.set_yticks([-1, -0.5, 0, 0.5, 1])
    ax.set_xticks([0, 1], ["0", f"{largest * factor:.3g}"])
    ax.set_xlabel(f"Ampl.\n({unit})")
