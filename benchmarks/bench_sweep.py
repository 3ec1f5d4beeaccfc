"""Many trainings in one compiled program, beside one after the other.

`python bench_sweep.py --plan` lists, for every experiment of the zoo, in which settings
trainings that are compiled together may differ, and what keeps the others apart.
"""

import argparse
import dataclasses
from collections.abc import Iterable

from pnnjax import zoo
from pnnjax.sweeps import Point
from pnnjax.sweeps._planning import plan
from pnnjax.zoo._settings import settings_of


def points(name: str) -> Iterable[Point]:
    """Two seeds, and two values of each setting that is a number, one at a time."""
    settings = settings_of(zoo.find(name)).values()
    yield from (Point(name, {}, None, seed) for seed in (0, 1))
    for known in settings:
        if isinstance(known.default, float):
            other = 0.9 * known.default or 0.1
            yield Point(name, {known.name: other}, None, 0)


def print_plan(names: Iterable[str]) -> None:
    for name in names:
        planned = plan(list(points(name)))
        traced = sorted({s for job in planned.jobs for s in job.traced})
        together = max(job.size for job in planned.jobs) > 1
        print(f"{name}: {', '.join(['seed', *traced]) if together else 'one by one'}")
        for apart in planned.apart:
            print(f"    {apart.setting}: {apart.reason}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--plan", action="store_true")
    parser.add_argument("names", nargs="*")
    given = parser.parse_args()
    if given.plan:
        print_plan(given.names or zoo.names())


if __name__ == "__main__":
    main()
