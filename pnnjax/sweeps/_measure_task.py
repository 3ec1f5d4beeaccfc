"""One small task for every layer: iris flowers, by two numbers that are read."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Inexact, PRNGKeyArray, PyTree

from .. import data, objectives
from .._estimator import AbstractEstimator
from .._fit import fit
from .._frozen import Frozen, is_trainable
from .._layer import respond
from ..estimators._knobs import typical_sizes
from ._measure_gradient import quiet

RUNS = 200_000
"""Physical runs, relaxations included, that a training may take."""

EPOCHS = 60
"""The most passes through the training flowers."""

HELD_BACK = 0.4
"""Of the flowers, to test with."""

NUMBERS = 2
"""That are read of a layer: fixed random sums of its outputs."""

BATCH = 30
RATE = 0.03
"""Of Adam, in units of the typical size of each array."""


class Task(NamedTuple):
    """The flowers as signals of one layer, and how its response is read."""

    flowers: data.Dataset
    """Signals: examples of the layer's input, mixed."""
    mean: Float[Array, " readings"]
    unit: Float[Array, " readings"]
    mixing: Float[Array, "readings numbers"]
    """Which numbers are read."""


class Student(eqx.Module):
    """A layer of which `NUMBERS` are read, and three scores that are linear in them."""

    layer: Any
    task: Frozen[tuple[Array, Array, Array]]
    slopes: Float[Array, "numbers classes"]
    offset: Float[Array, " classes"]

    def __call__(
        self, x: Inexact[Array, "..."], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, " classes"]:
        mean, unit, mixing = self.task.value
        readings = _readings(respond(self.layer, x, key)).ravel()
        return (readings - mean) / unit @ mixing @ self.slopes + self.offset


class Mark(NamedTuple):
    """How a training ended."""

    accuracy: float
    """On the flowers that were held back."""
    runs: int
    """Physical runs and relaxations that it took."""


def task_of(layer: Any, x: Array, *, key: PRNGKeyArray) -> Task:
    """The same for every rule: mixtures of the examples `x`, by the flowers' sizes.

    The four sizes, standardized, mix the examples by fixed random numbers, so that
    signals are of the layer's own kind; real ones are kept within the range of the
    examples. Powers are read where the output is complex. Each reading is put to mean 0
    and variance 1 over the training flowers, as the untrained layer shows them, and
    fixed random sums of them are the numbers that are read: too few to tell the flowers
    well by them, unless the layer learns what to show.
    """
    encoding, mixing = jax.random.split(key)
    flowers = data.standardized(data.iris(test_fraction=HELD_BACK))
    parts = flowers.train_x, flowers.test_x
    signals = [_signals(x, part, encoding) for part in parts]
    shown = _shown(layer, jnp.asarray(signals[0]))
    mean, unit = shown.mean(0), shown.std(0)
    moves = unit > 1e-6 * jnp.max(jnp.abs(shown))
    shape = mean.size, NUMBERS
    weights = jax.random.normal(mixing, shape, mean.dtype) / mean.size**0.5
    return Task(
        flowers._replace(train_x=signals[0], test_x=signals[1]),
        mean,
        jnp.where(moves, unit, 1),
        weights,
    )


def mark(
    layer: Any, rule: AbstractEstimator, runs: int, task: Task, *, key: PRNGKeyArray
) -> Mark:
    """Train the layer by the rule, and the scores by backpropagation, within `RUNS`.

    `runs`: that one gradient of one example takes.

    **Raises:** `ValueError` if the budget does not last for one epoch.
    """
    each = len(task.flowers.train_x) * runs
    epochs = min(EPOCHS, RUNS // each) if each else EPOCHS
    if not epochs:
        raise ValueError(f"One epoch takes {each} physical runs, more than {RUNS}.")
    student = _trained(quiet(layer, rule), task, epochs, key)
    accuracy = _accuracy(student, student.layer.layer, task)
    return Mark(accuracy, epochs * each)


def untrained(layer: Any, task: Task, *, key: PRNGKeyArray) -> float:
    """The accuracy where only the scores are trained, on the layer as it is."""
    shown = _numbers(layer, task, task.flowers.train_x)
    flowers = task.flowers._replace(train_x=shown)
    one = jnp.ones(NUMBERS, task.mean.dtype)
    alone = Task(flowers, 0 * one, one, jnp.diag(one))
    student = _trained(eqx.nn.Identity(), alone, EPOCHS, key)
    return _accuracy(student, layer, task)


def _trained(layer: Any, task: Task, epochs: int, key: PRNGKeyArray) -> Student:
    dtype = task.mean.dtype
    student = Student(
        layer,
        Frozen((task.mean, task.unit, task.mixing)),
        # Not zero, where the layer would have no gradient: at right angles.
        jnp.asarray([[1.0, -0.5, -0.5], [0.0, 0.87, -0.87]], dtype),
        jnp.zeros(3, dtype),
    )
    sizes = typical_sizes(eqx.filter(student, is_trainable(student)))
    return fit(
        student,
        (task.flowers.train_x, task.flowers.train_y),
        objectives.cross_entropy,
        optax.chain(_times(sizes), optax.adam(RATE), _times(sizes)),
        epochs=epochs,
        batch_size=BATCH,
        key=key,
        progress=False,
    ).model


def _accuracy(student: Student, layer: Any, task: Task) -> float:
    """`layer`: that of the student, to be run without noise."""
    numbers = _numbers(layer, task, task.flowers.test_x)
    scores = numbers @ np.asarray(student.slopes) + np.asarray(student.offset)
    return float(np.mean(scores.argmax(1) == task.flowers.test_y))


def _numbers(
    layer: Any, task: Task, signals: Inexact[np.ndarray, "examples ..."]
) -> Float[np.ndarray, "examples numbers"]:
    """What is read of the layer."""
    shown = np.asarray(_shown(layer, jnp.asarray(signals)))
    mean, unit, mixing = (np.asarray(of) for of in (task.mean, task.unit, task.mixing))
    return (shown - mean) / unit @ mixing


def _times(sizes: PyTree[Array]) -> optax.GradientTransformation:
    """Gradients by typical sizes, or steps in them: numbers of order one in between."""

    def scale(updates: PyTree, params: Any) -> PyTree:
        del params
        return jax.tree.map(lambda u, s: u * s.astype(u.dtype), updates, sizes)

    return optax.stateless(scale)


def _signals(
    x: Array, sizes: Float[np.ndarray, "examples 4"], key: PRNGKeyArray
) -> Inexact[np.ndarray, "examples ..."]:
    """Of the mean and variance of `x`, on the average."""
    examples = np.asarray(x)
    center = examples.mean(0)
    weights = np.asarray(jax.random.normal(key, (4, len(x)))) / (4 * len(x)) ** 0.5
    mixed = center + np.tensordot(sizes @ weights, examples - center, 1)
    if np.iscomplexobj(examples):
        return mixed.astype(examples.dtype)
    return np.clip(mixed, examples.min(), examples.max()).astype(examples.dtype)


def _readings(y: Inexact[Array, "..."]) -> Float[Array, "..."]:
    return y.real**2 + y.imag**2 if jnp.iscomplexobj(y) else y


@eqx.filter_jit
def _shown(layer: Any, x: Array) -> Float[Array, "examples readings"]:
    return _readings(respond(layer, x, None)).reshape(len(x), -1)
