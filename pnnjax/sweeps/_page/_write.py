"""Put a page together: one file that needs no other, and no network."""

import base64
import hashlib
import os
import re
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from itertools import groupby
from pathlib import Path

from .._durable import write_whole
from ._parts import Image, Part, Picture, Table, Terms, Text, Tiles
from ._svg import inline_svg
from ._table import html_table


def write_page(
    path: str | os.PathLike[str], title: str, parts: Sequence[Part], lead: str = ""
) -> Path:
    """Write a self-contained HTML file.

    Its policy forbids the browser to load anything. Tables can be sorted and filtered;
    without JavaScript they are all there.

    **Arguments:** `lead`: a sentence under the title.
    **Returns:** `path`.
    """
    numbered = [(f"p{i}", part) for i, part in enumerate(parts, start=1)]
    body = []
    for pictures, group in groupby(
        numbered, lambda one: isinstance(one[1], Picture | Image)
    ):
        sections = "\n".join(_section(name, part) for name, part in group)
        body.append(f'<div class="row">{sections}</div>' if pictures else sections)
    script = _asset("page.js")
    holes = {
        "TITLE": escape(title),
        "LEAD": f'<p class="lead">{escape(lead)}</p>' if lead else "",
        "HASH": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        "STYLE": _asset("page.css"),
        "LINKS": "".join(
            f'<li><a href="#{name}">{escape(part.heading)}</a></li>'
            for name, part in numbered
        ),
        "SCRIPT": script,
        "BODY": "\n".join(body),
    }
    page = re.sub("@([A-Z]+)@", lambda hole: holes[hole[1]], _asset("page.html"))
    write_whole(Path(path), f"{page}\n".encode())
    return Path(path)


def _section(name: str, part: Part) -> str:
    match part:
        case Text():
            inside = "".join(f"<p>{escape(p)}</p>" for p in part.text.split("\n\n"))
        case Tiles():
            inside = "".join(
                f"<li><b>{escape(figure)}</b>{escape(what)}</li>"
                for what, figure in part.figures.items()
            )
            inside = f"<ul>{inside}</ul>"
        case Terms():
            inside = "".join(
                f"<div><dt>{escape(term)}</dt><dd>{escape(said)}</dd></div>"
                for term, said in part.terms.items()
            )
            inside = f"<dl>{inside}</dl>"
        case Picture():
            inside = _framed(name, part)
        case Image():
            inside = _embedded(part)
        case Table():
            inside = f'<p class="note">{escape(part.note)}</p>{html_table(part, name)}'
    return (
        f'<section class="{type(part).__name__.lower()}" aria-labelledby="{name}">'
        f'<h2 id="{name}">{escape(part.heading)}</h2>{inside}</section>'
    )


def _framed(name: str, part: Picture) -> str:
    svg = inline_svg(part.figure, name, f"{part.heading}. {part.caption}")
    width = 96 * part.figure.get_figwidth()
    # Narrow ones shrink to a phone, wide ones scroll there: shrunk, none could be read.
    least = 0.62 * width if width < 600 else width
    return (
        f'<figure style="--w:{width:.0f}px;--m:{least:.0f}px"><div class="scroll" '
        f'tabindex="0" role="region" aria-labelledby="{name}">{svg}</div>'
        f"<figcaption>{escape(part.caption)}</figcaption></figure>"
    )


def _embedded(part: Image) -> str:
    data = base64.b64encode(part.file.read_bytes()).decode()
    label = escape(f"{part.heading}. {part.caption}".strip())
    return (
        f'<figure><img alt="{label}" src="data:image/png;base64,{data}">'
        f"<figcaption>{escape(part.caption)}</figcaption></figure>"
    )


def _asset(name: str) -> str:
    return (
        files("pnnjax.sweeps._page").joinpath(name).read_text(encoding="utf-8").strip()
    )
