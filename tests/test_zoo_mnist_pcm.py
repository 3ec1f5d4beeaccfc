"""mnist-pcm: two trainings, and what noise and a year in memory do to them."""

import jax
import numpy as np
import pytest
from helpers import needs_files

import pnnjax as pnn
from pnnjax.data import Dataset
from pnnjax.zoo._mnist_pcm import (
    AWARE,
    CLASSES,
    LEVELS,
    PIXELS,
    PLAIN,
    YEAR,
    Aging,
    MnistPCM,
    aging_of,
    bare,
    cells,
    in_memory,
    noise_of,
    table_of,
    under_noise,
)


def strokes(count, seed):
    """Images with a bright row each, whose height is the class, as rows of pixels."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, CLASSES, count)
    images = 0.1 * random.random((count, 28, 28))
    images[np.arange(count), 2 * labels + 4] += 0.9
    flat = images.reshape(count, PIXELS).astype(np.float32)
    return flat, labels.astype(np.int32)


SMALL = {"epochs": 3, "batch_size": 16, "hidden": 16, "depth": 1, "first_range": 0.5}


def measured(network, images, count):
    """What the experiment measures, of some draws and chips at two times."""
    x, labels = jax.numpy.asarray(images.test_x), jax.numpy.asarray(images.test_y)
    times = np.asarray([20.0, YEAR])
    noisy = under_noise(network, x, labels, count, key=jax.random.key(0))
    aged = in_memory(network, x, labels, times, count, key=jax.random.key(1))
    return noisy, times, aged


def images(count):
    names = tuple(str(k) for k in range(CLASSES))
    return Dataset(*strokes(count, 0), *strokes(80, 1), names)


def test_what_is_measured_of_a_network():
    with jax.enable_x64(False):
        network = MnistPCM(**SMALL).network(AWARE, key=jax.random.key(0))
        noisy, times, aged = measured(bare(network), images(1), 1)
    assert noisy.shape == (1, len(LEVELS)) and aged.compensated.shape == (1, 2)
    table = table_of({AWARE: noisy}, times, {AWARE: aged})
    assert {len(column) for column in table.values()} == {len(LEVELS) + 4}
    aging_of(times, {AWARE: aged}, {AWARE: noisy})
    noise_of({AWARE: noisy})


@pytest.mark.slow
def test_trained_for_noise_and_kept_in_memory():
    with jax.enable_x64(False):
        result = MnistPCM(**SMALL).train(AWARE, images(320), 0)
        noisy, _, aged = measured(bare(result.model), images(1), 2)
    assert noisy[:, 0].min() > 0.9 and noisy.min() > 0.8
    assert aged.compensated.min() > 0.8


def test_the_networks_differ_in_their_ranges():
    experiment, key = MnistPCM(**SMALL), jax.random.key(0)
    aware, plain = (experiment.network(name, key=key) for name in (AWARE, PLAIN))
    first, other = aware.layers[0], plain.layers[0]
    assert first.weight_range == 0.5 and other.weight_range == 4.0
    np.testing.assert_allclose(first.weight, other.weight, atol=1e-12)


def test_pictures():
    times = np.geomspace(1, YEAR, 5)
    accuracies = np.linspace(0.97, 0.9, 10).reshape(2, 5)
    fig = aging_of(times, {PLAIN: Aging(accuracies, accuracies)}, {AWARE: accuracies})
    (ax,) = fig.axes
    labels = [tick.get_text() for tick in ax.get_xticklabels()]
    assert labels == ["1 s", "1 min", "1 h", "1 day", "1 year"]
    with pytest.raises(ValueError, match="no accuracies"):
        pnn.plots.accuracy_over_time(times, {})
    assert len(cells().axes[0].lines) == 3 * 16


@pytest.mark.slow
@needs_files("mnist")
def test_figures_of_the_readme():
    with jax.enable_x64(False):
        outcome = MnistPCM(chips=3, draws=3, times=3).run(
            seed=0, checkpoint=None, resume=False, progress=False
        )
    kept = dict.fromkeys((AWARE, PLAIN))
    columns = zip(*outcome.table.values(), strict=True)
    rows = [row for row in columns if row[1] == "weight noise"]
    for name in kept:
        means = [
            np.mean([row[4] for row in rows if row[0] == name and row[3] == level])
            for level in (0.0, 0.1)
        ]
        kept[name] = means[0] - means[1]
    assert kept[AWARE] < 0.01 and kept[PLAIN] > 0.05
    assert outcome.value > 0.96
