"""The harness of the comparisons with peers: its arithmetic, its turns, its workers."""

import importlib
import itertools
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks" / "peers"


@pytest.fixture
def side_by_side(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    yield importlib.import_module("side_by_side")
    for name in ("side_by_side", "elsewhere"):
        sys.modules.pop(name, None)


class Clock:
    """A case whose calls take what it is told to say."""

    def __init__(self, name, seconds, log):
        self.name, self.every, self.log = name, itertools.cycle(seconds), log

    def seconds(self, calls):
        self.log.append(self.name)
        return [(next(self.every), 0.25) for _ in range(calls)]

    def memory(self):
        return None


def test_a_ratio_is_that_of_the_medians_with_its_spread(side_by_side):
    ours = [1.0, 1.0, 1.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    theirs = [3.0, 3.0, 3.0, 3.0, 3.0, 9.0, 3.0, 3.0, 3.0, 3.0, 3.3]
    row = side_by_side.compared("a step", "theirs", ours, theirs)
    # Sorted, the ratios are 1.5, nine of 3 to 3.3, and 9: the ends are left out.
    assert (row.ours, row.theirs, row.ratio) == (1.0, 3.0, 3.0)
    assert (row.low, row.high, row.rounds) == (3.0, 3.3, 11)


def test_all_take_turns_and_each_begins_a_round(side_by_side):
    log = []
    cases = {name: Clock(name, [1.0], log) for name in ("ours", "one", "two")}
    rows = side_by_side.contest("a step", cases, 7, calls=1, per=10)
    assert [row.peer for row in rows] == ["one", "two"]
    assert rows[0].ours == pytest.approx(0.1) and rows[0].processor == 1.0
    turns = [log[3 + 3 * i : 6 + 3 * i] for i in range(7)]
    assert all(sorted(turn) == ["one", "ours", "two"] for turn in turns)
    assert [turn[0] for turn in turns[:4]] == ["ours", "one", "two", "ours"]


def test_where_we_lose_the_row_stays_and_what_fails_took_forever(side_by_side):
    def never():
        raise side_by_side.Unsolved

    assert side_by_side.Here(never).seconds(2) == [(math.inf, math.inf)] * 2
    lost = side_by_side.compared("a cut", "theirs", [2.0] * 7, [1.0] * 7)
    failed = side_by_side.compared("a cut", "others", [2.0] * 7, [math.inf] * 7)
    _, _, first, second = side_by_side.table([lost, failed]).splitlines()
    assert "**0.50 (0.50–0.50)**" in first
    assert "never" in second and "∞" in second


WORKER = """
import sys
sys.path.insert(0, {folder!r})
from elsewhere import serve
from side_by_side import Here
case = Here(lambda: print("loud"))
serve({{"nothing": case}}, {{"peer": "1.0"}}, {{"nothing": "here"}})
"""


def test_another_process_times_itself_and_its_end_is_said(side_by_side, tmp_path):
    elsewhere = importlib.import_module("elsewhere")
    (tmp_path / "worker.py").write_text(WORKER.format(folder=str(FOLDER)))
    peer = elsewhere.Elsewhere(sys.executable, str(tmp_path / "worker.py"))
    assert peer.versions == {"peer": "1.0"} and peer.notes == {"nothing": "here"}
    taken = peer.cases["nothing"].seconds(3)
    assert len(taken) == 3 and all(0 < wall < 1 for wall, _ in taken)
    peer.close()
    with pytest.raises(RuntimeError, match=r"missing\.py ended with"):
        elsewhere.Elsewhere(sys.executable, str(tmp_path / "missing.py"))


def test_too_few_rounds_are_refused():
    command = [sys.executable, str(FOLDER / "all.py"), "--rounds", "3"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and "--rounds 3 is too few" in done.stderr


def test_rows_come_back_from_a_file(side_by_side, tmp_path, capsys):
    row = side_by_side.compared("a step", "theirs", [1.0] * 7, [2.0] * 7)
    options = type("Options", (), {"rows": tmp_path / "rows.json"})
    side_by_side.finish([row], options, {"peer": "1.0"})
    back = json.loads(options.rows.read_text())
    assert side_by_side.Row(**back["rows"][0]).ratio == 2.0
    assert "peer 1.0" in capsys.readouterr().out
