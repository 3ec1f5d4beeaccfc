"""A pulse on its way through a fiber or a crystal."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Complex

from ._style import (
    POWER,
    AnyArray,
    checked,
    colorbar,
    figure,
    power,
    style,
    with_prefix,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FLOOR = -50.0
"""dB below the peak, from where on the spectrum is black."""


def pulse_evolution(
    envelopes: Complex[AnyArray, "planes nt"],  # √W
    dt: float,  # s
    length: float,  # m
) -> "Figure":
    r"""Power against time, and spectrum in decibels, from the start (below) to the end.

    Frequencies are those of $e^{-i\omega t}$ against the carrier: blue is right. What
    is nowhere above a thousandth of the peak is cut off.

    **Raises:** `ValueError` if `dt` or `length` is not positive.
    """
    values = checked(envelopes, "envelopes", 2)
    if not (dt > 0 and length > 0):
        raise ValueError(
            f"`dt` and `length` must be positive, but are {dt} s and {length} m."
        )
    nt = values.shape[1]
    light = power(values)
    # The transform's frequencies, in the other direction.
    spectrum = power(np.fft.fftshift(np.fft.fft(values), 1))[:, ::-1]
    spectrum = 10 * np.log10(np.maximum(spectrum / spectrum.max(), 1e-30))
    time = dt * (np.arange(nt) - nt // 2)
    offset = -np.fft.fftshift(np.fft.fftfreq(nt, dt))[::-1]
    factor, unit = with_prefix(float(light.max()), "W")
    scale, distance = with_prefix(length, "m")
    with style():
        fig = figure(9.0, 3.6)
        left, right = fig.subplots(1, 2, sharey=True)
        shown = [
            (left, time, "s", light * factor, light > light.max() * 1e-3, 0.0, None),
            (right, offset, "Hz", spectrum, spectrum > FLOOR, FLOOR, 0.0),
        ]
        images = []
        for ax, axis, base, values, seen, low, high in shown:
            first, last = _extent(seen)
            by, label = with_prefix(float(np.abs(axis[[first, last]]).max()), base)
            half = 0.5 * abs(axis[1] - axis[0])
            edges = ((axis[first] - half) * by, (axis[last] + half) * by)
            image = ax.imshow(
                values[:, first : last + 1],
                POWER,
                extent=(*edges, 0, length * scale),
                origin="lower",
                aspect="auto",
                vmin=low,
                vmax=high,
            )
            name = "Time" if ax is left else "Frequency offset"
            ax.set_xlabel(f"{name} ({label})")
            images.append(image)
        left.set_ylabel(f"Distance ({distance})")
        colorbar(images[0], left, f"Power ({unit})")
        colorbar(images[1], right, "Spectrum (dB)")
    return fig


def _extent(seen: np.ndarray) -> tuple[int, int]:
    columns = [int(column) for column in np.flatnonzero(seen.any(0))]
    margin = max(2, (columns[-1] - columns[0]) // 8)
    return max(0, columns[0] - margin), min(seen.shape[1] - 1, columns[-1] + margin)
