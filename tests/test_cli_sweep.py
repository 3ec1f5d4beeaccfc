"""`pnnjax sweep`."""

import polars
import pytest
from typer.testing import CliRunner

from pnnjax import sweeps
from pnnjax._cli import app
from pnnjax.sweeps import _run
from pnnjax.sweeps._store import Store

FILE = """
[[grid]]
experiment = "toy_sweep:Dice"
seeds = 3
settings = { sides = [6, 13], felt = "red" }
"""


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dice.toml").write_text(FILE)
    return tmp_path / "dice.toml"


def call(*arguments, code=0):
    arguments = ["sweep", "dice.toml", "--workers", 0, *arguments]
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == code, (result.output, result.exception)
    return " ".join(result.output.split())


def test_a_sweep_is_run_and_summed_up(file):
    said = call()
    assert "6 points, into runs/dice" in said
    assert "points 6/6 3 failed" in said
    frame = sweeps.table("runs/dice")
    means = polars.read_csv("runs/dice/summary.csv")
    assert means["points"].to_list() == [3, 3] and means["failed"].to_list() == [0, 3]
    assert means["mean"][0] == pytest.approx(frame["value"].mean())
    assert f"6 3 0 {means['mean'][0]:.4g} {means['standard_error'][0]:.4g}" in said
    assert "13 3 3 – –" in said and "Of toy_sweep:Dice: mean" in said
    assert "3 points failed; the first: ValueError: thirteen sides" in said
    assert "Written to runs/dice: rows/, summary.csv" in said


def test_it_goes_on_by_itself_and_starts_over_if_told(file):
    call()
    before = sweeps.table("runs/dice")
    call()
    assert sweeps.table("runs/dice").equals(before)
    file.write_text(FILE.replace("13", "8"))
    said = call(code=2)
    assert "3 points that this one has not" in said and "--force starts over" in said
    assert sweeps.table("runs/dice").equals(before)
    call("--force")
    assert sweeps.table("runs/dice")["error"].null_count() == 6
    file.write_text(FILE.replace("seeds = 3", "seeds = []"))
    assert "grid is empty" in call("--force", code=2)
    assert sweeps.table("runs/dice").height == 6


def test_it_says_what_would_run_together(file):
    said = call("--dry-run")
    assert "toy_sweep:Dice 6 1" in said and "6 points in 6 jobs" in said
    assert not (file.parent / "runs").exists()


def test_ctrl_c_says_how_to_go_on(file, monkeypatch):
    def performing(code):
        work, done = _run_performing(code), []

        def interrupted(job):
            done.append(job)
            if len(done) == 3:
                raise KeyboardInterrupt
            return work(job)

        return interrupted

    _run_performing = _run.performing
    monkeypatch.setattr(_run, "performing", performing)
    said = call("--out", "my runs", "--at-most", 4, "--exact", code=130)
    assert "Stopped after 2 of 6 points, all of which are kept in `my runs`" in said
    command = "pnnjax sweep dice.toml --out 'my runs' --workers 0 --at-most 4"
    assert f"To go on: {command} --exact" in said
    monkeypatch.undo()
    monkeypatch.chdir(file.parent)
    states = Store.open(file.parent / "my runs").status()["state"].to_list()
    assert sorted(states) == ["finished"] * 2 + ["waiting"] * 4
    assert "with `exact` True" in call("--out", "my runs", code=2)
    call("--out", "my runs", "--at-most", 4, "--exact")
    assert sweeps.table("my runs").height == 6


@pytest.mark.parametrize(
    "change, arguments, said",
    [
        (("seeds = 3", "seeds = 1000000"), [], "2,000,000 points"),
        (("seeds = 3", "seeds = 1000000"), [], "--yes runs it"),
        (("seeds = 3", "seeds = 1000000"), ["--dry-run"], "2,000,000 points"),
        (("sides", "side"), [], "There is no setting `side`. Did you mean `sides`"),
        (("sides = [6, 13]", "sides = []"), [], "The grid is empty: `sides`"),
        (("Dice", "Dize"), [], "There is no `toy_sweep:Dize`"),
        (("seeds", "seed"), [], "Did you mean `seeds`"),
        (("", ""), ["--address", "auto"], "give `--engine ray` too"),
    ],
)
def test_a_mistake_says_what_would_work(change, arguments, said, file):
    file.write_text(FILE.replace(*change))
    assert said in call(*arguments, code=2)
    assert not (file.parent / "runs").exists()


def test_a_file_that_is_not_there(file):
    file.unlink()
    assert "There is no file `dice.toml`" in call(code=2)
