"""The loops that voltage and current of a memristor go through."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from ._style import GRAY, LINES, PALETTE, AnyArray, checked, figure, style, with_prefix

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def hysteresis(
    loops: Mapping[str, tuple[Float[AnyArray, " times"], Float[AnyArray, " times"]]],
) -> "Figure":
    """Current against voltage; an arrowhead on each loop says which way it goes.

    **Arguments:** `loops`: voltages (V) and currents (A), in the order in which they
    were passed, by name.
    **Raises:** `ValueError` without loops, or if one has not as many of both.
    """
    if not loops:
        raise ValueError("There are no loops to draw.")
    pairs = {
        name: (checked(v, f"voltage of {name}", 1), checked(i, f"current of {name}", 1))
        for name, (v, i) in loops.items()
    }
    for name, (voltage, current) in pairs.items():
        if len(voltage) != len(current):
            raise ValueError(
                f"`{name}` has {len(voltage)} voltages and {len(current)} currents."
            )
    volts, v_unit = with_prefix(_largest(v for v, _ in pairs.values()), "V")
    amperes, i_unit = with_prefix(_largest(i for _, i in pairs.values()), "A")
    with style():
        fig = figure(4.8, 3.8)
        ax = fig.subplots()
        for rank, (name, (voltage, current)) in enumerate(pairs.items()):
            color = PALETTE[rank % len(PALETTE)]
            x, y = volts * voltage, amperes * current
            ax.plot(x, y, color=color, linestyle=LINES[rank % len(LINES)], label=name)
            _arrow(ax, x, y, color)
        for line in (ax.axhline, ax.axvline):
            line(0, color=GRAY, linewidth=0.6, zorder=0)
        ax.set(xlabel=f"Voltage ({v_unit})", ylabel=f"Current ({i_unit})")
        ax.grid(True)
        fig.legend(loc="outside right upper")
    return fig


def _largest(arrays) -> float:
    return max(float(np.abs(array).max()) for array in arrays)


def _arrow(ax, x: np.ndarray, y: np.ndarray, color: str) -> None:
    """Halfway back to zero from the highest voltage."""
    falling = np.flatnonzero((np.diff(x) < 0) & (x[:-1] > 0))
    if len(falling) == 0:
        return
    at = falling[np.argmin(np.abs(x[falling] - x.max() / 2))]
    ahead = min(at + max(len(x) // 100, 1), len(x) - 1)
    ax.annotate(
        "",
        xy=(x[ahead], y[ahead]),
        xytext=(x[at], y[at]),
        arrowprops={"arrowstyle": "-|>", "color": color, "mutation_scale": 14},
    )
