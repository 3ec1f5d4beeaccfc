"""What every command says, and how it ends."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import typer

from ..sweeps import FullDiskError


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


def broken(error: Exception) -> typer.Exit:
    """Print what stopped the command, which was asked rightly; to be raised."""
    full = isinstance(error, FullDiskError)
    return fail(1, f"{error.strerror if full else error}")


def stopped(
    error: KeyboardInterrupt, command: Sequence[str], options: Mapping[str, Any]
) -> typer.Exit:
    """Print with which command to go on after Ctrl-C; to be raised.

    **Arguments:** `options`: by name their value, or several; `True` for a flag;
    `None` or `False` for what was not given.
    """
    words = [*command]
    for name, given in options.items():
        for value in given if isinstance(given, list) else [given]:
            if value is not None and value is not False:
                words += [name] if value is True else [name, f"{value}"]
    again = shlex.join(words)
    return fail(130, f"{str(error) or 'Stopped.'}\nTo go on: {again}")
