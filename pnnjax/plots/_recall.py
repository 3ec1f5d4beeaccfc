"""What a memory recalls, and how much it holds."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from ._style import GRAY, LINES, PALETTE, AnyArray, checked, figure, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def recall(
    patterns: Float[AnyArray, "examples ny nx"],
    cues: Float[AnyArray, "examples ny nx"],
    recalled: Mapping[str, Float[AnyArray, "examples ny nx"]],
) -> "Figure":
    """Rows of images: what was stored, the cues, and what each memory makes of them.

    The number under a recalled image is its overlap with the stored one. Spins are +1
    (dark) or -1.

    **Raises:** `ValueError` if nothing was recalled, or the shapes differ.
    """
    if not recalled:
        raise ValueError("There is nothing to draw: no memory has recalled anything.")
    rows = {"stored": patterns, "cue": cues, **recalled}
    images = {name: checked(values, name, 3) for name, values in rows.items()}
    stored = images["stored"]
    for name, values in images.items():
        if values.shape != stored.shape:
            raise ValueError(f"`{name}` has shape {values.shape}, not {stored.shape}.")
    with style():
        fig = figure(0.72 * len(stored) + 1.6, 0.86 * len(images) + 0.2)
        grid = fig.subplots(len(images), len(stored), squeeze=False)
        for axes, (name, values) in zip(grid, images.items(), strict=True):
            for ax, image, truth in zip(axes, values, stored, strict=True):
                ax.imshow(image, "Greys", vmin=-1, vmax=1)
                ax.set(xticks=[], yticks=[])
                ax.spines[:].set_visible(True)
                if name != "stored":
                    ax.set_xlabel(f"{np.mean(image * truth):.2f}", labelpad=2)
            label = {"rotation": 0, "ha": "right", "va": "center"}
            axes[0].set_ylabel(name, labelpad=8, **label)
    return fig


def capacity(
    loads: Float[AnyArray, " loads"],
    overlaps: Mapping[str, Float[AnyArray, "runs loads"]],
    *,
    theory: tuple[Float[AnyArray, " points"], Float[AnyArray, " points"]],
    critical: float,
) -> "Figure":
    """Overlap with the pattern that was asked for, against patterns stored per spin.

    **Arguments:** `overlaps`: for each dynamics, of each run, drawn as the mean with a
    band from the least to the greatest; `theory`: loads, and the overlaps of infinitely
    many spins; `critical`: the load at which that is lost.
    **Raises:** `ValueError` without results, or if a shape does not fit.
    """
    if not overlaps:
        raise ValueError("There are no results to draw.")
    loads = checked(loads, "loads", 1)
    with style():
        fig = figure(5.6, 3.6)
        ax = fig.subplots()
        ax.axvline(critical, color=GRAY, linewidth=0.8, linestyle=":")
        ax.plot(*theory, color=GRAY, label="infinitely many spins")
        for (name, runs), color, line in zip(overlaps.items(), PALETTE, LINES):
            runs = checked(runs, name, 2)
            if runs.shape[1] != len(loads):
                raise ValueError(
                    f"`{name}` has shape {runs.shape}, not (runs, {len(loads)})."
                )
            ax.fill_between(
                loads, runs.min(0), runs.max(0), color=color, alpha=0.15, linewidth=0
            )
            mean = np.mean(runs, 0)
            ax.plot(loads, mean, line, color=color, marker="o", ms=3.5, label=name)
        ax.set(xlabel="Patterns per spin", ylabel="Overlap with the pattern")
        ax.set_ylim(-0.03, 1.03)
        ax.text(
            critical,
            0.55,
            f" {critical:.3f}",
            color=GRAY,
            transform=ax.get_xaxis_transform(),
        )
        ax.grid(True)
        ax.legend(loc="lower left")
    return fig
