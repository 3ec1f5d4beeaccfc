"""digits-kuramoto: what the README says of it."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pnnjax as pnn
from pnnjax.zoo._digits_kuramoto import CLASSES, DigitsKuramoto, settling


@pytest.fixture(scope="module")
def outcome():
    """Of a short run."""
    with jax.enable_x64(False):
        experiment = DigitsKuramoto(epochs=1, hidden=20, batch_size=64, free=20)
        return experiment.run(seed=0, checkpoint=None, resume=False, progress=False)


def test_an_epoch_learns_most_of_it(outcome):
    assert outcome.value > 0.8
    assert outcome.history.loss[-10:].mean() < outcome.history.loss[:10].mean() / 2


def test_white_is_a_quarter_turn_from_black():
    digits, data = pnn.data.digits(), DigitsKuramoto().data()
    flat = digits.test_x.reshape(len(digits.test_x), -1)
    np.testing.assert_allclose(data.test_x, flat * np.pi / 2)
    assert data.train_x.shape == (5 * len(digits.train_x), 64)


@pytest.mark.slow
def test_gradient_is_that_of_implicit_differentiation():
    """Of settled oscillators: the nudge is far below the least curvature, 0.09."""
    experiment = DigitsKuramoto(hidden=8, beta=0.002, free=300, nudged=300)
    data = experiment.data()
    x, y = jnp.asarray(data.train_x[:8], float), jnp.asarray(data.train_y[:8])
    model = experiment.model(key=jax.random.key(0))
    exact = pnn.Physical(model.layer, pnn.estimators.ImplicitDifferentiation())
    slope = eqx.filter_jit(
        eqx.filter_grad(lambda m: experiment.objective(jax.vmap(m)(x), y))
    )
    error = pnn.relative_error(slope(model).layer, slope(exact).layer)
    assert error < 1e-3


def test_picture_shows_oscillators_at_rest(outcome, tmp_path):
    with jax.enable_x64(False):
        fig = outcome.pictures["physics"]()
    fig.savefig(tmp_path / "physics.png")
    circles, courses = fig.axes[:4], fig.axes[4:]
    assert [ax.get_title() for ax in circles] == ["a 0", "a 1", "a 2", "a 3"]
    assert all(len(ax.texts) == CLASSES for ax in circles)
    for ax in courses:
        end = np.asarray([line.get_ydata()[-2:] for line in ax.lines])
        assert np.abs(end[:, 1] - end[:, 0]).max() < 0.02


def test_picture_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="2 titles and 3 outputs"):
        pnn.plots.oscillator_phases(np.zeros((4, 1, 5)), 3, ["a", "b"])


def test_settling_begins_at_the_start_and_ends_where_the_layer_does():
    network = pnn.oscillators.Kuramoto(
        (3, 4, 2),
        key=jax.random.key(0),
        start=0.3,
        relaxation=pnn.integrators.FixedSteps(5, 1),
    )
    x = jnp.ones((2, 3))
    course = settling(network, x, 5)
    assert course.shape == (6, 2, 6)
    np.testing.assert_allclose(course[0], 0.3)
    np.testing.assert_allclose(np.sin(course[-1][:, 4:]), network(x), rtol=1e-12)


@pytest.mark.slow
def test_digits_kuramoto_reaches_its_accuracy():
    with jax.enable_x64(False):
        runs = [
            DigitsKuramoto().run(seed=s, checkpoint=None, resume=False, progress=False)
            for s in range(3)
        ]
    assert np.mean([run.value for run in runs]) >= 0.965
