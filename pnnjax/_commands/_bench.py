"""`pnnjax bench`: the leaderboard."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .. import zoo
from ..sweeps._leaderboard import Leaderboard, NoPairError, leaderboard
from ..sweeps._local_processes import LocalProcesses, WorkerError
from ._terminal import broken, console, fail, stopped, table

if TYPE_CHECKING:
    from polars import DataFrame


def bench(
    quick: Annotated[
        bool, typer.Option("--quick", help="One seed of each layer, not three.")
    ] = False,
    layers: Annotated[
        str | None, typer.Option(help="By commas; MODULE:FUNCTION makes your own.")
    ] = None,
    estimators: Annotated[
        str | None, typer.Option(help="By commas; MODULE:FUNCTION makes your own.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Or else runs/leaderboard.")] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=0, help="Pairs at a time; 0: in this process. All cores."),
    ] = None,
) -> None:
    """Measure every layer with every estimator that accepts it."""
    folder = out or Path("runs") / "leaderboard"
    try:
        found = leaderboard(
            folder,
            layers=_names(layers),
            estimators=_names(estimators),
            quick=quick,
            engine=LocalProcesses(workers),
        )
    except (zoo.specimens.UnknownSpecimenError, NoPairError) as error:
        raise fail(2, str(error)) from error
    except zoo.FolderError as error:
        raise fail(2, f"{error} (--out takes another folder.)") from error
    except (WorkerError, OSError) as error:
        raise broken(error) from error
    except KeyboardInterrupt as error:
        options = {
            "--quick": quick,
            "--layers": layers,
            "--estimators": estimators,
            "--out": out,
            "--workers": workers,
        }
        raise stopped(error, ["pnnjax", "bench"], options) from error
    _show(found, folder)


def _names(text: str | None) -> list[str] | None:
    if text is None:
        return None
    return [name.strip() for name in text.split(",") if name.strip()]


def _show(found: Leaderboard, folder: Path) -> None:
    terminal = console()
    rows = [_line(name, part) for (name,), part in _by_estimator(found.board)]
    headers = ("estimator", "layers", "cosine", "runs", "time (s)", "accuracy")
    terminal.print(table(headers, rows))
    failed = found.board.filter(found.board["error"] != "")
    for row in failed.iter_rows(named=True):
        said = f"{row['layer']}, {row['estimator']}: {row['error']}"
        terminal.print(said, soft_wrap=True)
    files = "leaderboard.html, leaderboard.csv, robustness.csv"
    terminal.print(f"Written to {folder}: {files}", soft_wrap=True)


def _by_estimator(board: "DataFrame") -> "list[tuple[tuple, DataFrame]]":
    return list(board.group_by("estimator", maintain_order=True))


def _line(name: str, part: "DataFrame") -> tuple[str, ...]:
    """Medians over the layers."""

    def median(column: str) -> str:
        value = part[column].median()
        return "–" if value is None else f"{value:.3g}"

    columns = ("cosine", "runs", "seconds", "accuracy")
    return (name, f"{part.height}", *map(median, columns))
