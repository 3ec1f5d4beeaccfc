"""Programs side by side: they take turns on one core, and their times are compared.

A round lets every case run, each round beginning with another one, so that what else
the machine does meets all of them alike. A case's time in a round is the median of as
many calls as fill a twentieth of a second; what is reported is the median over the
rounds, and the ratio of the medians with its 10 to 90 % from round to round. The first
call of a case, which compiles or allocates, is in no median. The ratio of the processor
times stands beside it: on one core it is what an idle machine would show of both.
"""

import argparse
import contextlib
import ctypes
import importlib.metadata
import importlib.util
import json
import math
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

ROUNDS, QUICK_ROUNDS, FILL = 15, 7, 0.05
ALONE = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
}


class Unsolved(Exception):
    """Raised by a case that has not found what it was to find: it took forever."""


class Case(Protocol):
    """What is run, wherever it is."""

    def seconds(self, calls: int) -> list[tuple[float, float]]:
        """How long each of so many calls took: by the clock, and of the processor."""
        ...

    def memory(self) -> float | None:
        """What one call takes beyond what is held anyway, in MiB, if it can be told."""
        ...


class Here:
    """A function of this process; it returns when its work is done.

    **Arguments:** `weighed`: whether the memory that it takes shows from outside.
    """

    def __init__(self, run: Callable[[], object], weighed: bool = True):
        self.run = run
        self.weighed = weighed

    def seconds(self, calls: int) -> list[tuple[float, float]]:
        taken = []
        for _ in range(calls):
            begun = time.perf_counter(), time.process_time()
            try:
                self.run()
            except Unsolved:
                taken.append((math.inf, math.inf))
            else:
                ended = time.perf_counter(), time.process_time()
                taken.append((ended[0] - begun[0], ended[1] - begun[1]))
        return taken

    def memory(self) -> float | None:
        return memory_of(self.run) if self.weighed else None


class Row(NamedTuple):
    """One comparison."""

    what: str
    peer: str
    ours: float  # s
    theirs: float  # s
    ratio: float
    """Their time to ours: above 1 where we are faster."""
    low: float
    high: float
    processor: float
    """The ratio of the processor times."""
    rounds: int
    first: tuple[float, float]  # s, first call of ours and of theirs
    memory: tuple[float | None, float | None]  # MiB, of ours and of theirs
    note: str = ""


HEAD = (
    "| What | Beside | pnnjax | Theirs | Theirs / ours (10–90 %) "
    "| Of processor time | First call | Memory, MiB | Note |\n"
    "|---|---|---|---|---|---|---|---|---|"
)


def contest(
    what: str,
    cases: Mapping[str, Case],
    rounds: int,
    *,
    per: float = 1,
    calls: int | None = None,
) -> list[Row]:
    """Let all `cases` take turns, and compare each with the first, which is ours.

    **Arguments:** `per`: the steps that one call makes, of which one is reported;
    `calls`: how many make a round's time, where a call's own time says little.
    """
    print(f"\n{what}", file=sys.stderr)
    first = {name: case.seconds(1)[0][0] for name, case in cases.items()}
    memory = {name: case.memory() for name, case in cases.items()}
    counts = {name: calls or _filling(case) for name, case in cases.items()}
    times: dict[str, list[float]] = {name: [] for name in cases}
    works: dict[str, list[float]] = {name: [] for name in cases}
    names = list(cases)
    for turn in range(rounds):
        start = turn % len(names)
        for name in names[start:] + names[:start]:
            taken = cases[name].seconds(counts[name])
            wall, work = map(statistics.median, zip(*taken, strict=True))
            times[name].append(wall / per)
            works[name].append(work / per)
    for name, own in times.items():
        print(f"  {name:44} {shown(statistics.median(own))}", file=sys.stderr)
    us, *others = names
    middle = {name: statistics.median(own) for name, own in works.items()}
    return [
        compared(what, name, times[us], times[name])._replace(
            processor=_ratio(middle[name], middle[us]),
            first=(first[us], first[name]),
            memory=(memory[us], memory[name]),
        )
        for name in others
    ]


def compared(
    what: str, peer: str, ours: Sequence[float], theirs: Sequence[float]
) -> Row:
    """The row of two cases whose times (s) were taken in the same rounds."""
    middles = statistics.median(ours), statistics.median(theirs)
    ratios = sorted(_ratio(b, a) for a, b in zip(ours, theirs, strict=True))
    low, high = (ratios[round(part * (len(ratios) - 1))] for part in (0.1, 0.9))
    return Row(
        what,
        peer,
        *middles,
        ratio=_ratio(middles[1], middles[0]),
        low=low,
        high=high,
        processor=math.nan,
        rounds=len(ratios),
        first=(math.nan, math.nan),
        memory=(None, None),
    )


def table(rows: Sequence[Row]) -> str:
    """In Markdown; where a peer is faster the ratio is in bold."""
    return "\n".join([HEAD, *map(line, rows)])


def line(row: Row) -> str:
    ratio = f"{_digits(row.ratio)} ({_digits(row.low)}–{_digits(row.high)})"
    if row.ratio < 1 and not row.peer.startswith("pnnjax"):
        ratio = f"**{ratio}**"
    memory = " / ".join("–" if m is None else f"{m:.0f}" for m in row.memory)
    cells = (
        row.what,
        row.peer,
        shown(row.ours),
        shown(row.theirs),
        ratio,
        _digits(row.processor),
        " / ".join(map(shown, row.first)),
        memory,
        row.note,
    )
    return f"| {' | '.join(cells)} |"


def shown(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if math.isfinite(seconds) and seconds >= size:
            return f"{_digits(seconds / size)} {unit}"
    return f"{seconds * 1e9:.0f} ns" if math.isfinite(seconds) else "never"


def begin(
    doc: str | None, add: Callable[[argparse.ArgumentParser], object] = lambda _: None
) -> argparse.Namespace:
    """What was asked for; then the program is begun anew on one core.

    `add` adds arguments of the file's own to `--quick`, `--rounds` and `--rows`.
    """
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="smaller, and 7 rounds")
    parser.add_argument("--rounds", type=int, help=f"{ROUNDS} without it, at least 7")
    parser.add_argument("--rows", type=Path, help="a file to write the rows to as JSON")
    add(parser)
    options = parser.parse_args()
    if options.rounds is None:
        options.rounds = QUICK_ROUNDS if options.quick else ROUNDS
    if options.rounds < QUICK_ROUNDS:
        parser.error(f"a median needs 7 rounds: --rounds {options.rounds} is too few")
    _on_one_core()
    return options


def finish(
    rows: Sequence[Row], options: argparse.Namespace, versions: Mapping[str, str]
) -> None:
    """Print the table and the versions, and write the rows where they were asked."""
    said = ", ".join(f"{name} {version}" for name, version in versions.items())
    print(f"\n{said}; one core, load {os.getloadavg()[0]:.1f}\n")
    print(table(rows))
    if options.rows is not None:
        options.rows.write_text(
            json.dumps({"versions": versions, "rows": [row._asdict() for row in rows]})
        )


def installed(module: str, line: str) -> bool:
    """Whether the peer is here; if not, says how to have it."""
    found = importlib.util.find_spec(module) is not None
    if not found:
        print(f"{module} is not installed here: {line}", file=sys.stderr)
    return found


def versions(*names: str) -> dict[str, str]:
    """Those that are installed, with Python's."""
    found = {"python": sys.version.split()[0]}
    for name in names:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def memory_of(run: Callable[[], object]) -> float | None:
    """How far one call raises the resident memory for a while, in MiB (Linux)."""
    with contextlib.suppress(OSError, AttributeError):
        # What the allocator keeps for later would hide what a call takes.
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
        before = _status("VmRSS")
        with contextlib.suppress(Unsolved):
            run()
        return (_status("VmHWM") - before) / 1024
    return None


def _status(name: str) -> int:
    """In KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(own.split()[1]) for own in lines if own.startswith(name))


def _filling(case: Case) -> int:
    """How many calls fill a round's share."""
    once, _ = min(case.seconds(2))
    return max(1, min(50, int(FILL / max(once, 1e-9))))


def _ratio(theirs: float, ours: float) -> float:
    if math.isinf(ours):
        return math.nan if math.isinf(theirs) else 0.0
    return theirs / ours if ours > 0 else math.nan


def _digits(value: float) -> str:
    """Three digits, as a person writes them."""
    if not math.isfinite(value):
        return "–" if math.isnan(value) else "∞"
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _on_one_core() -> None:
    """Libraries read these when they are loaded: the program starts once more."""
    if all(os.environ.get(name) == value for name, value in ALONE.items()):
        return
    if sys.platform == "linux":
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ALONE})
