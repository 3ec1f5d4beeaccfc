"""The common look of the pictures."""

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jaxtyping import Shaped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colorbar import Colorbar
    from matplotlib.figure import Figure

AnyArray = jax.Array | np.ndarray

# Okabe and Ito's palette, which color-blind readers can tell apart; yellow is left out,
# since it can't be seen as a line on white.
PALETTE = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#5F5F5F",
)
LINES = ("-", "--", ":", "-.")
GRAY = "#8C8C8C"
PHASE = "twilight"
POWER = "inferno"


def style() -> AbstractContextManager[None]:
    """The look, for as long as the context is open; nothing global stays changed."""
    import matplotlib
    from cycler import cycler

    return matplotlib.rc_context(
        {
            "axes.axisbelow": True,
            "axes.labelsize": 10,
            "axes.prop_cycle": cycler(color=PALETTE),
            "axes.spines.right": False,
            "axes.spines.top": False,
            "axes.titlesize": 10,
            "figure.facecolor": "white",
            "font.size": 10,
            "grid.alpha": 0.3,
            "grid.linewidth": 0.6,
            "image.interpolation": "nearest",
            "image.origin": "upper",
            "legend.fontsize": 9,
            "legend.frameon": False,
            "lines.linewidth": 1.6,
            "xtick.labelsize": 9,
            "ytick.labelsize": 9,
        }
    )


def figure(width: float, height: float) -> "Figure":
    """An empty figure of `width` by `height` inches that belongs to nobody else."""
    from matplotlib.figure import Figure

    # The constrained layout that also moves images of fixed aspect together.
    return Figure(figsize=(width, height), dpi=100, layout="compressed")


def checked(values: Any, name: str, dimensions: int) -> np.ndarray:
    """`values` as a finite, nonempty NumPy array.

    **Raises:** `ValueError` that names the array, if it can't be drawn.
    """
    array = np.asarray(values)
    if array.ndim != dimensions:
        raise ValueError(
            f"`{name}` must have {dimensions} dimensions, but its shape is "
            f"{array.shape}."
        )
    if array.size == 0:
        raise ValueError(f"`{name}` is empty: its shape is {array.shape}.")
    if np.issubdtype(array.dtype, np.inexact) and not np.isfinite(array).all():
        bad = np.count_nonzero(~np.isfinite(array))
        raise ValueError(
            f"`{name}` holds {bad} values that are NaN or infinite, of {array.size}."
        )
    return array


def power(field: Shaped[AnyArray, "..."]) -> np.ndarray:
    """What a complex amplitude carries, in W if the amplitude is in √W."""
    values = np.asarray(field)
    return np.real(values) ** 2 + np.imag(values) ** 2


def with_prefix(largest: float, unit: str) -> tuple[float, str]:
    """By what to multiply values up to `largest`, and the unit they are then in."""
    from matplotlib.ticker import EngFormatter

    if largest <= 0:
        return 1.0, unit
    # A hair above, so that 0.001 does not round down to 1000 micro.
    exponent = 3 * int(np.floor(np.log10(largest * (1 + 1e-9)) / 3))
    prefix = EngFormatter.ENG_PREFIXES.get(exponent)
    return (1.0, unit) if prefix is None else (10.0**-exponent, prefix + unit)


def extent(
    shape: tuple[int, ...], pitch: float | None
) -> tuple[tuple[float, float, float, float], str]:
    """Where an image's edges are, about its center, and the unit of that."""
    ny, nx = shape
    if pitch is None:
        return (-0.5, nx - 0.5, ny - 0.5, -0.5), "pixel"
    if not pitch > 0:
        raise ValueError(f"`pitch` must be positive (m), but is {pitch}.")
    factor, unit = with_prefix(pitch * max(nx, ny) / 2, "m")
    half = factor * pitch / 2
    return (-nx * half, nx * half, ny * half, -ny * half), unit


def label_axes(ax: "Axes", unit: str) -> None:
    """Name the two axes of an image."""
    ax.set_xlabel(f"$x$ ({unit})")
    ax.set_ylabel(f"$y$ ({unit})")


def colorbar(mappable: Any, axes: Any, label: str, ticks: Any = None) -> "Colorbar":
    """A slim colorbar right of `axes`: one, or an array of them."""
    first = np.ravel(axes)[0]
    bar = first.figure.colorbar(
        mappable, ax=axes, label=label, ticks=ticks, aspect=25, pad=0.02
    )
    bar.outline.set_linewidth(0.5)
    return bar
