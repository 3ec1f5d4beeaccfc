"""narma10, mackey-glass, santa-fe: short runs, their pictures, and what they reach."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import needs_files

import pnnjax as pnn
from pnnjax.zoo._mackey_glass import MackeyGlass, free_run
from pnnjax.zoo._narma10 import Narma10, forecast, taps
from pnnjax.zoo._santa_fe import SantaFe


def run(experiment, seed=0):
    with jax.enable_x64(False):
        return experiment.run(seed=seed, checkpoint=None, resume=False, progress=False)


@pytest.mark.slow
def test_narma10_small(tmp_path):
    outcome = run(Narma10(units=60, few=12, seeds=2, train=400, test=200))
    table = outcome.table
    assert table["system"][:3] == ("60 units", "12 units", "12 taps")
    assert table["seed"] == (0, 0, 0, 1, 1, 1)
    assert outcome.value == np.mean([table["nrmse"][0], table["nrmse"][3]]) < 0.6
    outcome.pictures["physics"]().savefig(tmp_path / "physics.png")


def test_taps_are_the_last_inputs():
    inputs = jnp.arange(1.0, 6.0)[:, None]
    rows = np.asarray(taps(inputs, 3))
    np.testing.assert_array_equal(rows[-1], [3, 4, 5])
    np.testing.assert_array_equal(rows[0], [0, 0, 1])


@pytest.mark.slow
def test_mackey_glass_small(tmp_path):
    settings = {"units": 60, "train": 400, "test": 200, "runs": 5, "washout": 50}
    outcome = run(MackeyGlass(seeds=1, horizon=10, **settings))
    assert outcome.value < 0.05
    assert outcome.table["nrmse_10"][0] < 0.3
    outcome.pictures["physics"]().savefig(tmp_path / "physics.png")


@pytest.mark.slow
def test_a_free_run_hears_only_itself(getkey):
    """A readout of what is two steps of a rotation ahead goes on turning."""
    network = pnn.oscillators.EchoStateNetwork(
        1, 20, key=getkey(), input_scaling=0.1, degree=3
    )
    wave = jnp.sin(0.3 * jnp.arange(400.0))
    states = eqx.filter_jit(network)(wave[:-1, None])
    found = forecast(states, wave[1:, None], washout=50, train=300, strength=1e-12)
    free = free_run(network, found.readout, states[299], 60)
    np.testing.assert_allclose(free, wave[300:360], atol=1e-3)


@pytest.mark.slow
@needs_files
def test_santa_fe_small(tmp_path):
    settings = {"train": 2000, "test": 500, "washout": 50, "register": 10}
    outcome = run(SantaFe(units=100, seeds=1, strength=1e-3, **settings))
    assert outcome.value < outcome.table["nmse"][1] < 1
    outcome.pictures["physics"]().savefig(tmp_path / "physics.png")


def test_pictures_show_what_they_are_given():
    target, states = np.sin(np.arange(50.0)), np.ones((50, 3))
    fig = pnn.plots.prediction(target, {"half": target / 2}, states=states)
    np.testing.assert_allclose(fig.axes[1].lines[0].get_ydata(), -target / 2)
    with pytest.raises(ValueError, match="`half` has 49 times"):
        pnn.plots.prediction(target, {"half": target[1:]}, states=states)
    with pytest.raises(ValueError, match="no predictions"):
        pnn.plots.prediction(target, {}, states=states)
    fig = pnn.plots.free_run(target, target + 0.1, delay=4)
    assert len(fig.axes) == 4
    with pytest.raises(ValueError, match="delay of 50"):
        pnn.plots.free_run(target, target, delay=50)
    fig = pnn.plots.memory_curves({"line": np.ones(5), "none": np.zeros(5)})
    texts = [text.get_text() for text in fig.axes[0].get_legend().get_texts()]
    assert texts == ["line: 5.0", "none: 0.0"]
    with pytest.raises(ValueError, match="no curves"):
        pnn.plots.memory_curves({})


@pytest.mark.slow
def test_narma10_reaches_its_figure():
    outcome = run(Narma10())
    assert outcome.value <= 0.12
    by_system = {
        name: np.mean(
            [
                error
                for label, error in zip(outcome.table["system"], outcome.table["nrmse"])
                if label == name
            ]
        )
        for name in outcome.table["system"]
    }
    assert by_system["500 units"] < by_system["50 units"] < by_system["50 taps"] < 0.45
    assert len(outcome.pictures["memory"]().axes) == 1


@pytest.mark.slow
def test_mackey_glass_reaches_its_figure():
    outcome = run(MackeyGlass())
    assert outcome.value <= 2e-4
    assert np.mean(outcome.table["nrmse_84"]) <= 2e-3


@pytest.mark.slow
@needs_files
def test_santa_fe_reaches_its_figure():
    assert run(SantaFe()).value <= 0.005
