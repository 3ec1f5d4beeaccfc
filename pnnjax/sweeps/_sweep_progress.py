"""What a sweep shows while it runs."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .._progress import bar

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
        # Over an hour: one job may take minutes.
        with bar(console, title, points, start, 3600) as update:
            yield lambda done, failed: update(done, f"{failed} failed")
    else:
        yield _lines(console, title, points)


def stderr() -> Any:
    """Where progress and warnings go: plain text, nothing of it markup."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, markup=False)


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
