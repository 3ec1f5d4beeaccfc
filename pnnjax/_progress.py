"""What a training run shows while it runs."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ._history import History

Report = Callable[[History], None]
"""Called after each compiled call and each evaluation, with all that is known."""


@contextmanager
def progress_report(steps: int, start: int, enabled: bool) -> Iterator[Report]:
    """Shows `steps` steps of training on standard error, of which `start` are done.

    A terminal gets a live bar with loss, metrics and the time left, anything else a
    line for each evaluation, once a second at most.
    """
    if not enabled:
        yield lambda history: None
        return
    from rich.console import Console

    console = Console(stderr=True)
    if console.is_terminal:
        with bar(console, "step", steps, start) as update:
            yield lambda history: update(len(history.loss), _summary(history))
    else:
        yield _lines(console, steps)


@contextmanager
def bar(
    console: Any, title: str, total: int, done: int, told: float = 30.0
) -> Iterator[Callable[[int, str], None]]:
    """A live bar: the function takes how many are done, and what else to say.

    The time left is told from the pace of the last `told` seconds.
    """
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
    with Progress(*columns, console=console, speed_estimate_period=told) as progress:
        task = progress.add_task("starting", total=total, completed=done)
        yield lambda done, said: progress.update(task, completed=done, description=said)


def _lines(console: Any, steps: int) -> Report:
    printed = -math.inf

    def report(history: History) -> None:
        nonlocal printed
        done, now = len(history.loss), time.monotonic()
        evaluated = len(history.steps) > 0 and history.steps[-1] == done
        complete = done == steps and (evaluated or not history.metrics)
        if complete or (evaluated and now - printed >= 1):
            printed = now
            line = f"step {done}/{steps}  {_summary(history)}  {history.seconds:.1f} s"
            console.print(line, soft_wrap=True, highlight=False)

    return report


def _summary(history: History) -> str:
    recent = history.loss[-20:]
    shown = [f"loss {recent.mean():.4g}"] if len(recent) else []
    if len(history.steps):
        shown += [f"{name} {value:.4g}" for name, value in history.final().items()]
    return "  ".join(shown)
