"""Results in a folder: nothing half-written, nothing lost, nothing overwritten."""

import json
import resource
import shutil
import sqlite3
from contextlib import closing

import jax
import polars
import pytest
from toy_sweep import squares

from pnnjax import sweeps
from pnnjax.sweeps import FullDiskError, LocalProcesses, Store, drive
from pnnjax.sweeps._code_version import code_version, compute_like, numerics
from pnnjax.sweeps._store import discard
from pnnjax.zoo import FolderError

JOBS = {f"a job / {i}": i for i in range(5)}


def claimed(folder, description=None):
    return Store.claim(folder, "toy", description or {"sizes": (1, 2)})


def driven(store, jobs=JOBS, work=squares):
    return drive(
        store, LocalProcesses(0), work, jobs, title="toy", progress=False
    )  # fmt: skip


def refuse(job):
    raise AssertionError("nothing is run twice")


def sql(folder, command):
    with closing(sqlite3.connect(folder / "status.sqlite")) as index, index:
        return index.execute(command).fetchall()


def test_rows_are_kept_and_nothing_is_run_twice(tmp_path):
    frame = driven(claimed(tmp_path), {n: j for n, j in JOBS.items() if j < 2})
    assert frame["value"].to_list() == [0.0, 1.0]
    frame = driven(claimed(tmp_path))
    assert dict(frame.select("job", "value").rows()) == {
        name: None if j == 3 else float(j) ** 2 for name, j in JOBS.items()
    }
    assert driven(claimed(tmp_path), work=refuse).equals(frame)
    assert sweeps.table(tmp_path).equals(frame)
    status = Store.open(tmp_path).status()
    assert status["state"].to_list() == ["finished"] * 5
    assert status["failed"].sum() == 1 and status["error"][3] == "three"


def test_columns_of_all_jobs_are_in_one_table(tmp_path):
    store = claimed(tmp_path)
    store.add("a", [{"x": 1, "error": None, "loss": [1.0, 2.0]}], "me")
    store.add("b", [{"x": 0.5, "error": "why", "y": "text"}], "me")
    store.add("c", [], "me")
    frame = store.table()
    assert frame["x"].to_list() == [1.0, 0.5]
    assert frame["loss"].to_list() == [[1.0, 2.0], None]
    assert frame["error"].to_list() == [None, "why"]


def test_a_kill_between_file_and_index_loses_nothing(tmp_path):
    frame = driven(claimed(tmp_path))
    sql(tmp_path, "DELETE FROM jobs WHERE name LIKE '%2'")
    (tmp_path / "rows" / "half.parquet.partial").write_bytes(b"PAR1")
    assert driven(claimed(tmp_path), work=refuse).equals(frame)
    assert sql(tmp_path, "SELECT count(*) FROM jobs WHERE state = 'finished'") == [(5,)]
    # The index is lost altogether, or is none.
    for damage in (lambda f: f.unlink(), lambda f: f.write_bytes(b"x" * 5000)):
        damage(tmp_path / "status.sqlite")
        assert driven(claimed(tmp_path), work=refuse).equals(frame)
        assert Store.open(tmp_path).status()["failed"].sum() == 1
    assert not list(tmp_path.rglob("*.partial"))


def test_a_job_without_its_file_is_run_again(tmp_path):
    frame = driven(claimed(tmp_path))
    lost = Store.open(tmp_path)._files()[1][1]
    lost.unlink()
    assert driven(claimed(tmp_path)).equals(frame) and lost.exists()


@pytest.mark.parametrize("indexed", [True, False])
def test_a_damaged_file_is_named_and_made_anew(indexed, tmp_path, capsys):
    frame = driven(claimed(tmp_path))
    file = Store.open(tmp_path)._files()[2][1]
    content = bytearray(file.read_bytes())
    if indexed:
        content[len(content) // 2] ^= 1
    else:
        sql(tmp_path, "DELETE FROM jobs")
        content = content[:-20]
    file.write_bytes(content)
    with pytest.raises(FolderError, match=f"{file.name}` is damaged"):
        sweeps.table(tmp_path)
    again = drive(
        claimed(tmp_path), LocalProcesses(0), squares, JOBS, title="toy", progress=True
    )
    assert again.equals(frame)
    said = capsys.readouterr().err
    assert f"damaged, and are made anew:\n  {file}" in said
    assert "toy 5/5  0 failed" in said
    assert file.with_suffix(".damaged").read_bytes() == content


def test_a_full_disk_leaves_what_is_there(tmp_path):
    def wide(job):
        return [{"value": float(job), "text": "x" * 100 + str(job), "loss": losses}]

    losses = [0.5 * i for i in range(1000)]
    first = {name: job for name, job in JOBS.items() if job == 0}
    few = driven(claimed(tmp_path), first, wide)
    before = {f: f.read_bytes() for f in (tmp_path / "rows").iterdir()}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # The kernel refuses to let any file grow, as it does on a full disk.
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError) as raised:
            driven(claimed(tmp_path), work=wide)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert isinstance(raised.value, FullDiskError)
    assert {f: f.read_bytes() for f in (tmp_path / "rows").iterdir()} == before
    assert sweeps.table(tmp_path).equals(few)
    assert driven(claimed(tmp_path), work=wide).height == 5


def test_a_disk_that_fills_up_says_how_much_is_needed(tmp_path, monkeypatch):
    import errno
    import os

    calls = iter(range(100))

    def fsync(handle, write=os.fsync):
        if next(calls) >= 4:
            raise OSError(errno.ENOSPC, "full")
        write(handle)

    store = claimed(tmp_path)
    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(FullDiskError) as raised:
        driven(store)
    monkeypatch.undo()
    said = str(raised.value)
    assert "There is no room for" in said and "No space left on device" in said
    assert "3 jobs are left, about" in said and "kB in all" in said
    assert not list(tmp_path.rglob("*.partial"))
    assert driven(claimed(tmp_path)).height == 5


def test_two_at_once_are_refused(tmp_path):
    store = claimed(tmp_path)
    with store.writing():
        with pytest.raises(FolderError, match="Another process is writing"):
            driven(claimed(tmp_path))
        with pytest.raises(FolderError, match="Another process is writing"):
            discard(tmp_path)
    assert driven(claimed(tmp_path)).height == 5


def test_a_folder_of_anything_else_is_left_alone(tmp_path, monkeypatch):
    def files():
        return {f: f.read_bytes() for f in tmp_path.rglob("*") if f.is_file()}

    def refused(said, make=lambda: claimed(tmp_path / "run")):
        before = files()
        with pytest.raises(FolderError) as raised:
            make()
        assert said in str(raised.value)
        assert files() == before

    driven(claimed(tmp_path / "run"))
    refused("holds another toy", lambda: claimed(tmp_path / "run", {"sizes": 3}))
    refused(
        "it holds a toy, and this is a sweep",
        lambda: Store.claim(tmp_path / "run", "sweep", {"sizes": (1, 2)}),
    )
    header = tmp_path / "run" / "sweep.json"
    content = json.loads(header.read_text())
    assert content["made with"]["jax"] == jax.__version__
    header.write_text(json.dumps({**content, "code": "0.0.9+abc"}))
    refused(f"code of pnnjax: 0.0.9+abc there, {code_version()} here")
    older = {**content["numerics"], "jax": "0.4.1", "jax_enable_x64": False}
    header.write_text(json.dumps({**content, "numerics": older}))
    refused("jax: 0.4.1 there")
    refused("jax_enable_x64: False there, True here")
    header.write_text("{")
    refused("is damaged")
    header.write_text("{}")
    refused("is damaged: no code")
    shutil.rmtree(tmp_path / "run")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").write_text("mine")
    refused("holds something that is no toy")
    refused("holds no results", lambda: Store.open(tmp_path / "run"))
    refused("is no folder", lambda: claimed(tmp_path / "run" / "thesis.tex"))


def test_what_is_discarded_is_the_results_alone(tmp_path):
    driven(claimed(tmp_path))
    (tmp_path / "notes.txt").write_text("mine")
    discard(tmp_path)
    discard(tmp_path)
    assert [f.name for f in tmp_path.iterdir()] == ["notes.txt"]


def test_the_code_version_is_that_of_every_file(tmp_path, monkeypatch):
    assert code_version().startswith("0.") and code_version() == code_version()
    assert code_version("toy_sweep:Dice") != code_version()
    (tmp_path / "my_dice.py").write_text("from toy_sweep import Dice\n")
    monkeypatch.syspath_prepend(tmp_path)
    one = code_version.__wrapped__("my_dice:Dice")
    (tmp_path / "my_dice.py").write_text("from toy_sweep import Dice  # better\n")
    assert code_version.__wrapped__("my_dice:Dice") != one


def test_a_worker_computes_as_the_one_who_asked():
    flags = numerics()
    assert json.loads(json.dumps(flags)) == flags
    compute_like(flags)
    assert numerics() == flags and flags["jax_numpy_dtype_promotion"] == "strict"


def test_an_empty_store_is_an_empty_table(tmp_path):
    assert claimed(tmp_path).table().equals(polars.DataFrame())
