"""What a worker makes of a job: the rows of its points."""

import functools
import time
import warnings
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import numpy as np

from .. import zoo
from .._diagnose import NonFiniteError
from .._history import History
from ..zoo._settings import check
from ._code_version import numerics
from ._fleet import Course, Fleet, Lane, train
from ._point import Job, Point, Row
from ._same_shape import fleet_for, inner, lanes_of, prebuilt


def performing(code: str) -> Callable[[Job], list[Row]]:
    """The work of a sweep whose points are kept under the keys of this code version."""
    return functools.partial(perform, code=code)


def perform(job: Job, code: str) -> list[Row]:
    """The rows of the job's points, in their order: as found, or with their error.

    **Warns:** if they could not be trained together after all. Each is then run alone.
    """
    if job.size > 1:
        try:
            return _together(job, code)
        except Exception as error:
            kind, text = type(error).__name__, str(error)
        warnings.warn(
            f"{len(job.points)} points of `{job.points[0].experiment}` are run one by "
            f"one. Together, they failed: {kind}: {text}",
            stacklevel=2,
        )
    return [_alone(point, code) for point in job.points]


def _alone(point: Point, code: str) -> Row:
    begun, study = time.perf_counter(), None
    try:
        study = point.configured()
        outcome = zoo.run(study, seed=point.seed, progress=False)
        found = {"value": float(outcome.value), **_of_history(outcome.history)}
    except Exception as error:
        found: Row = {"error": f"{type(error).__name__}: {error}"}
        if isinstance(error, NonFiniteError):
            found |= _of_history(error.history)
    return _row(point, code, study, time.perf_counter() - begun, found)


def _together(job: Job, code: str) -> list[Row]:
    begun = time.perf_counter()
    studies = [point.configured() for point in job.points]
    for study in studies:
        check(inner(study))
    fill = job.size - len(studies)
    seeds = [point.seed for point in job.points]
    filled = studies + studies[-1:] * fill
    fleet, lanes = _fleet(job, filled, seeds + seeds[-1:] * fill)
    courses = train(fleet, lanes, filled)
    seconds = (time.perf_counter() - begun) / len(studies)
    return [
        _row(point, code, study, seconds, _of_course(course))
        for point, study, course in zip(job.points, studies, courses, strict=False)
    ]


_kept: deque[tuple[Any, Fleet]] = deque(maxlen=4)
"""What this process compiled last: the next job may be of the same family."""


def _fleet(
    job: Job, studies: Sequence[Any], seeds: Sequence[int]
) -> tuple[Fleet, Lane]:
    family = _family(job)
    for known, fleet in _kept:
        if known == family:
            lanes = lanes_of(studies, seeds, job.traced)
            if fleet.family.static is None:
                return fleet, lanes
            static, lanes = prebuilt(studies, lanes)
            if eqx.tree_equal(static, fleet.family.static):
                return fleet, lanes
    fleet, lanes = fleet_for(studies, seeds, job.traced, job.exact)
    _kept.append((family, fleet))
    return fleet, lanes


def _family(job: Job) -> Any:
    point = job.points[0]
    shared = {n: v for n, v in point.settings.items() if n not in job.traced}
    asked = point.experiment, point.estimator, shared, job.traced, job.exact
    return *asked, numerics()


def _row(point: Point, code: str, study: Any, seconds: float, found: Row) -> Row:
    return {
        "key": point.key(code),
        "experiment": point.experiment,
        "estimator": point.estimator,
        "seed": point.seed,
        **{f"set.{name}": value for name, value in point.settings.items()},
        "value": None,
        "figure": None if study is None else inner(study).figure,
        "less_is_better": None if study is None else inner(study).less_is_better,
        "seconds": seconds,
        "error": None,
        **found,
    }


def _of_history(history: History | None) -> Row:
    if history is None:
        return {}
    return _columns(history.loss, history.steps, history.metrics)


def _of_course(course: Course) -> Row:
    row = _columns(course.loss, course.steps, course.metrics)
    if course.failed:
        at = f"Step {course.failed} is not finite (loss {course.bad:.4g})"
        return {**row, "error": f"NonFiniteError: {at}"}
    figure = next(iter(course.metrics.values()))
    return {**row, "value": figure[-1]}


def _columns(loss: Any, steps: Any, metrics: Any) -> Row:
    values = {f"metric.{name}": found for name, found in metrics.items()}
    return {
        "loss": np.asarray(loss, float).tolist(),
        "steps": np.asarray(steps, int).tolist(),
        **{name: np.asarray(found, float).tolist() for name, found in values.items()},
    }
