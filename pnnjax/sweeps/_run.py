"""Run a sweep into a folder, or go on with it."""

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import zoo
from ._code_version import code_version
from ._drive import drive
from ._engine import AbstractEngine
from ._grid import Sweep
from ._local_processes import LocalProcesses
from ._perform import performing
from ._planning import Plan, plan
from ._point import Job, Point, Row
from ._store import Store
from ._sweep_progress import stderr
from ._table import KIND, sweep_table

if TYPE_CHECKING:
    from polars import DataFrame

MANY = 10_000
"""More points than these are run only where someone has said yes."""


class TooManyPointsError(ValueError):
    """A sweep so large that it was hardly meant."""


def run(
    sweep: Sweep,
    out: str | os.PathLike[str],
    *,
    engine: AbstractEngine | None = None,
    at_most: int | None = None,
    exact: bool = False,
    progress: bool = True,
    confirm: Callable[[str], bool] | None = None,
) -> "DataFrame":
    """A row for each point of `sweep`, in its order, also for those that failed.

    Rows are kept in the folder `out` as they are found. Called again, it goes on with
    what is missing there, and with what was lost because its process was; a sweep with
    further points adds those. What has failed by itself would fail again, and is kept.

    **Arguments:** `engine`: `LocalProcesses()` by default. `at_most`: how many points
    are compiled together. `exact`: these take turns in the compiled program, and each
    has the numbers of `zoo.run`; otherwise they are vmapped, which rounds in another
    order, and training may make much of the last digit. `confirm`: given a sentence
    about a sweep of more than 10,000 points, says whether to run it; without it, such
    a sweep is refused.
    **Raises:** `TooManyPointsError`; `zoo.FolderError` if `out` holds anything else, or
    a sweep of another version; `FullDiskError`. Whatever stops it, what has ended is
    kept.
    """
    ask_if_many(sweep, confirm)
    description = {
        "sweeps": [sweep.described()],
        "modules": _modules(sweep),
        "exact": exact,
    }
    store = Store.claim(
        Path(out), KIND, description, grown=lambda there: _grown(there, sweep, exact)
    )
    done = _done(store)
    jobs = _missing(store, done, at_most, progress)
    rows = drive(
        store,
        LocalProcesses() if engine is None else engine,
        performing(store.code),
        jobs,
        before=len(done),
        title="points",
        progress=progress,
        lost=lambda job, why: [_lost(point, store.code, why) for point in job.points],
    )
    return sweep_table(rows, store.code, sweep)


def ask_if_many(sweep: Sweep, confirm: Callable[[str], bool] | None) -> None:
    """**Raises:** `TooManyPointsError` unless they are few, or `confirm` says yes."""
    count = sweep.count()
    if count <= MANY:
        return
    said = (
        f"The sweep has {count:,} points: one after the other, each about "
        f"{sweep.seconds() / count:.2g} s, these are {sweep.seconds() / 3600:,.0f} h."
    )
    if confirm is None or not confirm(said):
        raise TooManyPointsError(f"{said} More than {MANY:,} run only if confirmed.")


def plan_of(sweep: Sweep, at_most: int | None = None) -> Plan:
    """What would be compiled together, and what not and why; runs nothing."""
    return plan(sweep.points(), at_most=at_most)


def _modules(sweep: Sweep) -> dict[str, str]:
    names = {name for grid in sweep.grids for name in grid.experiments}
    return {name: code_version(name) for name in sorted(names) if ":" in name}


def _grown(there: Mapping[str, Any], sweep: Sweep, exact: bool) -> Mapping[str, Any]:
    """What is there, and what `sweep` adds to it.

    **Raises:** `FolderError` if `sweep` lacks a point, a module has changed, or points
    are to be rounded otherwise.
    """
    if there["exact"] != exact:
        raise zoo.FolderError(
            f"The folder holds a sweep with `exact` {there['exact']}, and not {exact}."
        )
    modules = _modules(sweep)
    for name, version in there["modules"].items():
        if modules.get(name, version) != version:
            raise zoo.FolderError(f"The module of `{name}` has changed since.")
    # The last sweep there has the points of all before it.
    old = {p.key(""): p for p in Sweep.of(there["sweeps"][-1]).points()}
    new = {p.key(""): p for p in sweep.points()}
    lacking = [point for key, point in old.items() if key not in new]
    if lacking:
        raise zoo.FolderError(
            f"The folder holds a sweep with {len(lacking)} points that this one has "
            f"not, such as {_in_words(lacking[0])}."
        )
    if len(new) == len(old):
        return there
    return {
        "sweeps": [*there["sweeps"], sweep.described()],
        "modules": {**there["modules"], **modules},
        "exact": exact,
    }


def _done(store: Store) -> set[str]:
    found, lost = store.whole(), store.lost()
    if not found.height:
        return set()
    return {key for key, job in found.select("key", "job").rows() if job not in lost}


def _missing(
    store: Store, done: set[str], at_most: int | None, progress: bool
) -> dict[str, Job]:
    """The jobs that are left. What was added later is planned by itself, so that the
    jobs are the same ones however often the sweep was stopped."""
    jobs, seen = {}, set()
    for described in store.description["sweeps"]:
        points = {p.key(store.code): p for p in Sweep.of(described).points()}
        new = [point for key, point in points.items() if key not in seen]
        seen |= points.keys()
        if points.keys() <= done:
            continue
        if progress:
            stderr().print(f"planning {len(new)} points")
        exact = store.description["exact"]
        for job in plan(new, at_most=at_most, exact=exact).jobs:
            left = tuple(p for p in job.points if p.key(store.code) not in done)
            if left:
                jobs[_name(job, left, store.code)] = job._replace(points=left)
    return jobs


def _name(job: Job, points: Iterable[Point], code: str) -> str:
    keys = [point.key(code) for point in points]
    content = repr([keys, job.traced, job.size])
    return hashlib.sha256(content.encode()).hexdigest()[:32]


def _lost(point: Point, code: str, why: str) -> Row:
    return {
        "key": point.key(code),
        "experiment": point.experiment,
        "estimator": point.estimator,
        "seed": point.seed,
        **{f"set.{name}": value for name, value in point.settings.items()},
        "value": None,
        "figure": zoo.find(point.experiment).figure,
        "less_is_better": zoo.find(point.experiment).less_is_better,
        "seconds": None,
        "error": why,
    }


def _in_words(point: Point) -> str:
    settings = "".join(f", {name}={value}" for name, value in point.settings.items())
    rule = "" if point.estimator is None else f" with {point.estimator}"
    return f"`{point.experiment}`{rule}{settings}, seed {point.seed}"
