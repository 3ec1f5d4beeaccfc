"""Spectra of pulses, class by class."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Complex, Integer

from ._style import PALETTE, AnyArray, checked, figure, power, style, with_prefix

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def spectra(
    envelopes: Mapping[str, Complex[AnyArray, "examples nt"]],  # √W
    dt: float,  # s
    labels: Integer[AnyArray, " labels"],
    names: Sequence[str],
) -> "Figure":
    r"""The mean spectrum of each class, a panel for each kind of pulse.

    A band holds the half of a class's examples that is in the middle. Frequencies are
    those of $e^{-i\omega t}$ against the carrier: blue is right. What is nowhere above
    a thousandth of the peak is cut off.

    **Arguments:** `envelopes`: by the title of their panel. `names`: of the classes.
    **Raises:** `ValueError` if `labels` or `dt` do not fit, or nothing is to be drawn.
    """
    which = np.asarray(labels)
    if not envelopes:
        raise ValueError("There are no pulses to draw.")
    if not dt > 0:
        raise ValueError(f"`dt` must be positive, but is {dt} s.")
    with style():
        fig = figure(4.6 * len(envelopes), 3.4)
        row = fig.subplots(1, len(envelopes), squeeze=False)[0]
        for ax, (title, values) in zip(row, envelopes.items()):
            values = checked(values, title, 2)
            if len(values) != len(which):
                raise ValueError(
                    f"There are {len(which)} labels for {len(values)} pulses."
                )
            _draw(ax, values, dt, which, names)
            ax.set(title=title)
        handles = row[0].get_legend_handles_labels()
        fig.legend(*handles, loc="outside right center")
    return fig


def _draw(
    ax: Any, values: np.ndarray, dt: float, labels: np.ndarray, names: Sequence[str]
) -> None:
    nt = values.shape[1]
    # The transform's frequencies, in the other direction; J/Hz.
    density = power(np.fft.fftshift(np.fft.fft(values), 1))[:, ::-1] * dt**2
    offset = -np.fft.fftshift(np.fft.fftfreq(nt, dt))[::-1]
    seen = np.flatnonzero((density > 1e-3 * density.max()).any(0))
    shown = slice(max(0, int(seen[0]) - 2), int(seen[-1]) + 3)
    scale, unit = with_prefix(float(np.abs(offset[shown]).max()), "Hz")
    factor, joule = with_prefix(float(density.max()) / scale, "J")
    for index, name in enumerate(names):
        own = density[labels == index][:, shown] * (factor / scale)
        if len(own) == 0:
            continue
        color, at = PALETTE[index % len(PALETTE)], offset[shown] * scale
        ax.plot(at, own.mean(0), color=color, label=name, linewidth=1.2)
        ax.fill_between(
            at, *np.quantile(own, (0.25, 0.75), axis=0), color=color, alpha=0.15
        )
    ax.set_xlabel(f"Frequency offset ({unit})")
    ax.set_ylabel(f"Energy density ({joule}/{unit})")
    ax.set_ylim(bottom=0)
    ax.grid(True)
