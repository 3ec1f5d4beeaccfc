"""Which points a sweep has: every combination of what is given."""

import ast
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import equinox as eqx
import numpy as np

from .. import zoo
from ..zoo import _registry
from ..zoo._settings import PRESET, explicit, settings_of
from ._point import Point
from ._rule import rule_of

OWN = "own"
"""The experiment's own estimator, where it must have a name."""

Seeds = int | Iterable[int]
Experiment = str | type[zoo.AbstractStudy]


class GridError(ValueError):
    """A grid of which no point can be made."""


class Grid(eqx.Module):
    """Every combination of experiments, settings, estimators and seeds.

    Everything is checked here, before anything runs.
    """

    experiments: tuple[str, ...]
    settings: Mapping[str, tuple[Any, ...]]
    estimators: tuple[str | None, ...]
    seeds: Sequence[int]

    def __init__(
        self,
        experiment: Experiment | Sequence[Experiment],
        *,
        settings: Mapping[str, Any] | None = None,
        estimators: Iterable[str | None] = (None,),
        seeds: Seeds = 1,
    ):
        """**Arguments:** `experiment`: a name of `zoo.names()`, `"module:Class"`, a
        class, or several. `settings`: by name one value, or several. `estimators`:
        calls such as `"SPSA(samples=8)"`; `None` or `"own"` is the experiment's own.
        `seeds`: which ones, or how many from 0 on.

        **Raises:** `zoo.UnknownExperimentError`, `zoo.SettingError`, `RuleError`;
        `GridError` if something is empty, or no whole number where one is needed.
        """
        one = isinstance(experiment, str | type)
        named = [experiment] if one else experiment
        self.experiments = tuple(dict.fromkeys(_known_name(each) for each in named))
        given = {name: _listed(v) for name, v in (settings or {}).items()}
        self.seeds = _seeds(seeds)
        self.estimators = tuple(dict.fromkeys(_estimator(e) for e in estimators))
        sizes = {name: len(values) for name, values in given.items()} | {
            "experiment": len(self.experiments),
            "estimators": len(self.estimators),
            "seeds": len(self.seeds),
        }
        for name, size in sizes.items():
            if size == 0:
                raise GridError(
                    f"The grid is empty: `{name}` has no value. Give one at least, or "
                    "leave it out."
                )
        kinds = [zoo.find(name) for name in self.experiments]
        for name, kind in itertools.product(given, kinds):
            _parsed(kind, name, given[name])
        self.settings = {name: _once(values) for name, values in given.items()}
        if self.estimators != (None,):
            for kind in kinds:
                _check_trains(kind)

    def count(self) -> int:
        """How many points it has, at most; makes none of them."""
        values = math.prod(map(len, self.settings.values()))
        sizes = map(len, (self.experiments, self.estimators, self.seeds))
        return values * math.prod(sizes)

    def seconds(self) -> float:
        """About how long they take, each by itself, on two CPU cores (s)."""
        kinds = [zoo.find(name) for name in self.experiments]
        return sum(self.count() / len(kinds) * _duration(k, self) for k in kinds)

    def points(self) -> Iterator[Point]:
        """In the order of what was given, the seed changing fastest."""
        for name in self.experiments:
            kind = zoo.find(name)
            combinations = list(_combinations(kind, self.settings))
            for rule, settings in itertools.product(self.estimators, combinations):
                for seed in self.seeds:
                    yield Point(name, settings, rule, seed)

    def described(self) -> dict[str, Any]:
        """As JSON values, of which `Grid.of` makes it again."""
        seeds: Any = list(self.seeds)
        if isinstance(self.seeds, range):
            seeds = {"from": self.seeds.start, "to": self.seeds.stop}
            seeds |= {"by": self.seeds.step}
        return {
            "experiment": list(self.experiments),
            "settings": {name: list(values) for name, values in self.settings.items()},
            "estimators": list(self.estimators),
            "seeds": seeds,
        }

    @classmethod
    def of(cls, described: Mapping[str, Any]) -> "Grid":
        """What `described` describes."""
        seeds = described["seeds"]
        if isinstance(seeds, Mapping):
            seeds = range(seeds["from"], seeds["to"], seeds["by"])
        return cls(
            described["experiment"],
            settings=described["settings"],
            estimators=described["estimators"],
            seeds=seeds,
        )


class Sweep(eqx.Module):
    """Several grids; a point that is in two of them is run once."""

    grids: tuple[Grid, ...]

    def __init__(self, *grids: Grid):
        """**Raises:** `GridError` if there is no grid."""
        if not grids:
            raise GridError("The sweep is empty: give it a grid at least.")
        self.grids = grids

    def count(self) -> int:
        """How many points it has, at most; makes none of them."""
        return sum(grid.count() for grid in self.grids)

    def seconds(self) -> float:
        """About how long they take, each by itself, on two CPU cores (s)."""
        return sum(grid.seconds() for grid in self.grids)

    def points(self) -> list[Point]:
        """In order, each once."""
        found = {}
        for grid in self.grids:
            for point in grid.points():
                found.setdefault(point.key(""), point)
        return list(found.values())

    def described(self) -> list[dict[str, Any]]:
        """As JSON values, of which `Sweep.of` makes it again."""
        return [grid.described() for grid in self.grids]

    @classmethod
    def of(cls, described: Iterable[Mapping[str, Any]]) -> "Sweep":
        """What `described` describes."""
        return cls(*(Grid.of(grid) for grid in described))


def _known_name(experiment: Experiment) -> str:
    """By which name any process finds it, also one that has registered nothing."""
    if isinstance(experiment, str):
        zoo.find(experiment)
        target = _registry._MODULES.get(experiment, experiment)
        return experiment if target.startswith("pnnjax.") else target
    target = f"{experiment.__module__}:{experiment.__qualname__}"
    ours = target.startswith("pnnjax.") and experiment.name in zoo.names()
    return experiment.name if ours else target


def _listed(values: Any) -> list[Any]:
    one = isinstance(values, str | Mapping) or not isinstance(values, Iterable)
    return [_plain(value) for value in ([values] if one else values)]


def _once(values: Iterable[Any]) -> tuple[Any, ...]:
    # By their text: 1 and true are equal, and are not the same.
    return tuple({repr(value): value for value in values}.values())


def _parsed(
    kind: type[zoo.AbstractStudy], name: str, values: Iterable[Any]
) -> tuple[dict[str, Any], ...]:
    """The fields that each value of this setting sets."""
    return _once(explicit(kind, {name: value}) for value in values)


def _combinations(
    kind: type[zoo.AbstractStudy], settings: Mapping[str, tuple[Any, ...]]
) -> Iterator[dict[str, Any]]:
    """What differs from the defaults, for each choice of values."""
    defaults = {name: known.default for name, known in settings_of(kind).items()}
    # A preset first: what is given explicitly wins over it.
    names = sorted(settings, key=lambda name: name != PRESET)
    fields = [_parsed(kind, name, settings[name]) for name in names]
    for choice in itertools.product(*fields):
        chosen = {name: v for part in choice for name, v in part.items()}
        yield {n: v for n, v in chosen.items() if repr(v) != repr(defaults[n])}


def _plain(value: Any) -> Any:
    """A NumPy number as Python's."""
    return value.item() if isinstance(value, np.generic) else value


def _estimator(text: str | None) -> str | None:
    """Checked, and written as everyone would."""
    if text is None or text == OWN:
        return None
    rule_of(text)
    return ast.unparse(ast.parse(text.strip(), mode="eval"))


def _check_trains(kind: type[zoo.AbstractStudy]) -> None:
    if not issubclass(kind, zoo.AbstractTraining):
        raise GridError(
            f"`{kind.name}` is no training run of one model: it takes no other "
            "estimator. Give `estimators` only to those that are."
        )


def _seeds(seeds: Any) -> Sequence[int]:
    if isinstance(seeds, int) and not isinstance(seeds, bool):
        seeds = range(seeds)
    listed = seeds if isinstance(seeds, range) else _listed(seeds)
    # Of a range, however long, the first and the last say all.
    for seed in listed[:: max(1, len(listed) - 1)] if listed is seeds else listed:
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            raise GridError(
                f"`seeds` can't have {seed!r}: each is a whole number, at least 0. One "
                "number alone says how many, from 0 on."
            )
    return listed if isinstance(listed, range) else tuple(dict.fromkeys(listed))


def _duration(kind: type[zoo.AbstractStudy], grid: Grid) -> float:
    known = settings_of(kind).get("epochs")
    if known is None or "epochs" not in grid.settings:
        return kind.duration
    values = [
        epochs["epochs"] for epochs in _parsed(kind, "epochs", grid.settings["epochs"])
    ]
    return kind.duration * sum(values) / len(values) / known.default
