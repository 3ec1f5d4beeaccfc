"""Many trainings in one compiled program, beside one after the other.

`python bench_sweep.py` trains digits-ep with 64 seeds and 8 values of beta three ways:

- together: one vmapped call for all points, and the same in chunks of 64; then in such
  chunks, points that take turns in the compiled call (`exact`)
- alone: `zoo.run` point after point in one process, as a user's loop does, which
  compiles each time
- size 1: point after point through a program that is compiled once

and prints medians over points spread over the grid, with the largest difference of
their losses and accuracies, at the end also in double precision. Pin it
to one core for the single-threaded figures: `taskset -c 0 python ...`.

`python bench_sweep.py --plan` lists, for every experiment of the zoo, in which settings
trainings that are compiled together may differ, and what keeps the others apart.
"""

import argparse
import contextlib
import os
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from pnnjax import data, zoo
from pnnjax.sweeps import Job, Point, Row
from pnnjax.sweeps._fleet import train
from pnnjax.sweeps._perform import perform
from pnnjax.sweeps._planning import plan
from pnnjax.sweeps._same_shape import fleet_for, lanes_of
from pnnjax.zoo._settings import settings_of

SEEDS = 64
BETAS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)


def grid(epochs: int) -> list[Point]:
    """64 seeds × 8 values of beta."""
    return [
        Point("digits-ep", {"beta": beta, "epochs": epochs}, None, seed)
        for seed in range(SEEDS)
        for beta in BETAS
    ]


def clock() -> float:
    """On one core, what others do on it does not count."""
    alone = len(os.sched_getaffinity(0)) == 1
    return time.process_time() if alone else time.perf_counter()


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and what it returns."""
    begun = clock()
    result = function()
    return clock() - begun, result


def one_by_one(points: Sequence[Point]) -> tuple[float, list[Row]]:
    """Median seconds of a point, and the rows."""
    found = [timed(lambda p=p: perform(Job((p,), (), 1), "")[0]) for p in points]
    return statistics.median(seconds for seconds, _ in found), [row for _, row in found]


def through_one_program(points: Sequence[Point]) -> float:
    """Median seconds of a point, without those of compiling."""
    studies = [point.configured() for point in points]
    fleet, lanes = fleet_for(studies[:1], [points[0].seed], ["beta"])
    train(fleet, lanes, studies[:1])

    def run(point: Point, study: Any) -> None:
        train(fleet, lanes_of([study], [point.seed], ["beta"]), [study])

    pairs = list(zip(points, studies, strict=True))
    return statistics.median(timed(lambda p=p: run(*p))[0] for p in pairs)


def together(
    points: Sequence[Point], at_most: int, exact: bool = False
) -> tuple[float, float, list[Row]]:
    """Seconds a point, planning and compiling included; without; the rows."""
    planning, planned = timed(lambda: plan(points, at_most=at_most, exact=exact))
    runs = [timed(lambda job=job: perform(job, "")) for job in planned.jobs]
    again = [seconds for seconds, _ in runs[1:]]
    if not again:
        again = [timed(lambda: perform(planned.jobs[0], ""))[0]]
    whole = planning + sum(seconds for seconds, _ in runs)
    compiled = statistics.median(again) / planned.jobs[0].size
    return whole / len(points), compiled, [row for _, rows in runs for row in rows]


@contextlib.contextmanager
def in_double() -> Iterator[None]:
    """JAX, and the digits, which are in single precision whatever JAX is in."""
    load = data.digits

    def digits() -> data.Dataset:
        found = load()
        train, test = found.train_x.astype(float), found.test_x.astype(float)
        return found._replace(train_x=train, test_x=test)

    data.digits = digits
    try:
        with jax.enable_x64(True):
            yield
    finally:
        data.digits = load


def differences(some: Sequence[Row], others: Sequence[Row]) -> str:
    """Of losses, and of accuracies: these may change by an image."""
    pairs = list(zip(some, others, strict=True))
    loss = max(np.abs(np.subtract(a["loss"], b["loss"])).max() for a, b in pairs)
    accuracy = [
        np.subtract(a["metric.accuracy"], b["metric.accuracy"]) for a, b in pairs
    ]
    return (
        f"largest difference of a loss {loss:.1e}; of {np.size(accuracy)} accuracies "
        f"{np.count_nonzero(accuracy)} differ, by {np.abs(accuracy).max():.1e} at most"
    )


def print_speed(epochs: int, sample: int) -> None:
    points = grid(epochs)
    stride = len(points) // sample
    some = [points[i + i // stride % len(BETAS)] for i in range(0, len(points), stride)]
    cores = len(os.sched_getaffinity(0))
    print(f"{len(points)} points, {epochs} epochs; {len(some)} alone; {cores} cores")
    alone, rows = one_by_one(some)
    warm = through_one_program(some)
    print(f"   alone: {alone * 1e3:.1f} ms a point", flush=True)
    print(f"  size 1: {warm * 1e3:.1f} ms a point, when compiled", flush=True)
    for at_most, exact in ((len(points), False), (64, False), (64, True)):
        whole, compiled, every = together(points, at_most, exact)
        how = "exact" if exact else "in one"
        found = {row["key"]: row for row in every}
        print(
            f"{at_most:4} {how}: {whole * 1e3:.1f} ms a point, {alone / whole:.1f} x "
            f"faster than alone; when compiled {compiled * 1e3:.1f} ms, "
            f"{warm / compiled:.2f} x faster than size 1;\n          "
            f"{differences([found[row['key']] for row in rows], rows)}",
            flush=True,
        )
    few = some[:: max(1, sample // 4)]
    with in_double():
        found = together(few, len(few))[2], one_by_one(few)[1]
    print(f"in double precision, {len(few)} points: {differences(*found)}")


def points_of(name: str) -> Iterable[Point]:
    """Two seeds, and two values of each setting that is a number, one at a time."""
    yield from (Point(name, {}, None, seed) for seed in (0, 1))
    for known in settings_of(zoo.find(name)).values():
        if isinstance(known.default, float):
            other = 0.9 * known.default or 0.1
            yield Point(name, {known.name: other}, None, 0)


def print_plan(names: Iterable[str]) -> None:
    for name in names:
        planned = plan(list(points_of(name)))
        traced = sorted({s for job in planned.jobs for s in job.traced})
        several = max(job.size for job in planned.jobs) > 1
        print(f"{name}: {', '.join(['seed', *traced]) if several else 'one by one'}")
        for apart in planned.apart:
            print(f"    {apart.setting}: {apart.reason}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plan", action="store_true")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--sample", type=int, default=16)
    parser.add_argument("names", nargs="*", help="experiments to plan; all by default")
    given = parser.parse_args()
    if given.plan:
        print_plan(given.names or zoo.names())
    else:
        print_speed(given.epochs, given.sample)


if __name__ == "__main__":
    main()
