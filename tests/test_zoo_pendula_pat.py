"""pendula-pat and fashion-pendula: what the README says of them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pnnjax as pnn
from pnnjax.zoo import _fashion_pendula, _pendula_pat
from pnnjax.zoo._fashion_pendula import METHODS, FashionPendula, draw, patches
from pnnjax.zoo._pendula_pat import PendulaPAT, Tilted


@pytest.fixture
def pictures(monkeypatch):
    """Small digits as pictures of 28 x 28, in the place of both sets of images."""
    digits = pnn.data.digits()

    def enlarged(images):
        wide = np.kron(images.reshape(-1, 8, 8), np.ones((3, 3), np.float32))
        return np.pad(wide, [(0, 0), (2, 2), (2, 2)])

    large = digits._replace(
        train_x=enlarged(digits.train_x),
        test_x=enlarged(digits.test_x[:64]),
        test_y=digits.test_y[:64],
    )
    monkeypatch.setattr(_pendula_pat.data, "mnist", lambda: large)
    monkeypatch.setattr(_fashion_pendula.data, "fashion_mnist", lambda: large)
    return large


def test_pendula_learn_digits_and_are_drawn(pictures, tmp_path):
    with jax.enable_x64(False):
        experiment = PendulaPAT(images=1200, epochs=2, batch_size=30)
        outcome = experiment.run(seed=0, checkpoint=None, resume=False, progress=False)
        fig = outcome.pictures["physics"]()
    assert outcome.value > 0.8
    fig.savefig(tmp_path / "physics.png")
    assert [ax.get_title() for ax in fig.axes] == ["a 0", "a 1", "a 2", "a 3"]


def test_images_are_tilted_while_training_only(pictures):
    x = jnp.asarray(pictures.test_x[0], float)
    plain = np.asarray(x)[::2, ::2].ravel()
    key = jax.random.key(3)
    np.testing.assert_array_equal(Tilted(0.1, 0.05, 1.0)(x), plain)
    # Not tilted at all, bilinear interpolation finds the pixels themselves.
    np.testing.assert_allclose(Tilted(0.0, 0.0, 0.0)(x, key=key), plain, atol=1e-12)
    whole = jnp.asarray([1.0, -2.0])
    moved = _pendula_pat.resampled(x, jnp.asarray(0.0), jnp.asarray(1.0), whole)
    rolled = np.roll(np.asarray(x), (-1, 2), (0, 1))[::2, ::2].ravel()
    np.testing.assert_allclose(moved, rolled, atol=1e-12)


def test_patches_are_squares_of_the_picture():
    images = np.arange(2 * 28 * 28).reshape(2, 28, 28)
    cut = patches(images)
    assert cut.shape == (2, 16, 49)
    np.testing.assert_array_equal(cut[1, 6].reshape(7, 7), images[1, 7:14, 14:21])


def test_reality_differs_from_the_model_as_the_settings_say():
    experiment = FashionPendula(shown=4, noise=0.0)
    model = experiment.hierarchy(jax.random.key(0))
    real = experiment.reality(jax.random.key(1))
    run = eqx.filter_jit(lambda network, x: network(x))
    x = jax.random.uniform(jax.random.key(2), (3, 16, 49))
    measured = experiment.network(model, _fashion_pendula.on(real))
    believed = experiment.network(model, lambda _: pnn.estimators.Autodiff())
    apart = run(measured, x) - run(believed, x)
    assert jnp.abs(apart).max() > 0.01
    assert real.lower.realize(None).sets.nonlinearity == 0.1
    # The device has its own errors, on top of the couplings that it is given.
    errors = np.concatenate([h.ravel() for h in jax.tree.leaves(real.lower.hidden)])
    assert 0.2 / np.sqrt(2) * errors.std() == pytest.approx(0.1414, rel=0.02)


def test_study_is_in_silico_and_physics_aware(pictures, tmp_path):
    with jax.enable_x64(False):
        study = FashionPendula(images=64, epochs=1, batch_size=32, shown=1)
        outcome = study.run(seed=0, checkpoint=None, resume=False, progress=False)
    table = dict(zip(outcome.table["method"], outcome.table["accuracy"], strict=True))
    assert tuple(table) == METHODS and outcome.value == table["physics-aware"]
    assert np.isfinite(list(table.values())).all()
    for name, picture in outcome.pictures.items():
        picture().savefig(tmp_path / f"{name}.png")
    heights = [bar.get_height() for bar in draw((0.9, 0.5, 0.8)).axes[0].patches]
    np.testing.assert_allclose(heights, (90, 50, 80))


@pytest.mark.slow
def test_pendula_pat_reaches_its_accuracy():
    with jax.enable_x64(False):
        outcome = PendulaPAT().run(
            seed=0, checkpoint=None, resume=False, progress=False
        )
    assert outcome.value >= 0.97


@pytest.mark.slow
def test_physics_aware_training_beats_deployment():
    with jax.enable_x64(False):
        outcome = FashionPendula().run(
            seed=0, checkpoint=None, resume=False, progress=False
        )
    _, deployed, aware = outcome.table["accuracy"]
    assert aware >= deployed + 0.05
