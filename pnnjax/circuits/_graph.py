"""What is connected to what: the graph of a circuit, checked, and its unknowns."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from ._diode import Diode, ExponentialDiode, IdealDiode


@dataclass(frozen=True)
class BidirectionalAmplifier:
    r"""Makes $V_\text{target} = A\,V_\text{source}$, and draws $1/A$ of its own output
    current from the source.

    **Source:** Kendall et al. (2020), doi:10.48550/arXiv.2006.01981.
    """

    source: int
    target: int
    gain: float

    def __post_init__(self):
        if not (self.gain > 0 and math.isfinite(self.gain)):
            raise ValueError(f"`gain` must be positive, but is {self.gain}.")


@dataclass(frozen=True)
class Graph:
    """A circuit without the values of its resistors."""

    nodes: int
    edges: tuple[tuple[int, int], ...]
    inputs: tuple[int, ...]
    current_inputs: tuple[int, ...]
    fixed: tuple[tuple[int, float], ...]
    fixed_currents: tuple[tuple[int, float], ...]
    outputs: tuple[tuple[int, int | None], ...]
    diodes: tuple[Diode, ...]
    amplifiers: tuple[BidirectionalAmplifier, ...]

    @property
    def held(self) -> tuple[int, ...]:
        """The nodes with a voltage source: of the input, then fixed ones."""
        return self.inputs + tuple(node for node, _ in self.fixed)


class Layout(NamedTuple):
    r"""How the node voltages follow from the unknowns, $V_k = f_k z_{s_k}$.

    $z$ holds the unknown voltages first, then those of the sources.
    """

    unknowns: int
    slot: Int[np.ndarray, " nodes"]
    factor: Float[np.ndarray, " nodes"]
    weight: Float[np.ndarray, " nodes"]
    """Of the co-content of what is connected to the node: see `stage_weights`."""
    determined: Bool[np.ndarray, " nodes"]
    """Which nodes the sources hold, also through amplifiers."""

    def weight_of(self, pairs: Int[np.ndarray, "links 2"]) -> np.ndarray:
        """The weight of each link: that of an end that no source holds."""
        one, two = self.weight[pairs[:, 0]], self.weight[pairs[:, 1]]
        return np.where(self.determined[pairs[:, 0]], two, one)

    def drops(self, pairs: Int[np.ndarray, "links 2"]) -> np.ndarray:
        """The matrix that takes $z$ to the voltages across the links."""
        matrix = np.zeros((len(pairs), 1 + int(self.slot.max())))
        rows = np.arange(len(pairs))
        for column, sign in ((0, 1.0), (1, -1.0)):
            node = pairs[:, column]
            np.add.at(matrix, (rows, self.slot[node]), sign * self.factor[node])
        return matrix


@lru_cache(maxsize=256)
def layout_of(graph: Graph) -> Layout:
    """Number the unknowns of a graph that `check` has passed."""
    feeds = {amp.target: amp for amp in graph.amplifiers}
    held = {node: rank for rank, node in enumerate(graph.held)}
    roots, factors = zip(
        *(_root(node, feeds) for node in range(graph.nodes)), strict=True
    )
    unknown = [n for n in range(graph.nodes) if n not in feeds and n not in held]
    slots = {node: rank for rank, node in enumerate(unknown)}
    slots |= {node: len(unknown) + rank for node, rank in held.items()}
    determined = np.asarray([root in held for root in roots])
    return Layout(
        unknowns=len(unknown),
        slot=np.asarray([slots[root] for root in roots]),
        factor=np.asarray(factors),
        weight=stage_weights(graph, determined),
        determined=determined,
    )


def stage_weights(
    graph: Graph, determined: Bool[np.ndarray, " nodes"]
) -> Float[np.ndarray, " nodes"]:
    r"""The weight $w$ with which each stage of the circuit enters the energy.

    A stage is what resistors and diodes connect without passing a source. Through an
    amplifier of gain $A$ the source node receives $I_\text{target}/A$, where the
    energy $w E(V) + w' E'(AV)$ has the derivative $w I + w' A I'$. So
    $w' = w / A^2$, with $w = 1$ where the first output is.

    **Raises:** `ValueError` if there is no such weight: a path leads round an
    amplifier, and the circuit has no energy.
    """
    links = [
        pair
        for pair in (*graph.edges, *((d.anode, d.cathode) for d in graph.diodes))
        if not determined[list(pair)].any()
    ]
    part = _components(graph.nodes, links).tolist()
    steps = [
        (part[amp.source], part[amp.target], amp)
        for amp in graph.amplifiers
        if not determined[amp.source]
    ]
    first = next(n for pair in graph.outputs for n in pair if n is not None)
    weights: dict[int, float] = {}
    for start in (part[first], *part):
        if start not in weights:
            weights[start] = 1.0
            _spread_weights(weights, steps)
    return np.asarray([weights[p] for p in part])


def check(graph: Graph, joined: Bool[np.ndarray, " edges"]) -> None:
    """Refuse a graph that is no circuit.

    **Arguments:** `joined` says which edges conduct.
    **Raises:** `ValueError` that names the node, edge or amplifier.
    """
    _check_nodes(graph)
    _check_sources(graph)
    for amp in graph.amplifiers:
        _root(amp.target, {amp.target: amp for amp in graph.amplifiers})
    _check_grounded(graph, joined)
    _check_outputs(graph)
    layout_of(graph)


def _root(node: int, feeds: dict[int, BidirectionalAmplifier]) -> tuple[int, float]:
    factor, seen = 1.0, [node]
    while node in feeds:
        factor, node = factor * feeds[node].gain, feeds[node].source
        if node in seen:
            raise ValueError(f"Amplifiers drive each other in a ring: nodes {seen}.")
        seen.append(node)
    return node, factor


def _spread_weights(weights: dict[int, float], steps: list) -> None:
    pending = True
    while pending:
        pending = False
        for one, two, amp in steps:
            if one in weights and two not in weights:
                weights[two] = weights[one] / amp.gain**2
                pending = True
            elif two in weights and one not in weights:
                weights[one] = weights[two] * amp.gain**2
                pending = True
    for one, two, amp in steps:
        if one in weights and not math.isclose(
            weights[one], weights[two] * amp.gain**2, rel_tol=1e-9
        ):
            raise ValueError(
                f"A path leads round the amplifier from node {amp.source} to node "
                f"{amp.target}: such a circuit has no energy. Join its two sides by "
                "nothing but sources, or by amplifiers of the same gain."
            )


def _check_nodes(graph: Graph) -> None:
    if graph.nodes < 2:
        raise ValueError(f"A circuit has at least two nodes, not {graph.nodes}.")
    for what, nodes in _named(graph):
        for node in nodes:
            if not 0 <= node < graph.nodes:
                raise ValueError(
                    f"{what} is at node {node}, but the nodes are 0 to "
                    f"{graph.nodes - 1}."
                )
        if len(nodes) == 2 and nodes[0] == nodes[1]:
            raise ValueError(f"{what} joins node {nodes[0]} to itself.")


def _named(graph: Graph) -> Iterator[tuple[str, tuple[int, ...]]]:
    for k, edge in enumerate(graph.edges):
        yield f"Edge {k}", edge
    for k, diode in enumerate(graph.diodes):
        yield f"Diode {k}", (diode.anode, diode.cathode)
    for k, amp in enumerate(graph.amplifiers):
        yield f"Amplifier {k}", (amp.source, amp.target)
    for k, pair in enumerate(graph.outputs):
        yield f"Output {k}", tuple(n for n in pair if n is not None)
    for node in (*graph.held, *_injected(graph)):
        yield "A source", (node,)


def _injected(graph: Graph) -> tuple[int, ...]:
    return graph.current_inputs + tuple(node for node, _ in graph.fixed_currents)


def _check_sources(graph: Graph) -> None:
    if not graph.held:
        raise ValueError(
            "No node has a voltage source: give `inputs`, or ground one, as in "
            "`fixed={0: 0.0}`."
        )
    kinds: dict[int, str] = {}
    sources = [(node, "a voltage input") for node in graph.inputs]
    sources += [(node, "a fixed voltage") for node, _ in graph.fixed]
    sources += [(node, "a current input") for node in graph.current_inputs]
    sources += [(node, "a fixed current") for node, _ in graph.fixed_currents]
    sources += [(amp.target, "an amplifier's output") for amp in graph.amplifiers]
    for node, kind in sources:
        if node in kinds:
            raise ValueError(
                f"Node {node} has two sources, {kinds[node]} and {kind}: keep one."
            )
        kinds[node] = kind


def _check_grounded(graph: Graph, joined: Bool[np.ndarray, " edges"]) -> None:
    links = [edge for edge, on in zip(graph.edges, joined, strict=True) if on]
    links += [
        (d.anode, d.cathode) for d in graph.diodes if isinstance(d, ExponentialDiode)
    ]
    links += [(amp.source, amp.target) for amp in graph.amplifiers]
    part = _components(graph.nodes, links)
    floating = np.flatnonzero(~np.isin(part, part[list(graph.held)]))
    if len(floating):
        one = len(floating) == 1
        shown = ", ".join(map(str, floating[:8])) + (", …" if len(floating) > 8 else "")
        raise ValueError(
            f"{f'Node {shown} floats' if one else f'Nodes {shown} float'}: no path of "
            "resistors leads from there to a voltage source. Add an edge, or hold a "
            "node by `inputs` or `fixed`."
        )


def _check_outputs(graph: Graph) -> None:
    if not graph.outputs:
        raise ValueError("Name at least one node, or pair of nodes, in `outputs`.")
    feeds = {amp.target: amp for amp in graph.amplifiers}
    for k, pair in enumerate(graph.outputs):
        roots = [_root(node, feeds)[0] for node in pair if node is not None]
        driven = [root for root in roots if root in graph.inputs]
        if driven:
            raise ValueError(
                f"Output {k} reads node {driven[0]}, which the input drives: read "
                "nodes that settle, alone or against a fixed one."
            )
        if all(root in graph.held for root in roots):
            raise ValueError(f"Output {k} reads fixed voltages only: {roots}.")


def _components(
    nodes: int, links: Iterable[tuple[int, int]]
) -> Int[np.ndarray, " nodes"]:
    """To which connected part each node belongs."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    pairs = np.asarray(list(links), int).reshape(-1, 2)
    table = coo_array(
        (np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(nodes, nodes)
    )
    return connected_components(table, directed=False)[1]


def ideal(graph: Graph) -> tuple[IdealDiode, ...]:
    """The ideal diodes, in their order."""
    return tuple(d for d in graph.diodes if isinstance(d, IdealDiode))


def exponential(graph: Graph) -> tuple[ExponentialDiode, ...]:
    """The exponential diodes, in their order."""
    return tuple(d for d in graph.diodes if isinstance(d, ExponentialDiode))
