"""Networks of resistors and capacitors: charge that spreads, and is remembered."""

import math
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, PRNGKeyArray

from .._layer import AbstractBoundedLayer, Facts
from .._motion import AbstractTrajectoryLayer


def charge_spread(
    current: Float[Array, "*batch time n"],  # A, held for one step after the other
    conductance: Float[Array, "n n"],  # S, symmetric: the matrix of the circuit
    capacitance: Float[Array, " n"],  # F, > 0
    step: float,  # s
) -> Float[Array, "*batch time n"]:  # V
    r"""The voltages after each step of $C\dot V = I - GV$, with no charge at first.

    $$\left(\tfrac{C}{\tau} + \tfrac{G}{2}\right) V_{t+1}
        = \left(\tfrac{C}{\tau} - \tfrac{G}{2}\right) V_t + I_t$$

    **Error:** of order `step` squared (the trapezoidal rule), stable at any step;
    charge is conserved to rounding.
    """
    rate = capacitance / step
    # One inverse for all steps and examples, of a symmetric positive matrix.
    identity = jnp.eye(len(rate), dtype=rate.dtype)
    factor = jax.scipy.linalg.cho_factor(jnp.diag(rate) + conductance / 2)
    resistance = jax.scipy.linalg.cho_solve(factor, identity)
    keep = 2 * rate[:, None] * resistance - identity

    def advance(voltage, pushed):
        voltage = voltage @ keep + pushed
        return voltage, voltage

    pushed = jnp.moveaxis(current @ resistance, -2, 0)
    rest = jnp.zeros(pushed.shape[1:], pushed.dtype)
    return jnp.moveaxis(jax.lax.scan(advance, rest, pushed)[1], 0, -2)


class Wiring(NamedTuple):
    """What an RC network joins, without the values."""

    nodes: int
    edges: tuple[tuple[int, int | None], ...]
    inputs: tuple[int, ...]
    outputs: tuple[tuple[int, int | None], ...]


class RCNetwork(AbstractTrajectoryLayer, AbstractBoundedLayer):
    r"""Currents over time in, voltages over time out, across resistors and capacitors.

    $$C_k \dot V_k = I_k - \sum_e g_e\,(V_k - V_{e(k)})$$

    Each node has a capacitor to the ground. The dynamics are overdamped: stored energy
    $\tfrac12\sum C V^2$ only falls by itself, and what was put in fades with a spectrum
    of time constants. Conductances and capacitances are trained.

    **Valid for:** currents that are constant during each `step`, and steps below the
    shortest time constant that matters.
    **Error:** of order `step` squared.
    """

    facts: ClassVar[Facts] = Facts(linear=True, reciprocal=True)
    conductance: Float[Array, " edges"]  # S
    capacitance: Float[Array, " nodes"]  # F
    wiring: Wiring = eqx.field(static=True)
    step: float  # s
    low: float  # S
    high: float  # S
    least_capacitance: float  # F

    def __init__(
        self,
        edges: Sequence[tuple[int, int | None]],
        conductance: Float[Array, " edges"],  # S
        capacitance: Float[Array, " nodes"],  # F
        *,
        inputs: Sequence[int],
        outputs: Sequence[int | tuple[int, int]],
        step: float,  # s
        low: float = 0.0,  # S
        high: float = math.inf,  # S
        least_capacitance: float | None = None,  # F
    ):
        """Edge `e` joins two nodes, or a node and the ground (`None`), by a resistor.

        **Arguments:**

        - `inputs`: nodes into which the input currents flow.
        - `outputs`: nodes whose voltage is read, or pairs `(a, b)` for $V_a - V_b$.
        - `step`: how long each of the input's currents is held.
        - `low`, `high`, `least_capacitance`: what can be built; `project` clips to it.
            The capacitance defaults to a tenth of the least that is given.

        **Raises:** `ValueError` that names the node, the edge or the value.
        """
        wiring = Wiring(
            nodes=len(capacitance),
            edges=tuple((int(a), None if b is None else int(b)) for a, b in edges),
            inputs=tuple(map(int, inputs)),
            outputs=tuple(
                (int(o[0]), int(o[1])) if isinstance(o, tuple) else (int(o), None)
                for o in outputs
            ),
        )
        _check(wiring, conductance, capacitance, step, low, high)
        if least_capacitance is None:
            least_capacitance = 0.1 * float(np.min(capacitance))
        if not least_capacitance > 0:
            raise ValueError(
                f"`least_capacitance` must be positive, not {least_capacitance} F."
            )
        self.conductance = conductance
        self.capacitance = capacitance
        self.wiring = wiring
        self.step = step
        self.low, self.high = low, high
        self.least_capacitance = least_capacitance

    def __call__(
        self, x: Float[Array, "*batch time inputs"], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "*batch time outputs"]:
        return self.readout(self.evolve(self.drive(x)))

    def drive(
        self, x: Float[Array, "*batch time inputs"]
    ) -> Float[Array, "*batch time nodes"]:
        inputs = np.asarray(self.wiring.inputs)
        if x.shape[-1] != len(inputs):
            raise ValueError(
                f"This network has {len(inputs)} input nodes, but the last axis of x "
                f"is {x.shape[-1]} long: its axes are (..., time, inputs)."
            )
        still = jnp.zeros((*x.shape[:-1], self.wiring.nodes), x.dtype)
        return still.at[..., inputs].add(x)

    def evolve(
        self, sources: Float[Array, "*batch time nodes"]
    ) -> Float[Array, "*batch time nodes"]:
        ends = jnp.asarray(self._ends, self.conductance.dtype)
        matrix = ends.T @ (self.conductance[:, None] * ends)
        return charge_spread(sources, matrix, self.capacitance, self.step)

    def readout(
        self, trajectory: Float[Array, "*batch time nodes"]
    ) -> Float[Array, "*batch time outputs"]:
        return trajectory @ _drops(self.wiring.outputs, self.wiring.nodes).T.astype(
            trajectory.dtype
        )

    def cotangent(
        self,
        trajectory: Float[Array, "*batch time nodes"],
        adjoint: Float[Array, "*batch time nodes"],
    ) -> "RCNetwork":
        r"""From $-\sum_t \Delta\lambda_e \Delta V_e$ and $-\sum_t \lambda_k \dot V_k$.

        $\Delta V$ is the mean over each step.
        """
        before = jnp.roll(trajectory, 1, -2).at[..., 0, :].set(0)
        mean, rate = (trajectory + before) / 2, (trajectory - before) / self.step
        ends = self._ends.astype(mean.dtype).T
        axes = tuple(range(mean.ndim - 1))
        return eqx.tree_at(
            lambda layer: (layer.conductance, layer.capacitance),
            self,
            (
                -jnp.sum((adjoint @ ends) * (mean @ ends), axes),
                -jnp.sum(adjoint * rate, axes),
            ),
        )

    def project(self) -> "RCNetwork":
        return eqx.tree_at(
            lambda layer: (layer.conductance, layer.capacitance),
            self,
            (
                jnp.clip(self.conductance, self.low, self.high),
                jnp.maximum(self.capacitance, self.least_capacitance),
            ),
        )

    @property
    def _ends(self) -> np.ndarray:
        return _drops(self.wiring.edges, self.wiring.nodes)


def _drops(pairs: tuple[tuple[int, int | None], ...], nodes: int) -> np.ndarray:
    """The matrix that takes node voltages to $V_a - V_b$ of each pair."""
    matrix = np.zeros((len(pairs), nodes))
    for row, (a, b) in enumerate(pairs):
        matrix[row, a] += 1
        if b is not None:
            matrix[row, b] -= 1
    return matrix


def _check(wiring, conductance, capacitance, step, low, high) -> None:
    if not (step > 0 and math.isfinite(step)):
        raise ValueError(f"`step` must be a positive number of seconds, not {step}.")
    if not 0 <= low < high:
        raise ValueError(f"`low` and `high` must rise from 0 S, not {low}, {high}.")
    if not wiring.inputs or not wiring.outputs:
        raise ValueError("Name at least one node in `inputs` and one in `outputs`.")
    if len(wiring.edges) != len(conductance):
        raise ValueError(
            f"There are {len(wiring.edges)} edges, but {len(conductance)} conductances."
        )
    named = {f"Edge {k}": pair for k, pair in enumerate(wiring.edges)}
    named |= {f"Output {k}": pair for k, pair in enumerate(wiring.outputs)}
    named |= {"An input": tuple(wiring.inputs)}
    for what, nodes in named.items():
        for node in nodes:
            if node is not None and not 0 <= node < wiring.nodes:
                raise ValueError(
                    f"{what} is at node {node}, but the capacitances are those of "
                    f"nodes 0 to {wiring.nodes - 1}."
                )
        if len(nodes) == 2 and nodes[0] == nodes[1] and what != "An input":
            raise ValueError(f"{what} joins node {nodes[0]} to itself.")
    _check_values("conductance", conductance, lambda v: v >= 0, "negative")
    _check_values("capacitance", capacitance, lambda v: v > 0, "not positive")


def _check_values(name, values, allowed, wrong) -> None:
    if isinstance(values, Tracer):
        return
    bad = np.flatnonzero(~(allowed(np.asarray(values)) & np.isfinite(values)))
    if len(bad):
        raise ValueError(
            f"`{name}[{bad[0]}]` is {values[bad[0]]}, which is {wrong} or not finite."
        )
