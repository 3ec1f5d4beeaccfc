"""The lattice of interferometers on a chip, and the light that runs through it."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from ..optics import MZIMesh, TriangularMesh
from ._style import GRAY, PHASE, checked, colorbar, figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import Collection
    from matplotlib.figure import Figure

# In units of the spacing of the waveguides.
_WIDTH = 1.9
_SHIFTER = 0.4
_CROSSING = (0.8, 1.7)


def mesh(layer: MZIMesh | TriangularMesh) -> "Figure":
    r"""Every interferometer of a mesh, colored by its phases.

    Light runs from left to right. The large disc on a crossing shows $\theta$, folded
    into $[0, \pi]$: at 0 all power crosses, at $\pi$ all stays. The small disc before
    it shows $\varphi$, the square behind the mesh $\gamma$, both modulo $2\pi$.
    """
    theta, phi = checked(layer.theta, "theta", 2), checked(layer.phi, "phi", 2)
    gamma = checked(layer.gamma, "gamma", 1)
    columns, modes = len(theta), len(gamma)
    column, slot = np.nonzero(layer.occupied)
    upper = 2 * slot + column % 2
    with style():
        fig, ax = _chip(columns, modes)
        segments = _segments(column, upper, columns, modes)
        _add_waveguides(ax, segments, 1.4 if modes <= 24 else 0.6)
        crossing = _WIDTH * column + sum(_CROSSING) / 2
        larger = 1.0 if modes <= 24 else 1.25
        values = _folded(theta[column, slot])
        discs = _discs(ax, crossing, upper + 0.5, 0.88 * larger, values)
        discs.set(cmap="viridis", clim=(0, 1), gid="theta")
        shifter = _WIDTH * column + _SHIFTER
        values = _wrapped(phi[column, slot])
        small = _discs(ax, shifter, upper, 0.64 * larger, values)
        small.set(cmap=PHASE, clim=(0, 2), gid="phi")
        _add_squares(ax, _WIDTH * columns + _SHIFTER, _wrapped(gamma))
        label = r"$\varphi$ (discs), $\gamma$ (squares) ($\pi$ rad)"
        colorbar(small, ax, label, [0, 0.5, 1, 1.5, 2])
        label = r"$\theta$ ($\pi$ rad; 0 crosses, 1 stays)"
        colorbar(discs, ax, label, [0, 0.25, 0.5, 0.75, 1])
    return fig


def _segments(
    column: Int[np.ndarray, " mzis"],
    upper: Int[np.ndarray, " mzis"],
    columns: int,
    modes: int,
) -> Float[np.ndarray, "lines 4 2"]:
    """The waveguides: one broken line a mode and column, crossing or straight."""
    leaves = np.tile(np.arange(modes), (columns, 1))
    leaves[column, upper] += 1
    leaves[column, upper + 1] -= 1
    start, enters = np.indices((columns, modes))
    bends = (0.0, *_CROSSING, _WIDTH)
    x = np.stack([_WIDTH * start + bend for bend in bends], -1)
    y = np.stack([enters, enters, leaves, leaves], -1)
    return np.stack([x, y], -1).reshape(-1, 4, 2)


def _chip(columns: int, modes: int) -> tuple["Figure", "Axes"]:
    wide, high = _WIDTH * columns + 1.0, max(modes + 0.3, 5.5)
    scale = float(np.clip(min(9.5 / wide, 7 / high), 0.08, 0.42))
    fig = figure(wide * scale + 2.4, high * scale + 0.7)
    ax = fig.subplots()
    middle = (modes - 1.1) / 2
    ax.set(xlim=(-0.1, wide - 0.1), ylim=(middle + high / 2, middle - high / 2))
    step = max(1, columns // 8)
    shown = np.arange(0, columns, step)
    ax.set_xticks(_WIDTH * (shown + 0.5), shown)
    ax.set_yticks(np.arange(0, modes, max(1, modes // 8)))
    ax.set(xlabel="Column", ylabel="Mode")
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    return fig, ax


def _add_waveguides(ax: "Axes", segments: np.ndarray, width: float) -> "Collection":
    from matplotlib.collections import LineCollection

    lines = LineCollection(list(segments), colors=GRAY, linewidths=width, zorder=1)
    ax.add_collection(lines, autolim=False)
    return lines


def _discs(
    ax: "Axes", x: np.ndarray, y: np.ndarray, diameter: float, values: np.ndarray
) -> "Collection":
    from matplotlib.collections import EllipseCollection

    size = np.full(len(x), diameter)
    discs = EllipseCollection(
        size,
        size,
        np.zeros(len(x)),
        units="y",
        offsets=np.stack([x, y], -1),
        offset_transform=ax.transData,
        edgecolors="0.35",
        linewidths=0.3,
        zorder=2,
    )
    discs.set_array(values)
    ax.add_collection(discs, autolim=False)
    return discs


def _add_squares(ax: "Axes", x: float, values: np.ndarray) -> None:
    from matplotlib.collections import PolyCollection

    corners = 0.36 * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    centers = np.stack([np.full(len(values), x), np.arange(len(values))], -1)
    squares = PolyCollection(
        list(centers[:, None] + corners), edgecolors="0.35", linewidths=0.3, zorder=2
    )
    squares.set_array(values)
    squares.set(cmap=PHASE, clim=(0, 2), gid="gamma")
    ax.add_collection(squares, autolim=False)


def _wrapped(phase: np.ndarray) -> np.ndarray:
    return np.mod(phase, 2 * np.pi) / np.pi


def _folded(theta: np.ndarray) -> np.ndarray:
    return 1 - np.abs(_wrapped(theta) - 1)
