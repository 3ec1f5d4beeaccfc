"""pendula-pat and fashion-pendula: what the README says of them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pnnjax as pnn
from pnnjax.zoo import _fashion_pendula, _pendula_pat
from pnnjax.zoo._fashion_pendula import (
    METHODS,
    FashionPendula,
    SideBySide,
    draw,
    patches,
)
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


@pytest.mark.slow
def test_pendula_learn_digits_and_are_drawn(pictures, tmp_path):
    with jax.enable_x64(False):
        experiment = PendulaPAT(images=240, epochs=1, batch_size=30, steps=2)
        outcome = experiment.run(seed=0, checkpoint=None, resume=False, progress=False)
        fig = outcome.pictures["physics"]()
    assert outcome.history.loss[-3:].mean() < outcome.history.loss[0]
    fig.savefig(tmp_path / "physics.png")
    assert [ax.get_title() for ax in fig.axes] == ["a 0", "a 1", "a 2", "a 3"]


def test_images_are_tilted_while_training_only(pictures):
    image = np.asarray(pictures.test_x[0], float)
    plain = image[::2, ::2].ravel()
    np.testing.assert_array_equal(Tilted(0.1, 0.05, 1.0)(jnp.asarray(image)), plain)
    run = jax.jit(_pendula_pat.resampled)

    def moved(*shift):
        one = jnp.asarray(1.0)
        return run(jnp.asarray(image), 0 * one, one, jnp.asarray(shift))

    # Bilinear interpolation finds the pixels themselves.
    np.testing.assert_allclose(moved(0.0, 0.0), plain, atol=1e-12)
    rolled = np.roll(image, (-1, 2), (0, 1))[::2, ::2].ravel()
    np.testing.assert_allclose(moved(1.0, -2.0), rolled, atol=1e-12)


def test_patches_are_squares_of_the_picture():
    images = np.arange(2 * 28 * 28).reshape(2, 28, 28)
    cut = patches(images)
    assert cut.shape == (2, 16, 49)
    np.testing.assert_array_equal(cut[1, 6].reshape(7, 7), images[1, 7:14, 14:21])


def test_sets_side_by_side_are_what_each_is_alone():
    def made(key):
        return pnn.waves.CanonicalPendula(3, key=key, inputs=2, outputs=2)

    keys = jax.random.split(jax.random.key(0), 2)
    sets, alone = eqx.filter_vmap(made)(keys), [made(key) for key in keys]
    x = jnp.linspace(-1, 1, 12).reshape(3, 2, 2)
    run = eqx.filter_jit(lambda pendula, x: pendula(x))
    each = [run(pendula, x[:, i]) for i, pendula in enumerate(alone)]
    row = np.concatenate(each, axis=-1)
    np.testing.assert_allclose(run(SideBySide(sets), x), row, rtol=1e-12)


def test_reality_differs_from_the_model_as_the_settings_say():
    real = FashionPendula(shown=1).reality(jax.random.key(1))
    assert real.upper.layer.nonlinearity == real.lower.layer.sets.nonlinearity == 0.1
    (errors,) = real.lower.hidden.value
    spread = real.lower.imperfection.value.sigma * np.std(errors)
    assert spread == pytest.approx(0.2 / np.sqrt(2), rel=0.02)


def test_study_trains_twice_and_deploys_once(pictures, monkeypatch, tmp_path):
    """With a training that changes nothing: from the same couplings and key."""
    trained = []

    def idle(network, data, *settings, key, **named):
        trained.append((network, key))
        ends = {"accuracy": np.asarray([0.5, 0.9 - 0.1 * len(trained)])}
        history = pnn.History(np.ones(4), np.asarray([2, 4]), ends, 1.0)
        return pnn.FitResult(network, history)

    monkeypatch.setattr(_fashion_pendula, "fit", idle)
    monkeypatch.setattr(_fashion_pendula, "accuracy", lambda *_: 0.6)
    study = FashionPendula(images=64, shown=1)
    outcome = study.run(seed=0, checkpoint=None, resume=False, progress=False)
    assert outcome.table["method"] == METHODS
    assert outcome.table["accuracy"] == pytest.approx((0.8, 0.6, 0.7))
    assert outcome.value == pytest.approx(0.7)
    (silico, key), (aware, same) = trained
    assert key is same
    own = [network.layers[3].layer.coupling for network in (silico, aware)]
    np.testing.assert_array_equal(*own)
    rules = [type(network.layers[1].estimator).__name__ for network in (silico, aware)]
    assert rules == ["Autodiff", "PhysicsAware"]
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
