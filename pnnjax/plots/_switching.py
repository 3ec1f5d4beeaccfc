"""How often pulses switch a junction."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from ._style import PALETTE, AnyArray, checked, figure, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def switching(
    durations: Float[AnyArray, " durations"],  # s
    expected: Mapping[str, Float[AnyArray, " durations"]],
    counted: Mapping[str, Float[AnyArray, " durations"]],
    trials: int,
) -> "Figure":
    """The probability to switch against the length of the pulse: law and experiment.

    **Arguments:** `expected`: lines, by the name of the pulse; `counted`: the shares of
    `trials` that switched, by the same names, drawn as dots with two standard errors.
    **Raises:** `ValueError` for what is no probability, or a name without a line.
    """
    from matplotlib.ticker import EngFormatter

    times = checked(durations, "durations", 1)
    strange = [name for name in counted if name not in expected]
    if not expected or strange:
        raise ValueError(f"There are no lines for {strange or 'anything'}.")
    with style():
        fig = figure(5.6, 3.6)
        ax = fig.subplots()
        for rank, (name, law) in enumerate(expected.items()):
            color = PALETTE[rank % len(PALETTE)]
            ax.plot(times, _shares(law, name, times), color=color, label=name)
            if name not in counted:
                continue
            share = _shares(counted[name], name, times)
            error = 2 * np.sqrt(share * (1 - share) / trials)
            ax.errorbar(times, share, error, color=color, fmt="o", ms=4, capsize=2)
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(EngFormatter("s"))
        ax.set(xlabel="Pulse", ylabel="Probability to switch", ylim=(-0.03, 1.03))
        ax.grid(True)
        fig.legend(*ax.get_legend_handles_labels(), loc="outside right upper")
    return fig


def _shares(values, name: str, times: np.ndarray) -> np.ndarray:
    shares = checked(values, name, 1)
    if shares.shape != times.shape or shares.min() < 0 or shares.max() > 1:
        raise ValueError(
            f"`{name}` must be {times.size} numbers between 0 and 1, but is of shape "
            f"{shares.shape}, from {shares.min():.3g} to {shares.max():.3g}."
        )
    return shares
