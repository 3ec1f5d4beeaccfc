"""Where a network of resonators scatters light to."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from ._style import GRAY, POWER, AnyArray, checked, colorbar, figure, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEAST = 1e-4
"""The smallest share of the power that is told from none."""


def scattering_map(
    power: Float[AnyArray, "examples ports ports"],  # dimensionless
    sizes: Sequence[int],
    titles: Sequence[str],
) -> "Figure":
    r"""$|S_{rp}|^2$ of each example, on a logarithmic scale: from the column's port to
    the row's.

    **Arguments:** `sizes`: of the groups of resonators, between which lines are drawn;
    `titles`: one for each example, which is a map.
    **Raises:** `ValueError` if titles or sizes do not fit.
    """
    from matplotlib.colors import LogNorm

    values = checked(power, "power", 3)
    examples, ports = values.shape[:2]
    if values.shape[2] != ports or sum(sizes) != ports or len(titles) != examples:
        raise ValueError(
            f"`power` is of shape {values.shape}, to which {len(titles)} titles and "
            f"groups of {tuple(sizes)} ports do not fit."
        )
    edges = np.cumsum(sizes)[:-1] - 0.5
    middles = np.cumsum(sizes) - (np.asarray(sizes) + 1) / 2
    with style():
        fig = figure(3.3 * examples + 0.8, 3.5)
        axes = fig.subplots(1, examples, sharey=True, squeeze=False)[0]
        for ax, title, one in zip(axes, titles, values):
            ax.imshow(
                np.maximum(one, LEAST),
                POWER,
                norm=LogNorm(LEAST, max(1.0, values.max())),
            )
            for edge in edges:
                ax.axhline(edge, color=GRAY, linewidth=0.6)
                ax.axvline(edge, color=GRAY, linewidth=0.6)
            groups = [f"{n}" for n in sizes]
            ax.set_xticks(middles, groups)
            ax.set_yticks(middles, groups)
            ax.tick_params(length=0)
            ax.set(title=title, xlabel="From resonators")
        axes[0].set_ylabel("To resonators")
        colorbar(axes[0].images[0], axes, r"$|S_{rp}|^2$")
    return fig
