"""Spins as they settle."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from ._style import PALETTE, AnyArray, checked, figure, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def spin_raster(
    spins: Float[AnyArray, "sweeps n"],
    energy: Float[AnyArray, " times"],
    *,
    ground: float | None = None,
    time: str = "Sweep",
) -> "Figure":
    """Each spin, up (blue) or down (orange), and the energy, from left to right.

    **Arguments:** `spins`: after each sweep, 1 or -1; `energy`: after each sweep;
    `ground`: the least energy, as a dashed line; `time`: what a sweep is called.
    **Raises:** `ValueError` for other spins, or an energy too many or too few.
    """
    spins, energy = checked(spins, "spins", 2), checked(energy, "energy", 1)
    if not (np.abs(spins) == 1).all():
        raise ValueError("Spins must be -1 and 1.")
    if len(energy) != len(spins):
        raise ValueError(f"There are {len(energy)} energies for {len(spins)} sweeps.")
    with style():
        from matplotlib.colors import ListedColormap

        fig = figure(6.4, 4.8)
        top, bottom = fig.subplots(2, sharex=True, height_ratios=(2, 1))
        top.imshow(
            spins.T,
            ListedColormap([PALETTE[1], PALETTE[0]]),
            vmin=-1,
            vmax=1,
            aspect="auto",
            extent=(0.5, len(spins) + 0.5, spins.shape[1] - 0.5, -0.5),
            interpolation="nearest",
        )
        top.set_ylabel("Spin")
        bottom.plot(np.arange(1, len(energy) + 1), energy)
        if ground is not None:
            bottom.axhline(
                ground, color=PALETTE[6], linestyle="--", label="Least known"
            )
            bottom.legend()
        bottom.set_xlabel(time)
        bottom.set_ylabel("Energy")
        bottom.grid(True)
    return fig
