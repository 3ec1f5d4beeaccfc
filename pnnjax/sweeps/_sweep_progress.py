"""What a sweep shows while it runs."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Report = Callable[[int, int], None]
"""Called after each job: with how many points are done in all, and how many failed."""


@contextmanager
def sweep_report(
    title: str, points: int, start: int, enabled: bool
) -> Iterator[Report]:
    """Shows `points` points on standard error, of which `start` were there before.

    A terminal gets a live bar with the time left, anything else a line now and then.
    """
    if not enabled:
        yield lambda done, failed: None
        return
    console = stderr()
    if console.is_terminal:
        with _bar(console, title, points, start) as report:
            yield report
    else:
        yield _lines(console, title, points)


def stderr() -> Any:
    """Where progress and warnings go: plain text, nothing of it markup."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, markup=False)


@contextmanager
def _bar(console: Any, title: str, points: int, start: int) -> Iterator[Report]:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn(title),
        MofNCompleteColumn(),
        BarColumn(bar_width=None),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        TextColumn("left:"),
        TimeRemainingColumn(),
    )
    # Over an hour: one job may take minutes.
    with Progress(*columns, console=console, speed_estimate_period=3600) as progress:
        task = progress.add_task("starting", total=points, completed=start)

        def report(done: int, failed: int) -> None:
            progress.update(task, completed=done, description=f"{failed} failed")

        yield report


def _lines(console: Any, title: str, points: int) -> Report:
    began, printed = time.monotonic(), -math.inf
    # The first jobs have waited for workers and compilers; the others tell the pace.
    first: tuple[float, int] | None = None

    def report(done: int, failed: int) -> None:
        nonlocal printed, first
        now = time.monotonic()
        if first is None:
            first = now, done
        if done < points and now - printed < 5:
            return
        printed = now
        left = ""
        if done > first[1]:
            pace = (now - first[0]) / (done - first[1])
            left = f", {pace * (points - done):.0f} s left"
        console.print(
            f"{title} {done}/{points}  {failed} failed  {now - began:.0f} s{left}",
            soft_wrap=True,
        )

    return report
