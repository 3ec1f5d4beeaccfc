"""Two methods side by side, on the same seeds."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import plots
from .._estimator import PhysicalCost
from ._durable import write_whole
from ._engine import AbstractEngine
from ._follow import (
    Followed,
    NotFollowedError,
    Training,
    cost_of,
    follow,
    seconds_per_step,
    training_of,
)
from ._grid import OWN, Grid, GridError, Seeds, Sweep
from ._page import Column, Picture, Table, Text, write_page
from ._paired import Paired, paired
from ._run import run
from ._sides import CompareError, Side, side_of, sides_of_frame

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from polars import DataFrame

PICTURE = "comparison.png"
QUANTITIES = "comparison.csv"
PAIRS = "comparison_seeds.csv"
PAGE = "comparison.html"

_COLUMNS = {
    "a": Column("A"),
    "b": Column("B"),
    "difference": Column("B − A"),
    "p": Column("p (ranks)"),
}


class Cost(NamedTuple):
    """What a method takes; each part `None` where it is not known."""

    gradient: PhysicalCost | None
    """Of one example."""
    examples: int | None
    """Of which the whole training takes the gradient."""
    seconds: float | None
    """Of a step of the simulation, both methods timed in turns."""


class Comparison(NamedTuple):
    """Two methods, B against A, on the seeds that they have in common."""

    a: Side
    b: Side
    seeds: tuple[int, ...]
    difference: Paired
    """Of the experiment's figure."""
    costs: tuple[Cost, Cost]
    followed: tuple[Followed | None, Followed | None]
    """One training of each, with the first of the seeds."""
    notes: tuple[str, ...]
    """What else must be known to read it."""

    def values(self) -> tuple[np.ndarray, np.ndarray]:
        """The figure of each seed, of A and of B."""
        a, b = (
            np.asarray([side.runs[seed].value for seed in self.seeds])
            for side in (self.a, self.b)
        )
        return a, b

    def pairs(self) -> "DataFrame":
        """A row a seed: `seed`, `a`, `b`, `difference`."""
        import polars

        a, b = self.values()
        return polars.DataFrame(
            {"seed": self.seeds, "a": a, "b": b, "difference": b - a}
        )

    def table(self) -> "DataFrame":
        """A row a quantity: its mean for A and B, B minus A, the interval of that."""
        import polars

        a, b = self.values()
        rows = [_row(self.a.figure, a, b, self.difference)]
        for name in _metrics(self):
            last = [
                np.asarray([_last(side, seed, name) for seed in self.seeds])
                for side in (self.a, self.b)
            ]
            if not all(map(np.array_equal, last, (a, b))):
                difference = paired(last[0], last[1])
                rows.append(_row(f"{name}, at the end", last[0], last[1], difference))
        rows += _costs(*self.costs)
        rows += _followed(*self.followed)
        return polars.DataFrame(rows, infer_schema_length=None)

    def figure(self) -> "Figure":
        """Curves, seeds with their differences, and alignment where it was measured."""
        labels = self.a.label, self.b.label
        histories = {
            side.label: [
                history for history in map(side.history, self.seeds) if history
            ]
            for side in (self.a, self.b)
        }
        complete = all(len(runs) == len(self.seeds) for runs in histories.values())
        return plots.comparison(
            dict(zip(labels, self.values(), strict=True)),
            self.seeds,
            (self.difference.mean, self.difference.low, self.difference.high),
            quantity=self.a.figure,
            histories=histories if complete else {},
            alignments={
                label: (one.steps, one.cosines)
                for label, one in zip(labels, self.followed)
                if one is not None
            },
        )

    def write(self, folder: str | os.PathLike[str]) -> list[Path]:
        """The picture, the table, the seeds, and a page with all of them."""
        out = Path(folder)
        out.mkdir(parents=True, exist_ok=True)
        figure = self.figure()
        figure.savefig(out / PICTURE)
        for name, frame in ((QUANTITIES, self.table()), (PAIRS, self.pairs())):
            write_whole(out / name, frame.write_csv().encode())
        said = "\n\n".join([self.difference.in_words(), *self.notes])
        parts = [
            Text("What is found", f"A: {self.a.label}\n\nB: {self.b.label}\n\n{said}"),
            Picture("Side by side", figure, _CAPTION),
            Table("Quantities", self.table(), _QUANTITIES, _COLUMNS),
            Table("Seeds", self.pairs(), "The figure of each seed.", _COLUMNS),
        ]
        write_page(out / PAGE, f"{self.a.label} and {self.b.label}", parts)
        return [out / name for name in (PICTURE, QUANTITIES, PAIRS, PAGE)]


_CAPTION = (
    "Curves are means over seeds, with one standard deviation on either side. A line "
    "joins what the same seed found; the interval is that of the mean difference."
)
_QUANTITIES = (
    "Means over the seeds in common. Low and high: the 95 % interval of the paired "
    "difference, by Student's t."
)


def compare(a: str, b: str, *, alignment: bool = False) -> Comparison:
    """What two folders hold: runs of `pnnjax train`, or sweeps, or parts of these.

    **Arguments:** `a`, `b`: a folder, or `"DIR:name=value"` for its runs with that
    setting or `estimator`; several are joined by semicolons. `alignment`: train each
    once more, with the first seed, to see how well its gradients point.
    **Raises:** `CompareError` if they are unfinished or have no seed or experiment in
    common; `zoo.FolderError` if there are none.
    """
    return compared(_apart(side_of(a), a), _apart(side_of(b), b), alignment)


def compare_estimators(
    a: str,
    b: str,
    *,
    experiment: str,
    seeds: Seeds,
    out: str | os.PathLike[str],
    settings: Mapping[str, Any] | None = None,
    engine: AbstractEngine | None = None,
    alignment: bool = True,
    progress: bool = True,
) -> Comparison:
    """Train `experiment` with each of two estimators, on the same seeds.

    The runs are a sweep in the folder `out`: stopped, the same call goes on with it.

    **Arguments:** `a`, `b`: calls such as `"SPSA(samples=8)"`, or `"own"`.
    `alignment`: as in `compare`.
    **Raises:** as `Grid`, `run` and `compare` do.
    """
    grid = Grid(experiment, settings=settings, estimators=[a, b], seeds=seeds)
    if len(grid.estimators) < 2:
        raise CompareError(f"`{a}` and `{b}` are the same estimator.")
    if grid.count() != 2 * len(grid.seeds):
        raise GridError("Give each setting one value: two estimators are compared.")
    frame = run(Sweep(grid), out, engine=engine, progress=progress)
    names = {OWN if rule is None else rule: rule for rule in grid.estimators}
    first, second = sides_of_frame(frame, names)
    return compared(first, second, alignment)


def compared(a: Side, b: Side, alignment: bool) -> Comparison:
    """**Raises:** `CompareError` if they have nothing in common."""
    if (a.name(), a.figure) != (b.name(), b.figure) and a.runs and b.runs:
        raise CompareError(
            f"`{a.label}` is `{a.name()}` ({a.figure}), and `{b.label}` is "
            f"`{b.name()}` ({b.figure}): they have no figure in common."
        )
    for side in (a, b):
        if not side.runs:
            seed, why = next(iter(side.failed.items()))
            raise CompareError(
                f"Every run of `{side.label}` has failed; seed {seed}: {why}"
            )
    seeds = tuple(sorted(a.runs.keys() & b.runs.keys()))
    if not seeds:
        raise CompareError(
            f"There is no seed in common: `{a.label}` has {_listed(a.runs)}, "
            f"`{b.label}` has {_listed(b.runs)}. Run both on the same seeds."
        )
    first, second = (
        np.asarray([side.runs[seed].value for seed in seeds]) for side in (a, b)
    )
    trainings, why = zip(*(_training(side, seeds[0]) for side in (a, b)))
    costs, followed, later = _looked_at(trainings, alignment)
    notes = _left_out(a, b, seeds)
    for side, *reasons in zip((a, b), why, later, strict=True):
        unknown = [reason.rstrip(".") for reason in reasons if reason]
        notes += [f"{side.label}: {reason}." for reason in unknown]
    return Comparison(
        a, b, seeds, paired(first, second), costs, followed, tuple(notes)
    )  # fmt: skip


def _apart(side: Side, text: str) -> Side:
    """With a label that says more, where two folders have the same name."""
    return side._replace(label=text) if side.label == Path(text).name else side


def _left_out(a: Side, b: Side, seeds: tuple[int, ...]) -> list[str]:
    notes = []
    for side in (a, b):
        other = sorted(side.runs.keys() - set(seeds))
        if other:
            notes.append(f"{side.label}: seeds {_listed(other)} have no partner.")
        notes += [
            f"{side.label}: seed {seed} failed: {why}."
            for seed, why in side.failed.items()
        ]
    return notes


def _training(side: Side, seed: int) -> tuple[Training | None, str]:
    """It, or why there is none."""
    try:
        return training_of(side.study(seed), seed), ""
    except (NotFollowedError, LookupError, ValueError, TypeError) as error:
        return None, f"its cost is not known, since {error}"


def _looked_at(
    trainings: tuple[Training | None, ...], alignment: bool
) -> tuple[Any, Any, list[str]]:
    """Costs, alignments, and why one is not known."""
    costs, followed, why = [], [], []
    for training in trainings:
        cost, course, reason = Cost(None, None, None), None, ""
        try:
            if training is not None:
                cost = Cost(*cost_of(training), None)
                course = follow(training) if alignment else None
        except (NotFollowedError, ValueError, TypeError) as error:
            what = "alignment" if cost.gradient else "cost"
            reason = f"its {what} is not known, since {error}"
        costs.append(cost)
        followed.append(course)
        why.append(reason)
    timed = [t for t, course in zip(trainings, followed) if t and course]
    if len(timed) == 2:
        seconds = seconds_per_step(timed)
        costs = [cost._replace(seconds=s) for cost, s in zip(costs, seconds)]
    return tuple(costs), tuple(followed), why


def _row(name: str, a: Any, b: Any, difference: Paired) -> dict[str, Any]:
    return {
        "quantity": name,
        "a": float(np.mean(a)),
        "b": float(np.mean(b)),
        "difference": difference.mean,
        "low": difference.low,
        "high": difference.high,
        "p": difference.rank_test,
        "seeds": len(difference.differences),
    }


def _plain(name: str, a: Any, b: Any) -> dict[str, Any]:
    first, second = (None if value is None else float(value) for value in (a, b))
    change = None if first is None or second is None else second - first
    nothing = {"low": None, "high": None, "p": None, "seeds": None}
    return {
        "quantity": name, "a": first, "b": second, "difference": change, **nothing
    }  # fmt: skip


def _costs(a: Cost, b: Cost) -> list[dict[str, Any]]:
    if a.gradient is None and b.gradient is None:
        return []
    rows = [
        _plain(f"{words} a gradient", *(_field(cost, field) for cost in (a, b)))
        for field, words in _FIELDS.items()
    ]
    totals = ("runs", "relaxations")
    rows += [
        _plain(f"{_FIELDS[field]} in all", *(_total(cost, field) for cost in (a, b)))
        for field in totals
    ]
    rows.append(_plain("seconds a step", a.seconds, b.seconds))
    return [row for row in rows if row["a"] or row["b"]]


_FIELDS = {
    "runs": "physical runs",
    "relaxations": "relaxations",
    "measurements": "values read",
    "flops": "digital operations",
}


def _field(cost: Cost, field: str) -> float | None:
    return None if cost.gradient is None else getattr(cost.gradient, field)


def _total(cost: Cost, field: str) -> float | None:
    each = _field(cost, field)
    return None if each is None or cost.examples is None else each * cost.examples


def _followed(a: Followed | None, b: Followed | None) -> list[dict[str, Any]]:
    if a is None and b is None:
        return []
    rows = []
    layers = dict.fromkeys(
        name for one in (a, b) if one is not None for name in one.cosines
    )
    for name in layers:
        means = (
            None if f is None or name not in f.cosines else _mean(f.cosines[name])
            for f in (a, b)
        )
        rows.append(_plain(f"mean cosine, {name}", *means))
    return rows


def _mean(values: np.ndarray) -> float | None:
    return float(np.nanmean(values)) if np.isfinite(values).any() else None


def _metrics(found: Comparison) -> list[str]:
    histories = [
        side.history(seed) for side in (found.a, found.b) for seed in found.seeds
    ]
    names = [set() if each is None else set(each.metrics) for each in histories]
    return sorted(set.intersection(*names))


def _last(side: Side, seed: int, name: str) -> float:
    history = side.history(seed)
    return float("nan") if history is None else float(history.metrics[name][-1])


def _listed(seeds: Any) -> str:
    found = sorted(seeds)
    shown = ", ".join(map(str, found[:8]))
    return shown + (f" and {len(found) - 8} more" if len(found) > 8 else "")
