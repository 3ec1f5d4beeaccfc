"""What a setting does to a result."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from ._looks import Look, looks
from ._style import GRAY, AnyArray, checked, figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Means = Mapping[
    str,
    tuple[Float[AnyArray, " _"], Float[AnyArray, " _"], Float[AnyArray, " _"]],
]


def against_setting(
    means: Means,
    *,
    setting: str,
    quantity: str,
    others: tuple[Float[AnyArray, " _"], Float[AnyArray, " _"]] | None = None,
    appearance: Mapping[str, Look] | None = None,
) -> "Figure":
    """The mean against the value of a setting, with bars of one standard error.

    The axis is logarithmic where the values are positive and span a factor of ten.

    **Arguments:** `means`: by the name of a line the values of the setting, the means
    there, and their standard errors (NaN where unknown). `others`: values and results
    of further cases, gray dots. `appearance`: of the lines, or else by their place.
    **Raises:** `ValueError` without lines, or if shapes differ.
    """
    if not means:
        raise ValueError("There is no mean to draw.")
    given = looks(list(means)) if appearance is None else appearance
    with style():
        fig = figure(5.0, 3.4)
        ax = fig.subplots()
        if others is not None:
            dots = {"color": GRAY, "markersize": 3, "alpha": 0.4, "markeredgewidth": 0}
            ax.plot(*others, "o", label="all runs", **dots)
        for name, (values, middles, errors) in means.items():
            x = checked(values, f"values of {name}", 1)
            y = checked(middles, f"means of {name}", 1)
            if not x.shape == y.shape == np.shape(errors):
                raise ValueError(
                    f"{name!r} has {len(x)} values, {len(y)} means and "
                    f"{np.size(errors)} standard errors."
                )
            _draw(ax, name, x, y, np.nan_to_num(np.asarray(errors)), given[name])
        drawn = np.concatenate([np.asarray(values) for values, _, _ in means.values()])
        if drawn.min() > 0 and drawn.max() >= 10 * drawn.min():
            ax.set_xscale("log")
        ax.set(xlabel=setting, ylabel=quantity)
        ax.grid(True)
        if len(means) > 1 or others is not None:
            fig.legend(loc="outside lower center", ncols=2, fontsize=8)
    return fig


def _draw(
    ax: "Axes",
    name: str,
    x: np.ndarray,
    y: np.ndarray,
    error: np.ndarray,
    look: Look,
) -> None:
    order = np.argsort(x)
    ax.errorbar(
        x[order],
        y[order],
        error[order],
        color=look.color,
        marker=look.marker,
        linestyle=look.line,
        markersize=5,
        capsize=2.5,
        label=name,
    )
