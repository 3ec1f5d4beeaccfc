"""Self-learning: parameters that are slow, heavy coordinates, moved by the echo."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact, PyTree

from .._frozen import is_trainable
from .._motion import AbstractHamiltonianLayer, PhaseSpace

Cost = Callable[[Float[Array, "..."], Any], Float[Array, ""]]
"""`cost(output, targets)`, summed over the examples: the error signal's Hamiltonian."""


class Machine(NamedTuple):
    """The whole of a self-learning machine: fields, parameters, and their momenta."""

    fields: PhaseSpace
    parameters: PyTree[Array]
    momenta: PyTree[Array]

    def reversed(self) -> "Machine":
        """With every motion reversed, that of the parameters too."""
        momenta = jax.tree.map(lambda m: -m, self.momenta)
        return Machine(self.fields.reversed(), self.parameters, momenta)


class SelfLearningMachine(eqx.Module):
    r"""A Hamiltonian layer whose parameters move: $H(\psi, \Theta) + \pi^2/2M$.

    In the fields' motion $\dot\pi = -\partial H/\partial\Theta$ adds up. After the
    fields' and the parameters' mirror, the echo takes it away again, but for what the
    error signal $\epsilon C$ changes: $\pi = -\epsilon\,dC/d\Theta$ is left. In the
    decay step the fields are gone, $\Theta$ drifts by $\pi/M$ for the decay time, and
    friction then stops it: a step down the gradient, which nobody has read or computed.

    The forces of the fields on the parameters are the slopes of the parts' energies,
    and that of the error signal is the slope of the cost at the sensors: those that act
    in the system itself. Examples of a batch are fields that all meet the same
    parameters, and not each other.

    **Arguments:** `layer`; `mass` $M$; `decay_time` (s); `epsilon`, the strength of the
    error signal; `centered`: a second echo, with $-\epsilon$, before the decay.
    **Raises:** `ValueError` for a number that is not positive, and for a layer that is
    read on the way. `TypeError` for one without a Hamiltonian.
    **Error:** of the drift as a step down the gradient: of order `epsilon`, centered of
    its square, and of order `1 / mass` at a given learning rate.
    **Source:** López-Pastor and Marquardt, *Phys. Rev. X* 13, 031020 (2023),
    doi:10.1103/PhysRevX.13.031020.
    """

    layer: AbstractHamiltonianLayer
    mass: float
    decay_time: float
    epsilon: float
    centered: bool

    def __init__(
        self,
        layer: Any,
        *,
        mass: float,
        decay_time: float,  # s
        epsilon: float = 0.01,
        centered: bool = False,
    ):
        if not isinstance(layer, AbstractHamiltonianLayer):
            raise TypeError(
                f"A `{type(layer).__name__}` has no Hamiltonian for parameters to move "
                "in: give an `AbstractHamiltonianLayer`."
            )
        if layer.splitting.readings is not None:
            raise ValueError(
                "The error signal is given at the end, but the layer is read "
                f"{layer.splitting.readings} times: take `readings=None`."
            )
        numbers = {"mass": mass, "decay_time": decay_time, "epsilon": epsilon}
        for name, value in numbers.items():
            if isinstance(value, int | float) and not value > 0:
                raise ValueError(f"`{name}` must be positive, but is {value}.")
        self.layer = layer
        self.mass = mass
        self.decay_time = decay_time
        self.epsilon = epsilon
        self.centered = centered

    @property
    def learning_rate(self) -> float:
        r"""$\epsilon\,\tau/M$, and twice that with two echoes."""
        return (1 + self.centered) * self.epsilon * self.decay_time / self.mass

    def __call__(self, x: Inexact[Array, "..."]) -> Float[Array, "*batch outputs"]:
        """What the layer shows, its parameters being held."""
        return self.layer(x)

    def learn(
        self, x: Inexact[Array, "..."], targets: Any, cost: Cost
    ) -> tuple["SelfLearningMachine", Float[Array, "*batch outputs"]]:
        """One step of learning: the machine after it, and what it showed before."""
        machine, y = self.echo(x, targets, cost)
        time = self.decay_time / self.mass
        parameters = jax.tree.map(
            lambda value, m: value + time * m, machine.parameters, machine.momenta
        )
        return eqx.tree_at(lambda m: m.layer, self, self._layer(parameters)), y

    def echo(
        self, x: Inexact[Array, "..."], targets: Any, cost: Cost
    ) -> tuple[Machine, Float[Array, "*batch outputs"]]:
        """The machine before the decay, and what it showed."""
        parameters = eqx.filter(self.layer, is_trainable(self.layer))
        start = self.layer.initial_state(x)
        still = jax.tree.map(jnp.zeros_like, parameters)
        machine = Machine(start, parameters, still)
        machine, y = self._there_and_back(machine, x, targets, cost, self.epsilon)
        if not self.centered:
            return machine, y
        again = machine._replace(fields=start)
        machine, _ = self._there_and_back(again, x, targets, cost, -self.epsilon)
        return machine.reversed(), y

    def _there_and_back(self, machine, x, targets, cost, epsilon):
        drive = self.layer.drive(x)
        machine = self._move(machine, drive, reverse=False)
        layer = self._layer(machine.parameters)
        y = layer.readout(machine.fields)
        turned = machine.reversed()

        def error(fields):
            return cost(layer.readout(fields.reversed()), targets)

        fields = turned.fields.kicked(jax.grad(error)(turned.fields), epsilon)
        return self._move(turned._replace(fields=fields), drive, reverse=True), y

    def _move(self, machine: Machine, drive: Any, *, reverse: bool) -> Machine:
        splitting, parts = self.layer.splitting, len(self.layer.parts())

        def visit(machine, k, drive, duration):
            if k == 0:
                return self._drift(machine, duration)
            part = self._layer(machine.parameters).parts()[k - 1]
            momenta = self._pushed(machine, k - 1, drive, duration)
            fields = part.flow(machine.fields, drive, duration)
            return Machine(fields, machine.parameters, momenta)

        def step(machine, drive):
            return splitting.step(visit, 1 + parts, machine, drive), None

        return jax.lax.scan(step, machine, drive, splitting.steps, reverse=reverse)[0]

    def _drift(self, machine: Machine, duration: float) -> Machine:
        parameters = jax.tree.map(
            lambda value, m: value + duration / self.mass * m,
            machine.parameters,
            machine.momenta,
        )
        return machine._replace(parameters=parameters)

    def _pushed(self, machine: Machine, k: int, drive: Any, duration: float) -> PyTree:
        """The parameters' momenta after the force of one part."""

        def energy(parameters):
            own = self._layer(parameters).parts()[k].energy
            return jnp.zeros(()) if own is None else jnp.sum(own(machine.fields, drive))

        slope = jax.grad(energy)(machine.parameters)
        return jax.tree.map(lambda m, s: m - duration * s, machine.momenta, slope)

    def _layer(self, parameters: PyTree) -> AbstractHamiltonianLayer:
        return eqx.combine(parameters, self.layer)
