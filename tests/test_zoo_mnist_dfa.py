"""mnist-dfa and mnist-optical-dfa: what the README says of them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import needs_files

import pnnjax as pnn
from pnnjax.data import Dataset
from pnnjax.zoo._mnist_dfa import (
    CLASSES,
    LAYERS,
    PIXELS,
    MnistDFA,
    compared,
)
from pnnjax.zoo._mnist_optical_dfa import MnistOpticalDFA, shown_error


def strokes(count, seed):
    """Images with a bright row each, whose height is the class; flat, as the model
    takes them.
    """
    random = np.random.default_rng(seed)
    labels = random.integers(0, CLASSES, count)
    images = 0.1 * random.random((count, 28, 28))
    images[np.arange(count), 2 * labels + 4] += 0.9
    flat = images.reshape(count, PIXELS)
    return flat.astype(np.float32), labels.astype(np.int32)


def trained(experiment):
    """On images that need no file: the data, and what training leaves."""
    names = tuple(str(k) for k in range(CLASSES))
    data = Dataset(*strokes(320, 0), *strokes(80, 1), names)
    steps = experiment.epochs * len(data.train_x) // experiment.batch_size
    result = pnn.fit(
        experiment.model(key=jax.random.key(1)),
        data,
        experiment.objective,
        experiment.optimizer(steps),
        epochs=experiment.epochs,
        batch_size=experiment.batch_size,
        metrics=experiment.metrics(),
        key=jax.random.key(2),
        progress=False,
    )
    return data, result


SMALL = {
    "epochs": 5,
    "batch_size": 16,
    "hidden": 30,
    "learning_rate": 0.02,
    "input_dropout": 0.0,
    "dropout": 0.0,
}


@pytest.mark.slow
def test_optical_feedback_learns_and_is_drawn(tmp_path):
    with jax.enable_x64(False):
        experiment = MnistOpticalDFA(**SMALL)
        data, result = trained(experiment)
        assert result.history.final()["accuracy"] > 0.9
        fig = experiment.picture(result.model, data)
        speckle = shown_error(result.model)
    bars = np.asarray([bar.get_height() for bar in fig.axes[0].patches])
    assert len(bars) == 2 * len(LAYERS)
    # Only the last layer's gradient is exact, from the start and to the end.
    for cosines in (bars[: len(LAYERS)], bars[len(LAYERS) :]):
        assert cosines[-1] == pytest.approx(1, abs=1e-5)
        assert np.abs(cosines[:-1]).max() < 0.9
    labels = [tick.get_text() for tick in fig.axes[0].get_xticklabels()]
    assert tuple(labels) == LAYERS
    fig.savefig(tmp_path / "physics.png")
    speckle.savefig(tmp_path / "speckle.png")
    # Differences of complex Gaussian elements, and noise, are such numbers too.
    contrast = float(speckle.axes[1].get_title().split()[1])
    assert contrast == pytest.approx(1, abs=0.15)


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["dfa", "dfa-shared", "fa", "fa-signs", "backprop"])
def test_every_way_back_learns(rule):
    with jax.enable_x64(False):
        data, result = trained(MnistDFA(**SMALL, estimator=rule))
        fig = compared(result.model, result.model, data)
    assert result.history.final()["accuracy"] > 0.9
    assert len(fig.axes[0].patches) == 2 * len(LAYERS)


def test_the_receiver_is_within_reach_of_the_speckle():
    """Shot noise is a good part of the field of one class, not most of it."""
    experiment = MnistOpticalDFA(hidden=40)
    feedback = experiment.feedback(key=jax.random.key(0))
    error = jnp.eye(CLASSES)
    receivers = PIXELS + 2 * 40
    run = eqx.filter_jit(lambda key: feedback.send(error, receivers, key=key))
    clean, noisy = run(None), run(jax.random.key(1))
    share = jnp.std(noisy - clean) / jnp.std(clean)
    photon = 6.62607015e-34 * 299792458 / 1.55e-6
    expected = photon * experiment.bandwidth / (0.8 * experiment.power) * receivers
    assert share == pytest.approx(float(jnp.sqrt(expected)), rel=0.05)
    assert 0.1 < share < 1


@needs_files
@pytest.mark.slow
@pytest.mark.parametrize(
    ("experiment", "least"), [(MnistDFA(), 0.98), (MnistOpticalDFA(), 0.97)]
)
def test_mnist_reaches_its_accuracy(experiment, least):
    with jax.enable_x64(False):
        run = experiment.run(seed=0, checkpoint=None, resume=False, progress=False)
    assert run.value >= least
