"""How a quantity is spread over many cases, method by method."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from ._looks import Look, looks
from ._style import AnyArray, checked, figure, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def strips(
    values: Mapping[str, Float[AnyArray, " _"]],
    *,
    label: str,
    unit: str = "",
    appearance: Mapping[str, Look] | None = None,
) -> "Figure":
    """A dot a case on a logarithmic axis, and a line at the median; least on top.

    **Arguments:** `label`: what the values (above zero) are; `unit`: theirs, which gets
    prefixes, unless there is none. `appearance`: how each method looks, or else by its
    place.
    **Raises:** `ValueError` without methods, or if a value is not positive.
    """
    if not values:
        raise ValueError("There are no methods to draw.")
    given = looks(list(values)) if appearance is None else appearance
    arrays = {name: checked(found, name, 1) for name, found in values.items()}
    if any((found <= 0).any() for found in arrays.values()):
        raise ValueError("A value is not positive: a logarithmic axis has no place.")
    order = sorted(arrays, key=lambda name: float(np.median(arrays[name])))
    with style():
        from matplotlib.ticker import EngFormatter, FuncFormatter

        fig = figure(5.0, 0.9 + 0.17 * len(order))
        ax = fig.subplots()
        for row, name in enumerate(order):
            found, look = arrays[name], given[name]
            ax.plot(
                found,
                np.full(len(found), row),
                look.marker,
                color=look.color,
                markersize=3.5,
                alpha=0.5,
                markeredgewidth=0,
            )
            middle = np.median(found)
            ax.plot([middle] * 2, [row - 0.4, row + 0.4], color=look.color, lw=2.2)
        ax.set_xscale("log")
        plain = FuncFormatter(lambda value, _: f"{value:g}")
        ax.xaxis.set_major_formatter(EngFormatter(unit=unit) if unit else plain)
        ax.set_yticks(range(len(order)), order, fontsize=8)
        ax.set_ylim(len(order) - 0.4, -0.6)
        ax.set_xlabel(label)
        ax.grid(True)
    return fig
