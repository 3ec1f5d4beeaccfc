"""`pnnjax sweep`: the points of a file, into a folder."""

import os
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from .. import zoo
from ..sweeps import AbstractEngine, GridError, RuleError
from ..sweeps._durable import write_whole
from ..sweeps._local_processes import LocalProcesses, WorkerError
from ..sweeps._ray_cluster import ClusterError, RayCluster
from ..sweeps._read_sweep import SweepFile, read_sweep
from ..sweeps._run import TooManyPointsError, ask_if_many, plan_of, run
from ..sweeps._store import SUMMARY, discard
from ..sweeps._table import summary
from ._terminal import broken, console, fail, stopped, table

if TYPE_CHECKING:
    from polars import DataFrame

SHOWN = 40
"""Lines of the summary on the terminal."""
FIGURE = ("experiment", "figure")
ALWAYS = ("experiment", "points", "failed", "mean", "standard_error")

WRONG = (
    zoo.UnknownExperimentError,
    zoo.SettingError,
    GridError,
    RuleError,
    TooManyPointsError,
    zoo.FolderError,
)
HINTS = {
    TooManyPointsError: "(--yes runs it.)",
    zoo.FolderError: "(--out takes another folder, --force starts over.)",
}


def sweep(
    file: Annotated[Path, typer.Argument(help="A TOML file with the grids.")],
    out: Annotated[
        Path | None, typer.Option(help="Of the rows, or else runs/NAME of the file.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=0, help="Jobs at a time; 0: in this process. All cores."),
    ] = None,
    engine: Annotated[
        Literal["local", "ray"], typer.Option(help="Processes here, or a cluster.")
    ] = "local",
    address: Annotated[
        str | None, typer.Option(help="Of a Ray cluster; or else one of its own.")
    ] = None,
    at_most: Annotated[
        int | None, typer.Option(min=1, help="Points compiled together.")
    ] = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="Rounded as by `pnnjax train`, each point.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Run also more than 10,000 points.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would run together.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Delete the sweep in the folder first.")
    ] = False,
) -> None:
    """Run every point of a sweep. Again, it goes on with what is missing."""
    folder = out or Path("runs") / file.stem
    try:
        asked = _asked(file, at_most, exact)
        if dry_run:
            return _show_plan(asked)
        runs_on = _engine(engine, address, workers)
        # Its workers need the accelerator's memory.
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
        if force:
            discard(folder)
        _run(asked, folder, runs_on, yes)
    except WRONG as error:
        hints = [hint for kind, hint in HINTS.items() if isinstance(error, kind)]
        raise fail(2, " ".join([f"{error}", *hints])) from error
    except (ClusterError, WorkerError, OSError, ImportError) as error:
        raise broken(error) from error
    except KeyboardInterrupt as error:
        options = {
            "--out": out,
            "--workers": workers,
            "--engine": None if engine == "local" else engine,
            "--address": address,
            "--at-most": at_most,
            "--exact": exact,
            "--yes": yes,
        }
        raise stopped(error, ["pnnjax", "sweep", f"{file}"], options) from error


def _asked(file: Path, at_most: int | None, exact: bool) -> SweepFile:
    """What the file asks for, and the options."""
    there = read_sweep(file)
    return there._replace(at_most=at_most or there.at_most, exact=exact or there.exact)


def _run(asked: SweepFile, folder: Path, engine: AbstractEngine, yes: bool) -> None:
    terminal = console()
    count = asked.sweep.count()
    terminal.print(f"{count} points, into {folder}", soft_wrap=True)
    frame = run(
        asked.sweep,
        folder,
        engine=engine,
        at_most=asked.at_most,
        exact=asked.exact,
        confirm=lambda said: yes or _agreed(said),
    )
    found = summary(frame)
    write_whole(folder / SUMMARY, found.write_csv().encode())
    _show_summary(found)
    failed = frame["error"].drop_nulls()
    if len(failed):
        said = f"{len(failed)} points failed; the first: {failed[0]}"
        terminal.print(said, soft_wrap=True)
    terminal.print(f"Written to {folder}: rows/, {SUMMARY}", soft_wrap=True)


def _engine(name: str, address: str | None, workers: int | None) -> AbstractEngine:
    if name == "ray":
        return RayCluster(address, workers=workers)
    if address is not None:
        raise fail(2, "`--address` is that of a Ray cluster: give `--engine ray` too.")
    return LocalProcesses(workers)


def _agreed(said: str) -> bool:
    """Whether someone at a terminal says yes; where there is none, no one does."""
    return sys.stdin.isatty() and typer.confirm(f"{said} Run it?")


def _show_plan(asked: SweepFile) -> None:
    terminal = console()
    ask_if_many(asked.sweep, _agreed)
    jobs, apart = plan_of(asked.sweep, asked.at_most)
    kinds = Counter(
        (job.points[0].experiment, len(job.points), ", ".join(job.traced) or "none")
        for job in jobs
    )
    rows = [
        (name, f"{jobs}", f"{points}", traced)
        for (name, points, traced), jobs in kinds.items()
    ]
    headers = ("experiment", "jobs", "points in each", "settings that differ in it")
    terminal.print(table(headers, rows))
    for one in apart:
        said = f"{one.experiment}: `{one.setting}` is compiled apart: {one.reason}"
        terminal.print(said, soft_wrap=True)
    points = sum(len(job.points) for job in jobs)
    terminal.print(f"{points} points in {len(jobs)} jobs")


def _show_summary(found: "DataFrame") -> None:
    shown = found.head(SHOWN)
    # What is the same everywhere would only take room; so would what the mean is of.
    varied = [n for n in found.columns if n != "figure" and found[n].n_unique() > 1]
    names = [n for n in found.columns if n in ALWAYS or n in varied]
    rows = [tuple(_cell(row[n]) for n in names) for row in shown.iter_rows(named=True)]
    terminal = console()
    headers = [n.removeprefix("set.").replace("standard_", "standard ") for n in names]
    terminal.print(table(tuple(headers), rows))
    for experiment, figure in found.select(FIGURE).unique(maintain_order=True).rows():
        terminal.print(f"Of {experiment}: {figure}", soft_wrap=True)
    if found.height > SHOWN:
        terminal.print(f"and {found.height - SHOWN} more in {SUMMARY}")


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else f"{value}"
