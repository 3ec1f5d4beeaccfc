"""The rows of a folder as one table, and what they say on the whole."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import zoo
from ..zoo._settings import PRESET, settings_of
from ._grid import Sweep
from ._store import Store

if TYPE_CHECKING:
    from polars import DataFrame

KIND = "sweep"
SET = "set."


def table(folder: str | os.PathLike[str]) -> "DataFrame":
    """All rows that are in `folder` by now. Those of a sweep are in its order.

    **Raises:** `zoo.FolderError` if it holds none, or a damaged file.
    """
    store = Store.open(Path(folder))
    if store.kind != KIND:
        return store.table()
    # The last one has the points of all before it.
    sweep = Sweep.of(store.description["sweeps"][-1])
    return sweep_table(store.table(), store.code, sweep)


def sweep_table(found: "DataFrame", code: str, sweep: Sweep) -> "DataFrame":
    """Of the rows `found` those of `sweep`, in its order.

    A column `set.NAME` is null only where the experiment has no such setting, or its
    value is none: a row says its settings, also those that are as they are by default.
    """
    import polars

    if not found.height:
        return found
    settings = polars.DataFrame(
        _settings(sweep, code), infer_schema_length=None, strict=False
    )
    rest = found.drop([name for name in found.columns if name.startswith(SET)])
    # Of a point that was lost and then found, what was found.
    rest = rest.sort(polars.col("error").is_not_null(), maintain_order=True)
    rest = rest.unique("key", keep="first", maintain_order=True)
    joined = settings.join(rest, on="key", how="inner", maintain_order="left")
    first = ["key", "experiment", "estimator", "seed"]
    rest = [name for name in joined.columns if name not in first]
    return joined.select(*first, *rest)


def summary(frame: "DataFrame") -> "DataFrame":
    """A row for each setting: mean of `value` over seeds, its standard error, failures.

    Columns: those of the settings, then `points`, `failed`, `mean`, `standard_error`.
    """
    import polars

    if not frame.height:
        return frame
    names = [name for name in frame.columns if name.startswith(SET)]
    value = polars.col("value").cast(polars.Float64)
    count = value.count()
    error = polars.when(count > 1).then(value.std() / count.cast(float).sqrt())
    by = ["experiment", "estimator", *names, "figure"]
    figure = polars.col("figure").drop_nulls().first().over("experiment")
    return (
        frame.with_columns(figure)
        .group_by(by, maintain_order=True)
        .agg(
            polars.len().alias("points"),
            polars.col("error").is_not_null().sum().alias("failed"),
            value.mean().alias("mean"),
            error.alias("standard_error"),
        )
    )


def _settings(sweep: Sweep, code: str) -> list[dict[str, Any]]:
    points = sweep.points()
    asked = [name for grid in sweep.grids for name in grid.settings if name != PRESET]
    preset = [name for point in points for name in point.settings]
    names = dict.fromkeys([*asked, *preset])
    kinds = {name: zoo.find(name) for name in {p.experiment for p in points}}
    defaults = {
        name: {n: known.default for n, known in settings_of(kind).items()}
        for name, kind in kinds.items()
    }
    return [
        {"key": point.key(code)}
        | {
            f"{SET}{n}": point.settings.get(n, defaults[point.experiment].get(n))
            for n in names
        }
        for point in points
    ]
