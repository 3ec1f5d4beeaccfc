"""One of two things to be compared: runs of one kind, by their seeds."""

import ast
import csv
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import zoo
from .._history import History
from ..zoo._run import METRICS, RESULT, SETTINGS, _read_json, stored_settings
from ..zoo._settings import explicit, settings_of
from ._grid import OWN, Sweep
from ._point import Point
from ._store import HEADER, Store
from ._table import KIND, SET, table

if TYPE_CHECKING:
    from polars import DataFrame


class CompareError(ValueError):
    """Two things that have nothing to be compared in."""


class Run(NamedTuple):
    """What one seed found."""

    value: float
    history: History | None
    seconds: float


class Side(NamedTuple):
    """Runs that differ in their seeds alone."""

    label: str
    experiment: str
    """As `zoo.find` takes it."""
    estimator: str | None
    """In place of the experiment's own."""
    settings: Mapping[str, Any]
    figure: str
    """What the value of a run is."""
    runs: Mapping[int, Run]
    """By seed."""
    failed: Mapping[int, str]
    """Seeds without a value, and why."""

    def study(self, seed: int) -> zoo.AbstractStudy:
        """The experiment, as it was run.

        **Raises:** as `Point.configured` does.
        """
        point = Point(self.experiment, self.settings, self.estimator, seed)
        return point.configured()

    def name(self) -> str:
        """Of the experiment, which may be called `module:Class` by one that ran it."""
        try:
            return zoo.find(self.experiment).name
        except zoo.UnknownExperimentError:
            return self.experiment

    def history(self, seed: int) -> History | None:
        """Of that run."""
        return self.runs[seed].history


def is_folder(text: str) -> bool:
    """Whether it names a folder, or a part of what is in one."""
    return Path(text).exists() or Path(text.partition(":")[0]).is_dir()


def side_of(text: str) -> Side:
    """The runs in a folder: of a sweep, of `pnnjax train`, or of several of these.

    `"DIR:name=value;name=value"` are those with these settings; `estimator` and
    `experiment` are names too.

    **Raises:** `CompareError` if they are unfinished, or not of one kind;
    `zoo.FolderError` if there are none.
    """
    folder, part = text, ""
    if not Path(text).exists():
        folder, _, part = text.partition(":")
    rows = [row for row in _rows(Path(folder)) if _is_in(row, _conditions(part))]
    if not rows:
        raise CompareError(f"`{folder}` has no run with {part}.")
    return side_of_rows(rows, part or Path(folder).name or folder, text)


def sides_of_frame(frame: "DataFrame", labels: Mapping[str, str | None]) -> list[Side]:
    """The rows of each estimator, by its label."""
    rows = list(frame.iter_rows(named=True))
    return [
        side_of_rows([row for row in rows if row["estimator"] == rule], label, label)
        for label, rule in labels.items()
    ]


def side_of_rows(rows: list[dict[str, Any]], label: str, where: str) -> Side:
    """**Raises:** `CompareError` unless rows differ in their seeds alone."""
    first = rows[0]
    names = ["experiment", "estimator"]
    names += sorted({name for row in rows for name in row if name.startswith(SET)})
    kinds = {name: _once(row.get(name) for row in rows) for name in names}
    several = {name.removeprefix(SET): v for name, v in kinds.items() if len(v) > 1}
    if several:
        name, values = next(iter(several.items()))
        listed = "; ".join(f"{n}: {', '.join(map(str, v))}" for n, v in several.items())
        raise CompareError(
            f"`{where}` holds runs of several kinds ({listed}). Choose one, such as "
            f"`{where}{';' if ':' in where else ':'}{name}={values[-1]}`."
        )
    fine = [row for row in rows if row.get("value") is not None]
    return Side(
        label=label,
        experiment=first["experiment"],
        estimator=first.get("estimator"),
        settings=_settings(first),
        figure=next((row["figure"] for row in fine), "figure"),
        runs={row["seed"]: _run(row) for row in fine},
        failed={r["seed"]: r["error"] or "no value" for r in rows if r not in fine},
    )


def _rows(folder: Path) -> list[dict[str, Any]]:
    if (folder / HEADER).exists():
        return _swept(folder)
    if (folder / SETTINGS).exists():
        return [_trained(folder)]
    inner = sorted(path.parent for path in folder.glob(f"*/{SETTINGS}"))
    if not inner:
        raise zoo.FolderError(
            f"`{folder}` holds neither a sweep nor a run of `pnnjax train`."
        )
    return [_trained(path) for path in inner]


def _swept(folder: Path) -> list[dict[str, Any]]:
    store = Store.open(folder)
    if store.kind != KIND:
        raise CompareError(f"`{folder}` holds a {store.kind}, and no {KIND}.")
    frame = table(folder)
    count = len(Sweep.of(store.description["sweeps"][-1]).points())
    if frame.height < count:
        raise CompareError(
            f"The sweep in `{folder}` is unfinished: {frame.height} of {count} points. "
            f"Go on with it: `pnnjax sweep FILE --out {folder}`."
        )
    return list(frame.iter_rows(named=True))


def _trained(folder: Path) -> dict[str, Any]:
    """The row that this run would have been in a sweep."""
    made, result = stored_settings(folder), _read_json(folder / RESULT)
    if made is None or result is None:
        name = "NAME" if made is None else made["experiment"]
        raise CompareError(
            f"The run in `{folder}` is unfinished. Go on with it: "
            f"`pnnjax train {name} --out {folder} --resume`."
        )
    return {
        "experiment": made["experiment"],
        "estimator": None,
        "seed": made["seed"],
        **{f"{SET}{name}": value for name, value in made["settings"].items()},
        **{name: result[name] for name in ("value", "figure", "seconds")},
        "error": None,
        **_curves(folder / METRICS),
    }


def _curves(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    with open(path, newline="") as file:
        lines = list(csv.DictReader(file))
    if not lines or "loss" not in lines[0]:
        return {}
    names = [name for name in lines[0] if name not in ("step", "loss")]
    evaluated = [line for line in lines if names and line[names[0]]]
    return {
        "loss": [float(line["loss"]) for line in lines],
        "steps": [int(line["step"]) for line in evaluated],
        **{f"metric.{n}": [float(line[n]) for line in evaluated] for n in names},
    }


def _run(row: Mapping[str, Any]) -> Run:
    history, seconds = None, float(row.get("seconds") or 0.0)
    if row.get("loss"):
        metrics = {
            name.removeprefix("metric."): np.asarray(values, float)
            for name, values in row.items()
            if name.startswith("metric.") and values is not None
        }
        steps = np.asarray(row.get("steps") or [], int)
        history = History(np.asarray(row["loss"], float), steps, metrics, seconds)
    return Run(float(row["value"]), history, seconds)


def _settings(row: Mapping[str, Any]) -> dict[str, Any]:
    found = {n.removeprefix(SET): v for n, v in row.items() if n.startswith(SET)}
    try:
        known = settings_of(zoo.find(row["experiment"]))
    except zoo.UnknownExperimentError:
        return found
    return {name: value for name, value in found.items() if name in known}


def _conditions(part: str) -> dict[str, str]:
    pairs = [one.partition("=") for one in part.split(";") if one.strip()]
    for name, equals, _ in pairs:
        if not equals:
            raise CompareError(f"`{name}` must be `name=value`, as in `seed=0`.")
    return {name.strip(): value.strip() for name, _, value in pairs}


def _is_in(row: Mapping[str, Any], conditions: Mapping[str, str]) -> bool:
    tests: dict[str, Callable[[str], bool]] = {
        "experiment": lambda text: row["experiment"] == text,
        "estimator": lambda text: row.get("estimator") == _rule(text),
        "seed": lambda text: str(row["seed"]) == text,
    }
    for name, text in conditions.items():
        if name in tests:
            if not tests[name](text):
                return False
            continue
        kind = zoo.find(row["experiment"])
        known = settings_of(kind)
        for field, value in explicit(kind, {name: text}).items():
            if row.get(f"{SET}{field}", known[field].default) != value:
                return False
    return True


def _rule(text: str) -> str | None:
    if text == OWN:
        return None
    try:
        return ast.unparse(ast.parse(text, mode="eval"))
    except SyntaxError as error:
        raise CompareError(f"`{text}` is no call such as `Autodiff()`.") from error


def _once(values: Iterable[Any]) -> list[Any]:
    return list({repr(value): value for value in values}.values())
