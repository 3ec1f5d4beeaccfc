"""Light on its way through masks and free space, seen from the side."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Complex

from .. import optics
from ._style import (
    POWER,
    AnyArray,
    checked,
    colorbar,
    extent,
    figure,
    power,
    style,
    with_prefix,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def cross_section(
    stack: Iterable[float | Callable[[Any], Any]],  # m, where a number
    field: Complex[AnyArray, "ny nx"],  # √W per pixel
    wavelength: float,  # m
    pitch: float,  # m
    samples: int = 24,
) -> "Figure":
    """The intensity in the plane of the axis, from the input to the last plane.

    Free space is crossed by `optics.angular_spectrum`; dotted lines mark the layers.
    Colors follow the square root of the intensity in the middle row, so that faint
    light shows.

    **Arguments:** `stack`: in the order in which light meets them, the lengths of free
    space and the thin layers between, from field to field. `wavelength`, `pitch`: in
    the medium, and of neighboring pixels. `samples`: how often each length is divided.
    **Raises:** `ValueError` if the stack has no length, or a layer's output is no field
    of the same shape.
    """
    if samples < 1:
        raise ValueError(f"`samples` must be at least 1, but is {samples}.")
    checked(field, "field", 2)
    start, z, rows, layers = jnp.asarray(field), 0.0, [], []
    positions: list[float] = []
    for part in stack:
        if callable(part):
            start = _through(part, start)
            layers.append(z)
            continue
        if not part > 0:
            raise ValueError(
                f"A length of free space is {part} m: it must be positive."
            )
        inside = np.linspace(0, part, samples + 1)
        rows += _middle_rows(start, inside, wavelength, pitch)
        positions += list(z + inside)
        z += part
        start = optics.angular_spectrum(start, part, wavelength, pitch)
    if not rows:
        raise ValueError("The stack has no length of free space to look into.")
    return _draw(np.array(positions), np.stack(rows), layers, pitch)


def _through(layer: Callable[[Any], Any], field: jax.Array) -> jax.Array:
    out = layer(field)
    if out.shape != field.shape or not jnp.iscomplexobj(out):
        raise ValueError(
            f"A layer in the stack must give a field of shape {field.shape}, but gave "
            f"{out.dtype} of shape {out.shape}: end the stack before it."
        )
    return out


def _middle_rows(
    field: jax.Array, distances: np.ndarray, wavelength: float, pitch: float
) -> list[np.ndarray]:
    """The intensity in the middle row, before and after each further distance."""
    beyond = jnp.asarray(distances[1:], field.real.dtype)
    fields = optics.angular_spectrum(field[None], beyond, wavelength, pitch)
    middle = field.shape[0] // 2
    return [power(field[middle]), *power(fields[:, middle])]


def _draw(
    z: np.ndarray, rows: np.ndarray, marks: list[float], pitch: float
) -> "Figure":
    from matplotlib.colors import PowerNorm

    nx = rows.shape[1]
    edges, across = extent((1, nx), pitch)
    x = np.linspace(edges[0], edges[1], nx + 1)
    x = (x[1:] + x[:-1]) / 2
    along, unit = with_prefix(float(z[-1]), "m")
    factor, watt = with_prefix(float(rows.max()), "W")
    with style():
        fig = figure(7.6, 3.2)
        ax = fig.subplots()
        image = ax.pcolormesh(
            along * z,
            x,
            factor * rows.T,
            cmap=POWER,
            norm=PowerNorm(0.5, 0, max(factor * float(rows.max()), 1e-30)),
            shading="nearest",
            rasterized=True,
        )
        for mark in marks:
            ax.axvline(along * mark, color="white", linestyle=":", linewidth=1.2)
        ax.set(xlabel=f"$z$ ({unit})", ylabel=f"$x$ ({across})")
        colorbar(image, ax, f"Intensity ({watt}/pixel)")
    return fig
