"""mnist-waveguide: what the README says of it."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pnnjax as pnn
from pnnjax.zoo._mnist_waveguide import CLASSES, MnistWaveguide, pooled

SMALL = {"samples": 320, "pitch": 4e-6, "waist": 8e-6, "steps": 16, "rows": 8}
SHORT = SMALL | {"length": 1.6e-3, "images": 1024, "batch_size": 128, "epochs": 1}


@pytest.mark.slow
def test_a_short_slab_begins_to_learn():
    with jax.enable_x64(False):
        experiment = MnistWaveguide(**SHORT, learning_rate=0.2)
        outcome = experiment.run(seed=0, checkpoint=None, resume=False, progress=False)
        assert outcome.history.loss[-4:].mean() < outcome.history.loss[0]
        assert np.all(outcome.model.slab.index >= 0)
        assert np.all(outcome.model.slab.index <= experiment.max_index)
        shares = outcome.pictures["physics"]().axes[3].patches
        assert len(shares) == CLASSES
        assert "confusion" in outcome.pictures


def test_classes_are_told_by_the_power_in_ten_boxes_side_by_side():
    with jax.enable_x64(False):
        model = MnistWaveguide(**SHORT).model(key=jax.random.key(0))
        x = jnp.asarray(np.random.default_rng(0).uniform(0, 1, (3, 49)), jnp.float32)
        powers = eqx.filter_jit(model)(x)
        field = eqx.filter_jit(model.slab)(model.modes(x))
    boxes = np.asarray(model.boxes)
    assert np.all(boxes[1:, 0] == boxes[:-1, 1]) and len(boxes) == CLASSES
    assert boxes[0, 0] + boxes[-1, 1] == 320 and np.ptp(boxes) == 150  # 600 µm
    power = np.abs(np.asarray(field)) ** 2
    expected = [power[:, a:b].sum(1) for a, b in boxes]
    np.testing.assert_allclose(powers, np.stack(expected, 1), rtol=1e-4)


def test_images_are_pooled_by_their_mean():
    image = np.zeros((1, 28, 28), np.float32)
    image[0, 4:8, 8:12] = 0.5
    image[0, 27, 27] = 1.0
    expected = np.zeros(49)
    expected[7 + 2], expected[48] = 0.5 / 7, 1 / 16 / 7
    np.testing.assert_allclose(pooled(image)[0], expected, rtol=1e-6)
    white = pooled(np.ones((1, 28, 28), np.float32))
    np.testing.assert_allclose(np.sum(white**2), 1, rtol=1e-6)


def test_the_paper_has_the_grid_of_its_code():
    experiment = pnn.zoo.configure(MnistWaveguide, {"preset": "paper"})
    assert (experiment.samples, experiment.steps) == (2048, 200)


def test_a_chip_with_hidden_errors_gives_the_powers_and_the_model_the_slopes():
    with jax.enable_x64(False):
        experiment = MnistWaveguide(**SHORT, mismatch=0.4)
        model = experiment.model(key=jax.random.key(0))
        x = jnp.asarray(np.random.default_rng(0).uniform(0, 1, (3, 49)), jnp.float32)

        @eqx.filter_jit
        def powers(model):
            ideal = model.layer
            chip = model.estimator.device.chip.value
            return jax.vmap(model)(x), chip(x), ideal(x)

        real, chip, ideal = map(np.asarray, powers(model))
    np.testing.assert_allclose(real, chip, rtol=1e-4)
    assert np.linalg.norm(real - ideal) > 0.03 * np.linalg.norm(ideal)


@pytest.mark.slow
def test_mnist_waveguide_reaches_its_accuracy_and_keeps_it_on_the_finer_grid():
    with jax.enable_x64(False):
        experiment = MnistWaveguide()
        run = experiment.run(seed=0, checkpoint=None, resume=False, progress=False)
        assert run.value >= 0.9
        data = experiment.data()
        fine = pnn.zoo.configure(MnistWaveguide, {"preset": "paper"})
        model = fine.ideal(key=jax.random.key(0))
        model = eqx.tree_at(lambda m: m.slab.index, model, run.model.slab.index)
        guess = eqx.filter_jit(model)(jnp.asarray(data.test_x)).argmax(-1)
    assert abs(np.mean(np.asarray(guess) == data.test_y) - run.value) < 0.005


@pytest.mark.slow
def test_physics_aware_training_learns_what_the_model_does_not_know():
    """Hidden errors of 40 %, 10,000 images: 83 % of a held-out part, against 53 %."""
    short = {"images": 10_000, "epochs": 2}
    with jax.enable_x64(False):
        aware, blind = (
            MnistWaveguide(**short, mismatch=mismatch).run(
                seed=0, checkpoint=None, resume=False, progress=False
            )
            for mismatch in (0.4, 0.0)
        )
        data, chip = MnistWaveguide().data(), aware.model.estimator.device
        guess = eqx.filter_jit(chip)(blind.model, jnp.asarray(data.test_x)).argmax(-1)
    deployed = np.mean(np.asarray(guess) == data.test_y)
    assert deployed + 0.15 < aware.value < blind.value
    assert aware.value > 0.75
