"""A lattice that learns by itself: its parameters are moved by the echo alone."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray, PyTree

from .. import data, objectives, oscillators, plots
from .._claims import cosine_similarity
from .._frozen import is_trainable
from .._history import History
from .._motion import AbstractHamiltonianLayer
from ._echo_lattice import (
    RATES,
    EchoLattice,
    class_intensities,
    of_length,
    there_and_back,
)
from ._experiment import AbstractStudy, Outcome
from ._settings import setting

if TYPE_CHECKING:
    from matplotlib.figure import Figure

XOR_SCALE = 5.0
"""Of the softmax for exclusive or: small, lest the error signal vanish in rounding."""
PROBE = 64
"""Training examples with which the update is compared with the gradient."""


class Task(NamedTuple):
    """What a machine is to learn."""

    data: data.Dataset
    classes: Callable[[Array], Array]
    """From the output sites' intensities to those of the classes."""
    scale: float
    """Of the softmax over their shares."""

    def cost(self, y: Array, labels: Array) -> Array:
        """The error signal's Hamiltonian: the cross-entropy, summed over examples."""
        objective = objectives.PowerSoftmax(self.scale)
        return len(labels) * objective(self.classes(y), labels)


class SelfLearning(AbstractStudy):
    r"""The lattices of `echo-lattice`, as machines whose couplings have a mass.

    Nothing is differentiated, read out or fed back but the error signal at the output
    sites: after each echo the parameters drift, are stopped, and the next images come.
    Beside the training, their drift is compared with the gradient.
    """

    epochs: int = setting(8, "passes through the images", low=1)
    batch_size: int = setting(16, "images in the lattice at once", low=1)
    learning_rate: float = setting(0.03, "at first, falling as a cosine", low=0)
    xor_epochs: int = setting(20, "passes through the points of exclusive or", low=1)
    xor_learning_rate: float = setting(0.02, "of the chain", low=0)
    amplitude: float = setting(1.0, "of a whole image, length of the vector", low=0.01)
    nonlinearity: float = setting(1.0, "frequency at intensity 1 (rad/s)")
    epsilon: float = setting(0.003, "strength of the error signal", low=1e-6)
    mass: float = setting(1e4, "of each parameter", low=1.0)
    scale: float = setting(20.0, "of the softmax over the shares", low=0)

    name: ClassVar[str] = "selflearning-machine"
    summary: ClassVar[str] = (
        "lattice whose couplings are moved by the echo itself, on exclusive or and "
        "8 × 8 digits; no gradient is read out"
    )
    reference: ClassVar[str] = (
        "after López-Pastor and Marquardt, Phys. Rev. X 13, 031020 (2023), "
        "doi:10.1103/PhysRevX.13.031020"
    )
    figure: ClassVar[str] = "test accuracy on the digits"
    published: ClassVar[float | None] = None
    duration: ClassVar[float] = 45.0

    def run(
        self, *, seed: int, checkpoint: Path | None, resume: bool, progress: bool
    ) -> Outcome:
        del checkpoint, resume, progress  # it takes minutes
        keys = jax.random.split(jax.random.key(seed), 4)
        lattices = EchoLattice(amplitude=self.amplitude, nonlinearity=self.nonlinearity)
        points = Task(data.xor(), lambda y: y, XOR_SCALE)
        digits = of_length(self.amplitude, data.digits())
        images = Task(digits, class_intensities, self.scale)
        small, xor = teach(
            self.machine(lattices.chain(key=keys[0]), self.xor_learning_rate),
            points,
            epochs=self.xor_epochs,
            batch_size=self.batch_size,
            key=keys[1],
        )
        large, numbers = teach(
            self.machine(lattices.hypercube(key=keys[2]), self.learning_rate),
            images,
            epochs=self.epochs,
            batch_size=self.batch_size,
            key=keys[3],
        )
        histories = [xor, numbers]
        return Outcome(
            value=numbers.final()["accuracy"],
            seconds=sum(h.seconds for h in histories),
            model=large,
            history=None,
            table={
                "task": ["xor", "digits"],
                "accuracy": [h.final()["accuracy"] for h in histories],
                "cosine": [float(np.median(h.metrics["cosine"])) for h in histories],
                "least cosine": [float(np.min(h.metrics["cosine"])) for h in histories],
                "seconds": [h.seconds for h in histories],
            },
            pictures={
                "training": lambda: plots.learning_curve(
                    {"exclusive or": xor, "digits": numbers}
                ),
                "xor": lambda: plots.decision_regions(
                    small, (points.data.test_x, points.data.test_y)
                ),
                "physics": lambda: self.echo_picture(large, images),
                "drift": lambda: self.drift_picture(large, images),
                "loss": lambda: self.loss_picture(large, images),
            },
        )

    def machine(
        self, lattice: AbstractHamiltonianLayer, learning_rate: float, echoes: int = 1
    ) -> oscillators.SelfLearningMachine:
        """With the decay time that makes the learning rate, and one echo or two."""
        return oscillators.SelfLearningMachine(
            lattice,
            mass=self.mass,
            decay_time=learning_rate * self.mass / self.epsilon / echoes,
            epsilon=self.epsilon,
            centered=echoes == 2,
        )

    def echo_picture(
        self, machine: oscillators.SelfLearningMachine, task: Task
    ) -> "Figure":
        """The first test image on its way, and its echo."""
        x, labels = jnp.asarray(task.data.test_x[:1]), jnp.asarray(task.data.test_y[:1])
        y_bar = jax.grad(task.cost)(machine(x), labels)
        kick = self.epsilon * float(jnp.linalg.norm(y_bar))
        forward, echo = there_and_back(machine.layer, x, y_bar, kick)
        duration = machine.layer.splitting.duration
        title = f"a {task.data.test_y[0]}, and its echo"
        return plots.echo_course(forward[:, 0], echo[:, 0], duration, title)

    def drift_picture(
        self, machine: oscillators.SelfLearningMachine, task: Task
    ) -> "Figure":
        """What one more lesson would do."""
        moved, exact = (
            jnp.concatenate([bar.frequency, bar.coupling])
            for bar in lesson(machine, *_probe(task), task.cost)
        )
        return plots.learning_drift(moved, exact)

    def loss_picture(
        self, machine: oscillators.SelfLearningMachine, task: Task
    ) -> "Figure":
        """How lessons turn away from the gradient as the lattice loses light.

        What the forward run did to the momenta, the echo must undo, and a weaker one
        can't: with the two signs of the error signal, that cancels.
        """

        def cosines(echoes):
            for rate in jnp.asarray(RATES, jnp.float32):
                own = self.machine(machine.layer, self.learning_rate, echoes)
                lossy = eqx.tree_at(lambda m: m.layer.loss_rate, own, rate)
                bars = lesson(lossy, *_probe(task), task.cost)
                yield cosine_similarity(*[(b.frequency, b.coupling) for b in bars])

        return plots.robustness(
            machine.layer.splitting.duration * RATES,
            {
                label: np.asarray([list(cosines(echoes))])
                for label, echoes in (("one echo", 1), ("two, of both signs", 2))
            },
            label="Loss rate × duration",
            quantity="Cosine of drift and gradient",
        )


def teach(
    machine: oscillators.SelfLearningMachine,
    task: Task,
    *,
    epochs: int,
    batch_size: int,
    key: PRNGKeyArray,
) -> tuple[oscillators.SelfLearningMachine, History]:
    """Lessons in a random order: the machine, and how it did.

    From one pass to the next the decay steps get shorter, as a cosine. The losses are
    those of the outputs before each update, by example.
    """
    begun = time.perf_counter()
    x, labels = jnp.asarray(task.data.train_x), jnp.asarray(task.data.train_y)
    tests = jnp.asarray(task.data.test_x), jnp.asarray(task.data.test_y)
    moving, still = eqx.partition(machine, eqx.is_array)

    @jax.jit
    def epoch(moving, rows, decay_time):
        def one(moving, rows):
            before = eqx.combine(moving, still)
            before = eqx.tree_at(lambda m: m.decay_time, before, decay_time)
            after, y = before.learn(x[rows], labels[rows], task.cost)
            after = eqx.tree_at(lambda m: m.decay_time, after, machine.decay_time)
            return eqx.filter(after, eqx.is_array), task.cost(y, labels[rows])

        moving, costs = jax.lax.scan(one, moving, rows)
        y = eqx.combine(moving, still)(tests[0])
        return moving, costs, objectives.accuracy(task.classes(y), tests[1])

    steps = len(x) // batch_size
    history = History.empty(np.dtype(np.float32), {"accuracy": 0, "cosine": 0})
    for i, own in enumerate(jax.random.split(key, epochs)):
        share = 0.5 + 0.5 * math.cos(math.pi * i / epochs)
        rows = jax.random.permutation(own, len(x))[: steps * batch_size]
        decay = jnp.asarray(share * machine.decay_time, x.dtype)
        moving, costs, accuracy = epoch(moving, rows.reshape(steps, batch_size), decay)
        machine = eqx.combine(moving, still)
        cosine = cosine_similarity(*lesson(machine, *_probe(task), task.cost))
        history = history.with_losses(
            np.asarray(costs) / batch_size, time.perf_counter() - begun
        )
        found = {"accuracy": float(accuracy), "cosine": cosine}
        history = history.with_metrics(found, time.perf_counter() - begun)
    return machine, history


@eqx.filter_jit
def lesson(
    machine: oscillators.SelfLearningMachine, x: Array, labels: Array, cost: Any
) -> tuple[PyTree[Array], PyTree[Array]]:
    """What one lesson does to the parameters, and a step down the exact gradient."""
    before = eqx.filter(machine.layer, is_trainable(machine.layer))
    after, _ = machine.learn(x, labels, cost)
    moved = eqx.filter(after.layer, is_trainable(after.layer))
    slope = eqx.filter_grad(lambda layer: cost(layer(x), labels))(machine.layer)
    step = jax.tree.map(lambda bar: -machine.learning_rate * bar, slope)
    return jax.tree.map(jnp.subtract, moved, before), step


def _probe(task: Task) -> tuple[Array, Array]:
    return (
        jnp.asarray(task.data.train_x[:PROBE]),
        jnp.asarray(task.data.train_y[:PROBE]),
    )
