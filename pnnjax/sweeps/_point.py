"""One point of a sweep: what is run once, and the key that its row is kept under."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from .. import zoo
from ._rule import with_rule


class Point(NamedTuple):
    """An experiment with all that decides its numbers."""

    experiment: str
    """As `zoo.find` takes it."""
    settings: Mapping[str, Any]
    """Those that differ from the experiment's defaults, as values."""
    estimator: str | None
    """A call, such as `"SPSA(samples=8)"`, in place of the experiment's own rule."""
    seed: int

    def configured(self) -> zoo.AbstractStudy:
        """The experiment.

        **Raises:** `zoo.UnknownExperimentError`, `zoo.SettingError`, or `RuleError`.
        """
        study = zoo.configure(zoo.find(self.experiment), self.settings)
        return study if self.estimator is None else with_rule(study, self.estimator)

    def key(self, code: str) -> str:
        """A digest of the point and of the version of the code, `code_version()`."""
        content = json.dumps([code, *self], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:32]


class Job(NamedTuple):
    """Points that one worker runs in one go, and whose rows are written together."""

    points: tuple[Point, ...]
    """One, or several of the same experiment, estimator and shapes."""
    traced: tuple[str, ...]
    """Settings that are arrays in the compiled program: the points may differ in them,
    and in their seeds. Empty, with one point, for what can't be compiled together."""
    size: int
    """How many points the compiled program holds, those that only fill it included."""
    exact: bool = False
    """They take turns in it, each rounded as if it were alone; otherwise, `vmap`."""


Row = dict[str, Any]
"""What became of a point. Always `key`, `experiment`, `estimator`, `seed`, a column
`set.NAME` for each of `Point.settings`, `value` (the experiment's figure), `figure`
(what it is), `less_is_better` (of it), `seconds`, `error` (`None`, or what went wrong).
A training run adds `loss` (a list, one a step), `steps` (a list: after how many each
evaluation was made) and `metric.NAME` (a list, one an evaluation)."""

UNEQUAL = ("seconds", "job", "worker")
"""Columns in which two runs of the same sweep may differ."""
