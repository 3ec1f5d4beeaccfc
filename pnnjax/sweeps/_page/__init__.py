"""Pages of text, pictures and tables that need no network."""

from ._parts import (
    Column as Column,
    Image as Image,
    Part as Part,
    Picture as Picture,
    Table as Table,
    Terms as Terms,
    Text as Text,
    Tiles as Tiles,
)
from ._write import write_page as write_page
