"""A speckle pattern, and how often it is how bright."""

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
    figure,
    power as power_of,
    style,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def speckle(field: Complex[AnyArray, "ny nx"], bins: int = 30) -> "Figure":
    r"""The intensity over its mean, and its density beside $e^{-I}$.

    The density is what fully developed speckle has, whose fields are complex Gaussian;
    the title gives the contrast, which then is 1.

    **Raises:** `ValueError` where all is dark.
    """
    intensity = power_of(checked(field, "field", 2))
    if not intensity.any():
        raise ValueError("`field` is zero everywhere.")
    intensity = intensity / intensity.mean()
    top = max(float(intensity.max()), 1e-9)
    density, corners = np.histogram(intensity, bins, (0, top), density=True)
    centers = (corners[1:] + corners[:-1]) / 2
    with style():
        fig = figure(8.4, 3.6)
        left, right = fig.subplots(1, 2, width_ratios=(1.2, 1))
        image = left.imshow(intensity, POWER, vmin=0)
        left.set_xticks([])
        left.set_yticks([])
        colorbar(image, left, "Intensity over its mean")
        seen = density > 0
        right.semilogy(centers[seen], density[seen], "o", color=PALETTE[0], ms=4)
        right.semilogy(centers, np.exp(-centers), color=GRAY, label=r"$e^{-I}$")
        right.set_xlabel("Intensity over its mean, $I$")
        right.set_ylabel("Probability density")
        right.set_title(f"Contrast {intensity.std():.3f}")
        right.legend()
    return fig
