"""Resistor networks: any graph of resistors, diodes, sources and amplifiers."""

import math
from collections.abc import Collection, Mapping, Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Inexact, PRNGKeyArray

from .._layer import AbstractBoundedLayer, AbstractClampableLayer, Facts
from ._diode import Diode, shockley_co_content
from ._graph import (
    BidirectionalAmplifier,
    Graph,
    Layout,
    check,
    exponential,
    ideal,
    layout_of,
)
from ._operating_point import (
    Junctions,
    OperatingPoint,
    System,
    net_current,
    settle,
)


class ResistorNetwork(AbstractClampableLayer, AbstractBoundedLayer):
    r"""Voltages in, voltages out: the currents find the state of least co-content.

    $$E = \sum_e \tfrac12 g_e\,\Delta V_e^2 + \sum_d \phi_d(\Delta V_d)
        - \sum_k I_k V_k \quad\text{(W)}$$

    over the nodes that no voltage source holds, with $\Delta V_d \le$ `offset` at ideal
    diodes; $\phi$ is the co-content of the exponential ones. $\partial E/\partial V_k$
    is the current that leaves node $k$, so the minimum obeys Kirchhoff's law, and
    $\partial E/\partial g_e = \tfrac12\Delta V_e^2$. Behind an amplifier of gain $A$,
    the terms count $1/A^2$ as much (`stage_weights` derives it); they count once where
    the first output is, and there a nudge $n$ is a current $-n$ into the output.

    The conductances are trained. The input is the voltages of the nodes `inputs`, then
    the currents into `current_inputs`.

    **Error:** rounding. Linear circuits take one Cholesky factorization of the
    conductance matrix for a whole batch; with exponential diodes, each example takes
    one a step of Newton's method, of the nodes at diodes.
    **Source:** Kendall et al. (2020), doi:10.48550/arXiv.2006.01981; Millar,
    *Philosophical Magazine* 42, 1150 (1951), doi:10.1080/14786445108561361.
    """

    conductance: Float[Array, " edges"]  # S
    graph: Graph = eqx.field(static=True)
    low: float
    high: float
    max_steps: int = eqx.field(static=True)

    def __init__(
        self,
        nodes: int,
        edges: Sequence[tuple[int, int]],
        conductance: Float[Array, " edges"],  # S
        *,
        outputs: Sequence[int | tuple[int, int]],
        inputs: Sequence[int] = (),
        current_inputs: Sequence[int] = (),
        fixed: Mapping[int, float] = {},  # V
        fixed_currents: Mapping[int, float] = {},  # A
        diodes: Sequence[Diode] = (),
        amplifiers: Sequence[BidirectionalAmplifier] = (),
        low: float = 0.0,  # S
        high: float = math.inf,  # S
        max_steps: int = 100,
    ):
        """Nodes are numbered from 0; edge `e` joins a pair of them by `conductance[e]`.

        **Arguments:**

        - `outputs`: nodes whose voltage is read, or pairs `(a, b)` for $V_a - V_b$.
        - `fixed`: nodes held at a voltage, such as the ground, `{0: 0.0}`.
        - `fixed_currents`: nodes into which a constant current flows.
        - `low`, `high`: the conductances that can be built; `project` clips to them.
        - `max_steps`: of Newton's method, after which it is an error not to have
            settled.

        **Raises:** `ValueError` that names the culprit: an edge of negative
        conductance or to no node, a node that floats or that has two sources, an
        output that reads a source, a path round an amplifier.
        """
        if not 0 <= low < high:
            raise ValueError(f"`low` and `high` must rise from 0 S, not {low}, {high}.")
        if max_steps < 1:
            raise ValueError(f"`max_steps` must be at least 1, but is {max_steps}.")
        graph = Graph(
            nodes=nodes,
            edges=tuple((int(a), int(b)) for a, b in edges),
            inputs=tuple(map(int, inputs)),
            current_inputs=tuple(map(int, current_inputs)),
            fixed=tuple((int(k), float(v)) for k, v in fixed.items()),
            fixed_currents=tuple((int(k), float(i)) for k, i in fixed_currents.items()),
            outputs=tuple(_pair(output) for output in outputs),
            diodes=tuple(diodes),
            amplifiers=tuple(amplifiers),
        )
        check(graph, _conducting(graph, conductance))
        self.conductance = conductance
        self.graph = graph
        self.low, self.high = low, high
        self.max_steps = max_steps

    @property
    def facts(self) -> Facts:
        graph = self.graph
        shifts = any(value != 0 for _, value in graph.fixed + graph.fixed_currents)
        return Facts(
            linear=not graph.diodes and not shifts,
            holomorphic=not ideal(graph),
            conservative=True,
            smooth=True,
        )

    def __call__(
        self, x: Float[Array, "*batch inputs"], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "*batch outputs"]:
        return self.readout(self.relax(self.initial_state(x, key=key), x, None))

    def initial_state(
        self, x: Float[Array, "*batch inputs"], *, key: PRNGKeyArray | None = None
    ) -> OperatingPoint:
        del key
        shape, dtype = x.shape[:-1], self.conductance.dtype
        return OperatingPoint(
            jnp.zeros((*shape, self._layout.unknowns), dtype),
            jnp.zeros((*shape, len(ideal(self.graph))), dtype),
        )

    def relax(
        self,
        state: OperatingPoint,
        x: Float[Array, "*batch inputs"],
        nudge: Inexact[Array, "*batch outputs"] | None,
    ) -> OperatingPoint:
        system = self._system(x)
        if nudge is not None:
            push = jnp.einsum("...o,oi->...i", nudge, self._sensors(nudge)[0])
            system = system._replace(force=system.force.astype(push.dtype) - push)
        return settle(system, state, self.max_steps)

    def relax_clamped(
        self,
        state: OperatingPoint,
        x: Float[Array, "*batch inputs"],
        output: Float[Array, "*batch outputs"],
    ) -> OperatingPoint:
        """Settle from `state` while ideal voltage sources hold the outputs.

        **Raises:** `ValueError` if some outputs determine another one.
        """
        sensors, offset = self._sensors(output)
        _check_independent(self._layout, self.graph)
        readings = _readings(self._layout, self.graph)[:, : self._layout.unknowns]
        system, count = self._system(x), len(ideal(self.graph))
        system = system._replace(
            rows=jnp.concatenate([system.rows, sensors]),
            limit=jnp.concatenate([system.limit, output - _rows(offset, output)], -1),
            held=np.arange(count + len(sensors)) >= count,
            touched=system.touched | (readings != 0).any(0),
        )
        wires = jnp.zeros(output.shape, state.current.dtype)
        start = state._replace(current=jnp.concatenate([state.current, wires], -1))
        point = settle(system, start, self.max_steps)
        return point._replace(current=point.current[..., :count])

    def readout(self, state: OperatingPoint) -> Inexact[Array, "*batch outputs"]:
        sensors, offset = self._sensors(state.voltage)
        y = jnp.einsum("oi,...i->...o", sensors, state.voltage)
        return y + _rows(offset, y).astype(y.dtype)

    def energy(
        self, state: OperatingPoint, x: Float[Array, "*batch inputs"]
    ) -> Inexact[Array, "*batch"]:  # W
        layout, graph = self._layout, self.graph
        v = self.node_voltages(state, x)
        pairs = np.asarray(graph.edges, int).reshape(-1, 2)
        drop = v[..., pairs[:, 0]] - v[..., pairs[:, 1]]
        weighted = self.conductance * self._constant(layout.weight_of(pairs))
        energy = jnp.einsum("e,...e->...", weighted.astype(v.dtype) / 2, drop * drop)
        nodes, currents = self._injected(x)
        weight = _rows(self._constant(layout.weight[nodes]), v)
        given = (weight * _rows(currents, v)).astype(v.dtype)
        energy = energy - jnp.sum(given * v[..., nodes], -1)
        pairs, constants = self._junctions()
        drop = v[..., pairs[:, 0]] - v[..., pairs[:, 1]]
        weight, *law = (_rows(a, v).astype(v.dtype) for a in constants)
        return energy + jnp.sum(weight * shockley_co_content(drop, *law), -1)

    def residual(
        self, state: OperatingPoint, x: Float[Array, "*batch inputs"]
    ) -> OperatingPoint:
        return net_current(self._system(x), state)

    def project(self) -> "ResistorNetwork":
        """Every conductance from `low` to `high`."""
        inside = jnp.clip(self.conductance, self.low, self.high)
        return eqx.tree_at(lambda network: network.conductance, self, inside)

    def node_voltages(
        self, state: OperatingPoint, x: Float[Array, "*batch inputs"]
    ) -> Inexact[Array, "*batch nodes"]:  # V
        """Of all nodes, those of the sources too."""
        layout, u = self._layout, state.voltage
        z = jnp.concatenate([u, self._held(x).astype(u.dtype)], -1)
        factor = _rows(self._constant(layout.factor), z).astype(z.dtype)
        return factor * z[..., layout.slot]

    def without(self, lost: Collection[int]) -> "ResistorNetwork":
        """The network that remains when these edges are cut.

        **Raises:** `ValueError` for an edge that there is not, or a node that floats.
        """
        graph = self.graph
        strange = set(lost) - set(range(len(graph.edges)))
        if strange:
            raise ValueError(
                f"There are no edges {sorted(strange)} to cut, only 0 to "
                f"{len(graph.edges) - 1}."
            )
        kept = [e for e in range(len(graph.edges)) if e not in set(lost)]
        return ResistorNetwork(
            graph.nodes,
            [graph.edges[e] for e in kept],
            self.conductance[jnp.asarray(kept, int)],
            outputs=[a if b is None else (a, b) for a, b in graph.outputs],
            inputs=graph.inputs,
            current_inputs=graph.current_inputs,
            fixed=dict(graph.fixed),
            fixed_currents=dict(graph.fixed_currents),
            diodes=graph.diodes,
            amplifiers=graph.amplifiers,
            low=self.low,
            high=self.high,
            max_steps=self.max_steps,
        )

    @property
    def _layout(self) -> Layout:
        return layout_of(self.graph)

    def _constant(self, values: np.ndarray) -> Float[Array, "..."]:
        return jnp.asarray(values, self.conductance.dtype)

    def _held(self, x: Float[Array, "*batch inputs"]) -> Float[Array, "*batch held"]:
        graph = self.graph
        wanted = len(graph.inputs) + len(graph.current_inputs)
        if x.shape[-1:] != (wanted,):
            raise ValueError(
                f"The input has the shape {x.shape}, but its last axis must hold "
                f"{len(graph.inputs)} voltages and {len(graph.current_inputs)} "
                "currents."
            )
        volts = self._constant(np.asarray([v for _, v in graph.fixed]))
        spread = jnp.broadcast_to(volts, (*x.shape[:-1], len(graph.fixed)))
        return jnp.concatenate([x[..., : len(graph.inputs)], spread], -1)

    def _injected(
        self, x: Float[Array, "*batch inputs"]
    ) -> tuple[np.ndarray, Float[Array, "*batch injected"]]:
        graph = self.graph
        amps = self._constant(np.asarray([i for _, i in graph.fixed_currents]))
        spread = jnp.broadcast_to(amps, (*x.shape[:-1], len(graph.fixed_currents)))
        nodes = graph.current_inputs + tuple(k for k, _ in graph.fixed_currents)
        given = jnp.concatenate([x[..., len(graph.inputs) :], spread], -1)
        return np.asarray(nodes, int), given

    def _sensors(
        self, like: Array
    ) -> tuple[Inexact[Array, "outputs unknowns"], Float[Array, " outputs"]]:
        """What the outputs read of the unknown voltages, and of the fixed ones."""
        layout, graph = self._layout, self.graph
        matrix = _readings(layout, graph)
        n = layout.unknowns
        held = np.asarray([0.0] * len(graph.inputs) + [v for _, v in graph.fixed])
        unknown = self._constant(matrix[:, :n]).astype(like.dtype)
        return unknown, self._constant(matrix[:, n:] @ held)

    def _junctions(self) -> tuple[np.ndarray, list[Float[Array, " junctions"]]]:
        """The ends of the exponential diodes; weight, current and slope voltage."""
        found = exponential(self.graph)
        pairs = np.asarray([(d.anode, d.cathode) for d in found], int).reshape(-1, 2)
        constants = [
            self._layout.weight_of(pairs),
            np.asarray([d.saturation_current for d in found]),
            np.asarray([d.slope_voltage for d in found]),
        ]
        return pairs, [self._constant(values) for values in constants]

    def _system(self, x: Float[Array, "*batch inputs"]) -> System:
        layout, graph = self._layout, self.graph
        n, held = layout.unknowns, self._held(x)
        whole = self._conductance_matrix()
        force = -jnp.einsum("is,...s->...i", whole[:n, n:], held)
        nodes, currents = self._injected(x)
        lift = np.zeros((len(nodes), n + held.shape[-1]))
        scale = layout.factor[nodes] * layout.weight[nodes]
        lift[np.arange(len(nodes)), layout.slot[nodes]] = scale
        force += jnp.einsum("...k,ki->...i", currents, self._constant(lift[:, :n]))
        pairs, constants = self._junctions()
        across = self._constant(layout.drops(pairs))
        valves = ideal(graph)
        ends = np.asarray([(d.anode, d.cathode) for d in valves], int).reshape(-1, 2)
        rows = self._constant(layout.drops(ends))
        offset = self._constant(np.asarray([d.offset for d in valves]))
        from_sources = jnp.einsum("ds,...s->...d", rows[:, n:], held)
        return System(
            matrix=whole[:n, :n],
            force=force,
            junctions=Junctions(
                across[:, :n],
                jnp.einsum("ds,...s->...d", across[:, n:], held),
                *constants,
            ),
            rows=rows[:, :n],
            limit=_rows(offset, from_sources) - from_sources,
            held=np.zeros(len(valves), bool),
            touched=(layout.drops(np.concatenate([pairs, ends]))[:, :n] != 0).any(0),
        )

    def _conductance_matrix(self) -> Float[Array, "all all"]:
        """The weighted Laplacian over the unknown voltages and those of the sources."""
        layout = self._layout
        pairs = np.asarray(self.graph.edges, int).reshape(-1, 2)
        weighted = self.conductance * self._constant(layout.weight_of(pairs))
        ends, factors = layout.slot[pairs], layout.factor[pairs] * np.asarray([1, -1])
        size = layout.unknowns + len(self.graph.held)
        matrix = jnp.zeros((size, size), weighted.dtype)
        for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
            scale = self._constant(factors[:, i] * factors[:, j])
            matrix = matrix.at[ends[:, i], ends[:, j]].add(scale * weighted)
        return matrix


def _pair(output: int | tuple[int, int]) -> tuple[int, int | None]:
    return output if isinstance(output, tuple) else (int(output), None)


def _conducting(graph: Graph, conductance: Float[Array, " edges"]) -> np.ndarray:
    """Which edges do; all of them, where the values are not known yet."""
    if conductance.shape != (len(graph.edges),):
        raise ValueError(
            f"There are {len(graph.edges)} edges, but `conductance` has the shape "
            f"{conductance.shape}."
        )
    if isinstance(conductance, Tracer):
        return np.ones(len(graph.edges), bool)
    values = np.asarray(conductance)
    bad = np.flatnonzero(~(values >= 0) | np.isinf(values))
    if len(bad):
        raise ValueError(
            f"Edge {bad[0]}, from node {graph.edges[bad[0]][0]} to "
            f"{graph.edges[bad[0]][1]}, has the conductance {values[bad[0]]} S: it "
            "can't be negative or infinite."
        )
    return values > 0


def _readings(layout: Layout, graph: Graph) -> np.ndarray:
    matrix = np.zeros((len(graph.outputs), layout.unknowns + len(graph.held)))
    for k, pair in enumerate(graph.outputs):
        for node, sign in zip(pair, (1.0, -1.0), strict=True):
            if node is not None:
                matrix[k, layout.slot[node]] += sign * layout.factor[node]
    return matrix


def _check_independent(layout: Layout, graph: Graph) -> None:
    read = _readings(layout, graph)[:, : layout.unknowns]
    for k in range(len(read)):
        if np.linalg.matrix_rank(read[: k + 1]) <= k:
            raise ValueError(
                f"Output {k} follows from the outputs before it: they can't all be "
                "held at chosen voltages."
            )


def _rows(values: Array, like: Array) -> Array:
    """With leading axes for those of `like`."""
    return values[(None,) * (like.ndim - values.ndim)]
