"""Of many settings, those that are told apart one at a time."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from polars import DataFrame

SET = "set."
MOST = 7
"""Values of a setting that a picture shows side by side."""


class Slice(NamedTuple):
    """The rows in which one column differs, all others being those of the best."""

    column: str
    values: list[Any]
    """In order; some of them, where there are many."""
    rows: list["DataFrame"]
    """For each value."""
    everything: bool
    """Whether these are all the values."""


def less_is_better(frame: "DataFrame") -> bool:
    """Of the figure of an experiment."""
    return True in frame["less_is_better"].to_list()


def varied(frame: "DataFrame") -> list[str]:
    """The columns in which the points of an experiment differ, besides the seed."""
    columns = ["estimator", *(c for c in frame.columns if c.startswith(SET))]
    return [name for name in columns if frame[name].n_unique() > 1]


def named(column: str) -> str:
    """As a reader knows it."""
    return column.removeprefix(SET)


def best(frame: "DataFrame", columns: Sequence[str]) -> dict[str, Any]:
    """The values of `columns` at which the mean of `value` over the rest is best."""
    import polars

    found = frame.filter(polars.col("value").is_finite())
    if not columns or not found.height:
        return {}
    down = not less_is_better(found)
    means = found.group_by(columns, maintain_order=True).agg(polars.col("value").mean())
    first = means.sort("value", descending=down, maintain_order=True).select(columns)
    return first.row(0, named=True)


def slice_of(
    frame: "DataFrame", column: str, at: dict[str, Any], most: int | None = MOST
) -> Slice:
    """The rows of `frame` in which all but `column` is as in `at`."""
    for name, value in at.items():
        if name != column:
            frame = frame.filter(frame[name].eq_missing(value))
    values = ordered(frame[column].unique(maintain_order=True))
    few = values if most is None else _some(values, at.get(column), most)
    rows = [frame.filter(frame[column].eq_missing(value)) for value in few]
    return Slice(column, few, rows, len(few) == len(values))


def ordered(values: Iterable[Any]) -> list[Any]:
    """Numbers by size, what is missing first; text as it comes."""
    known = list(values)
    if all(_is_number(v) for v in known if v is not None):
        return sorted(known, key=lambda v: (v is not None, 0 if v is None else v))
    return known


def is_numeric(frame: "DataFrame", column: str) -> bool:
    """Whether its values can be an axis."""
    return frame[column].dtype.is_numeric()


def _some(values: list[Any], kept: Any, most: int) -> list[Any]:
    """At most so many, evenly spread, with `kept`."""
    if len(values) <= most:
        return values
    places = {*np.linspace(0, len(values) - 1, most).round().astype(int).tolist()}
    if kept in values and values.index(kept) not in places:
        place = values.index(kept)
        places.remove(min(places, key=lambda other: abs(other - place)))
        places.add(place)
    return [values[i] for i in sorted(places)]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
