"""hil-demo: the same bits after faults and kills, and no process is left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import pnnjax as pnn
from pnnjax._checkpoint import Checkpoint
from pnnjax.devices import LoggedRun
from pnnjax.zoo._hil_demo import CALM, ROUGH, HILDemo, _stored, largest_difference
from pnnjax.zoo._hil_processes import CHECKPOINT, REPORT

TINY = {"epochs": 2, "images": 160, "hidden": 8, "checkpoint_every": 3}


def test_the_log_is_drawn_with_every_fault():
    log = [
        LoggedRun(1, 0.0, 0.1, (), True),
        LoggedRun(2, 0.1, 0.3, ("dropped", "not finite"), True),
        LoggedRun(3, 0.5, 0.3, ("dropped", "dropped"), False),
    ]
    fig = pnn.plots.device_log(log, marks={"killed": 0.45})
    left, right = fig.axes
    course, dropped, lost, spoiled, mark = left.lines
    np.testing.assert_allclose(
        course.get_xydata(), [[0.1, 1], [0.4, 2], [0.8, 3]], rtol=1e-12
    )
    np.testing.assert_allclose(dropped.get_xydata(), [[0.4, 2], [0.8, 3]])
    np.testing.assert_allclose(lost.get_xydata(), [[0.8, 3]])
    np.testing.assert_allclose(spoiled.get_xydata(), [[0.4, 2]])
    assert mark.get_xdata()[0] == 0.45
    assert [bar.get_width() for bar in right.patches] == [3, 1]
    assert [t.get_text() for t in right.get_yticklabels()] == ["dropped", "not finite"]
    with pytest.raises(ValueError, match="no run"):
        pnn.plots.device_log([])


def test_calls_by_the_same_name_are_one_run(tmp_path):
    calls = [("a", 10.0, 0.5, ""), ("b", 11.0, 0.5, "dropped"), ("b", 12.0, 0.5, "")]
    (tmp_path / REPORT).write_text(json.dumps({"made": 2, "calls": calls}))
    (tmp_path / "summary.json").write_text("[11.25]")
    arrays = {"metric accuracy": np.asarray([0.5, 0.75])}
    pnn._checkpoint.write_checkpoint(tmp_path / CHECKPOINT, Checkpoint(arrays, {}, {}))
    part = _stored(tmp_path)
    assert part.log == [
        LoggedRun(1, 0.0, 0.5, (), True),
        LoggedRun(2, 1.0, 1.5, ("dropped",), True),
    ]
    assert (part.made, part.killed, part.accuracy) == (2, [1.25], 0.75)
    assert part.faults("dropped") == 1


def test_what_counts_as_the_same():
    def checkpoint(**arrays):
        return Checkpoint({k: np.asarray(v) for k, v in arrays.items()}, {}, {})

    same = checkpoint(a=[1.0, 2.0], step=3)
    assert largest_difference(same, checkpoint(a=[1.0, 2.0], step=3)) == 0
    assert largest_difference(same, checkpoint(a=[1.0, 2.5], step=3)) == 0.5
    assert largest_difference(same, checkpoint(a=[1.0], step=3)) == np.inf
    assert largest_difference(same, checkpoint(b=[1.0, 2.0], step=3)) == np.inf


@pytest.mark.slow
def test_killed_and_resumed_the_training_is_the_same(tmp_path):
    experiment = HILDemo(**TINY, fault_rate=0.3)
    outcome = pnn.zoo.run(experiment, seed=1, out=tmp_path / "run", progress=False)
    table = outcome.table
    assert table["largest_difference"] == (0.0, 0.0)
    assert table["made"] == table["asked"] == (2 * (5 + 5),) * 2
    assert table["killed"] == (0, 2)
    assert table["accuracy"][0] == table["accuracy"][1] == outcome.value
    kinds = [kind.value for kind in pnn.devices.Fault]
    found = {kind: table[kind] for kind in kinds if kind in table}
    assert sum(calm for calm, _ in found.values()) == 0
    assert sum(rough for _, rough in found.values()) > 3
    # What is finished is not done again.
    again = experiment.run(
        seed=1, checkpoint=tmp_path / "run" / "checkpoint", resume=True, progress=False
    )
    assert again.seconds < 5 and again.table == table


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").exists(), reason="processes are looked up there")
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_no_process_is_left_behind(ending, tmp_path):
    settings = [f"--set={name}={value}" for name, value in TINY.items()]
    command = [sys.executable, "-m", "pnnjax", "train", "hil-demo", *settings]
    process = subprocess.Popen(
        [*command, "--set=epochs=50", "--out", str(tmp_path / "run")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    folder = tmp_path / "run" / "checkpoint"
    wait_for(lambda: (folder / CALM / "runs").exists())
    assert len(processes_of(folder)) == 2
    os.kill(process.pid, ending)
    assert process.wait(30) == (130 if ending == signal.SIGINT else -ending)
    wait_for(lambda: not processes_of(folder))
    assert not (folder / ROUGH).exists()


def wait_for(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def processes_of(folder):
    """Those that have the folder among their arguments."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            arguments = entry.read_bytes().decode().split("\0")
        except OSError:
            continue
        if any(argument.startswith(f"{folder}/") for argument in arguments):
            found.append(entry)
    return found


@pytest.mark.slow
def test_reaches_its_accuracy():
    outcome = HILDemo().run(seed=0, checkpoint=None, resume=False, progress=False)
    assert outcome.value >= 0.94
    assert outcome.table["largest_difference"] == (0.0, 0.0)
    assert outcome.table["made"] == outcome.table["asked"]
