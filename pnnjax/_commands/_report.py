"""`pnnjax report`: a page of a sweep or a run."""

from pathlib import Path
from typing import Annotated

import typer

from .. import zoo
from ._terminal import broken, console, fail


def report(
    folder: Annotated[Path, typer.Argument(help="Of a sweep, finished or not; a run.")],
    out: Annotated[
        Path | None, typer.Option(help="The page; or else NAME.html beside NAME.")
    ] = None,
) -> None:
    """Write a page of pictures and sortable tables: one HTML file."""
    from ..sweeps import report as write

    try:
        path = write(folder, out)
    except zoo.FolderError as error:
        raise fail(2, str(error)) from error
    except OSError as error:
        raise broken(error) from error
    console().print(f"Written to {path}", soft_wrap=True)
