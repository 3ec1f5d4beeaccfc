"""Two methods on the same seeds: what is paired, what is refused, what is shown."""

import json
import shutil

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import polars
import pytest
from scipy import stats
from toy_experiment import Rings, field, rings
from typer.testing import CliRunner

import pnnjax as pnn
from pnnjax import zoo
from pnnjax._cli import app
from pnnjax._history import History
from pnnjax.sweeps import (
    CompareError,
    Grid,
    Store,
    Sweep,
    code_version,
    compare,
    paired,
)
from pnnjax.sweeps._follow import (
    NotFollowedError,
    cost_of,
    follow,
    seconds_per_step,
    training_of,
)
from pnnjax.sweeps._rule import with_rule
from pnnjax.zoo import AbstractExperiment, setting


class Toy(AbstractExperiment):
    """A matrix that stands for a physical layer, and digital weights after it."""

    name = "toy-physical"
    summary = "rings by a linear layer"
    reference = "None."
    figure = "test accuracy"
    published = None
    duration = 1.0

    epochs: int = setting(2, "passes over the points", low=1)
    batch_size: int = 40
    rate: float = setting(0.05, "of learning", low=0.0)

    def data(self):
        return rings()

    def model(self, *, key):
        one, other = jax.random.split(key)
        linear = [
            eqx.nn.Linear(2, 6, dtype=jnp.float32, key=one),
            eqx.nn.Linear(6, 2, dtype=jnp.float32, key=other),
        ]
        rule = pnn.estimators.Autodiff()
        return eqx.nn.Sequential(
            [pnn.Physical(linear[0], rule), eqx.nn.Lambda(jnp.tanh), linear[1]]
        )

    def objective(self, predictions, targets):
        return pnn.objectives.cross_entropy(predictions, targets)

    def optimizer(self, steps):
        return optax.adam(self.rate)

    def metrics(self):
        return {"accuracy": pnn.objectives.accuracy}

    def picture(self, model, data):
        return field()


def call(*arguments, code=0):
    result = CliRunner().invoke(app, ["compare", *map(str, arguments)])
    assert result.exit_code == code, (result.output, result.exception)
    return " ".join(result.output.split())


def test_the_interval_is_that_of_student():
    found = paired(np.asarray([1.0, 5.0, 0.0]), np.asarray([2.0, 7.0, 3.0]))
    np.testing.assert_array_equal(found.differences, [1, 2, 3])
    # Of a table: t = 4.302653 for two degrees of freedom; the deviation is 1.
    half = 4.302653 / np.sqrt(3)
    assert found.mean == 2
    np.testing.assert_allclose([found.low, found.high], [2 - half, 2 + half], 1e-6)
    assert found.rank_test is None and "3 are few" in found.in_words()
    six = paired(np.zeros(6), np.asarray([1.0, 2, 3, 4, 5, 6]))
    # All of one sign: of 64 signs, this and its opposite.
    assert six.rank_test == pytest.approx(2 / 64) and "excludes" in six.in_words()
    one = paired(np.zeros(1), np.ones(1))
    assert np.isnan(one.low) and "more seeds" in one.in_words()
    same = paired(np.zeros(7), np.zeros(7))
    assert same.rank_test == 1 and (same.low, same.high) == (0, 0)
    assert "the same for all 7" in same.in_words()
    with pytest.raises(ValueError, match="shapes"):
        paired(np.zeros(0), np.zeros(0))


def test_the_interval_covers_the_truth_as_often_as_it_says():
    """Seeds differ by 1, methods by 0.05, and what is left to chance is 0.1."""
    rng = np.random.default_rng(3)
    trials, count, truth = 500, 8, 0.05
    seed = rng.normal(size=(trials, count))
    a = seed + rng.normal(scale=0.1 / np.sqrt(2), size=seed.shape)
    b = seed + truth + rng.normal(scale=0.1 / np.sqrt(2), size=seed.shape)
    found = [paired(x, y) for x, y in zip(a, b)]
    covered = np.mean([each.low <= truth <= each.high for each in found])
    # Four standard errors of a share of 0.95 in 500.
    assert abs(covered - 0.95) < 4 * np.sqrt(0.95 * 0.05 / trials)
    widths = np.asarray([each.high - each.low for each in found])
    unpaired = stats.ttest_ind(b, a, axis=1, equal_var=False).confidence_interval()
    assert np.median(widths) < 0.1 * np.median(unpaired.high - unpaired.low)


def invented(point):
    value = 0.5 + 0.1 * point.seed + point.settings["rate"]
    return {
        "key": point.key(code_version()),
        "experiment": point.experiment,
        "estimator": None,
        "seed": point.seed,
        **{f"set.{name}": given for name, given in point.settings.items()},
        "value": value,
        "figure": Rings.figure,
        "seconds": 1.0,
        "error": None,
        "loss": [1.0, 0.5, 0.25, 0.125],
        "steps": [2, 4],
        "metric.accuracy": [0.2, value],
    }


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A sweep over two rates, and the run of `pnnjax train` of one of its points."""
    root = tmp_path_factory.mktemp("compare")
    sweep = Sweep(
        Grid(Rings, settings={"epochs": 1, "width": 2, "rate": [0.01, 0.1]}, seeds=3)
    )
    module = f"{Rings.__module__}:Rings"
    description = {"sweeps": [sweep.described()], "modules": {}}
    store = Store.create(root / "sweep", "sweep", description)
    with store.writing():
        for point in sweep.points():
            assert point.experiment == module
            store.add(point.key(store.code), [invented(point)], "nowhere")
    zoo.run(Rings(1, width=2, rate=0.1), seed=1, out=root / "one", progress=False)
    return root


def test_parts_of_a_sweep_are_paired_by_seed(folders):
    there = folders / "sweep"
    found = compare(f"{there}:rate=0.01", f"{there}:rate=0.1;width=2")
    assert found.seeds == (0, 1, 2)
    assert (found.a.label, found.b.label) == ("rate=0.01", "rate=0.1;width=2")
    rows = pnn.sweeps.table(there)
    values = [
        rows.filter(polars.col("set.rate") == rate).sort("seed")["value"].to_numpy()
        for rate in (0.01, 0.1)
    ]
    np.testing.assert_array_equal(found.pairs()["a"].to_numpy(), values[0])
    np.testing.assert_array_equal(found.difference.differences, values[1] - values[0])
    first = found.table().row(0, named=True)
    assert first["quantity"] == "test accuracy" and first["seeds"] == 3
    assert first["difference"] == pytest.approx(first["b"] - first["a"])


def test_a_run_of_train_is_compared_with_a_sweep(folders, tmp_path):
    found = compare(str(folders / "one"), f"{folders / 'sweep'}:rate=0.1")
    assert found.seeds == (1,) and np.isnan(found.difference.low)
    assert found.b.runs[1].value == pytest.approx(0.7)
    assert len(found.a.history(1).loss) == 5
    assert any("seeds 0, 2 have no partner" in note for note in found.notes)
    said = call(
        folders / "one", f"{folders / 'sweep'}:rate=0.1", "--out", tmp_path / "out"
    )
    assert "more seeds" in said and "comparison.html" in said
    names = ("png", "csv", "html")
    sizes = [(tmp_path / "out" / f"comparison.{n}").stat().st_size for n in names]
    assert min(sizes) > 100
    seeds = polars.read_csv(tmp_path / "out" / "comparison_seeds.csv")
    assert seeds["seed"].to_list() == [1]
    several = tmp_path / "runs"
    for seed in (1, 4):
        copied(folders / "one", several / f"{seed}", seed=seed)
    found = compare(str(several), f"{several}:seed=4")
    assert found.seeds == (4,)


def copied(there, here, **changes):
    shutil.copytree(there, here)
    settings = json.loads((here / "settings.json").read_text())
    (here / "settings.json").write_text(json.dumps({**settings, **changes}))
    return here


def test_what_has_nothing_in_common_is_refused(folders, tmp_path):
    one, there = folders / "one", folders / "sweep"
    for a, b, why in (
        (one, copied(one, tmp_path / "other", seed=7), "no seed in common.*has 1.*7"),
        (one, there, r"several kinds \(rate: 0.01, 0.1\).*sweep:rate=0.1"),
        (one, copied(one, tmp_path / "x", experiment="x"), "no figure in common"),
        (f"{there}:rate=5", one, "no run with rate=5"),
        (f"{there}:rate", one, "name=value"),
    ):
        with pytest.raises(CompareError, match=why):
            compare(str(a), str(b))
    with pytest.raises(zoo.SettingError, match="`rat`.*Did you mean `rate`"):
        compare(f"{there}:rat=5", str(one))
    (tmp_path / "nothing").mkdir()
    with pytest.raises(zoo.FolderError, match="neither a sweep nor a run"):
        compare(str(tmp_path / "nothing"), str(one))
    copied(one, tmp_path / "unfinished")
    (tmp_path / "unfinished" / "result.json").unlink()
    with pytest.raises(CompareError, match="unfinished.*pnnjax train toy-rings .*res"):
        compare(str(one), str(tmp_path / "unfinished"))
    shutil.copytree(there, tmp_path / "sweep")
    store = Store.open(tmp_path / "sweep")
    store.forget(store.table()["key"][:1])
    with pytest.raises(CompareError, match="unfinished: .* of 6 points"):
        compare(f"{tmp_path / 'sweep'}:rate=0.1", str(one))
    for arguments, why in (
        ((one, "Autodiff()"), "is a folder"),
        (("nowhere", "Autodiff()"), "neither a folder nor an estimator"),
        (("Autodiff()", "own"), "--experiment digits-ep"),
        ((one, one, "--seeds", 3), "for estimators"),
    ):
        assert why in call(*arguments, code=2)


ESTIMATORS = ("own", "SPSA(samples=2)")


def test_estimators_are_asked_for_as_sweeps_are(tmp_path):
    asked = [*ESTIMATORS, "--experiment", f"{__name__}:Toy", "--out", tmp_path]
    for change, why in (
        (["--set", "rat=1"], "rate"),
        (["--set", "rate"], "key=value"),
        (["--experiment", "toy"], "no experiment `toy`"),
    ):
        assert why in call(*asked, *change, code=2)
    assert "same estimator" in call("own", "own", *asked[2:], code=2)
    assert "SPSA" in call("own", "SPZA()", *asked[2:], code=2)
    assert not [*tmp_path.iterdir()]


def test_a_comparison_that_is_stopped_says_how_to_go_on(monkeypatch):
    def stopped(*args, **kwargs):
        raise KeyboardInterrupt("Stopped after 3 of 4 points")

    monkeypatch.setattr("pnnjax._commands._compare.compare_estimators", stopped)
    options = ["--experiment", "digits-ep", "--seeds", 2, "--out", "here"]
    options += ["--set", "epochs=1", "--no-alignment"]
    said = call(*ESTIMATORS, *options, code=130)
    words = " ".join(map(str, options))
    assert (
        f"3 of 4 points To go on: pnnjax compare own 'SPSA(samples=2)' {words}" in said
    )


@pytest.mark.slow
def test_estimators_are_trained_on_the_same_seeds(tmp_path):
    asked = [*ESTIMATORS, "--experiment", f"{__name__}:Toy", "--seeds", 2]
    asked += ["--workers", 0, "--out", tmp_path / "here", "--set", "rate=0.02"]
    said = call(*asked)
    for words in (
        "A: own", "B: SPSA(samples=2)", "test accuracy", "physical runs a gradient",
        "mean cosine, layers[0] 1 ", "seconds a step", "2 are few",
    ):  # fmt: skip
        assert words in said
    rows = [*(tmp_path / "here").glob("rows/*")]
    before = {path: path.stat().st_mtime_ns for path in rows}
    assert "A: own" in call(*asked, "--no-alignment")
    assert {path: path.stat().st_mtime_ns for path in rows} == before
    zoo.run(Toy(rate=0.02), seed=1, out=tmp_path / "one", progress=False)
    found = compare(f"{tmp_path / 'here'}:estimator=own", str(tmp_path / "one"))
    assert found.difference.mean == pytest.approx(0, abs=1e-5)
    loss = [side.history(1).loss for side in (found.a, found.b)]
    np.testing.assert_allclose(*loss, rtol=1e-4)


def test_cost_and_alignment_are_those_of_the_rule():
    toy = Toy(epochs=1)
    rule = "SPSA(samples=2)"
    gradient, examples = cost_of(training_of(with_rule(toy, rule), 0))
    layer = toy.model(key=jax.random.key(0)).layers[0].layer
    shape = jax.ShapeDtypeStruct((2,), jnp.float32)
    assert gradient == pnn.estimators.SPSA(samples=2).cost(layer, shape)
    assert examples == 160
    training = training_of(toy, 0)
    exact = follow(training, (0.0, 1.0))
    assert exact.steps.tolist() == [0, 4]
    first, second = seconds_per_step([training, training])
    assert 0 < first < 10 * second
    for cosines in exact.cosines.values():
        np.testing.assert_allclose(cosines, 1, atol=1e-6)
    with pytest.raises(NotFollowedError, match="no training run"):
        from toy_experiment import Seeds

        training_of(Seeds(), 0)


def test_the_picture_shows_each_seed():
    rng = np.random.default_rng(0)
    values = {"first": rng.normal(size=30), "second": rng.normal(size=30)}
    interval = (0.1, -0.2, 0.4)
    fig = pnn.plots.comparison(values, range(30), interval, quantity="accuracy")
    joined, differences = fig.axes
    assert len(joined.lines) == 30 + 4
    shown = np.sort(differences.lines[1].get_xdata())
    np.testing.assert_allclose(shown, np.sort(values["second"] - values["first"]))
    runs = [History(rng.random(50), np.asarray([50]), {"x": rng.random(1)}, 1.0)] * 30
    fig = pnn.plots.comparison(
        values,
        range(30),
        (0.1, float("nan"), float("nan")),
        quantity="accuracy",
        histories={name: runs for name in values},
        alignments={"first": (np.arange(3), {"mesh": np.asarray([1, -0.2, 0.1])})},
    )
    assert len(fig.axes) == 6
    with pytest.raises(ValueError, match="there are 1"):
        pnn.plots.comparison({"a": np.ones(2)}, [0, 1], interval, quantity="")
    with pytest.raises(ValueError, match="There are 2 seeds"):
        pnn.plots.comparison(values, [0, 1], interval, quantity="")
