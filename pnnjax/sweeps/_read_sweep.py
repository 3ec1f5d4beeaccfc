"""A sweep from a TOML file."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..zoo._settings import near
from ._grid import Grid, GridError, Sweep

TOP = ("grid", "at_most", "exact")
GRID = ("experiment", "settings", "estimators", "seeds")


class SweepFile(NamedTuple):
    """What a file asks for."""

    sweep: Sweep
    at_most: int | None
    """How many points are compiled together, if it says."""
    exact: bool = False
    """Whether each is rounded as if it were alone."""


def read_sweep(path: str | os.PathLike[str]) -> SweepFile:
    """The grids of a TOML file.

    ```toml
    at_most = 64                     # points compiled together; may be left out
    exact = true                     # each rounded as if alone; false if left out

    [[grid]]
    experiment = "digits-mesh"       # or several, in brackets
    seeds = 64                       # 0 to 63, or a list
    estimators = ["own", "SPSA(samples=8)"]
    settings = { learning_rate = [0.01, 0.02], epochs = 3 }
    ```

    **Raises:** `GridError` that names what the file may not have; what `Grid` raises.
    """
    try:
        with open(path, "rb") as file:
            content = tomllib.load(file)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise GridError(f"`{path}` is no TOML: {error}.") from error
    except (FileNotFoundError, IsADirectoryError) as error:
        raise GridError(f"There is no file `{path}`.") from error
    where = f"`{Path(path).name}`"
    _check_keys(content, TOP, where)
    tables = content.get("grid", [])
    if not isinstance(tables, list) or not all(isinstance(t, dict) for t in tables):
        raise GridError(f"{where}: begin each grid with a line `[[grid]]`.")
    if not tables:
        raise GridError(f"{where} is empty: it has no `[[grid]]`.")
    grids = [_grid(table, f"{where}, grid {i}") for i, table in enumerate(tables, 1)]
    exact = content.get("exact", False)
    _check(isinstance(exact, bool), where, "exact", "true or false")
    return SweepFile(Sweep(*grids), _at_most(content.get("at_most"), where), exact)


def _grid(table: Mapping[str, Any], where: str) -> Grid:
    _check_keys(table, GRID, where)
    if "experiment" not in table:
        raise GridError(f"{where} has no `experiment`.")
    experiment = table["experiment"]
    settings, estimators = table.get("settings", {}), table.get("estimators", ["own"])
    names = experiment if isinstance(experiment, list) else [experiment]
    _check(all(isinstance(name, str) for name in names), where, "experiment", "a name")
    _check(isinstance(settings, dict), where, "settings", "a table")
    several = estimators if isinstance(estimators, list) else [estimators]
    _check(all(isinstance(e, str) for e in several), where, "estimators", "texts")
    seeds = table.get("seeds", 1)
    _check(isinstance(seeds, int | list), where, "seeds", "a number, or a list")
    return Grid(experiment, settings=settings, estimators=several, seeds=seeds)


def _check_keys(table: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for name in table:
        if name not in known:
            raise GridError(
                f"{where} has no use for `{name}`.{near(name, known)} It may have: "
                f"{', '.join(known)}."
            )


def _check(right: bool, where: str, name: str, what: str) -> None:
    if not right:
        raise GridError(f"{where}: `{name}` must be {what}.")


def _at_most(value: Any, where: str) -> int | None:
    number = isinstance(value, int) and not isinstance(value, bool)
    _check(value is None or (number and value >= 1), where, "at_most", "1 or more")
    return value
