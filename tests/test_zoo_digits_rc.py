"""digits-rc: what the README says of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pnnjax as pnn
from pnnjax.zoo._digits_rc import CURRENT, DigitsRC, responses


def test_rows_enter_one_after_the_other():
    experiment = DigitsRC(rows=3)
    image = np.arange(64.0).reshape(1, 8, 8)
    currents = experiment.currents(image) / CURRENT
    assert currents.shape == (1, 3, 24)
    np.testing.assert_allclose(currents[0].ravel()[:64], np.arange(64.0))
    assert not currents[0].ravel()[64:].any()


@pytest.mark.slow
def test_it_learns_and_draws_with_errors_that_nobody_knows(tmp_path):
    with jax.enable_x64(False):
        experiment = DigitsRC(epochs=1, hidden=10, rows=4, mismatch=0.2)
        outcome = experiment.run(seed=0, checkpoint=None, resume=False, progress=False)
        assert outcome.value > 0.6
        outcome.pictures["physics"]().savefig(tmp_path / "physics.png")


@pytest.mark.slow
def test_the_error_is_answered_by_the_derivative_to_the_currents(tmp_path):
    network = DigitsRC(hidden=3, rows=2).network(key=jax.random.key(0))
    x = CURRENT * jax.random.uniform(jax.random.key(1), (4, 16), jnp.float32)

    def loss(y):
        return jnp.sum(y[-1, :3])

    voltages, error = responses(network, x, loss)
    slope = jax.grad(lambda x: loss(network(x)))(x)
    np.testing.assert_allclose(error[::-1, :16], slope, rtol=1e-4)
    fig = pnn.plots.two_runs(voltages, error, step=1e-3, highlighted=[0])
    assert [ax.get_xlabel() for ax in fig.axes] == 2 * ["Time (ms)"]
    with pytest.raises(ValueError, match="no nodes .99."):
        pnn.plots.two_runs(voltages, error, step=1e-3, highlighted=[99])


@pytest.mark.slow
def test_digits_rc_reaches_its_accuracy():
    with jax.enable_x64(False):
        runs = [
            DigitsRC().run(seed=s, checkpoint=None, resume=False, progress=False)
            for s in range(3)
        ]
    assert np.mean([run.value for run in runs]) >= 0.92
