"""A page of what a folder holds: a sweep, a run, the leaderboard."""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..zoo import FolderError
from ..zoo._run import stored_settings
from ._grid import Sweep
from ._leaderboard_page import leaderboard_page
from ._page import Terms, write_page
from ._run_page import reference, run_parts
from ._store import HEADER, Store
from ._sweep_page import sweep_parts
from ._table import KIND, table

BOARD, ROBUSTNESS = "leaderboard.csv", "robustness.csv"


def report(
    folder: str | os.PathLike[str], path: str | os.PathLike[str] | None = None
) -> Path:
    """Write a page of pictures and tables: of a sweep or a run, finished or not.

    **Arguments:** `path`: of the page; by default `NAME.html` beside the folder `NAME`.
    **Returns:** its path.
    **Raises:** `zoo.FolderError` if there is nothing in `folder` to show, or it is
    damaged; `FullDiskError`.
    """
    folder = Path(folder)
    whole = folder.resolve()
    page = whole.parent / f"{whole.name}.html" if path is None else Path(path)
    if (folder / BOARD).exists():
        return _board(folder, page)
    if (folder / HEADER).exists():
        return _sweep(folder, page)
    settings = stored_settings(folder)
    if settings is None:
        raise FolderError(
            f"`{folder}` holds neither a sweep nor a run: no `{HEADER}`, and no "
            "`settings.json`. Give the folder that `pnnjax sweep` or `pnnjax train` "
            "has named."
        )
    made = Terms("How it was made", _made(settings.get("made with", {}), folder))
    parts = [*run_parts(folder, settings), made]
    title = f"{settings['experiment']}, seed {settings['seed']}"
    return write_page(page, title, parts, reference(settings))


def _sweep(folder: Path, page: Path) -> Path:
    store = Store.open(folder)
    if store.kind != KIND:
        raise FolderError(
            f"`{folder}` holds a {store.kind} without its `{BOARD}`: run the command "
            "that makes it to its end."
        )
    grids = [grid for grids in store.description["sweeps"] for grid in grids]
    sweep, frame = Sweep.of(grids), table(folder)
    if not frame.height:
        raise FolderError(f"`{folder}` holds no row yet: no point has ended.")
    missing = len(sweep.points()) - frame.height
    made = {**store.header["made with"], "code": store.code}
    told = Terms("How it was made", _made(made, folder))
    experiments = ", ".join(dict.fromkeys(frame["experiment"]))
    lead = f"A sweep of {experiments}."
    return write_page(
        page, folder.resolve().name, [*sweep_parts(frame, missing), told], lead
    )


def _board(folder: Path, page: Path) -> Path:
    import polars

    made: Mapping[str, Any] = {}
    if (folder / HEADER).exists():
        made = Store.open(folder).header["made with"]
    board, robustness = (
        polars.read_csv(folder / name, infer_schema_length=None)
        for name in (BOARD, ROBUSTNESS)
    )
    told = {name: f"{value}" for name, value in made.items()}
    leaderboard_page(page, board, robustness, told)
    return page


def _made(made: Mapping[str, Any], folder: Path) -> dict[str, str]:
    now = datetime.now(UTC)
    return {
        **{name: f"{value}" for name, value in made.items()},
        "folder": f"{folder}",
        "page written": f"{now:%Y-%m-%d %H:%M} UTC, by pnnjax {version('pnnjax')}",
    }
