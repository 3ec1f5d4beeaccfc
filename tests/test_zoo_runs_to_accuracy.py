"""Physical runs to an accuracy: what is counted, what is drawn, what is resumed."""

import csv

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import pytest

from pnnjax import plots, zoo
from pnnjax.zoo._one_chip import METHODS
from pnnjax.zoo._runs_to_accuracy import Curve, RunsToAccuracy


def test_runs_are_those_until_the_target_is_first_reached():
    curve = Curve(np.asarray([10.0, 20, 30, 40]), np.asarray([0.5, 0.96, 0.9, 0.97]), 0)
    assert curve.reached(0.95) == 20
    assert curve.reached(0.4) == 10
    assert curve.reached(0.99) == np.inf


@pytest.fixture(scope="module")
def chip():
    return RunsToAccuracy(size=4, columns=2, error=0.3).chip(0)


def test_each_method_counts_its_runs_of_the_whole_chip(chip):
    """Of two meshes, each phase of which is a parameter."""
    phases = sum(m.theta.size + m.phi.size + m.gamma.size for m in chip.model)
    method = {name: make(chip) for name, make in METHODS.items()}
    runs = {name: one.runs for name, one in method.items()}
    assert runs["physics-aware"] == 1
    # Forwards, the error backwards, and the two interferences.
    assert runs["in situ"] == runs["direct feedback"] == 4
    assert runs["finite difference"] == 1 + 2 * phases
    # Each mesh alone; the second one's 16 complex inputs are shifted too.
    assert runs["parameter shift"] == (2 * 1 + 2 * phases + 2 * 2 * 16) / 2
    assert runs["SPSA"] == 2
    assert runs["CMA-ES"] == method["CMA-ES"].optimizer(1).population


@pytest.mark.slow
def test_all_methods_begin_with_one_chip_whose_detectors_are_noisy(chip):
    for believed, real in zip(chip.model, chip.real, strict=True):
        np.testing.assert_array_equal(believed.theta, real.layer.theta)
    x = jnp.ones((1, 16), jnp.complex64)
    assert jnp.abs(chip.model[0](x) - chip.real[0](x)).max() > 0.1
    field = jnp.zeros((4000, 16), jnp.complex64)
    noise = chip.detectors(field, key=jax.random.key(0))
    np.testing.assert_allclose(jnp.std(noise), 1e-5, rtol=0.05)  # W, of 10 mW


def test_a_method_that_is_not_known_is_named():
    assert RunsToAccuracy(methods="SPSA, in situ").chosen() == ("in situ", "SPSA")
    with pytest.raises(ValueError, match="'magic', but can be any of in silico"):
        RunsToAccuracy(methods="magic").chosen()


@pytest.mark.slow
def test_a_short_study_writes_its_table_and_resumes(tmp_path):
    settings = {
        "methods": "SPSA",
        "budget": 2048,
        "examples": 256,
        "size": 4,
        "columns": 2,
    }
    experiment = zoo.configure(RunsToAccuracy, settings)
    zoo.run(experiment, out=tmp_path / "run", progress=False)
    with open(tmp_path / "run" / "metrics.csv") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["physical_runs"]) for row in rows] == [512, 1024, 1536, 2048]
    assert {row["runs_to_target"] for row in rows} == {"inf"}
    (tmp_path / "run" / "result.json").unlink()
    zoo.run(experiment, out=tmp_path / "run", resume=True, progress=False)
    with open(tmp_path / "run" / "metrics.csv") as file:
        assert rows == list(csv.DictReader(file))


def test_bars_end_where_the_target_was_reached_or_are_only_outlined():
    runs = np.asarray([1e3, 1e4, 1e5])
    curves = {
        "fast": (runs, np.asarray([0.8, 0.96, 0.97])),
        "slow": (runs, np.asarray([0.3, 0.6, 0.9])),
        "none": (np.zeros(1), np.asarray([0.5])),
    }
    fig = plots.runs_to_accuracy(curves, target=0.95)
    left, right = fig.axes
    assert [bar.get_width() for bar in right.patches] == [1e4, 1e5]
    filled = [bar.get_facecolor()[3] > 0 for bar in right.patches]
    assert filled == [True, False]
    texts = [text.get_text().strip() for text in right.texts]
    assert texts == ["1e+04", "not reached: 90.0%", "not reached: 50.0%, no runs"]
    assert len(left.lines) == 3 and left.get_xscale() == "log"
    assert matplotlib.rcParams["axes.spines.top"]
    with pytest.raises(ValueError, match="no methods"):
        plots.runs_to_accuracy({}, target=0.95)
    with pytest.raises(ValueError, match="2 numbers of runs, but 3"):
        plots.runs_to_accuracy({"a": (runs[:2], runs / 1e5)}, target=0.95)


@pytest.mark.slow
def test_in_situ_reaches_the_target_within_a_tenth_of_a_million_runs():
    experiment = zoo.configure(RunsToAccuracy, {"methods": "in situ"})
    assert zoo.run(experiment, progress=False).value < 1e5
