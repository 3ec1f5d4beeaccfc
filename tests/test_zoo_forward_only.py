"""Experiments whose chips are black boxes: vowels by SPSA, clothes by codes."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import needs_files

import pnnjax as pnn
from pnnjax.estimators import WalshCode
from pnnjax.zoo import _fashion_mgd, _vowel_mesh
from pnnjax.zoo._fashion_mgd import FashionMGD
from pnnjax.zoo._vowel_forward_only import VowelForwardOnly


@pytest.fixture
def speech(monkeypatch):
    """Six clouds in the place of the six vowels."""
    key, own = jax.random.split(jax.random.key(5))
    y = np.arange(60) % 6
    centers = 500 + 200 * jax.random.normal(key, (6, 6))
    x = np.float32(centers[y] + 50 * jax.random.normal(own, (60, 6)))
    y = y.astype(np.int32)
    clouds = pnn.data.Dataset(x[:48], y[:48], x[48:], y[48:], tuple("abcdef"))
    monkeypatch.setattr(_vowel_mesh, "vowels", lambda seed: clouds)


@pytest.fixture
def clothes(monkeypatch):
    """Ten pictures and noise in the place of the clothes."""
    key, own = jax.random.split(jax.random.key(6))
    y = np.arange(60, dtype=np.int32) % 10
    pictures = jax.random.uniform(key, (10, 28, 28), jnp.float32)[y]
    x = pictures + 0.1 * jax.random.uniform(own, pictures.shape, jnp.float32)
    x, names = np.asarray(x), tuple("abcdefghij")
    small = pnn.data.Dataset(x[:40], y[:40], x[40:], y[40:], names)
    monkeypatch.setattr(_fashion_mgd, "fashion_mnist", lambda: small)


@pytest.mark.slow
@pytest.mark.usefixtures("speech")
def test_the_vowels_chip_is_trained_by_its_loss_alone():
    study = VowelForwardOnly(epochs=2, batch_size=16, samples=2)
    out = study.run(seed=0, checkpoint=None, resume=False, progress=False)
    # Two pairs of settings, 16 vowels, three steps an epoch.
    assert out.table["physical_runs"][-1] == 2 * 2 * 16 * 3 * 2
    assert isinstance(out.model, pnn.devices.DeviceLayer)


def test_the_chips_phase_errors_are_hidden():
    chip = VowelForwardOnly(phase_error=0.3).chip(key=jax.random.key(0))
    light = jnp.ones((2, 6), complex)

    @eqx.filter_jit
    def both(chip, x):
        return chip(x), pnn.respond(chip.layer, x, None)

    assert pnn.relative_error(*both(chip, light)) > 0.05
    with pytest.raises(TypeError, match="no derivative"):
        jax.grad(lambda x: chip(x).sum())(light)


def test_images_are_pooled_and_a_constant_is_added():
    image = np.zeros((1, 28, 28), np.float32)
    image[0, 4:8, 8:12] = 1.0
    row = _fashion_mgd.pooled(image)
    assert row.shape == (1, 50) and row[0, 7 + 2] == 1 and row[0, -1] == 1
    assert row.sum() == 2
    open_ = _fashion_mgd.modulated(jnp.zeros(3))
    np.testing.assert_allclose(open_, [0.5, 0.5, 0.5, 1.0])


@pytest.mark.slow
@pytest.mark.usefixtures("clothes")
def test_clothes_are_learned_and_codes_turn_to_the_gradient():
    study = FashionMGD(epochs=20, batch_size=20, perturbations=16, hidden=2, noise=1e-6)
    with jax.enable_x64(False):
        out = study.run(seed=0, checkpoint=None, resume=False, progress=False)
        assert out.table["physical_runs"][-1] == 17 * 20 * 2 * 20
        _, real = study.design(key=jax.random.key(0))
        images = study.images()
        found = study.cosines(real, WalshCode(), (images.train_x, images.train_y), 256)
        assert found[0] < 0.6 < 0.9 < found[-1]
        for name in ("physics", "alignment"):
            assert out.pictures[name]().axes


@needs_files
@pytest.mark.slow
def test_vowels_reach_ninety_percent():
    with jax.enable_x64(False):
        runs = [
            VowelForwardOnly().run(
                seed=s, checkpoint=None, resume=False, progress=False
            )
            for s in range(3)
        ]
    assert np.mean([run.value for run in runs]) >= 0.9
