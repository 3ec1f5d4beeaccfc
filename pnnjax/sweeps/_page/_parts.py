"""What a page is made of."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from ...plots._looks import Look

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from polars import DataFrame


class Text(NamedTuple):
    """Paragraphs, set off by empty lines; plain text, nothing of it markup."""

    heading: str
    text: str


class Tiles(NamedTuple):
    """A few figures in large type, each by what it is."""

    heading: str
    figures: Mapping[str, str]


class Terms(NamedTuple):
    """What there is to say of each term."""

    heading: str
    terms: Mapping[str, str]


class Picture(NamedTuple):
    """A figure of matplotlib. Neighbors stand side by side where there is room."""

    heading: str
    figure: "Figure"
    caption: str


class Image(NamedTuple):
    """A PNG file, which becomes a part of the page. Stands where a `Picture` may."""

    heading: str
    file: Path
    caption: str


class Column(NamedTuple):
    """How a column is shown, where its name and type don't tell."""

    label: str
    unit: str | None = None
    """Numbers get a prefix: 1.2 ms with "s", 3.4 k with ""; as they are with `None`."""
    shaded: bool = False
    """With a bar up to 1, or up to -1 in another color."""
    marks: Mapping[str, Look] | None = None
    """The look of each value: its sign in the pictures stands before it."""
    given: bool = False
    """Numbers are what someone has chosen, and shown as they were given."""
    picked: bool = True
    """Whether rows can be chosen by it, if it is text of few values."""


class Table(NamedTuple):
    """A frame, to be sorted and filtered where scripts run.

    Text columns of few values get a list of these to pick from; of a list, the last
    value is shown.
    """

    heading: str
    frame: "DataFrame"
    note: str
    columns: Mapping[str, Column] = {}
    """By their names in the frame; others are shown under these."""
    pinned: Literal[1, 2] = 1
    """How many of the first columns stay in sight when it is scrolled."""


Part = Text | Tiles | Terms | Picture | Image | Table
