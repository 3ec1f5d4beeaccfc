"""What every command says, and how it ends."""

from typing import Any

import typer


def console(stderr: bool = False) -> Any:
    """Where to print: plain text, nothing of it markup."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, markup=False)


def table(headers: tuple[str, ...], rows: list[tuple[str, ...]]) -> Any:
    """Columns without lines; the first is never broken."""
    from rich.table import Table
    from rich.text import Text

    made = Table(*headers, box=None, show_header=bool(headers), padding=(0, 2, 0, 0))
    for cells in rows:
        made.add_row(*map(Text, cells))
    made.columns[0].no_wrap = True
    return made


def duration(seconds: float) -> str:
    """In the unit that one reads."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def fail(code: int, message: str) -> typer.Exit:
    """Print `message` as an error; to be raised."""
    console(stderr=True).print(message, soft_wrap=True)
    return typer.Exit(code)
