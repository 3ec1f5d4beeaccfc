"""A circuit: what its nodes are at, and how well its edges conduct."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from ..circuits import ResistorNetwork
from ._style import GRAY, AnyArray, checked, colorbar, figure, style, with_prefix

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_THICKEST = 5.0
"""Points."""


def circuit(
    network: ResistorNetwork,
    x: Float[AnyArray, " inputs"],  # V, then A
    positions: Float[AnyArray, "nodes 2"] | None = None,
) -> "Figure":
    """Every node colored by its voltage, every edge as thick as it conducts.

    Squares are held by sources, diamonds are read; a triangle on a dashed line is a
    diode that points to its cathode. Unless `positions` are given, the sources are on
    the left, the outputs on the right, and the other nodes between them.
    """
    x, g = checked(x, "x", 1), checked(network.conductance, "conductance", 1)
    given = _arranged(network) if positions is None else positions
    place = checked(given, "positions", 2)
    if place.shape != (network.graph.nodes, 2):
        raise ValueError(
            f"`positions` must have the shape {(network.graph.nodes, 2)}, but it is "
            f"{place.shape}."
        )
    state = network.relax(network.initial_state(_array(x, g)), _array(x, g), None)
    voltages = np.asarray(network.node_voltages(state, _array(x, g)))
    with style():
        fig = figure(7.2, max(3.6, min(8.0, 0.5 * _crowd(place))))
        ax = fig.subplots()
        largest = _add_edges(ax, network, place, g)
        _add_diodes(ax, network, place)
        nodes = _add_nodes(ax, network, place, voltages)
        ax.margins(0.08)
        ax.set_axis_off()
        scale, unit = with_prefix(largest, "S")
        ax.set_title(f"thickest edge: {scale * largest:.3g} {unit}", loc="left")
        colorbar(nodes, ax, "Node voltage (V)")
    return fig


def _array(x: np.ndarray, g: np.ndarray):
    import jax.numpy as jnp

    return jnp.asarray(x, g.dtype)


def _arranged(network: ResistorNetwork) -> np.ndarray:
    graph = network.graph
    place = np.zeros((graph.nodes, 2))
    read = {n for pair in graph.outputs for n in pair if n is not None}
    read -= set(graph.held)
    inner = set(range(graph.nodes)) - set(graph.held) - read
    for column, nodes in enumerate((graph.held, sorted(inner), sorted(read))):
        height = np.linspace(0.5, -0.5, len(nodes) + 2)[1:-1]
        for rank, node in enumerate(nodes):
            # Not quite in line, so that edges within a column can be seen.
            bow = 0.08 * (rank % 2) if column == 1 else 0.0
            place[node] = column + bow, height[rank]
    return place


def _crowd(place: np.ndarray) -> int:
    columns = np.unique(np.round(place[:, 0], 1), return_counts=True)[1]
    return int(columns.max())


def _add_edges(
    ax: "Axes", network: ResistorNetwork, place: np.ndarray, g: np.ndarray
) -> float:
    from matplotlib.collections import LineCollection

    ends = np.asarray(network.graph.edges, int).reshape(-1, 2)
    largest = float(g.max())
    widths = _THICKEST * np.clip(g / max(largest, 1e-300), 0.02, 1)
    lines = LineCollection(
        list(place[ends]), colors=GRAY, linewidths=widths, zorder=1, gid="edges"
    )
    lines.set(alpha=0.75, capstyle="round")
    ax.add_collection(lines)
    return largest


def _add_diodes(ax: "Axes", network: ResistorNetwork, place: np.ndarray) -> None:
    for diode in network.graph.diodes:
        start, end = place[diode.anode], place[diode.cathode]
        ax.plot(*np.stack([start, end]).T, color="0.2", lw=0.8, ls="--", zorder=1)
        angle = np.degrees(np.arctan2(*(end - start)[::-1])) - 90
        ax.plot(
            *(start + end) / 2, color="0.2", marker=(3, 0, angle), ms=9, ls="", zorder=2
        )


def _add_nodes(
    ax: "Axes", network: ResistorNetwork, place: np.ndarray, voltages: np.ndarray
):
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    graph = network.graph
    limit = float(np.abs(voltages).max()) or 1.0
    shade = Normalize(-limit, limit)
    read = {n for pair in graph.outputs for n in pair if n is not None}
    held = set(graph.held)
    groups = {
        "s": held,
        "D": read - held,
        "o": set(range(graph.nodes)) - held - read,
    }
    for marker, nodes in groups.items():
        chosen = np.asarray(sorted(nodes), int)
        ax.scatter(
            *place[chosen].T,
            c=voltages[chosen],
            s=110,
            marker=marker,
            cmap="RdBu_r",
            norm=shade,
            edgecolors="0.2",
            linewidths=0.8,
            zorder=3,
        )
    return ScalarMappable(shade, "RdBu_r")
