"""A sweep, run, killed, extended and gone on with: each point once, none lost."""

import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import polars
import pytest
from toy_sweep import squares

from pnnjax import sweeps
from pnnjax.sweeps import (
    Done,
    Grid,
    LocalProcesses,
    Sweep,
    TooManyPointsError,
    _local_processes,
    run,
    summary,
)
from pnnjax.sweeps._point import UNEQUAL
from pnnjax.sweeps._run import plan_of
from pnnjax.zoo import FolderError

DICE = "toy_sweep:Dice"
HERE = LocalProcesses(0)


def quiet(sweep, out, engine=HERE, **options):
    return run(sweep, out, engine=engine, progress=False, **options)


def dice(seeds=3, **settings):
    return Sweep(Grid(DICE, settings=settings, seeds=seeds))


def comparable(frame):
    return frame.drop([name for name in UNEQUAL if name in frame.columns])


def refuse(job):
    raise AssertionError("nothing is run twice")


def test_each_point_is_a_row_in_order(tmp_path):
    frame = quiet(dice(sides=[6, 13], weight=[0.0, 1], felt=["green", None]), tmp_path)
    assert frame.height == 24
    assert frame["set.sides"].to_list() == [6] * 12 + [13] * 12
    # What is as it is by default is said, and what is none is none.
    assert frame["set.weight"].to_list() == ([0.0] * 6 + [1.0] * 6) * 2
    assert frame["set.felt"].to_list() == (["green"] * 3 + [None] * 3) * 4
    assert frame["seed"].to_list() == [0, 1, 2] * 8
    assert frame["value"][6:12].to_list() == [6.0] * 6
    assert frame["error"].null_count() == 12
    assert frame["error"][12] == "ValueError: thirteen sides"
    assert sweeps.table(tmp_path).equals(frame)
    found = summary(frame)
    assert found.height == 8 and found["failed"].to_list() == [0] * 4 + [3] * 4
    throws = frame["value"][:3]
    assert found["mean"][0] == pytest.approx(throws.mean())
    assert found["standard_error"][0] == pytest.approx(throws.std() / 3**0.5)


def test_a_sweep_goes_on_and_grows(tmp_path, monkeypatch):
    first = quiet(dice(seeds=[3, 1], sides=[4]), tmp_path)
    assert quiet(dice(seeds=[3, 1], sides=[4]), tmp_path).equals(first)
    # What it already had is not run: its new points are.
    grown = quiet(dice(seeds=5, sides=[4, 8]), tmp_path)
    assert grown.height == 10 and grown["seed"].to_list() == [0, 1, 2, 3, 4] * 2
    old = grown.filter(polars.col("key").is_in(first["key"].implode()))
    assert set(old["seconds"]) == set(first["seconds"])
    assert sweeps.table(tmp_path).equals(grown)
    more = quiet(Sweep(*dice(5, sides=[4, 8]).grids, *dice(2).grids), tmp_path)
    assert more.height == 12 and sweeps.table(tmp_path).height == 12
    whole = quiet(Sweep(*dice(5, sides=[4, 8]).grids, *dice(2).grids), tmp_path / "b")
    assert comparable(whole).equals(comparable(more))
    with pytest.raises(FolderError, match="10 points that this one has not, such as"):
        quiet(dice(seeds=2), tmp_path)
    # Rows that are rounded in two ways are not mixed.
    with pytest.raises(FolderError, match="with `exact` False, and not True"):
        quiet(dice(5, sides=[4, 8]), tmp_path, exact=True)


def test_a_changed_module_of_an_experiment_is_refused(tmp_path, monkeypatch):
    quiet(dice(), tmp_path)
    changed = {DICE: "0.1.0+another"}
    monkeypatch.setattr("pnnjax.sweeps._run._modules", lambda sweep: changed)
    with pytest.raises(FolderError, match="The module of `toy_sweep:Dice` has changed"):
        quiet(dice(), tmp_path)


def test_a_million_points_are_asked_for_first(tmp_path):
    sweep = dice(seeds=10**6)
    said = []
    for confirm in (None, lambda words: said.append(words) or False):
        with pytest.raises(TooManyPointsError, match="1,000,000 points"):
            quiet(sweep, tmp_path / "run", confirm=confirm)
    assert "28 h" in said[0] and not (tmp_path / "run").exists()


class Crashing:
    """In place of a pool of one process: jobs run at once, some take it down."""

    def __init__(self, *arguments):
        self.broken = False

    def submit(self, call, *arguments):
        future = Future()
        assert not self.broken
        job = arguments[-1] if arguments else "start"
        if crash := CRASHES.get(job, []):
            self.broken = True
            future.set_exception(crash.pop())
        else:
            future.set_result(call(*arguments))
        return future

    def shutdown(self, **options):
        pass


CRASHES: dict[int | str, list[Exception]] = {}


def test_a_job_that_loses_its_worker_is_run_again_and_then_given_up(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(_local_processes, "ProcessPoolExecutor", Crashing)
    lost = BrokenProcessPool("gone")
    crashes = {1: [lost], 2: [lost, MemoryError("2 GB")], 4: [lost, lost, lost]}
    monkeypatch.setitem(globals(), "CRASHES", crashes)
    jobs = {f"{i}": i for i in range(6)}
    ended = {d.name: d for d in LocalProcesses(2).run(squares, jobs)}
    assert isinstance(ended["0"], Done) and len(ended) == 6
    given_up = {name: d.worker for name, d in ended.items() if d.rows is None}
    assert given_up == {
        "2": "killed, or out of memory, 2 times",
        "4": "killed, or out of memory, 2 times",
    }
    assert ended["1"].rows == [{"value": 1.0, "error": None}]


def test_workers_that_can_not_start_are_no_fault_of_a_job(tmp_path, monkeypatch):
    monkeypatch.setattr(_local_processes, "ProcessPoolExecutor", Crashing)
    monkeypatch.setitem(globals(), "CRASHES", {"start": [BrokenProcessPool("gone")]})
    with pytest.raises(RuntimeError, match='under `if __name__ == "__main__":`'):
        list(LocalProcesses(2).run(squares, {"0": 0}))


def test_workers_are_a_number():
    with pytest.raises(ValueError, match="`workers=-1` is negative"):
        LocalProcesses(-1)
    assert LocalProcesses().workers() >= 1 and LocalProcesses(0).workers() == 1


KILLED = """
import sys, jax
from pnnjax.sweeps import Grid, LocalProcesses, Sweep, run
if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_numpy_dtype_promotion", "strict")
    jax.config.update("jax_numpy_rank_promotion", "raise")
    sweep = Sweep.of({sweep!r})
    run(sweep, {out!r}, engine=LocalProcesses({workers}), at_most={at_most},
        progress=False)
"""


def started(sweep, out, workers, at_most=None):
    """A process that runs the sweep."""
    script = Path(f"{out}.py")
    script.write_text(
        KILLED.format(
            sweep=sweep.described(), out=str(out), workers=workers, at_most=at_most
        )
    )
    path = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    here = os.environ | {"PYTHONPATH": os.pathsep.join(path), "JAX_PLATFORMS": "cpu"}
    return subprocess.Popen([sys.executable, str(script)], env=here)


def kept(out):
    return len(list(Path(out).glob("rows/*.parquet")))


def workers_of(out):
    """The processes that a killed driver of this folder has left behind."""
    frames = [polars.read_parquet(f) for f in Path(out).glob("rows/*.parquet")]
    pids = {int(w.split(":")[-1]) for f in frames for w in f["worker"]}
    return {pid for pid in pids if Path(f"/proc/{pid}").exists()}


def wait_until(true, seconds=60):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_killed_sweep_goes_on_and_leaves_no_process(tmp_path):
    sweep = dice(seeds=10, sides=[6, 13], seconds=0.03)
    out = tmp_path / "killed"
    with started(sweep, out, 1) as driver:
        wait_until(lambda: kept(out) >= 3)
        driver.send_signal(signal.SIGKILL)
    before = kept(out)
    assert 3 <= before < 20
    wait_until(lambda: not workers_of(out), 10)
    frame = quiet(sweep, out)
    whole = quiet(sweep, tmp_path / "whole")
    assert frame.height == frame["key"].n_unique() == 20
    assert comparable(frame).equals(comparable(whole))
    assert len(set(frame["worker"])) == 2  # The killed one's, and this process.


@pytest.mark.slow
def test_a_worker_that_is_killed_is_replaced(tmp_path):
    settings = {"kills": [0, 1, 2], "folder": str(tmp_path)}
    grids = [Grid(DICE, settings={**settings, "kills": k}, seeds=[k]) for k in range(3)]
    frame = quiet(Sweep(*grids), tmp_path / "run", LocalProcesses(2))
    assert frame["error"].to_list() == [
        None, None, "the process was lost: killed, or out of memory, 2 times",
    ]  # fmt: skip
    assert frame["value"].null_count() == 1
    # Asked for again, what was lost is tried again.
    again = quiet(Sweep(*grids), tmp_path / "run", LocalProcesses(1))
    assert again["error"].null_count() == 3


@pytest.mark.slow
def test_two_hundred_points_killed_three_times(tmp_path):
    rings = {"epochs": [9, 10], "rate": [i / 100 for i in range(1, 6)], "width": 4}
    sweep = Sweep(Grid("toy_experiment:Rings", settings=rings, seeds=20))
    assert sweep.count() == 200 and len(plan_of(sweep, 4).jobs) == 50
    out, draw = tmp_path / "killed", random.Random()
    counts = [0]
    for _ in range(3):
        with started(sweep, out, 2, 4) as driver:
            enough = counts[-1] + draw.randint(1, 9)
            wait_until(lambda: kept(out) >= enough or driver.poll() is not None, 300)
            time.sleep(draw.uniform(0, 0.2))
            driver.send_signal(signal.SIGKILL)
        wait_until(lambda: not workers_of(out), 10)
        counts.append(kept(out))
    for folder in (out, tmp_path / "whole"):
        with started(sweep, folder, 2, 4) as driver:
            assert driver.wait() == 0
    frame, whole = sweeps.table(out), sweeps.table(tmp_path / "whole")
    print(counts, kept(out))
    assert counts[1] < counts[2] < counts[3] < kept(out)
    assert frame.height == frame["key"].n_unique() == 200
    assert comparable(frame).equals(comparable(whole))
