"""A layer and three scores trained on the task, by the program whose time is told."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Inexact, Int, PRNGKeyArray, PyTree

from .. import objectives
from .._estimator import AbstractEstimator
from .._frozen import is_trainable
from .._layer import respond
from .._step import project
from ..estimators._knobs import typical_sizes
from ._measure_gradient import quiet
from ._measure_program import FAST_TO_RUN, Program, compiled, median_seconds
from ._measure_task import Reading, Task, accuracy, readings

RUNS = 200_000
"""Physical runs, relaxations included, that a training may take."""

EPOCHS = 60
"""The most passes through the training flowers."""

BATCH = 30
"""Examples of a gradient that is timed, and of each step."""

RATE = 0.03
"""Of Adam, in units of the typical size of each array."""


class Student(eqx.Module):
    """A layer that is read, and three scores that are linear in what is read."""

    layer: Any
    slopes: Float[Array, "numbers classes"]
    offset: Float[Array, " classes"]

    def scores(
        self, reading: Reading, x: Inexact[Array, "batch ..."], key: PRNGKeyArray
    ) -> Float[Array, "batch classes"]:
        shown = readings(respond(self.layer, x, key))
        return reading.of(shown) @ self.slopes + self.offset[None]


class Lesson(NamedTuple):
    """The untrained student, and one gradient of it as a program."""

    student: Student
    task: Task
    key: PRNGKeyArray
    program: Program


class Speed(NamedTuple):
    """Of one gradient of a batch, simulated."""

    seconds: float
    """The median."""
    compile_seconds: float
    bytes: int
    """Scratch memory, beyond inputs and outputs."""


class Mark(NamedTuple):
    """How a training ended."""

    accuracy: float
    """Of the trained layer, its scores fitted anew, as those of an untrained one."""
    runs: int
    """Physical runs and relaxations that it took."""


def lesson_of(
    layer: Any, rule: AbstractEstimator, task: Task, *, key: PRNGKeyArray
) -> Lesson:
    """Compiled to run fast."""
    dtype = task.reading.mean.dtype
    student = Student(
        quiet(layer, rule),
        # Not zero, where the layer would have no gradient: at right angles.
        jnp.asarray([[1.0, -0.5, -0.5], [0.0, 0.87, -0.87]], dtype),
        jnp.zeros(3, dtype),
    )
    args = _arguments(student, task, np.arange(BATCH), key, 0)
    return Lesson(student, task, key, compiled(_taught, args, FAST_TO_RUN))


def speed(lesson: Lesson) -> Speed:
    """Time the program: a loss, and its gradient to the parameters and to the input."""
    student, task, key, program = lesson
    args = _arguments(student, task, np.arange(BATCH), key, 0)
    return Speed(median_seconds(program, args, 0.1), program.seconds, program.scratch)


def mark(lesson: Lesson, runs: int) -> Mark:
    """Train the layer by its rule, and the scores by backpropagation, within `RUNS`.

    `runs`: that one gradient of one example takes.

    **Raises:** `ValueError` if the budget does not last for one epoch;
    `FloatingPointError` if the loss is no longer finite.
    """
    each = len(lesson.task.flowers.train_x) * runs
    epochs = min(EPOCHS, RUNS // each) if each else EPOCHS
    if not epochs:
        raise ValueError(f"One epoch takes {each} physical runs, more than {RUNS}.")
    student = trained_on(lesson, epochs)
    return Mark(accuracy(student.layer.layer, lesson.task), epochs * each)


def trained_on(lesson: Lesson, epochs: int) -> Student:
    """The student after so many passes through the training flowers.

    A step is one call of the program that is timed: another one that trains takes as
    long to compile as all else together.
    """
    student, task, key, program = lesson
    trained, rest = eqx.partition(student, is_trainable(student))
    leaves, structure = jax.tree.flatten(trained)
    sizes, memory = _begun(leaves)
    order = np.random.default_rng(0)
    examples = len(task.flowers.train_x)
    step = 0
    for _ in range(epochs):
        rows = order.permutation(examples)[: examples // BATCH * BATCH]
        for batch in rows.reshape(-1, BATCH):
            student = eqx.combine(jax.tree.unflatten(structure, leaves), rest)
            args = _arguments(student, task, batch, key, step)
            loss, leaves, bars, _ = program.call(*args)
            if not np.isfinite(loss):
                raise FloatingPointError(f"The loss is {loss} after {step} steps.")
            leaves, memory = _moved(leaves, bars, sizes, memory)
            step += 1
    return project(eqx.combine(jax.tree.unflatten(structure, leaves), rest))


def _arguments(
    student: Student,
    task: Task,
    rows: Int[np.ndarray, " batch"],
    key: PRNGKeyArray,
    step: int,
) -> tuple:
    x = jnp.asarray(task.flowers.train_x[rows])
    labels = jnp.asarray(task.flowers.train_y[rows])
    return student, task.reading, x, labels, key, jnp.asarray(step, jnp.int32)


def _taught(
    student: Student,
    reading: Reading,
    x: Array,
    labels: Array,
    key: PRNGKeyArray,
    step: Array,
) -> tuple[Array, list[Array], list[Array], Array]:
    """The loss of what can be built; its parameters; the gradient to them, and to
    the input."""
    student = project(student)
    trained, rest = eqx.partition(student, is_trainable(student))
    key = jax.random.fold_in(key, step)

    def loss(trained: PyTree, x: Array) -> Array:
        scores = eqx.combine(trained, rest).scores(reading, x, key)
        return objectives.cross_entropy(scores, labels)

    value, (bar, x_bar) = jax.value_and_grad(loss, (0, 1))(trained, x)
    return value, jax.tree.leaves(trained), jax.tree.leaves(bar), x_bar


@jax.jit
def _begun(leaves: list[Array]) -> tuple[list[Array], PyTree]:
    sizes = typical_sizes(leaves)
    return sizes, _descent(sizes).init(leaves)


@jax.jit
def _moved(
    leaves: PyTree, bars: PyTree, sizes: list[Array], memory: PyTree
) -> tuple[PyTree, PyTree]:
    # JAX's cotangent of a complex parameter is the conjugate of the way uphill.
    uphill = jax.tree.map(jnp.conj, bars)
    # What optax computes from its counters is refused by strict promotion.
    with jax.numpy_dtype_promotion("standard"):
        updates, memory = _descent(sizes).update(uphill, memory)
        return optax.apply_updates(leaves, updates), memory


def _descent(sizes: list[Array]) -> optax.GradientTransformation:
    """Adam, of which gradients and steps are numbers of order one."""

    def scale(updates: PyTree, params: Any) -> PyTree:
        del params
        return [u * s.astype(u.dtype) for u, s in zip(updates, sizes, strict=True)]

    scaled = optax.stateless(scale)
    return optax.chain(scaled, optax.adam(RATE), scaled)
