"""The zoo's runner and the command line."""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from toy_experiment import Rings, Seeds
from typer.testing import CliRunner

from pnnjax import zoo
from pnnjax._cli import app
from pnnjax.zoo import _registry
from pnnjax.zoo._run import discard
from pnnjax.zoo._settings import check

COMMAND = [sys.executable, "-m", "pnnjax"]
QUICK = ["--set", "epochs=2", "--set", "width=4"]


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    """The registry as it was, and two toys that other tests don't see."""
    monkeypatch.setattr(_registry, "_MODULES", dict(_registry._MODULES))
    zoo.register(Rings.name, "toy_experiment:Rings")
    zoo.register(Seeds.name, "toy_experiment:Seeds")


def call(*arguments, code=0):
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == code, (result.output, result.exception)
    return " ".join(result.output.split())


def environment():
    here = str(Path(__file__).parent)
    return os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": here}


def test_list_names_every_experiment():
    said = call("list")
    for words in ("toy-rings", "[a test]", "test accuracy 0.9", "5 s", "2 min"):
        assert words in said
    names = zoo.names()
    assert {zoo.find(name).name for name in names} == set(names)


def test_every_experiment_of_the_zoo_can_be_made_with_each_preset():
    for name in zoo.names():
        kind = zoo.find(name)
        for preset in ({}, *({"preset": preset} for preset in kind.presets)):
            check(zoo.configure(kind, preset))


def test_train_writes_all_of_a_run(tmp_path):
    out = tmp_path / "run"
    said = call("train", "toy-rings", *QUICK, "--seed", 3, "--out", out)
    assert "width 4 hidden units" in said and "seed 3" in said
    result = json.loads((out / "result.json").read_text())
    assert f"test accuracy {result['value']:.4g} (published: test accuracy 0.9" in said
    names = "checkpoint metrics.csv physics.png result.json settings.json training.png"
    assert sorted(f.name for f in out.iterdir()) == names.split()
    settings = json.loads((out / "settings.json").read_text())
    assert settings["settings"]["epochs"] == 2 and settings["seed"] == 3
    with open(out / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 10
    assert float(rows[-1]["accuracy"]) == result["value"]
    same = zoo.run(Rings(epochs=2, width=4), seed=3, progress=False)
    assert same.value == result["value"]
    np.testing.assert_array_equal(same.history.loss, [float(r["loss"]) for r in rows])


def test_a_folder_keeps_its_run(tmp_path):
    out = tmp_path / "run"
    first = call("train", "toy-rings", *QUICK, "--out", out)
    before = {f.name: f.stat().st_mtime_ns for f in out.iterdir()}
    said = call("train", "toy-rings", *QUICK, "--out", out, code=2)
    assert "--resume" in said and "--force" in said
    again = call("train", "toy-rings", "--out", out, "--resume")
    assert again.split("(")[0].split()[-3:] == first.split("(")[0].split()[-3:]
    said = call(
        "train", "toy-rings", "--set", "width=5", "--out", out, "--resume", code=2
    )
    assert "width: 4 there, 5 here" in said
    said = call("train", "toy-seeds", "--out", out, "--resume", code=2)
    assert "experiment: toy-rings there, toy-seeds here" in said
    assert {f.name: f.stat().st_mtime_ns for f in out.iterdir()} == before
    (out / "notes.txt").write_text("mine")
    call("train", "toy-seeds", "--set", "seeds=0", "--out", out, "--force", code=2)
    assert (out / "result.json").exists()
    call("train", "toy-rings", "--set", "epochs=1", "--out", out, "--force", code=2)
    assert [f.name for f in out.iterdir()] == ["notes.txt"]
    said = call("train", "toy-rings", "--out", out, "--resume", code=2)
    assert "no run of pnnjax" in said
    said = call("train", "toy-rings", "--resume", "--force", code=2)
    assert "not both" in said


class Undrawable(zoo.AbstractStudy):
    """Finds something at once, and fails to draw the second picture of it."""

    name = "toy-undrawable"
    summary = reference = figure = "none"
    published = None
    duration = 1.0

    def run(self, *, seed, checkpoint, resume, progress):
        from matplotlib.figure import Figure

        pictures = {"good": Figure, "bad": lambda: 1 / 0}
        return zoo.Outcome(1.0, 0.0, None, None, {"seed": [seed]}, pictures)


def test_a_run_that_fails_to_draw_can_be_discarded_whole(tmp_path):
    out = tmp_path / "run"
    with pytest.raises(ZeroDivisionError):
        zoo.run(Undrawable(), out=out)
    discard(out)
    assert not list(out.iterdir())


def test_a_study_runs_by_the_same_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = call("train", "toy-seeds")
    assert "mean test accuracy" in said and "published: none" in said
    out = tmp_path / "runs" / "toy-seeds-0"
    assert (out / "spread.png").exists() and (out / "checkpoint" / "1").exists()
    assert (out / "metrics.csv").read_text().startswith("seed,accuracy")
    call("train", "toy-seeds", "--set", "seeds=1", "--force")
    assert not (out / "checkpoint" / "1").exists()


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["toy-ring"], "Did you mean `toy-rings`"),
        (["nothing.here:Thing"], "There is no `nothing.here:Thing`"),
        (["toy_experiment:rings"], "no `AbstractStudy`"),
        (["toy-rings", "--set", "epoch=3"], "Did you mean `epochs`?"),
        (["toy-rings", "--set", "epochs"], "key=value"),
        (
            ["toy-rings", "--set", "epochs=3.5"],
            "a whole number, at least 1 and at most",
        ),
        (
            ["toy-rings", "--set", "epochs=0"],
            "`epochs` can't be 0: it is a whole number",
        ),
        (["toy-rings", "--set", "rate=fast"], "a number, at least 0"),
        (["toy-rings", "--set", "rate=nan"], "a number, at least 0"),
        (["toy-rings", "--set", "bias=maybe"], "true or false"),
        (["toy-rings", "--set", "clip=x"], "a number or none"),
        (["toy-rings", "--set", "activation=tan"], "one of tanh, relu. Did you mean"),
        (["toy-rings", "--set", "preset=wid"], "Did you mean `wide`"),
        (["toy-seeds", "--set", "preset=wide"], "All presets: none"),
    ],
)
def test_a_mistake_says_what_would_work(arguments, said, tmp_path):
    assert said in call("train", *arguments, "--out", tmp_path / "run", code=2)
    assert not (tmp_path / "run").exists()


def test_explicit_settings_win_over_a_preset():
    assert zoo.configure(Rings, {"preset": "wide"}) == Rings(width=32, epochs=3)
    mixed = zoo.configure(Rings, {"epochs": "5", "preset": "wide", "bias": "no"})
    assert mixed == Rings(width=32, epochs=5, bias=False)
    assert zoo.configure(Rings, {"rate": 1, "clip": "none"}) == Rings(rate=1.0)
    with pytest.raises(zoo.SettingError, match="`width` can't be 0"):
        zoo.run(Rings(width=0))


def test_importing_the_package_imports_nothing_heavy():
    code = "import pnnjax, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, check=True
    )
    heavy = {"matplotlib", "rich", "typer", "sklearn", "scipy.optimize", "pooch"}
    assert not heavy & set(done.stdout.decode().split())


def test_ctrl_c_leaves_a_run_that_goes_on_to_the_same_bits(tmp_path):
    train = [*COMMAND, "train", "toy_experiment:Rings", "--set", "epochs=10000"]
    with subprocess.Popen(
        [*train, "--out", "run"], env=environment(), cwd=tmp_path, text=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    ) as interrupted:  # fmt: skip
        assert interrupted.stderr is not None
        for line in interrupted.stderr:
            if line.startswith("step"):
                break
        interrupted.send_signal(signal.SIGINT)
        rest = interrupted.stderr.read()
    assert interrupted.returncode == 130, rest
    command = "pnnjax train toy_experiment:Rings --out run --resume"
    assert command in rest and "of 50000" in rest

    code = f"""
import sys
from pathlib import Path
from toy_experiment import Rings
from pnnjax import zoo
from pnnjax._cli import main
whole = zoo.run(Rings(epochs=10_000), progress=False)
sys.argv = {command.split()!r}
try:
    main()
except SystemExit as exit:
    assert not exit.code
resumed = zoo.run(Rings(epochs=10_000), out="run", resume=True, progress=False)
assert resumed.history.loss.tobytes() == whole.history.loss.tobytes()
assert resumed.history.metrics["accuracy"].tolist() == \\
    whole.history.metrics["accuracy"].tolist()
for one, other in zip(resumed.model.layers, whole.model.layers):
    assert one.weight.tobytes() == other.weight.tobytes()
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), cwd=tmp_path, text=True,
        capture_output=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "test accuracy" in done.stdout
