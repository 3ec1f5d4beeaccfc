"""Trainings in one compiled program are those that run one by one."""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import pnnjax as pnn
from pnnjax import zoo
from pnnjax.sweeps import Job, Point, _chunks, _perform, _planning
from pnnjax.sweeps._same_shape import fleet_for
from pnnjax.zoo._schedules import rising_and_falling


class Amplifier(eqx.Module):
    """A trained matrix, an amplifier that is not trained, and its noise."""

    weight: jax.Array
    gain: float
    sigma: float

    def __call__(self, x, *, key=None):
        y = self.gain * (x @ self.weight)
        return y if key is None else y + self.sigma * jax.random.normal(key, y.shape)


class Toy(zoo.AbstractExperiment):
    """Least squares with an amplifier whose matrix begins at random."""

    epochs: int = 2
    batch_size: int = 4
    width: int = 3
    rate: float = 0.05
    gain: float = 1.0
    sigma: float = 0.1
    spread: float = 1.0
    error: float = 0.0

    name = summary = reference = "toy-amplifier"
    figure = "mean squared error"
    published = None
    duration = 1.0

    def data(self):
        x = self.spread * np.sin(np.arange(60.0)).reshape(20, 3)
        return pnn.data.Dataset(x[:16], x[:16, :1], x[16:], x[16:, :1], ("one",))

    def model(self, *, key):
        weight = jax.random.normal(key, (3, self.width))
        if self.error:
            weight = weight * (1 + self.error)
        return Amplifier(weight, self.gain, self.sigma)

    def objective(self, predictions, targets):
        return jnp.mean((jnp.sum(predictions, -1, keepdims=True) - targets) ** 2)

    def optimizer(self, steps):
        return optax.adam(optax.cosine_decay_schedule(self.rate, steps))

    def metrics(self):
        return {"error": self.objective}

    def picture(self, model, data):
        raise NotImplementedError


class ByNumpy(zoo.AbstractExperiment):
    """The same, but built and judged by numpy, which nothing can trace."""

    epochs: int = 2
    batch_size: int = 4
    gain: float = 1.0

    name = summary = reference = "toy-numpy"
    figure = "mean squared error"
    published = None
    duration = 1.0

    def data(self):
        return Toy().data()

    def model(self, *, key):
        random = np.random.default_rng(np.asarray(jax.random.key_data(key)))
        if self.gain <= 0:
            raise ValueError("no gain")
        return Amplifier(jnp.asarray(random.normal(size=(3, 3))), self.gain, 0.0)

    def objective(self, predictions, targets):
        return Toy().objective(predictions, targets)

    def optimizer(self, steps):
        return optax.sgd(0.1)

    def metrics(self):
        return {"error": lambda y, t: np.mean(np.asarray(y).sum(-1) - np.asarray(t)[0])}

    def picture(self, model, data):
        raise NotImplementedError


TOY, BY_NUMPY = f"{__name__}:Toy", f"{__name__}:ByNumpy"


def points(experiment, seeds=(0,), **settings):
    """Every combination."""
    axes = [[(name, value) for value in values] for name, values in settings.items()]
    return [
        Point(experiment, dict(combination), None, seed)
        for combination in itertools.product(*axes)
        for seed in seeds
    ]


def perform(jobs):
    return [row for job in jobs for row in _perform.perform(job, "code")]


def alone(points):
    return perform(Job((point,), (), 1) for point in points)


def assert_same(rows, others, atol=1e-9):
    for row, other in zip(rows, others, strict=True):
        assert list(row) == list(other)
        for name, value in row.items():
            number = name in ("value", "loss") or name.startswith("metric.")
            if number and value is not None:
                np.testing.assert_allclose(value, other[name], rtol=0, atol=atol)
            elif name != "seconds":
                assert value == other[name]


def test_points_trained_together_are_those_trained_alone():
    numbers = {"gain": [0.5, 1.5], "sigma": [0.0, 0.3]}
    grid = points(TOY, (0, 7), rate=[0.05, 1e200], **numbers, epochs=[3])
    jobs, apart = _planning.plan(grid, at_most=9)
    # Two programs of eight, rather than one of nine and one of seven.
    assert [job.size for job in jobs] == [8, 8] and not apart
    assert set(jobs[0].traced) == {"rate", "gain", "sigma"}
    assert [p for job in jobs for p in job.points] == grid
    rows = perform(jobs)
    assert rows[0]["steps"] == [4, 8, 12] and len(rows[0]["loss"]) == 12
    assert len({tuple(row["loss"]) for row in rows[:8]}) == 8
    # After a step of 1e200 the loss is too large; the neighbors don't see it.
    assert [row["error"] is None for row in rows] == [True] * 8 + [False] * 8
    assert rows[15]["error"] == "NonFiniteError: Step 2 is not finite (loss inf)"
    assert len(rows[15]["loss"]) == 1 and rows[15]["metric.error"] == []
    assert_same([rows[7]], alone([grid[7]]))


@pytest.mark.slow
def test_points_that_take_turns_are_those_trained_alone():
    grid = points(TOY, (0, 7), rate=[0.05, 1e200], sigma=[0.3])
    jobs, _ = _planning.plan(grid, exact=True)
    assert [(job.size, job.exact) for job in jobs] == [(4, True)]
    rows, others = perform(jobs), alone(grid)
    assert_same(rows[:2], others[:2])
    for row, other in zip(rows[2:], others[2:], strict=True):
        assert other["error"].startswith(row["error"]) and "Step 2" in row["error"]


@pytest.mark.slow
def test_a_failure_is_that_of_the_point_alone():
    grid = points(TOY, (0, 1), rate=[1e200])
    rows, others = perform(_planning.plan(grid).jobs), alone(grid)
    for row, other in zip(rows, others, strict=True):
        assert other.pop("error").startswith(row.pop("error"))
    assert_same(rows, others)


def test_a_plan_says_what_keeps_points_apart():
    grid = points(TOY, (0, 1), spread=[1.0, 2.0])
    planned = _planning.plan(grid)
    assert planned.apart == [(TOY, "spread", "it enters the data")]
    assert [job.points for job in planned.jobs] == [tuple(grid[:2]), tuple(grid[2:])]
    assert all(job.size == 2 and job.traced == () for job in planned.jobs)
    with pytest.raises(ValueError, match="at_most=0"):
        _planning.plan(grid, at_most=0)


@pytest.mark.slow
def test_a_plan_traces_what_it_can():
    grid = points(TOY, (0, 1), spread=[1.0, 2.0], error=[0.0, 0.5], rate=[0.1, 0.2])
    grid += points(TOY, (0, 1), width=[2, 4])
    planned = _planning.plan(grid)
    assert [a.setting for a in planned.apart] == ["spread"]
    assert sorted(len(job.points) for job in planned.jobs) == [2, 2, 8, 8]
    for job in planned.jobs:
        assert len({p.settings.get("width", 3) for p in job.points}) == 1
        assert len({p.settings.get("spread", 1.0) for p in job.points}) == 1
        # Python asks for `error`: the models are built before they are stacked.
        assert set(job.traced) == ({"error", "rate"} if job.size == 8 else set())
    assert planned == _planning.plan(grid)
    job = max(planned.jobs, key=lambda job: job.size)
    assert_same(perform([job])[2:4], alone(job.points[2:4]))


def test_a_rate_rises_and_falls_as_optax_has_it():
    ours = jax.jit(lambda peak, step: rising_and_falling(peak, 200)(step))
    theirs = optax.warmup_cosine_decay_schedule(0.0, 0.03, 4, 200)
    steps = jnp.asarray([0, 1, 3, 4, 5, 100, 199, 200, 300])
    with jax.numpy_dtype_promotion("standard"):
        found = jax.vmap(ours, (None, 0))(0.03, steps)
        expected = jax.vmap(theirs)(steps)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-15)
    assert found[3] == 0.03 and found[7] == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "experiment", ["mnist-dfa", "mnist-ep", "mnist-ff", "mnist-optical-dfa"]
)
def test_learning_rates_that_rise_and_fall_are_compiled_together(experiment):
    with jax.enable_x64(False):
        (job,), apart = _planning.plan(points(experiment, learning_rate=[1e-3, 2e-3]))
    assert job.traced == ("learning_rate",) and job.size == 2 and not apart


def test_studies_and_impossible_points_are_run_alone():
    grid = points("narma10", (0, 1)) + points(TOY, (0, 1), gane=[1.0])
    jobs, apart = _planning.plan(grid)
    assert [job.size for job in jobs] == [1] * 4
    assert apart == [("narma10", "seed", "it is no training of one model")]
    row = perform(jobs[2:3])[0]
    assert "`gain`" in row["error"] and row["value"] is None and row["figure"] is None


@pytest.mark.slow
def test_models_built_by_numpy_are_built_beforehand():
    grid = points(BY_NUMPY, (0, 1), gain=[0.5, 1.5])
    (job,), apart = _planning.plan(grid)
    assert job.size == 4 and job.traced == ("gain",) and not apart
    assert_same(perform([job, job])[5:7], alone(grid[1:3]))


@pytest.mark.slow
def test_what_fails_together_is_run_alone(monkeypatch):
    def full(*_):
        raise MemoryError("no room")

    monkeypatch.setattr(_perform, "train", full)
    grid = points(TOY, (0, 1))
    with pytest.warns(UserWarning, match="2 points .*MemoryError: no room"):
        rows = perform([Job(tuple(grid), (), 2)])
    assert [row["error"] for row in rows] == [None, None]


@pytest.mark.slow
def test_the_compiler_needs_less_than_the_bound():
    studies = [point.configured() for point in points(TOY, (0, 1))]
    fleet, lanes = fleet_for(studies, (0, 1), [])
    assert 0 < _chunks.measured(fleet, lanes, 16) <= _chunks.bound(fleet, lanes)


def test_programs_are_equal_and_fit_the_memory():
    assert _chunks.equal_parts(200, at_most=64, fitting=100) == 50
    assert _chunks.equal_parts(100, at_most=512, fitting=100) == 100
    # 128 would fit, but of 200 two halves do as well.
    assert _chunks.equal_parts(200, at_most=512, fitting=142) == 100
    assert _chunks.equal_parts(200, at_most=512, fitting=0) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "experiment, settings",
    [
        ("digits-ep", {"beta": [0.2, 0.8], "learning_rate": [0.005, 0.01]}),
        ("digits-mesh", {"learning_rate": [0.01, 0.03], "scale": [5.0, 10.0]}),
        ("digits-kuramoto", {"beta": [0.1, 0.3], "scale": [4.0, 8.0]}),
        ("dfa-on-pcm", {"read_noise": [0.0, 0.03]}),
    ],
)
def test_experiments_of_the_zoo(experiment, settings):
    script = Path(__file__).parent / "together_and_alone.py"
    # Optimized, as users have it: without, constants are not rounded as arrays are.
    environment = {n: v for n, v in os.environ.items() if n != "XLA_FLAGS"}
    command = [sys.executable, str(script), experiment, json.dumps(settings)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    single, double = json.loads(done.stdout).values()
    assert single["traced"] == double["traced"] == sorted(settings)
    assert single["errors"] == double["errors"] == []
    assert single["exact"] == 0
    # What `vmap` rounds otherwise, a training of some steps may make much of: to 0.007
    # in single precision, as much as moving each parameter by its last digit does.
    assert double["vmapped"] < 1e-5
    assert single["vmapped, first"] < 1e-6
