"""A sweep as a page: what each setting does to it."""

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import plots
from .._history import History
from ._page import Column, Part, Picture, Table, Text, Tiles
from ._page._values import as_given
from ._slices import (
    MOST,
    SET,
    Slice,
    best,
    is_numeric,
    named,
    ordered,
    slice_of,
    varied,
)
from ._table import summary

if TYPE_CHECKING:
    from polars import DataFrame

HIDDEN = ("key", "job", "less_is_better")
OWN_RULE = "its own"
FIRST = ("experiment", "estimator")


def sweep_parts(frame: "DataFrame", missing: int) -> list[Part]:
    """Of the rows that there are, while `missing` points are not there yet."""
    frame = _told(frame)
    parts: list[Part] = [Tiles("At a glance", _figures(frame, missing))]
    if missing:
        parts.insert(0, Text("Not finished", _unfinished(len(frame), missing)))
    experiments = frame["experiment"].unique(maintain_order=True)
    for name in experiments:
        of = f" of {name}" if len(experiments) > 1 else ""
        parts += _experiment(frame.filter(frame["experiment"] == name), of)
    columns = _columns(frame)
    parts.append(Table("Means", _means(frame), _note(frame), columns))
    failed = frame.filter(frame["error"].is_not_null())
    if failed.height:
        shown_first = [c for c in ("error", *FIRST, "seed") if c in frame.columns]
        settings = [c for c in frame.columns if c.startswith(SET)]
        said = "Each point that could not be run to its end, with what went wrong."
        rows = failed.select(*shown_first[1:], *settings, "error")
        parts.append(Table("Failures", rows, said, columns))
    every = frame.drop([c for c in HIDDEN if c in frame.columns])
    said = "All points. Of a curve, the last value is shown."
    parts.append(Table("Points", every, said, columns))
    return parts


def _told(frame: "DataFrame") -> "DataFrame":
    """With words where null has a meaning, and with all columns that are used."""
    import polars

    for name in ("error", "loss", "steps"):
        if name not in frame.columns:
            frame = frame.with_columns(polars.lit(None).alias(name))
    return frame.with_columns(
        polars.col("estimator").cast(polars.String).fill_null(OWN_RULE),
        polars.col("value").cast(polars.Float64),
    )


def _figures(frame: "DataFrame", missing: int) -> dict[str, str]:
    total = len(frame) + missing
    failed = frame["error"].is_not_null().sum()
    seconds = float(frame["seconds"].cast(float).sum())
    return {
        "points" if not missing else f"of {total:,} points": f"{len(frame):,}",
        "failed": f"{failed:,}",
        "seeds": f"{frame['seed'].n_unique():,}",
        "settings that differ": f"{len(varied(frame))}",
        "time of the points in all": _duration(seconds),
    }


def _duration(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


def _unfinished(there: int, missing: int) -> str:
    return (
        f"{missing:,} of {there + missing:,} points have no row yet. What follows is "
        "of those that have. The same pnnjax sweep goes on with the others."
    )


def _experiment(frame: "DataFrame", of: str) -> list[Part]:
    import polars

    whole = frame.filter(
        frame["error"].is_null() & polars.Series(frame["value"]).is_finite()
    )
    columns = varied(frame)
    if not whole.height:
        return []
    at = best(whole, columns)
    parts: list[Part] = []
    for column in columns:
        if is_numeric(whole, column) and whole[column].n_unique() > 1:
            parts.append(_against(whole, column, at, columns, of))
    for part in columns or [""]:
        picture = _curves(whole, part, at, of)
        if picture is not None:
            parts.append(picture)
    return parts


def _against(
    frame: "DataFrame", column: str, at: dict[str, Any], columns: list[str], of: str
) -> Picture:
    others = [c for c in columns if c != column and frame[c].n_unique() <= MOST]
    # A line for each value of what has the fewest, estimators before all others.
    split = min(
        others, key=lambda c: (c != "estimator", frame[c].n_unique()), default=""
    )
    means: dict[str, Any] = {}
    free = {name: value for name, value in at.items() if name not in (column, split)}
    if not split:
        means["mean"] = _means_along(slice_of(frame, column, free, None))
    for value in ordered(frame[split].unique(maintain_order=True)) if split else ():
        along = slice_of(frame, column, free | {split: value}, None)
        means[_label(split, value)] = _means_along(along)
    means = {label: found for label, found in means.items() if len(found[0])}
    known = frame.filter(frame[column].is_not_null())
    dots = (known[column].cast(float).to_numpy(), known["value"].to_numpy())
    figure = plots.against_setting(
        means,
        setting=_plain(named(column)),
        quantity=_plain(_figure(frame)),
        others=dots,
    )
    caption = (
        f"Mean over the seeds, with its standard error. {_held(at, column, split)}"
    )
    return Picture(f"{_figure(frame)} against {named(column)}{of}", figure, caption)


def _means_along(along: Slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    there = [
        (float(value), rows["value"].to_numpy())
        for value, rows in zip(along.values, along.rows, strict=True)
        if value is not None and rows.height
    ]
    errors = [
        found.std(ddof=1) / np.sqrt(len(found)) if len(found) > 1 else np.nan
        for _, found in there
    ]
    means = [found.mean() for _, found in there]
    return np.array([v for v, _ in there]), np.array(means), np.array(errors)


def _curves(
    frame: "DataFrame", column: str, at: dict[str, Any], of: str
) -> Picture | None:
    """Learning curves for each value of `column`, or of all runs if it is empty."""
    if column:
        piece = slice_of(frame, column, at)
        groups = {
            _label(column, value): _histories(rows)
            for value, rows in zip(piece.values, piece.rows, strict=True)
        }
        heading = f"Training by {named(column)}{of}"
        said = "" if piece.everything else " Some of the values only."
    else:
        groups, heading, said = {"": _histories(frame)}, f"Training{of}", ""
    groups = {label: runs for label, runs in groups.items() if runs}
    if not groups:
        return None
    caption = (
        "Loss (a running mean) and metrics: the median of the seeds, and from the "
        f"least to the greatest.{said} {_held(at, column, '')}"
    )
    return Picture(heading, plots.learning_curve(groups), caption.strip())


def _histories(rows: "DataFrame") -> list[History]:
    """Those of the most common length: a picture lays them over each other."""
    names = [name for name in rows.columns if name.startswith("metric.")]
    found = []
    for row in rows.iter_rows(named=True):
        if not row["loss"]:
            continue
        steps = np.asarray(row["steps"] or [], int)
        metrics = {
            name.removeprefix("metric."): np.asarray(row[name], float)
            for name in names
            if row[name] is not None and len(row[name]) == len(steps)
        }
        run = History(np.asarray(row["loss"], float), steps, metrics, 0.0)
        if all(np.isfinite(v).all() for v in (run.loss, *metrics.values())):
            found.append(run)
    lengths = Counter(len(run.loss) for run in found)
    common = max(lengths, key=lambda n: lengths[n], default=0)
    return [run for run in found if len(run.loss) == common]


def _held(at: dict[str, Any], column: str, split: str) -> str:
    """With which values of the other settings that is."""
    names = [n for n in at if n not in (column, split)]
    if not names:
        return ""
    values = ", ".join(f"{named(n)} = {as_given(at[n])}" for n in names)
    return f"Elsewhere as at the best mean: {values}."


def _label(column: str, value: Any) -> str:
    if column == "estimator":
        return _plain(f"{value}")
    return _plain(f"{named(column)} = {as_given(value)}")


def _plain(text: str) -> str:
    """Nothing in it is mathematics."""
    return text.replace("$", r"\$")


def _figure(frame: "DataFrame") -> str:
    figures = frame["figure"].drop_nulls()
    name = str(figures[0]) if len(figures) else "value"
    return name[:1].upper() + name[1:]


def _means(frame: "DataFrame") -> "DataFrame":
    """Those that differ, then the results; the best on top."""
    import polars

    found = summary(frame)
    falling = frame.filter(polars.col("less_is_better").cast(polars.Boolean))
    less = polars.col("experiment").is_in(falling["experiment"].unique().implode())
    quality = polars.when(less).then(-polars.col("mean")).otherwise("mean")
    kept = [
        name
        for name in found.columns
        if not name.startswith(SET) or found[name].n_unique() > 1
    ]
    by, down = ("experiment", quality), [False, True]
    ordered = found.sort(*by, descending=down, nulls_last=True, maintain_order=True)
    return ordered.select(kept)


def _note(frame: "DataFrame") -> str:
    told = frame.select("figure", "less_is_better").drop_nulls().unique()
    said = [
        f"of {name}, {'less' if less else 'more'} is better"
        for name, less in sorted(told.rows())
    ]
    text = "; ".join(said)
    return f"Over the seeds; {text}. The best is on top." if said else "Over the seeds."


def _columns(frame: "DataFrame") -> Mapping[str, Column]:
    plain = {
        n: Column(named(n), given=True) for n in frame.columns if n.startswith(SET)
    }
    metrics = {
        n: Column(n.removeprefix("metric."))
        for n in frame.columns
        if n.startswith("metric.")
    }
    one = frame["figure"].drop_nulls().n_unique() == 1
    figure = Column(_figure(frame) if one else "value")
    return {
        **plain,
        **metrics,
        "value": figure,
        "standard_error": Column("standard error"),
        "seconds": Column("time", "s"),
        "loss": Column("last loss"),
        "steps": Column("steps"),
        "error": Column("error", picked=False),
    }
