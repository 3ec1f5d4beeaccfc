"""vowel-shg: what the README says of it."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import needs_files

import pnnjax as pnn
from pnnjax.zoo import _vowel_shg
from pnnjax.zoo._vowel_shg import FORMANTS, VOWELS, Reencoded, VowelSHG, on_device

SHORT = {"layers": 2, "hidden": 9, "controls": 4, "copies": 5, "blur": 0.1}


@pytest.fixture
def speech(monkeypatch):
    """Seven clouds in the place of the seven vowels."""
    rng = np.random.default_rng(4)
    y = np.arange(140, dtype=np.int32) % len(VOWELS)
    x = (500 + 200 * rng.normal(size=(7, FORMANTS)))[y]
    x = np.float32(x + 40 * rng.normal(size=x.shape))
    clouds = pnn.data.Dataset(x[:105], y[:105], x[105:], y[105:], VOWELS)
    monkeypatch.setattr(
        _vowel_shg.data, "vowels", lambda classes, features, talkers, seed: clouds
    )


def run(seed=0, **settings):
    with jax.enable_x64(False):
        experiment = VowelSHG(**settings)
        return experiment.run(seed=seed, checkpoint=None, resume=False, progress=False)


@pytest.mark.slow
def test_it_learns_clouds_and_is_drawn(speech, tmp_path):
    outcome = run(epochs=6, **SHORT)
    assert outcome.value > 0.8
    with jax.enable_x64(False):
        fig = outcome.pictures["physics"]()
    fig.savefig(tmp_path / "physics.png")
    assert [len(ax.lines) for ax in fig.axes] == [7, 7]


def test_a_device_has_errors_of_its_own():
    stack = VowelSHG(mismatch=0.1, **SHORT).model(key=jax.random.key(0))
    first, between, last = stack.layers
    assert isinstance(first, pnn.Physical) and isinstance(last, pnn.Physical)
    assert isinstance(between, Reencoded)
    x = 0.5 * jnp.ones((3, FORMANTS))
    real, model = eqx.filter_jit(lambda x: (first(x), first.layer(x)))(x)
    assert 0.02 < np.abs(real - model).max() / np.abs(model).max() < 2


def test_training_vowels_are_blurred_and_the_test_is_left_alone(speech):
    data, plain = VowelSHG(copies=3, blur=0.4).data(), VowelSHG(copies=1, blur=0).data()
    assert data.train_x.shape == (3 * 105, FORMANTS)
    spread = (data.train_x.reshape(3, 105, -1) - plain.train_x).std()
    assert abs(spread - 0.4) < 0.02
    np.testing.assert_array_equal(data.train_y, np.tile(plain.train_y, 3))
    np.testing.assert_array_equal(data.test_x, plain.test_x)


def test_reencoding_forgets_the_brightness_and_bears_the_dark():
    y = jnp.asarray([[1e-4, 4e-4, 0.0], [0.0, 0.0, 0.0]])
    shown = Reencoded()(y)
    np.testing.assert_allclose(shown[0], [0, 1, -1], atol=1e-3)
    np.testing.assert_allclose(Reencoded()(3 * y)[0], shown[0], atol=1e-3)
    bar = jax.grad(lambda y: jnp.sum(Reencoded()(y) ** 2))(y)
    assert np.all(np.isfinite(bar))


@needs_files
@pytest.mark.slow
def test_vowel_shg_reaches_its_accuracy():
    assert np.mean([run(seed).value for seed in range(3)]) >= 0.9


@needs_files
@pytest.mark.slow
def test_training_on_the_device_bears_errors_that_the_model_does_not():
    aware = run(mismatch=0.1)
    plain = run()
    with jax.enable_x64(False):
        data = VowelSHG().data()
        key = jax.random.split(jax.random.split(jax.random.key(0))[0])[1]
        deployed = on_device(plain.model, 0.1, key=key)
        shares = pnn.respond(deployed, jnp.asarray(data.test_x), None)
        in_silico = pnn.objectives.accuracy(shares, jnp.asarray(data.test_y))
    assert aware.value >= 0.9 and aware.value > float(in_silico) + 0.1
