"""A frame as a table of HTML."""

from html import escape
from typing import Any

from ...plots._looks import MARKERS, Look
from ...plots._style import PALETTE
from ._parts import Column, Table
from ._values import as_given, exact, is_missing, shown

SIGNS = dict(zip(MARKERS, "●■▲◆▼✚✖★", strict=True))
FEW = 60
"""A text column of at most so many values can be filtered by picking some of them."""


def html_table(table: Table, name: str) -> str:
    """A `<table>`, whose headings say how a script may treat their columns."""
    frame = table.frame
    columns = [table.columns.get(c, Column(c)) for c in frame.columns]
    values = [[_last(v) for v in series.to_list()] for series in frame]
    kinds = [_kind(column) for column in values]
    values = [_whole(v) if k == "n" else v for v, k in zip(values, kinds, strict=True)]
    heads = "".join(map(_head, columns, values, kinds))
    rows = "".join(
        "<tr>" + "".join(map(_cell, row, columns, kinds, range(len(row)))) + "</tr>\n"
        for row in zip(*values, strict=True)
    )
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-labelledby="{name}">'
        f'<table class="pin{table.pinned}"><caption>{escape(table.heading)}</caption>'
        f"<thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}</tbody></table></div>"
    )


def mark(look: Look) -> str:
    """The sign of a method, in its color."""
    color = PALETTE.index(look.color) + 1
    sign = SIGNS[look.marker]
    return f'<i class="c{color}" aria-hidden="true">{sign}</i>'


def _last(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    return value[-1] if value else None


def _kind(values: list[Any]) -> str:
    """Numbers, or text."""
    there = [v for v in values if not is_missing(v)]
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in there)
    return "n" if there and numbers else "t"


def _whole(values: list[Any]) -> list[Any]:
    """Integers, if there is no other number."""
    there = [v for v in values if not is_missing(v)]
    if not all(float(v).is_integer() for v in there):
        return values
    return [None if is_missing(v) else int(v) for v in values]


def _head(column: Column, values: list[Any], kind: str) -> str:
    different = {shown(v) for v in values}
    few = column.picked and kind == "t" and 1 < len(different) <= FEW
    picked = ' data-pick=""' if few else ""
    where = ' class="n"' if kind == "n" else ""
    return f'<th scope="col"{where}{picked}>{escape(column.label)}</th>'


def _cell(value: Any, column: Column, kind: str, place: int) -> str:
    text = as_given(value) if column.given else shown(value, column.unit)
    precise = exact(value)
    said = escape(text)
    title = f' title="{precise}"' if precise not in ("", said) else ""
    if column.marks is not None and value in column.marks:
        said = mark(column.marks[value]) + said
    if place == 0:
        return f'<th scope="row"{title}>{said}</th>'
    if kind == "t":
        return f"<td>{said}</td>" if len(text) < 40 else f'<td class="l">{said}</td>'
    shade = _shade(value) if column.shaded and not is_missing(value) else ""
    return f'<td class="n{" s" if shade else ""}"{title}{shade}>{said}</td>'


def _shade(value: float) -> str:
    size = round(100 * min(abs(value), 1.0))
    color = 1 if value >= 0 else 2
    return f' style="--v:{size}%;--s:var(--c{color})"'
