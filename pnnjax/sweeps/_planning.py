"""Which points of a sweep are compiled together, and which are not and why."""

from collections.abc import Sequence
from typing import NamedTuple

from ._point import Job, Point

AT_MOST = 64
"""Points in a job, unless said otherwise: a killed sweep loses no more than these."""


class Apart(NamedTuple):
    """A setting in which points of one job can't differ."""

    experiment: str
    setting: str
    """Or `seed`: no two points of the experiment can be compiled together."""
    reason: str


class Plan(NamedTuple):
    """How the points of a sweep are run."""

    jobs: list[Job]
    apart: list[Apart]


def plan(points: Sequence[Point], *, at_most: int | None = None) -> Plan:
    """Jobs with every point once; the same ones wherever they will run.

    **Arguments:** `at_most`: points in a job, `AT_MOST` by default.
    """
    return Plan([Job((point,), (), 1) for point in points], [])
