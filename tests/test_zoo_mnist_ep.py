"""mnist-ep: what the README says of it."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pnnjax as pnn
from pnnjax.data import Dataset
from pnnjax.zoo._mnist_ep import CLASSES, MnistEP, Wobble


def strokes(count, seed):
    """Images with a bright row each, whose height is the class."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, CLASSES, count)
    images = 0.1 * random.random((count, 28, 28))
    images[np.arange(count), 2 * labels + 4] += 0.9
    return images.astype(np.float32), labels.astype(np.int32)


class Strokes(pnn.zoo.AbstractExperiment):
    """The experiment on images that need no file."""

    inner: MnistEP
    epochs: int = 4
    batch_size: int = 16
    name = summary = reference = figure = "strokes"
    published = None
    duration = 1.0

    def data(self):
        names = tuple(str(k) for k in range(CLASSES))
        return Dataset(*strokes(320, 0), *strokes(80, 1), names)

    def model(self, *, key):
        return self.inner.model(key=key)

    def objective(self, predictions, targets):
        return self.inner.objective(predictions, targets)

    def optimizer(self, steps):
        return self.inner.optimizer(steps)

    def metrics(self):
        return self.inner.metrics()

    def picture(self, model, data):
        return self.inner.picture(model, data)


@pytest.mark.slow
def test_it_learns_and_draws():
    with jax.enable_x64(False):
        experiment = Strokes(MnistEP(hidden=24, free=8, nudged=4, learning_rate=0.01))
        outcome = experiment.run(seed=0, checkpoint=None, resume=False, progress=False)
    assert outcome.value >= 0.9
    assert len(outcome.pictures["physics"]().axes) == 2


def test_images_move_only_while_training():
    image = jnp.zeros((5, 5)).at[2, 2].set(1.0)
    wobble = Wobble(1)
    keys = jax.random.split(jax.random.key(0), 60)
    moved = jax.vmap(lambda key: wobble(image, key=key))(keys).reshape(60, 5, 5)
    np.testing.assert_array_equal(moved.sum((1, 2)), 1)
    reached = np.pad(np.ones((3, 3), bool), 1)
    np.testing.assert_array_equal(moved.sum(0) > 0, reached)
    still = [wobble(image), Wobble(0)(image, key=keys[0])]
    still += [eqx.nn.inference_mode(wobble)(image, key=keys[0])]
    assert all(jnp.array_equal(row, image.ravel()) for row in still)


@pytest.mark.slow
def test_mnist_ep_reaches_its_accuracy():
    with jax.enable_x64(False):
        runs = [
            MnistEP().run(seed=s, checkpoint=None, resume=False, progress=False)
            for s in range(3)
        ]
    assert np.mean([run.value for run in runs]) >= 0.985
