"""mnist-ising-ep: its images, its cost, its picture, and what it reaches."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import needs_files

import pnnjax as pnn
from pnnjax import zoo
from pnnjax.zoo import _mnist_ising_ep
from pnnjax.zoo._mnist_ising_ep import MnistIsingEP, balanced_first, signs_of


@pytest.fixture
def strokes(monkeypatch):
    """A bar in the row of its class, with a little noise, in the place of a digit."""
    y = np.random.default_rng(0).permutation(np.arange(400, dtype=np.int32) % 10)
    x = np.random.default_rng(1).uniform(0, 0.3, (400, 28, 28)).astype(np.float32)
    x[np.arange(400), 2 * y + 4] = 1
    bars = pnn.data.Dataset(x[:300], y[:300], x[300:], y[300:], tuple("0123456789"))
    monkeypatch.setattr(_mnist_ising_ep.data, "mnist", lambda: bars)


def test_images_are_the_first_of_each_class():
    y = np.asarray([*range(10), 3, *range(10), 3])
    x = np.arange(22.0)[:, None, None] * np.ones((22, 2, 2))
    rows, labels = balanced_first(x, y, 20)
    np.testing.assert_array_equal(
        rows[:, 0], [*range(11), *range(11, 14), *range(15, 21)]
    )
    np.testing.assert_array_equal(np.bincount(labels), 10 * [2])


def test_both_costs_are_squared_errors():
    labels = jnp.asarray([1, 0])
    # All spins of an output agree, so that they are the same: 0 and 2 outputs wrong,
    # by 2 each, of four spins.
    y = signs_of(jnp.asarray([1, 3]), float)
    for cost in ("outputs", "spins"):
        measured = MnistIsingEP(cost=cost).objective(y, labels)
        np.testing.assert_allclose(measured, (0 + 2 * 4 * 2**2 / 2) / 2)
    # Half of the spins up: the output is right in the middle, a spin is not.
    half = jnp.zeros((2, 10))
    assert MnistIsingEP(cost="outputs").objective(half, labels) == 4 * 10 / 2
    assert MnistIsingEP(cost="spins").objective(half, labels) == 4 * 10


@pytest.mark.slow
@pytest.mark.usefixtures("strokes")
def test_bars_are_learned_and_drawn(tmp_path):
    experiment = MnistIsingEP(epochs=4, images=200, hidden=20, reads=2, sweeps=10)
    with jax.enable_x64(False):
        out = zoo.run(experiment, out=tmp_path / "run", progress=False)
    assert out.value >= 0.4
    names = {f.name for f in (tmp_path / "run").iterdir()}
    assert {"training.png", "physics.png", "metrics.csv", "result.json"} <= names


def test_paper_preset_has_a_field_of_five_on_each_output_spin():
    paper = zoo.configure(MnistIsingEP, {"preset": "paper"})
    assert paper.beta / 10**0.5 / paper.copies == pytest.approx(5)
    machine = paper.model(key=jax.random.key(0)).layer
    assert machine.weight.shape == (784, 120)
    assert machine.couplings[0].shape == (120, 40)


@needs_files
@pytest.mark.slow
def test_mnist_reaches_the_floor():
    experiment, key = MnistIsingEP(), jax.random.key(0)
    trained, tested = [], []
    with jax.enable_x64(False):
        digits = experiment.data()
        x, y = jnp.asarray(digits.train_x), jnp.asarray(digits.train_y)
        answer = eqx.filter_jit(lambda model: model(x, key=key))
        for seed in range(3):
            out = zoo.run(experiment, seed=seed, progress=False)
            tested.append(out.value)
            trained.append(pnn.objectives.accuracy(answer(out.model), y))
    assert np.mean(trained) >= 0.95
    assert np.mean(tested) >= 0.88
