"""`pnnjax report`: pages of sweeps, runs and leaderboards, finished or not."""

import json
import shutil

import numpy as np
import polars
import pytest
from board_sample import board, robustness
from typer.testing import CliRunner

from pnnjax import sweeps, zoo
from pnnjax._cli import app
from pnnjax.sweeps import _report, _sweep_page
from pnnjax.sweeps._page import Picture, Table, Text
from pnnjax.sweeps._slices import best, ordered, slice_of, varied
from pnnjax.sweeps._sweep_page import sweep_parts

RATES, SEEDS = (0.001, 0.01, 0.1), range(3)


def row(key, rate, seed, estimator):
    """What a point would have found: best at a rate of 0.01, and one failure."""
    value = 0.9 - 0.1 * abs(np.log10(rate / 0.01)) + 0.01 * seed
    value -= 0.3 if estimator else 0.0
    found = {
        "key": key,
        "experiment": "digits-mesh",
        "estimator": estimator,
        "seed": seed,
        "set.learning_rate": rate,
        "value": value,
        "figure": "test accuracy",
        "less_is_better": False,
        "seconds": 2.0,
        "error": None,
        "loss": np.exp(-rate * np.arange(20.0)).tolist(),
        "steps": [10, 20],
        "metric.accuracy": [value / 2, value],
    }
    if (rate, seed, estimator) == (0.1, 1, None):
        gone = dict.fromkeys(("value", "loss", "steps", "metric.accuracy"))
        found |= {**gone, "error": "NonFiniteError: Step 3 is not finite <nan>"}
    return found


@pytest.fixture(scope="module")
def rows():
    return [
        row(f"{rate}{seed}{rule}", rate, seed, rule)
        for rate in RATES
        for rule in (None, "SPSA(samples=8)")
        for seed in SEEDS
    ]


def by_kind(parts, kind):
    return {part.heading: part for part in parts if isinstance(part, kind)}


def test_the_best_and_what_is_beside_it(rows):
    frame = polars.DataFrame(rows, infer_schema_length=None)
    frame = frame.with_columns(polars.col("estimator").fill_null("its own"))
    columns = varied(frame)
    assert columns == ["estimator", "set.learning_rate"]
    at = best(frame, columns)
    assert at == {"estimator": "its own", "set.learning_rate": 0.01}
    worst = best(frame.with_columns(less_is_better=True), columns)
    assert worst["estimator"] == "SPSA(samples=8)"
    beside = slice_of(frame, "set.learning_rate", at)
    assert beside.values == list(RATES) and beside.everything
    assert [set(part["estimator"]) for part in beside.rows] == [{"its own"}] * 3
    few = slice_of(frame, "set.learning_rate", at, 2)
    assert few.values == [0.01, 0.1] and not few.everything
    assert ordered([3, None, 1]) == [None, 1, 3] and ordered(["b", "a"]) == ["b", "a"]


def test_the_best_is_on_top_of_each_experiment(rows):
    errors = [{**row, "experiment": "narma10", "less_is_better": True} for row in rows]
    frame = polars.DataFrame([*rows, *errors], infer_schema_length=None)
    means = _sweep_page._means(frame)
    value = {n: p["mean"].to_list() for (n,), p in means.group_by("experiment")}
    assert value["digits-mesh"] == sorted(value["digits-mesh"])[::-1]
    assert value["narma10"] == sorted(value["narma10"])


def test_a_sweep_is_told_by_setting(rows):
    parts = sweep_parts(polars.DataFrame(rows, infer_schema_length=None), 0)
    pictures = by_kind(parts, Picture)
    (against,) = (p for name, p in pictures.items() if "against" in name)
    own, spsa = against.figure.axes[0].containers
    np.testing.assert_allclose(own.lines[0].get_ydata(), [0.81, 0.91, 0.81])
    np.testing.assert_allclose(spsa.lines[0].get_ydata(), [0.51, 0.61, 0.51])
    assert {"Training by estimator", "Training by learning_rate"} <= {*pictures}
    tables = by_kind(parts, Table)
    means = tables["Means"].frame
    assert means["mean"][0] == pytest.approx(0.91)
    assert means["standard_error"][0] == pytest.approx(0.01 / np.sqrt(3))
    assert tables["Failures"].frame["error"].to_list() == [
        "NonFiniteError: Step 3 is not finite <nan>"
    ]
    assert len(tables["Points"].frame) == len(rows)
    assert not by_kind(parts, Text)
    unfinished = by_kind(sweep_parts(polars.DataFrame(rows[:4]), 14), Text)
    assert "14 of 18 points" in unfinished["Not finished"].text


def test_nothing_but_failures_is_told_too(rows):
    (failed,) = (r for r in rows if r["error"])
    frame = polars.DataFrame([failed], infer_schema_length=None)
    assert {*by_kind(sweep_parts(frame, 0), Table)} == {"Means", "Failures", "Points"}


def test_report_of_a_sweep_that_is_not_finished(tmp_path):
    folder = tmp_path / "rates"
    grid = sweeps.Grid("digits-mesh", settings={"learning_rate": RATES}, seeds=SEEDS)
    sweep = sweeps.Sweep(grid)
    described = {"sweeps": [sweep.described()], "modules": {}}
    store = sweeps.Store.create(folder, "sweep", described)
    with pytest.raises(zoo.FolderError, match="holds no row yet"):
        sweeps.report(folder)
    points = sweep.points()[2:]
    with store.writing():
        found = [
            row(p.key(store.code), p.settings["learning_rate"], p.seed, None)
            for p in points
        ]
        store.add("all", found, "here")
    before = sorted(folder.rglob("*"))
    result = CliRunner().invoke(app, ["report", str(folder)])
    assert result.exit_code == 0, (result.output, result.exception)
    page = tmp_path / "rates.html"
    assert str(page) in result.output.replace("\n", "")
    text = page.read_text()
    assert "2 of 9 points" in text and "Step 3 is not finite &lt;nan&gt;" in text
    assert store.code in text
    # Beside the folder, in which nothing is changed.
    assert sorted(folder.rglob("*")) == before


def test_report_of_a_run(tmp_path):
    folder = tmp_path / "digits-mesh-0"
    folder.mkdir()
    settings = {"experiment": "digits-mesh", "seed": 0, "settings": {"epochs": 2}}
    (folder / "settings.json").write_text(json.dumps(settings))
    page = sweeps.report(folder, tmp_path / "page.html")
    assert "Not finished" in page.read_text()
    lines = ["step,loss,accuracy", "1,2.0,", "2,1.5,0.25", "3,1.25,", "4,1.0,0.75"]
    (folder / "metrics.csv").write_text("\n".join(lines) + "\n")
    png = folder / "physics.png"
    png.write_bytes(b"\x89PNG")
    result = {"figure": "test accuracy", "value": 0.75, "published": None}
    result |= {"seconds": 3.0, "files": ["metrics.csv", "training.png", "physics.png"]}
    (folder / "result.json").write_text(json.dumps(result))
    text = sweeps.report(folder, page).read_text()
    assert "digits-mesh, seed 0" in text and "0.750" in text
    assert 'src="data:image/png;base64,iVBORw=="' in text


def test_report_of_the_leaderboard(tmp_path, monkeypatch):
    board().write_csv(tmp_path / "leaderboard.csv")
    robustness().write_csv(tmp_path / "robustness.csv")
    shown = []
    monkeypatch.setattr(_report, "leaderboard_page", lambda *given: shown.append(given))
    sweeps.report(tmp_path, tmp_path / "page.html")
    ((path, found, levels, made),) = shown
    assert path == tmp_path / "page.html" and made == {}
    assert found["cosine"].to_list() == board()["cosine"].to_list()
    assert levels.equals(robustness())


def test_a_folder_without_results_is_refused(tmp_path):
    said = CliRunner().invoke(app, ["report", str(tmp_path)])
    assert said.exit_code == 2 and "holds neither a sweep nor a run" in said.output
    (tmp_path / "sweep.json").write_text("{")
    said = CliRunner().invoke(app, ["report", str(tmp_path)])
    assert said.exit_code == 2 and "is damaged" in said.output
    shutil.rmtree(tmp_path)
    assert CliRunner().invoke(app, ["report", str(tmp_path)]).exit_code == 2


def test_long_runs_make_no_large_pages():
    runs = [row("a", 0.01, seed, None) for seed in SEEDS]
    loss = np.linspace(2.0, 1.0, 20_000).tolist()
    runs = [{**found, "loss": loss, "steps": [10_000, 20_000]} for found in runs]
    parts = sweep_parts(polars.DataFrame(runs, infer_schema_length=None), 0)
    (curve,) = by_kind(parts, Picture).values()
    steps = curve.figure.axes[0].lines[0].get_xdata()
    assert len(steps) <= 1000 and steps[0] == 1 and steps[-1] > 19_900
