"""Which points of a sweep are compiled together, and which are not and why."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ..zoo._settings import values_of
from ._chunks import size_of
from ._fleet import Fleet, Lane, with_settings
from ._point import Job, Point
from ._same_shape import ApartError, fleet_for, inner

AT_MOST = 64
"""Points in a job, unless said otherwise: a killed sweep loses no more than these."""


class Apart(NamedTuple):
    """A setting in which points that are compiled together can't differ."""

    experiment: str
    setting: str
    """Or `seed`: no two of these points can be compiled together."""
    reason: str


class Plan(NamedTuple):
    """How the points of a sweep are run."""

    jobs: list[Job]
    apart: list[Apart]


def plan(
    points: Sequence[Point], *, at_most: int | None = None, exact: bool = False
) -> Plan:
    """Jobs that hold each point once: the same ones wherever they will run.

    Points that differ in their seeds and in numbers, such as a learning rate, are
    compiled together where the experiment allows: tracing it shows in which ones.

    **Arguments:** `at_most`: points in a job, `AT_MOST` by default. `exact`: points of
    a job take turns, each rounded as if it were alone; otherwise, they are vmapped.
    """
    most = AT_MOST if at_most is None else at_most
    if most < 1:
        raise ValueError(f"`at_most={most}` must be at least 1.")
    jobs, apart = [], {}
    for group in _grouped(map(_configured, points), _but_numbers):
        for names, trial, members, reasons in _families(group):
            made = _jobs(names, trial, members, most)
            jobs += [job._replace(exact=exact) for job in made]
            apart |= dict.fromkeys(reasons)
    return Plan(jobs, list(apart))


class _Member(NamedTuple):
    point: Point
    study: Any
    """`None` if there is none with such settings."""
    settings: Mapping[str, Any]


_Trial = tuple[Fleet, Lane]


def _configured(point: Point) -> _Member:
    try:
        study = point.configured()
    except ValueError:
        return _Member(point, None, point.settings)
    return _Member(point, study, values_of(inner(study)))


def _but_numbers(member: _Member) -> Any:
    point, settings = member.point, member.settings
    others = {n: v for n, v in settings.items() if not isinstance(v, float)}
    numbers = sorted(set(settings) - set(others))
    return point.experiment, point.estimator, others, numbers, member.study is None


def _families(
    group: list[_Member],
) -> Iterable[tuple[tuple[str, ...], _Trial | None, list[_Member], list[Apart]]]:
    """The settings that are arrays, the programs, the points, what is not an array."""
    settings = group[0].settings
    values = {
        name: list(dict.fromkeys(member.settings[name] for member in group))
        for name, value in settings.items()
        if isinstance(value, float)
    }
    varied = {name: found for name, found in values.items() if len(found) > 1}
    if len(group) == 1 or group[0].study is None:
        yield (), None, group, []
        return
    trial, reasons = _found(group, varied)
    names = () if trial is None else trial[0].family.traced
    rest = [name for name in varied if name not in names]
    for members in _grouped(group, lambda m: [m.settings[name] for name in rest]):
        yield names, trial, members, reasons


def _found(
    group: list[_Member], varied: Mapping[str, list[float]]
) -> tuple[_Trial | None, list[Apart]]:
    """The programs with as many of the varied settings as can be arrays."""
    point, study = group[0].point, group[0].study
    seeds = list(dict.fromkeys(member.point.seed for member in group))[:2]

    def attempt(names: Sequence[str]) -> _Trial | str:
        samples = [study] + [
            with_settings(study, [name], [value])
            for name in names
            for value in varied[name]
            if value != getattr(inner(study), name)
        ]
        samples += [study] * (len(seeds) - len(samples))
        own = [seeds[i % len(seeds)] for i in range(len(samples))]
        try:
            return fleet_for(samples, own, names)
        except Exception as error:
            return _in_words(error)

    whole = attempt(list(varied))
    if not isinstance(whole, str):
        return whole, []
    alone = attempt([]) if varied else whole
    if isinstance(alone, str):
        return None, [Apart(point.experiment, "seed", alone)]
    each = {name: attempt([name]) for name in varied} if len(varied) > 1 else {}
    reasons = {n: r for n, r in each.items() if isinstance(r, str)}
    able = [name for name in each if name not in reasons]
    most = attempt(able) if able else alone
    if isinstance(most, str):
        reasons, most = dict.fromkeys(able, most) | reasons, alone
    if len(varied) == 1:
        reasons = dict.fromkeys(varied, whole)
    return most, [Apart(point.experiment, n, r) for n, r in reasons.items()]


def _jobs(
    names: tuple[str, ...], trial: _Trial | None, members: list[_Member], most: int
) -> list[Job]:
    points = [member.point for member in members]
    size = 1
    if trial is not None and len(points) > 1:
        size = size_of(*trial, len(points), most)
    if size == 1:
        return [Job((point,), (), 1) for point in points]
    parts = [points[i : i + size] for i in range(0, len(points), size)]
    return [Job(tuple(part), names, size) for part in parts]


def _grouped(
    members: Iterable[_Member], by: Callable[[_Member], Any]
) -> list[list[_Member]]:
    groups: dict[str, list[_Member]] = {}
    for member in members:
        groups.setdefault(json.dumps(by(member), sort_keys=True), []).append(member)
    return list(groups.values())


def _in_words(error: Exception) -> str:
    """What it is and its first sentence."""
    text = str(error).strip().split("\n")[0].split(". ")[0]
    if isinstance(error, ApartError):
        return text
    return f"{type(error).__name__}: {text}"
