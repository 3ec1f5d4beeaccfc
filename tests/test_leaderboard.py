"""What the leaderboard measures, where the answer is known."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import polars
import pytest
from typer.testing import CliRunner

import pnnjax as pnn
from pnnjax._cli import app
from pnnjax.sweeps import _leaderboard, _measure
from pnnjax.sweeps._leaderboard import leaderboard, pairs_of
from pnnjax.sweeps._local_processes import LocalProcesses
from pnnjax.sweeps._measure_device import NoisyReadings
from pnnjax.sweeps._measure_gradient import LEVELS, chips_of, fidelity, readings_known
from pnnjax.sweeps._measure_key import quick_key
from pnnjax.sweeps._measure_program import FAST_TO_COMPILE, compiled, median_seconds
from pnnjax.sweeps._measure_task import accuracy, task_of
from pnnjax.sweeps._measure_training import lesson_of, mark, speed, trained_on

HERE = __name__
N = jnp.arange(100)
NAN = float("nan")


class Gains(pnn.AbstractLayer):
    """Each number times a gain of its own."""

    gain: jax.Array
    facts: ClassVar[pnn.Facts] = pnn.Facts(linear=True)

    def __call__(self, x, *, key=None):
        return jnp.broadcast_to(self.gain, x.shape).astype(x.dtype) * x


class Bounded(Gains, pnn.AbstractBoundedLayer):
    """Gains from 0 to 2."""

    def project(self):
        return eqx.tree_at(lambda own: own.gain, self, jnp.clip(self.gain, 0, 2))


class Doubled(pnn.AbstractEstimator):
    """Twice the gradient."""

    claim = pnn.Biased(0.9)

    def forward(self, layer, x, *, key):
        return pnn.respond(layer, x, key), None

    def backward(self, layer, x, residuals, y_bar, *, key):
        rule = pnn.estimators.Autodiff()
        return rule.backward(layer, x, None, 2 * y_bar, key=None)

    def cost(self, layer, x):
        return pnn.PhysicalCost(runs=7)


def gains(key):
    """Sixteen gains."""
    return Gains(jnp.ones(16)), jax.random.normal(key, (3, 16))


def broken(key):
    """A layer that can't run."""
    return Gains(jnp.ones(3)), jnp.ones((4, 2))


def doubled(layer):
    """Twice the gradient."""
    return Doubled()


@pytest.fixture(scope="module")
def chips():
    return chips_of(*gains(jax.random.key(3)), key=jax.random.key(4))


def test_noise_is_of_the_stated_size_and_drawn_for_each_reading(getkey):
    rng = np.random.default_rng(0)
    pool = jnp.asarray(rng.normal(size=4096))
    layer = Gains(jnp.ones(2000))

    def noisy(level):
        return NoisyReadings(layer, jnp.asarray(level), getkey(), pool)

    for x in (3 + rng.normal(size=(5, 2000)), rng.normal(size=(5, 2000)) * (1 + 1j)):
        device, y = noisy(0.1), x
        error = np.asarray(device(jnp.asarray(x))) - y
        rms = np.sqrt(np.mean(np.abs(y) ** 2))
        # The pool's 4096 numbers tell a deviation to a few per cent.
        assert np.std(error) == pytest.approx(0.1 * rms, rel=0.05)
        assert np.array_equal(device(jnp.asarray(x)) - y, error)
        other = np.asarray(device(jnp.asarray(x * (1 + 1e-9)))) - y
        alike = np.corrcoef(error.real.ravel(), other.real.ravel())[0, 1]
        assert abs(alike) < 0.05
        assert np.array_equal(noisy(0.0)(jnp.asarray(x)), y)


def test_readings_of_a_stack_between_its_layers_are_not_known():
    stack = eqx.nn.Sequential([eqx.nn.Linear(2, 2, key=jax.random.key(0))])
    feedback = pnn.estimators.RandomFeedback(key=jax.random.key(0))
    assert readings_known(pnn.estimators.Autodiff(), stack)
    assert not readings_known(pnn.estimators.FeedbackAlignment(feedback), stack)
    assert not readings_known(pnn.estimators.HamiltonianEcho(), stack)


def test_twice_the_gradient_has_its_direction(chips):
    found = fidelity(chips, Doubled(), key=jax.random.key(0))
    assert found.perfect.cosine == pytest.approx(1, abs=1e-12)
    assert found.perfect.relative_error == pytest.approx(1, abs=1e-12)
    for level in LEVELS:
        # It runs on the device itself, whatever that is.
        assert found.imperfect["mismatch", level].cosine == pytest.approx(1, abs=1e-9)


@pytest.mark.slow
def test_one_direction_of_spsa_is_as_short_of_the_gradient_as_theory_says(chips):
    rule = pnn.estimators.SPSA(1e-4)
    found = fidelity(chips, rule, key=jax.random.key(0))
    # 16 gains, and 16 inputs of each of three examples, which are told apart.
    assert found.draws == 64
    assert found.perfect.cosine == pytest.approx((2 / np.pi / 16) ** 0.5, rel=0.3)
    mean = found.averaged.cosine
    assert mean == pytest.approx((64 / (64 + 15)) ** 0.5, rel=0.1)


def test_a_model_is_off_by_the_mismatch_that_it_does_not_know(chips):
    silico = fidelity(chips, pnn.estimators.Autodiff(), key=jax.random.key(0))
    aware = pnn.estimators.PhysicsAware(lambda layer, x, key=None: x)
    loop = fidelity(chips, aware, key=jax.random.key(0))
    assert silico.perfect.relative_error == loop.perfect.relative_error == 0
    errors = [silico.imperfect["mismatch", level].relative_error for level in LEVELS]
    # To first order: the error is in proportion.
    assert errors[1] / errors[0] == pytest.approx(LEVELS[1] / LEVELS[0], rel=0.4)
    for level in LEVELS:
        # The output is that of the device, and the model's Jacobian is nearly right.
        inside = loop.imperfect["mismatch", level].relative_error
        assert 0 < inside < silico.imperfect["mismatch", level].relative_error
        # What runs on a model hears no noise.
        assert silico.imperfect["noise", level].relative_error == 0
        assert 0 < loop.imperfect["noise", level].relative_error < 3 * level


def test_a_program_is_compiled_once_and_timed():
    program = compiled(lambda a, n: a * n, (jnp.ones(3), 2.0), FAST_TO_COMPILE)
    assert jnp.array_equal(program.call(3.0 * jnp.ones(3), 2.0), 6.0 * jnp.ones(3))
    assert 0 < median_seconds(program, (jnp.ones(3), 2.0), 0.0) < 0.1
    assert program.seconds > 0
    assert program.scratch >= 0


def test_quick_keys_draw_independent_numbers():
    key = quick_key(7)
    keys = jnp.concatenate(
        [jax.random.split(key, 100), jax.vmap(lambda i: jax.random.fold_in(key, i))(N)]
    )
    drawn = jax.jit(jax.vmap(lambda key: jax.random.normal(key, (1000,))))(keys)
    assert np.array_equal(drawn[3], jax.random.normal(keys[3], (1000,)))
    moments = [float((drawn**power).mean()) for power in (1, 2, 3, 4)]
    # The mean of 200,000 fourth powers is known to 0.02.
    assert moments == pytest.approx([0, 1, 0, 3], abs=0.1)
    correlations = np.corrcoef(drawn)[np.triu_indices(len(keys), 1)]
    assert np.std(correlations) == pytest.approx(1000**-0.5, rel=0.05)
    assert np.abs(correlations).max() < 6 * 1000**-0.5
    bits = jax.random.bits(key, (4096, 64), jnp.uint8) & 1
    assert np.abs(bits.mean(0) - 0.5).max() < 6 * 0.5 / 4096**0.5


def test_a_layer_learns_within_its_budget_and_what_it_learns_can_be_built():
    x = jax.random.normal(jax.random.key(0), (9, 4))
    layer = Bounded(jnp.ones(4))
    task = task_of(layer, np.asarray(x), seed=2)
    lesson = lesson_of(layer, pnn.estimators.Autodiff(), task, key=quick_key(0))
    assert speed(lesson).seconds > 0
    found = mark(lesson, runs=100)
    assert found.runs == 22 * 90 * 100  # of at most 200,000
    assert found.accuracy > accuracy(layer, task) + 0.1
    trained = trained_on(lesson, 60).layer.layer.gain
    assert jnp.all((trained >= 0) & (trained <= 2))
    assert jnp.any((trained == 0) | (trained == 2))
    with pytest.raises(ValueError, match="One epoch takes 270000 physical runs"):
        mark(lesson, runs=3000)
    bad = eqx.tree_at(lambda student: student.offset, lesson.student, jnp.full(3, NAN))
    with pytest.raises(FloatingPointError, match="nan after 0 steps"):
        mark(lesson._replace(student=bad), runs=1)


def told(batch):
    """What a worker might tell of two pairs, of which the second can't be timed."""
    good, bad = (_measure.failed(pair, batch.double, "") for pair in batch.pairs)
    if batch.double:
        names = {name: good[name] for name in ("layer", "estimator")}
        level = {"what": "noise", "level": 0.1, "cosine": 0.5, "relative_error": 2.0}
        near = {"cosine": 1.0, "relative_error": 0.0}
        return [good | near, bad | near, {"table": "robustness", **names, **level}]
    cost = {"kind": "SaturableAbsorber", "runs": 2, "seconds": 0.5}
    return [good | cost, bad | {"error": "OSError: no clock"}]


def never(batch):
    raise AssertionError(f"{batch} was measured already")


def test_a_leaderboard_is_written_and_gone_on_with(tmp_path, monkeypatch):
    names = {"layers": ["saturable"], "estimators": ["autodiff", "optical-backprop"]}
    here = {"engine": LocalProcesses(0), "progress": False, "quick": True}
    monkeypatch.setattr(_leaderboard, "measure", told)
    found = leaderboard(tmp_path, **names, **here)
    good, bad = found.board.rows(named=True)
    assert good["estimator"] == "autodiff"
    assert (good["cosine"], good["runs"], good["error"]) == (1.0, 2, "")
    assert (bad["cosine"], bad["runs"]) == (1.0, None)
    assert bad["error"] == "OSError: no clock"
    assert bad["domain"] == "optics"
    (row,) = found.robustness.rows(named=True)
    assert (row["estimator"], row["what"], row["cosine"]) == ("autodiff", "noise", 0.5)
    assert polars.read_csv(tmp_path / "leaderboard.csv").height == 2
    assert "<html" in (tmp_path / "leaderboard.html").read_text()

    monkeypatch.setattr(_leaderboard, "measure", never)
    again = leaderboard(tmp_path, **names, **here)
    assert again.board.equals(found.board)
    with pytest.raises(pnn.zoo.FolderError, match="another leaderboard"):
        leaderboard(tmp_path, **{**names, "layers": ["mesh"]}, **here)


@pytest.mark.slow
def test_what_is_measured_of_a_layer_of_ones_own(tmp_path):
    names = [f"{HERE}:gains", f"{HERE}:broken"]
    rules = [f"{HERE}:doubled"]
    engine = LocalProcesses(1)
    found = leaderboard(
        tmp_path, layers=names, estimators=rules, quick=True, engine=engine
    )
    good, bad = found.board.rows(named=True)
    assert good["error"] == ""
    assert good["claim"] == "cosine ≥ 0.9"
    assert good["cosine"] == pytest.approx(1)
    assert good["parameters"] == 16
    assert good["seconds"] > 0
    # 60 epochs of 90 flowers, seven runs each.
    assert good["physical_runs"] == 60 * 90 * 7
    # Sizes of leaves tell most of the flowers.
    assert good["accuracy"] > 0.8
    assert "Error" in bad["error"]
    assert bad["cosine"] is None
    assert found.robustness.height == 2 * len(LEVELS)


def test_a_lost_layer_is_a_row_with_its_error_for_each_estimator():
    pairs = tuple(pairs_of(["saturable"], ["autodiff", "optical-backprop"], 1))
    rows = _leaderboard._lost(_measure.Batch(pairs, True), "out of memory")
    assert [row["estimator"] for row in rows] == ["autodiff", "optical-backprop"]
    assert {row["error"] for row in rows} == {"out of memory"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--layers", "mehs"], "`mesh`"),
        (["--estimators", "autodif"], "`autodiff`"),
        (["--layers", "saturable", "--estimators", "in-situ"], "None of these"),
    ],
)
def test_a_bad_request_is_refused(arguments, said, tmp_path):
    result = CliRunner().invoke(app, ["bench", *arguments, "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert said in result.stderr
    assert not list(tmp_path.iterdir())
