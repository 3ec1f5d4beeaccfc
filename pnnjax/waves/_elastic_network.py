"""Networks of springs in the plane, at rest under forces and imposed displacements."""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Inexact, PRNGKeyArray

from .._frozen import Frozen
from .._layer import AbstractBoundedLayer, AbstractClampableLayer, Facts
from ._at_rest import downhill, settle_newton
from ._truss import (
    Place,
    checked_springs,
    checked_stiffness,
    compatibility,
    distances,
    indices,
    refuse_mechanisms,
)


def spring_energy(
    stiffness: Float[Array, " springs"],  # N/m
    elongation: Inexact[Array, "*batch springs"],  # m
) -> Inexact[Array, "*batch"]:  # J
    r"""$\tfrac12\sum_e k_e\,\delta_e^2$."""
    return 0.5 * jnp.square(elongation) @ stiffness.astype(elongation.dtype)


class ElasticNetwork(AbstractClampableLayer, AbstractBoundedLayer):
    r"""Nodes in the plane with springs between them; stiffnesses are trained.

    The energy is $\tfrac12\sum_e k_e(l_e - l_e^0)^2 - f\cdot u$ (J) with the true
    lengths $l_e$, or, linearized, with $l_e$ to first order in the displacements. The
    input is the forces (N), and then the imposed displacements (m); the output is
    displacements (m). Linearized, one factorization serves the whole batch, and
    equilibrium propagation measures the product of two elongations at each spring, that
    of the load and that of the adjoint one.

    Where not linearized, springs move to where the energy falls, from where they were:
    beyond the load that it can bear, a network snaps through.

    **Raises:** at run time, if a stiffness is no longer positive, naming the spring; if
    an input is not finite; if the springs buckle.
    **Error:** where not linearized, Newton's method stops at steps of about
    $\epsilon^{3/4}$ (m, or of the displacement).
    **Source:** Stern, Hexner, Rocks, Liu, *Phys. Rev. X* 11, 021045 (2021),
    doi:10.1103/PhysRevX.11.021045; adjoint loads: Li, Mao, *Nat. Commun.* 15, 10528
    (2024), doi:10.1038/s41467-024-54849-z; trained rest lengths: Altman et al., *Phys.
    Rev. Applied* 22, 024053 (2024), doi:10.1103/PhysRevApplied.22.024053.
    """

    stiffness: Float[Array, " springs"]
    rest_lengths: Float[Array, " springs"] | Frozen[Float[Array, " springs"]]
    positions: Frozen[Float[Array, "nodes 2"]]
    compatibility: Frozen[Float[Array, "springs coordinates"]]
    springs: tuple[tuple[int, int], ...] = eqx.field(static=True)
    free: tuple[int, ...] = eqx.field(static=True)
    forced: tuple[int, ...] = eqx.field(static=True)
    moved: tuple[int, ...] = eqx.field(static=True)
    read: tuple[int, ...] = eqx.field(static=True)
    window: tuple[float, float] = eqx.field(static=True)
    linearized: bool = eqx.field(static=True)
    unstressed: bool = eqx.field(static=True)

    def __init__(
        self,
        positions: Float[np.ndarray | Array, "nodes 2"],  # m
        springs: Sequence[tuple[int, int]],
        *,
        fixed: Sequence[Place],
        outputs: Sequence[Place],
        forced: Sequence[Place] = (),
        moved: Sequence[Place] = (),
        stiffness: float | Float[np.ndarray | Array, " springs"] = 1.0,  # N/m
        window: tuple[float, float] = (0.01, 100.0),  # N/m
        rest_lengths: Float[np.ndarray | Array, " springs"] | None = None,  # m
        train_rest_lengths: bool = False,
        linearized: bool = False,
    ):
        """Springs between pairs of nodes.

        **Arguments:**

        - `fixed`, `forced`, `moved`, `outputs`: nodes, or pairs of a node and an axis
            (0 or 1): what does not move, where the input's forces act, what the input
            displaces, what is read. A node stands for both of its axes.
        - `window`: the stiffnesses that can be built.
        - `rest_lengths`: without, no spring is stressed at `positions`.

        **Raises:** `ValueError` that names the spring, the node, or the motion that no
        spring resists.
        """
        where = np.asarray(positions)
        self.springs = checked_springs(springs, where)
        held, self.moved = indices(fixed, where), indices(moved, where)
        taken = {*held, *self.moved}
        self.free = tuple(i for i in range(where.size) if i not in taken)
        self.forced = indices(forced, where, among=self.free, role="forced")
        self.read = indices(outputs, where, among=self.free, role="an output")
        if len(taken) < len(held) + len(self.moved):
            raise ValueError("A coordinate can't be both fixed and moved.")
        if not 0 < window[0] <= window[1]:
            raise ValueError(f"`window` must be 0 < lowest <= highest, not {window}.")
        drawn = distances(where, self.springs)
        rest = np.asarray(drawn if rest_lengths is None else rest_lengths)
        refuse_mechanisms(where, self.springs, self.free, rest, linearized)
        dtype = jax.dtypes.canonicalize_dtype(where.dtype)
        self.stiffness = checked_stiffness(stiffness, len(self.springs), dtype)
        lengths = jnp.asarray(rest, dtype)
        self.rest_lengths = lengths if train_rest_lengths else Frozen(lengths)
        self.positions = Frozen(jnp.asarray(where, dtype))
        slopes = compatibility(where, self.springs)
        self.compatibility = Frozen(jnp.asarray(slopes, dtype))
        self.window = window
        self.linearized = linearized
        self.unstressed = rest_lengths is None and not train_rest_lengths

    @property
    def facts(self) -> Facts:
        return Facts(
            linear=self.linearized and self.unstressed,
            conservative=True,
            smooth=True,
            holomorphic=True,
        )

    def __call__(
        self,
        x: Float[Array, "*batch inputs"],  # N, then m
        *,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "*batch outputs"]:  # m
        return self.readout(self.relax(self.initial_state(x, key=key), x, None))

    def project(self) -> "ElasticNetwork":
        """With every stiffness in the window."""
        built = jnp.clip(self.stiffness, *self.window)
        return eqx.tree_at(lambda network: network.stiffness, self, built)

    def initial_state(
        self,
        x: Float[Array, "*batch inputs"],  # N, then m
        *,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "*batch free"]:  # m
        """As drawn: no free node has moved."""
        inputs = len(self.forced) + len(self.moved)
        if x.shape[-1] != inputs:
            raise ValueError(
                f"The network takes {len(self.forced)} forces and {len(self.moved)} "
                f"displacements, but `x` is of shape {x.shape}."
            )
        x = eqx.error_if(x, ~jnp.isfinite(x), "An input is NaN or infinite.")
        origin = 0.0 * jnp.sum(x, axis=-1, keepdims=True)
        return jnp.broadcast_to(origin, (*x.shape[:-1], len(self.free)))

    def relax(
        self,
        state: Inexact[Array, "*batch free"],  # m
        x: Float[Array, "*batch inputs"],  # N, then m
        nudge: Inexact[Array, "*batch outputs"] | None,  # J/m
    ) -> Inexact[Array, "*batch free"]:  # m
        if nudge is None:
            return self._settle(state, x, jnp.zeros_like(state), held=[])
        state = state.astype(nudge.dtype) if jnp.iscomplexobj(nudge) else state
        push = nudge.astype(state.dtype)
        load = jnp.zeros_like(state).at[..., self._outputs].set(-push)
        return self._settle(state, x, load, held=[], close=True)

    def relax_clamped(
        self,
        state: Inexact[Array, "*batch free"],  # m
        x: Float[Array, "*batch inputs"],  # N, then m
        output: Float[Array, "*batch outputs"],  # m
    ) -> Inexact[Array, "*batch free"]:  # m
        state = state.at[..., self._outputs].set(output)
        return self._settle(state, x, jnp.zeros_like(state), held=self._outputs)

    def readout(
        self, state: Inexact[Array, "*batch free"]
    ) -> Inexact[Array, "*batch outputs"]:  # m
        return state[..., self._outputs]

    def energy(
        self,
        state: Inexact[Array, "*batch free"],  # m
        x: Float[Array, "*batch inputs"],  # N, then m
    ) -> Inexact[Array, "*batch"]:  # J
        work = jnp.sum(self._load(x).astype(state.dtype) * state, axis=-1)
        return spring_energy(self.stiffness, self.elongations(state, x)) - work

    def residual(
        self,
        state: Inexact[Array, "*batch free"],  # m
        x: Float[Array, "*batch inputs"],  # N, then m
    ) -> Inexact[Array, "*batch free"]:  # N
        """The net force along each free coordinate."""
        elongation, pull = jax.vjp(lambda s: self.elongations(s, x), state)
        stiffness = jnp.broadcast_to(
            self.stiffness.astype(elongation.dtype), elongation.shape
        )
        (tension,) = pull(stiffness * elongation)
        return self._load(x).astype(state.dtype) - tension

    def elongations(
        self,
        state: Inexact[Array, "*batch free"],  # m
        x: Float[Array, "*batch inputs"],  # N, then m
    ) -> Inexact[Array, "*batch springs"]:  # m
        """By how much each spring is longer than at rest."""
        moves = self.displacements(state, x)
        where = self.positions.value.astype(moves.dtype)
        rest = self.rest_lengths
        rest = rest.value if isinstance(rest, Frozen) else rest
        if self.linearized:
            flat = moves.reshape(*moves.shape[:-2], -1)
            slope = self.compatibility.value.astype(moves.dtype)
            stretch, drawn = flat @ slope.T, distances(where, self.springs)
            return stretch + jnp.broadcast_to(
                drawn - rest.astype(drawn.dtype), stretch.shape
            )
        there = jnp.broadcast_to(where, moves.shape) + moves
        length = jnp.asarray(distances(there, self.springs))
        return length - jnp.broadcast_to(rest.astype(length.dtype), length.shape)

    def displacements(
        self,
        state: Inexact[Array, "*batch free"],  # m
        x: Float[Array, "*batch inputs"],  # N, then m
    ) -> Inexact[Array, "*batch nodes 2"]:  # m
        """Of all nodes, the held ones included."""
        where = self.positions.value
        moves = jnp.zeros((*state.shape[:-1], where.size), state.dtype)
        moves = moves.at[..., list(self.free)].set(state)
        imposed = x[..., len(self.forced) :].astype(state.dtype)
        moves = moves.at[..., list(self.moved)].set(imposed)
        return moves.reshape(*state.shape[:-1], *where.shape)

    @property
    def _outputs(self) -> list[int]:
        return [self.free.index(coordinate) for coordinate in self.read]

    def _load(self, x):
        """The forces on the free coordinates."""
        where = [self.free.index(coordinate) for coordinate in self.forced]
        zero = jnp.zeros((*x.shape[:-1], len(self.free)), x.dtype)
        return zero.at[..., where].set(x[..., : len(self.forced)])

    def _settle(self, state, x, load, held, close=False):
        """At rest under a further `load`, the coordinates `held` as they are.

        `close`: the load is small, and `state` is where they rest without it.
        """
        network = _refuse_negative(self)
        if self.linearized:
            return state + network._linear_step(state, x, load, held)
        loads = load.reshape(-1, load.shape[-1])
        inputs, start = x.reshape(-1, x.shape[-1]), state.reshape(loads.shape)
        held = np.array(held, int)
        begin, stiffest = start, lax.stop_gradient(jnp.max(network.stiffness))

        def excess(s, row):
            total = network.residual(s, inputs[row]) + loads[row]
            total = total / stiffest.astype(total.dtype)
            return total.at[held].set((begin[row] - s)[held])

        if jnp.iscomplexobj(start):
            return settle_newton(excess, start).reshape(state.shape)
        if not close:
            start = network._near(start, inputs, loads, held)
        end = settle_newton(excess, start).reshape(state.shape)
        return _refuse_buckled(end, excess, held)

    def _near(self, start, inputs, loads, held):
        """Not far from where the springs come to rest."""
        loose = np.delete(np.arange(start.shape[-1]), held)
        calm, *rows = lax.stop_gradient((self, start, inputs, loads))

        def force(s, row):
            begin, signal, load = (part[row] for part in rows)
            state = begin.at[loose].set(s)
            return (calm.residual(state, signal) + load)[loose]

        where = self.positions.value.astype(start.dtype)
        reach = 0.2 * jnp.min(jnp.asarray(distances(where, self.springs)))
        return rows[0].at[:, loose].set(downhill(force, rows[0][:, loose], reach))

    def _linear_step(self, state, x, load, held):
        """From any state to the one at rest: the force divided by the stiffness."""
        loose = np.ones(len(self.free), bool)
        loose[held] = False
        slope = self.compatibility.value[:, np.array(self.free)[loose]]
        matrix = slope.T @ (self.stiffness.astype(slope.dtype)[:, None] * slope)
        force = (self.residual(state, x) + load)[..., loose]
        step = _solve(matrix.astype(force.real.dtype), force)
        return jnp.zeros_like(state).at[..., loose].set(step)


def _solve(matrix, force):
    """One factorization for all rows, complex ones included."""
    if jnp.iscomplexobj(force):
        return lax.complex(_solve(matrix, force.real), _solve(matrix, force.imag))
    rows = force.reshape(-1, force.shape[-1])
    factor = jax.scipy.linalg.cho_factor(matrix)
    return jax.scipy.linalg.cho_solve(factor, rows.T).T.reshape(force.shape)


def _refuse_negative(network):
    bad = ~(network.stiffness > 0)
    stiffness = eqx.branched_error_if(
        network.stiffness,
        jnp.any(bad),
        jnp.argmax(bad),
        [
            f"The stiffness of spring {i} is no longer positive: `project` the network "
            "after each update."
            for i in range(len(network.springs))
        ],
    )
    return eqx.tree_at(lambda n: n.stiffness, network, stiffness)


def _refuse_buckled(state, force, held):
    """Only where the energy is least do springs rest."""
    rows = lax.stop_gradient(state.reshape(-1, state.shape[-1]))
    slope = jax.vmap(jax.jacfwd(force))(rows, jnp.arange(len(rows)))
    loose = np.delete(np.arange(state.shape[-1]), held)
    stiffness = -lax.stop_gradient(slope)[:, loose][:, :, loose]
    return eqx.error_if(
        state,
        ~jnp.all(jnp.isfinite(jnp.linalg.cholesky(stiffness))),
        "The springs buckle: the equilibrium found is not stable. Load them less.",
    )
