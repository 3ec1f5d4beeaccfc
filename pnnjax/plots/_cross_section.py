"""Light on its way through masks and free space, seen from the side."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Complex

from .._layer import AbstractWrapper
from .._physical import Physical
from ..optics import DiffractiveLayer, FreeSpace, angular_spectrum
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
    stack: Iterable[Any],
    field: Complex[AnyArray, "ny nx"],  # √W per pixel
    samples: int = 24,
) -> "Figure":
    """The intensity in the plane of the axis, from the input to the last plane.

    Within each `FreeSpace` the field is found by `angular_spectrum`; dotted lines mark
    the other layers. Colors are logarithmic, over the 40 dB below the peak.

    **Arguments:** `stack`: layers in the order in which light meets them, as a list or
    an `eqx.nn.Sequential`; it ends before the first whose output is no field, as a
    detector's. `samples`: at how many distances to look into each free space.
    **Raises:** `ValueError` if there is no free space to look into, or if one has
    several wavelengths.
    """
    if samples < 1:
        raise ValueError(f"`samples` must be at least 1, but is {samples}.")
    checked(field, "field", 2)
    light, z, pitch, rows = jnp.asarray(field), 0.0, 0.0, []
    positions: list[float] = []
    marks: list[float] = []
    for layer in _flat(stack):
        out = layer(light)
        if out.shape != light.shape or not jnp.iscomplexobj(out):
            break
        if isinstance(layer, FreeSpace):
            inside = np.linspace(0, layer.distance, samples + 1)
            rows += _middle_rows(layer, light, inside)
            positions += list(z + inside)
            z += layer.distance
            pitch = layer.pitch[1] if isinstance(layer.pitch, tuple) else layer.pitch
        else:
            marks.append(z)
        light = out
    if not rows:
        raise ValueError("The stack has no `FreeSpace` to look into.")
    return _draw(np.array(positions), np.stack(rows), marks, pitch)


def _flat(stack: Iterable[Any]) -> Iterator[Any]:
    """Every single element, out of whatever holds it."""
    for layer in stack:
        if isinstance(layer, Physical):
            yield from _flat([layer.layer])
        elif isinstance(layer, AbstractWrapper):
            yield from _flat([layer.realize(None)])
        elif isinstance(layer, eqx.nn.Sequential):
            yield from _flat(layer.layers)
        elif isinstance(layer, DiffractiveLayer):
            yield from (layer.mask, layer.space)
        else:
            yield layer


def _middle_rows(
    space: FreeSpace, field: jax.Array, distances: np.ndarray
) -> list[np.ndarray]:
    """The intensity in the middle row, before and after each further distance."""
    if isinstance(space.wavelength, tuple):
        raise ValueError("Only one wavelength at a time can be seen from the side.")
    beyond = jnp.asarray(distances[1:], field.real.dtype)
    fields = angular_spectrum(
        field[None], beyond, space.wavelength, space.pitch, pad=space.pad
    )
    middle = field.shape[0] // 2
    return [power(field[middle]), *power(fields[:, middle])]


def _draw(
    z: np.ndarray, rows: np.ndarray, marks: list[float], pitch: float
) -> "Figure":
    from matplotlib.colors import LogNorm

    nx = rows.shape[1]
    edges, across = extent((1, nx), pitch)
    x = np.linspace(edges[0], edges[1], nx + 1)
    x = (x[1:] + x[:-1]) / 2
    along, unit = with_prefix(float(z[-1]), "m")
    factor, watt = with_prefix(float(rows.max()), "W")
    peak = max(factor * float(rows.max()), 1e-30)
    with style():
        fig = figure(7.6, 3.2)
        ax = fig.subplots()
        image = ax.pcolormesh(
            along * z,
            x,
            factor * rows.T,
            cmap=POWER,
            norm=LogNorm(1e-4 * peak, peak, clip=True),
            shading="nearest",
            rasterized=True,
        )
        for mark in marks:
            ax.axvline(along * mark, color="white", linestyle=":", linewidth=1.2)
        ax.set(xlabel=f"$z$ ({unit})", ylabel=f"$x$ ({across})")
        colorbar(image, ax, f"Intensity ({watt}/pixel)")
    return fig
