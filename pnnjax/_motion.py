"""Contract 1, for systems that move: linear ones with losses, and Hamiltonian ones."""

import abc
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact, PRNGKeyArray, PyTree

from ._layer import AbstractLayer
from .integrators import Splitting


class AbstractTrajectoryLayer(AbstractLayer):
    r"""Linear dynamics in time: sources drive the nodes from rest, sensors follow them.

    The response is causal and does not change with time, $v_t = \sum_{k < t} h_{t-k}
    s_k$. Where it is reciprocal, each $h$ is symmetric, with losses as without.
    """

    @abc.abstractmethod
    def drive(self, x: Float[Array, "..."]) -> Float[Array, "*batch time nodes"]:
        """The source at each node, held for one step after the other."""

    @abc.abstractmethod
    def evolve(
        self, sources: Float[Array, "*batch time nodes"]
    ) -> Float[Array, "*batch time nodes"]:
        """The nodes after each step, from rest."""

    @abc.abstractmethod
    def readout(
        self, trajectory: Float[Array, "*batch time nodes"]
    ) -> Float[Array, "..."]:
        """What the output sensors show."""

    @abc.abstractmethod
    def cotangent(
        self,
        trajectory: Float[Array, "*batch time nodes"],
        adjoint: Float[Array, "*batch time nodes"],
    ) -> "AbstractTrajectoryLayer":
        r"""The parameters' cotangent from what each node did in the two runs.

        `adjoint[t]` is $\lambda_t$, the loss's derivative to `sources[t]`.
        """


class PhaseSpace(NamedTuple):
    r"""Positions and momenta: pytrees of real `"*batch ..."` arrays, of one structure.

    A complex amplitude is $\psi = (q + ip)/\sqrt 2$, so that
    $i\dot\psi = \partial H/\partial\psi^*$.
    """

    position: PyTree[Float[Array, "..."]]
    momentum: PyTree[Float[Array, "..."]]

    def reversed(self) -> "PhaseSpace":
        """The same place, with the motion reversed; an amplitude is conjugated."""
        return PhaseSpace(self.position, jax.tree.map(lambda p: -p, self.momentum))

    def kicked(self, slope: "PhaseSpace", strength: Any) -> "PhaseSpace":
        """After a short pulse of a Hamiltonian with this slope, and this integral."""
        return PhaseSpace(
            jax.tree.map(lambda q, h: q + strength * h, self.position, slope.momentum),
            jax.tree.map(lambda p, h: p - strength * h, self.momentum, slope.position),
        )


class Part(NamedTuple):
    r"""One term $H_k$ of a Hamiltonian, with its exact flow.

    It must be even in the momenta, and $\partial H_k/\partial\theta$ must not change
    along its own flow: a kick by a potential, a drift, a rotation by what is conserved.
    """

    energy: Callable[[PhaseSpace, PyTree], Float[Array, "*batch"]] | None
    """`energy(state, drive)` of each example; `None` if the part is loss or gain."""
    flow: Callable[[PhaseSpace, PyTree, float], PhaseSpace]
    """`flow(state, drive, duration)` (s)."""


class AbstractHamiltonianLayer(AbstractLayer):
    """Conservative motion, which runs backwards when the momenta are reversed.

    The Hamiltonian is a sum of parts, whose exact flows a symmetric composition puts
    together. The output is what the sensors show at the end, `"*batch outputs"`; or at
    several times, `"*batch readings outputs"`.
    """

    splitting: eqx.AbstractVar[Splitting]

    @abc.abstractmethod
    def initial_state(self, x: Inexact[Array, "..."]) -> PhaseSpace:
        """Where the motion begins."""

    @abc.abstractmethod
    def drive(self, x: Inexact[Array, "..."]) -> PyTree[Float[Array, "steps ..."]]:
        """What acts from outside in each step; `None` if nothing does."""

    @abc.abstractmethod
    def parts(self) -> tuple[Part, ...]:
        """The terms of the Hamiltonian; the last one acts in the middle of a step."""

    @abc.abstractmethod
    def readout(self, state: PhaseSpace) -> Float[Array, "*batch outputs"]:
        """What the sensors show."""

    def __call__(
        self, x: Inexact[Array, "..."], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "..."]:
        del key
        return self.run(x)[1]

    def run(self, x: Inexact[Array, "..."]) -> tuple[PhaseSpace, Float[Array, "..."]]:
        """The final state, and the output."""
        flows = [part.flow for part in self.parts()]
        start, drive = self.initial_state(x), self.drive(x)
        return self.splitting.run(flows, start, drive, self.readout)

    def trajectory(
        self, state: PhaseSpace, drive: PyTree[Float[Array, "steps ..."]]
    ) -> PhaseSpace:
        """The states after each step from `state` on, along a new leading axis."""
        flows = [part.flow for part in self.parts()]
        return self.splitting.trajectory(flows, state, drive)

    def energy(self, state: PhaseSpace, drive: PyTree) -> Float[Array, "*batch"]:
        """The Hamiltonian, of each example, while `drive` acts."""
        terms = [part.energy(state, drive) for part in self.parts() if part.energy]
        return jnp.sum(jnp.stack(terms), 0)
