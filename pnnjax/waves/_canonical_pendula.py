"""Coupled pendula as a Hamiltonian system."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from .._fast_angles import cos_sin
from .._layer import Facts
from .._motion import AbstractHamiltonianLayer, Part, PhaseSpace
from ..integrators import Splitting
from ._coupled_pendula import CoupledPendula, followed, let_go, trained_stiffness


class CanonicalPendula(AbstractHamiltonianLayer):
    r"""`CoupledPendula` as a Hamiltonian system: what an echo can train.

    $$H = \tfrac12 p^\top K p - \sum_i\frac{\cos((1 + \eta)q_i)}{1 + \eta} - d^\top q$$

    The momenta are $p = K^{-1}\dot q$, so that inertia couples the pendula. Their
    angles move as those of `CoupledPendula` with the torques $e = Kd$. Trained are the
    couplings in $K$ and $d$; only the strict upper triangle of `coupling` counts.

    A step takes one product with $K$, where one of Runge and Kutta takes four.

    **Raises:** at run time, for a step that is too coarse, with a number of steps that
    would do.
    **Error:** of the splitting: it is symplectic, and reversible to rounding.
    """

    coupling: Float[Array, "n n"]
    torque: Float[Array, " n"]
    splitting: Splitting
    nonlinearity: float
    inputs: int = eqx.field(static=True)
    outputs: int = eqx.field(static=True)
    facts = Facts(time_reversible=True)

    def __init__(
        self,
        pendula: int,
        *,
        key: PRNGKeyArray,
        inputs: int | None = None,
        outputs: int | None = None,
        splitting: Splitting | None = None,
        spread: float = 0.4,
        nonlinearity: float = 0.0,
    ):
        """As `CoupledPendula`; `splitting` is `Splitting(0.5, 5)` unless given."""
        self.splitting = Splitting(0.5, 5) if splitting is None else splitting
        same = CoupledPendula(
            pendula,
            key=key,
            inputs=inputs,
            outputs=outputs,
            duration=self.splitting.duration,
            steps=self.splitting.steps,
            spread=spread,
        )
        self.coupling, self.torque = same.coupling, same.drive
        self.inputs, self.outputs = same.inputs, same.outputs
        self.nonlinearity = nonlinearity

    def initial_state(self, x: Float[Array, "*batch inputs"]) -> PhaseSpace:
        start = let_go(x, self.inputs, self.coupling.shape[0])
        return PhaseSpace(start, jnp.zeros_like(start))

    def drive(self, x: Float[Array, "*batch inputs"]) -> None:
        return None

    def parts(self) -> tuple[Part, ...]:
        return self._gravity(), self._inertia()

    def readout(self, state: PhaseSpace) -> Float[Array, "*batch outputs"]:
        return state.position[..., -self.outputs :]

    def _gravity(self) -> Part:
        scale = 1 + self.nonlinearity

        def energy(state, drive):
            del drive
            q = state.position
            return -jnp.sum(cos_sin(scale * q)[0], axis=-1) / scale - q @ self.torque

        def flow(state, drive, duration):
            del drive
            q, p = state
            torque = jnp.broadcast_to(self.torque, q.shape)
            pull = cos_sin(scale * q)[1]
            return PhaseSpace(q, p + duration * (torque - pull))

        return Part(energy, flow)

    def _inertia(self) -> Part:
        time = self.splitting
        stiffness = trained_stiffness(self.coupling)
        stiffness = followed(stiffness, time.duration, time.steps, self.nonlinearity)

        def energy(state, drive):
            del drive
            p = state.momentum
            return 0.5 * jnp.sum(p * (p @ stiffness), axis=-1)

        def flow(state, drive, duration):
            del drive
            q, p = state
            return PhaseSpace(q + duration * (p @ stiffness), p)

        return Part(energy, flow)
