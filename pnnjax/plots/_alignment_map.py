"""Which method finds the gradient of which layer, and how well."""

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from ._looks import agreement, ink_on
from ._style import GRAY, AnyArray, figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh
    from matplotlib.figure import Figure


def alignment_map(
    cosines: Float[AnyArray, "layers methods"],
    layers: Sequence[str],
    methods: Sequence[str],
    *,
    groups: Sequence[str] | None = None,
) -> "Figure":
    """The cosine with the exact gradient, a cell each; none where it is NaN.

    **Arguments:** `groups`: what each layer belongs to; neighbors of one group are set
    off from the others.
    **Raises:** `ValueError` if the names don't fit, or a number is no cosine.
    """
    cosines = np.asarray(cosines, float)
    groups = [""] * len(layers) if groups is None else list(groups)
    shape = len(layers), len(methods)
    if cosines.shape != shape or len(groups) != len(layers) or not all(shape):
        raise ValueError(
            f"There are {len(layers)} layers, {len(groups)} groups and "
            f"{len(methods)} methods, but the cosines have shape {cosines.shape}."
        )
    if np.nanmax(np.abs(cosines), initial=0.0) > 1 + 1e-6:
        raise ValueError("A cosine is outside of [-1, 1].")
    with style():
        fig = figure(2.6 + 0.33 * len(methods), 1.9 + 0.2 * len(layers))
        ax = fig.subplots()
        edges = np.arange(len(methods) + 1) - 0.5, np.arange(len(layers) + 1) - 0.5
        mesh = ax.pcolormesh(
            *edges,
            np.ma.masked_invalid(cosines),
            cmap=agreement(),
            vmin=-1,
            vmax=1,
            edgecolor="white",
            linewidth=0.8,
        )
        _numbers(ax, cosines)
        _names(ax, layers, methods)
        _set_off(ax, groups)
        _bar(ax, mesh)
    return fig


def _bar(ax: "Axes", mesh: "QuadMesh") -> None:
    bar = ax.figure.colorbar(
        mesh,
        ax=ax,
        location="bottom",
        label="Cosine with the exact gradient",
        ticks=[-1, 0, 1],
        shrink=0.35,
        aspect=25,
        pad=0.015,
    )
    bar.outline.set_linewidth(0.5)


def _numbers(ax: "Axes", cosines: np.ndarray) -> None:
    colors = agreement()
    for row, column in np.argwhere(np.isfinite(cosines)):
        value = float(cosines[row, column])
        ax.text(
            column,
            row,
            _short(value),
            ha="center",
            va="center",
            fontsize=7,
            color=ink_on(colors((value + 1) / 2)),
        )


def _short(cosine: float) -> str:
    """Two digits, but 1 is for what rounds to it in three."""
    if cosine >= 0.9995:
        return "1"
    if abs(cosine) < 0.005:
        return "0"
    cut = np.trunc(100 * cosine) / 100 if cosine > 0.99 else cosine
    return f"{cut:.2f}".replace("0.", ".").replace("-", "−")


def _names(ax: "Axes", layers: Sequence[str], methods: Sequence[str]) -> None:
    ax.set_yticks(range(len(layers)), list(layers))
    ax.set_xticks(
        range(len(methods)),
        list(methods),
        rotation=60,
        ha="left",
        rotation_mode="anchor",
    )
    ax.tick_params(length=0, top=False, labeltop=True, bottom=False, labelbottom=False)
    ax.tick_params("x", pad=1)
    ax.invert_yaxis()
    for side in ax.spines.values():
        side.set_visible(False)
    for row in range(len(layers)):
        ax.axhline(row, color=GRAY, alpha=0.35, linewidth=0.4, zorder=0)
    for column in range(len(methods)):
        ax.axvline(column, color=GRAY, alpha=0.35, linewidth=0.4, zorder=0)


def _set_off(ax: "Axes", groups: Sequence[str]) -> None:
    start = 0
    for name, members in groupby(groups):
        end = start + len(list(members))
        if start:
            # From left of the names of the layers to the last column.
            ax.axhline(start - 0.5, color=GRAY, linewidth=1, clip_on=False)
        ax.text(
            1.005,
            (start + end - 1) / 2,
            name,
            transform=ax.get_yaxis_transform(),
            rotation=90 if end - start > 2 else 0,
            ha="left",
            va="center",
            fontsize=9,
            color=GRAY,
        )
        start = end
