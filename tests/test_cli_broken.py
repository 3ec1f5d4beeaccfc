"""What stops a command that was asked rightly: one line, and exit code 1."""

import errno
import os
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool

import pytest
from typer.testing import CliRunner

from pnnjax._cli import app
from pnnjax.sweeps import _local_processes

COMMANDS = {
    "sweep": ["sweep", "dice.toml"],
    "bench": ["bench", "--quick", "--layers", "saturable", "--estimators", "autodiff"],
    "compare": ["compare", "Autodiff()", "SPSA()", "--seeds", "1"]
    + ["--experiment", "digits-ep"],
}


class Killed:
    """In place of a pool of one process, which ends before it is given a job."""

    def __init__(self, *arguments):
        pass

    def submit(self, *arguments):
        future = Future()
        future.set_exception(BrokenProcessPool("It was terminated abruptly."))
        return future

    def shutdown(self, **options):
        pass


@pytest.fixture(params=COMMANDS)
def said(request, tmp_path, monkeypatch):
    """What the command says, once called."""
    monkeypatch.chdir(tmp_path)
    grid = '[[grid]]\nexperiment = "toy_sweep:Dice"'
    (tmp_path / "dice.toml").write_text(grid)

    def call():
        arguments = [*COMMANDS[request.param], "--workers", "1"]
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 1, (result.output, result.exception)
        return result.stderr.rstrip("\n").split("\n")[-1]

    return call


def test_workers_that_end_as_they_start(said, monkeypatch):
    monkeypatch.setattr(_local_processes, "ProcessPoolExecutor", Killed)
    assert "No worker could be started: It was terminated abruptly." in said()


def test_a_full_disk(said, monkeypatch):
    def fsync(handle):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "fsync", fsync)
    line = said()
    assert line.startswith("There is no room for `runs/") and "No space left" in line
