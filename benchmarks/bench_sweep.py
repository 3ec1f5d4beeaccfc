"""Many trainings in one compiled program, beside one after the other.

`python bench_sweep.py` trains digits-ep with 64 seeds and 8 values of beta three ways:

- together: one compiled call for all points, and the same in chunks of 64
- alone: `zoo.run` point after point in one process, as a user's loop does, which
  compiles each time
- size 1: point after point through a program that is compiled once

and prints medians over points spread over the grid, with the largest difference of
their losses and accuracies. Pin it to one core for the single-threaded figures:
`taskset -c 0 python ...`.

`python bench_sweep.py --plan` lists, for every experiment of the zoo, in which settings
trainings that are compiled together may differ, and what keeps the others apart.
"""

import argparse
import os
import statistics
import time
from collections.abc import Iterable, Sequence

import numpy as np

from pnnjax import zoo
from pnnjax.sweeps import Job, Point
from pnnjax.sweeps._fleet import train
from pnnjax.sweeps._perform import perform
from pnnjax.sweeps._planning import plan
from pnnjax.sweeps._same_shape import fleet_for, lanes_of
from pnnjax.zoo._settings import settings_of

SEEDS = 64
BETAS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0)


def grid(epochs: int) -> list[Point]:
    """64 seeds × 8 values of beta."""
    return [
        Point("digits-ep", {"beta": beta, "epochs": epochs}, None, seed)
        for seed in range(SEEDS)
        for beta in BETAS
    ]


def one_by_one(points: Sequence[Point]) -> tuple[list[float], list[dict]]:
    """Seconds of each, and the rows."""
    rows = [perform(Job((point,), (), 1), "")[0] for point in points]
    return [row["seconds"] for row in rows], rows


def through_one_program(points: Sequence[Point]) -> list[float]:
    """Seconds of each, without those of compiling."""
    studies = [point.configured() for point in points]
    fleet, lanes = fleet_for(studies[:1], [points[0].seed], ["beta"])
    train(fleet, lanes, studies[:1])
    seconds = []
    for point, study in zip(points, studies, strict=True):
        begun = time.perf_counter()
        train(fleet, lanes_of([study], [point.seed], ["beta"]), [study])
        seconds.append(time.perf_counter() - begun)
    return seconds


def together(points: Sequence[Point], at_most: int) -> tuple[float, float, list[dict]]:
    """Seconds in all, planning and compiling included; without these; the rows."""
    begun = time.perf_counter()
    jobs = plan(points, at_most=at_most).jobs
    rows = [row for job in jobs for row in perform(job, "")]
    whole = time.perf_counter() - begun
    begun = time.perf_counter()
    for job in jobs:
        perform(job, "")
    return whole, time.perf_counter() - begun, rows


def difference(some: Sequence[dict], others: Sequence[dict]) -> float:
    """The largest, of any loss and any accuracy."""
    return max(
        np.abs(np.subtract(one[name], other[name])).max()
        for one, other in zip(some, others, strict=True)
        for name in ("loss", "metric.accuracy")
    )


def print_speed(epochs: int, sample: int) -> None:
    points = grid(epochs)
    chosen = range(0, len(points), len(points) // sample)
    some = [points[(i + i // len(BETAS)) % len(points)] for i in chosen]
    print(
        f"{len(points)} points of {epochs} epochs; {len(some)} of them alone;", end=" "
    )
    print(f"{len(os.sched_getaffinity(0))} cores")
    alone, rows = one_by_one(some)
    warm = through_one_program(some)
    each = {"alone": statistics.median(alone), "size 1": statistics.median(warm)}
    for name, seconds in each.items():
        print(f"{name:12} {seconds * 1e3:8.1f} ms a point")
    for at_most in (len(points), 64):
        whole, again, all_rows = together(points, at_most)
        found = {row["key"]: row for row in all_rows}
        worst = difference([found[row["key"]] for row in rows], rows)
        print(
            f"{at_most:4} in one   {whole / len(points) * 1e3:8.1f} ms a point, "
            f"{whole - again:.1f} s of it planning and compiling; "
            f"{again / len(points) * 1e3:.1f} ms when compiled; "
            f"{each['alone'] * len(points) / whole:.1f} x faster than alone, "
            f"{each['size 1'] * len(points) / again:.2f} x than size 1; "
            f"largest difference {worst:.1e}",
            flush=True,
        )


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
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--sample", type=int, default=32)
    parser.add_argument("names", nargs="*", help="experiments to plan; all by default")
    given = parser.parse_args()
    if given.plan:
        print_plan(given.names or zoo.names())
    else:
        print_speed(given.epochs, given.sample)


if __name__ == "__main__":
    main()
