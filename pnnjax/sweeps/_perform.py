"""What a worker makes of a job: the rows of its points."""

import functools
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import zoo
from .._diagnose import NonFiniteError
from .._history import History
from ._point import Job, Point, Row


def performing(code: str) -> Callable[[Job], list[Row]]:
    """The work of a sweep whose points are kept under the keys of this code version."""
    return functools.partial(perform, code=code)


def perform(job: Job, code: str) -> list[Row]:
    """The rows of the job's points, in their order: as found, or with their error."""
    return [alone(point, code) for point in job.points]


def alone(point: Point, code: str) -> Row:
    """The row of a point that is run by itself."""
    begun = time.perf_counter()
    try:
        study = point.configured()
        outcome = zoo.run(study, seed=point.seed, progress=False)
        found = {"value": float(outcome.value), **_of_history(outcome.history)}
        return row_of(point, code, study, time.perf_counter() - begun, found)
    except Exception as error:
        found: Row = {"error": in_words(error)}
        if isinstance(error, NonFiniteError):
            found |= _of_history(error.history)
        return row_of(point, code, None, time.perf_counter() - begun, found)


def row_of(point: Point, code: str, study: Any, seconds: float, found: Row) -> Row:
    """A row with what `found` says, and nothing in the other columns."""
    return {
        "key": point.key(code),
        "experiment": point.experiment,
        "estimator": point.estimator,
        "seed": point.seed,
        **{f"set.{name}": value for name, value in point.settings.items()},
        "value": None,
        "figure": None if study is None else study.figure,
        "seconds": seconds,
        "error": None,
        **found,
    }


def in_words(error: BaseException) -> str:
    """Its kind and what it says."""
    return f"{type(error).__name__}: {error}"


def _of_history(history: History | None) -> Row:
    if history is None:
        return {}
    return {
        "loss": np.asarray(history.loss, float).tolist(),
        "steps": np.asarray(history.steps, int).tolist(),
        **{
            f"metric.{name}": np.asarray(values, float).tolist()
            for name, values in history.metrics.items()
        },
    }
