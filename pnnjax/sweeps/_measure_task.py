"""One small task for every layer: iris flowers, by two numbers that are read."""

from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact

from .. import data
from .._layer import respond

HELD_BACK = 0.4
"""Of the flowers, to test with."""

NUMBERS = 2
"""That are read of a layer: fixed random sums of its outputs."""


class Reading(NamedTuple):
    """How the response of a layer becomes `NUMBERS`."""

    mean: Any
    """Of each reading: a row."""
    unit: Any
    """Their standard deviations: a row."""
    mixing: Any
    """Readings by numbers."""

    def of(self, shown: Any) -> Any:
        """Of readings of one example a row; NumPy's or JAX's, as `self` is."""
        return (shown - self.mean) / self.unit @ self.mixing


class Task(NamedTuple):
    """The flowers as signals of one layer, and how its response is read."""

    flowers: data.Dataset
    """Signals: examples of the layer's input, mixed."""
    reading: Reading


def task_of(layer: Any, x: Inexact[np.ndarray, "examples ..."], *, seed: int) -> Task:
    """The same for every rule: mixtures of the examples `x`, by the flowers' sizes.

    The four sizes, standardized, mix the examples by fixed random numbers, so that
    signals are of the layer's own kind, and kept within the range of the examples:
    complex ones to their greatest amplitude. Powers are read where the output is
    complex. Each reading is put to mean 0 and variance 1 over the training flowers, as
    the untrained layer shows them, and fixed random sums of them are the numbers that
    are read: too few to tell the flowers well by them, unless the layer learns what to
    show.
    """
    flowers = data.standardized(data.iris(test_fraction=HELD_BACK))
    random = np.random.default_rng(seed)
    weights = random.normal(size=(4, len(x))) / (4 * len(x)) ** 0.5
    train, test = (
        _signals(x, sizes @ weights) for sizes in (flowers.train_x, flowers.test_x)
    )
    flowers = flowers._replace(train_x=train, test_x=test)
    shown = _all_shown(layer, flowers)
    own = shown[: len(train)]
    mean, unit = own.mean(0, keepdims=True), own.std(0, keepdims=True)
    unit = np.where(unit > 1e-6 * np.abs(shown).max(), unit, 1)
    mixing = random.normal(size=(mean.size, NUMBERS)) / mean.size**0.5
    parts = (jnp.asarray(part, shown.dtype) for part in (mean, unit, mixing))
    return Task(flowers, Reading(*parts))


def accuracy(layer: Any, task: Task) -> float:
    """Of the best scores that are linear in the numbers that the layer shows.

    Best on the training flowers, by their cross-entropy; the accuracy is that on those
    held back, without noise.
    """
    from sklearn.linear_model import LogisticRegression

    reading = Reading(*map(np.asarray, task.reading))
    read = reading.of(_all_shown(layer, task.flowers))
    taught = len(task.flowers.train_x)
    scores = LogisticRegression(C=np.inf, max_iter=10_000)
    scores.fit(read[:taught], task.flowers.train_y)
    return float(scores.score(read[taught:], task.flowers.test_y))


def _signals(
    examples: Inexact[np.ndarray, "examples ..."],
    weights: Float[np.ndarray, "flowers examples"],
) -> Inexact[np.ndarray, "flowers ..."]:
    """Of the examples' mean and variance, on the average."""
    center = examples.mean(0)
    mixed = center + np.tensordot(weights, examples - center, 1)
    if np.iscomplexobj(examples):
        beyond = np.abs(mixed) / np.abs(examples).max()
        return (mixed / np.maximum(beyond, 1)).astype(examples.dtype)
    return np.clip(mixed, examples.min(), examples.max()).astype(examples.dtype)


def _all_shown(layer: Any, flowers: data.Dataset) -> Float[np.ndarray, "flowers n"]:
    """By one program, those to train with first."""
    x = np.concatenate([flowers.train_x, flowers.test_x])
    return np.asarray(_shown(layer, jnp.asarray(x)))


@eqx.filter_jit
def _shown(layer: Any, x: Array) -> Float[Array, "flowers readings"]:
    return readings(respond(layer, x, None))


def readings(y: Inexact[Array, "batch ..."]) -> Float[Array, "batch readings"]:
    """All real numbers that sensors show of each response."""
    real = y.real**2 + y.imag**2 if jnp.iscomplexobj(y) else y
    return real.reshape(len(y), -1)
