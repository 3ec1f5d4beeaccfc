"""Run an experiment, and write down all of it."""

import csv
import json
import os
import platform
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax

from ._experiment import AbstractStudy, Outcome
from ._settings import check, values_of

CHECKPOINT = "checkpoint"
METRICS = "metrics.csv"
SETTINGS = "settings.json"
RESULT = "result.json"


class FolderError(ValueError):
    """A folder that can't hold this run."""


def run(
    experiment: AbstractStudy,
    *,
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    progress: bool = True,
) -> Outcome:
    """Run `experiment`; into the folder `out`, if one is given.

    There it writes `settings.json`, `checkpoint`, `metrics.csv`, `training.png`,
    `physics.png` and, at the end, `result.json`. With `resume=True` an unfinished run
    goes on from its checkpoint (or begins, if there is none).

    **Raises:** `SettingError` if a setting is out of its range; `FolderError` if `out`
    holds anything else, or a run and `resume` is false.
    """
    check(experiment)
    if out is None:
        if resume:
            raise ValueError("`resume` needs the folder of the run: give it as `out`.")
        return experiment.run(
            seed=seed, checkpoint=None, resume=False, progress=progress
        )
    folder = Path(out)
    _claim(folder, _description(experiment, seed), resume)
    outcome = experiment.run(
        seed=seed, checkpoint=folder / CHECKPOINT, resume=resume, progress=progress
    )
    _write_metrics(folder / METRICS, outcome)
    # All are drawn before any is written: an error leaves no picture without a result.
    figures = {f"{name}.png": draw() for name, draw in outcome.pictures.items()}
    for name, figure in figures.items():
        figure.savefig(folder / name)
    result = {
        "figure": experiment.figure,
        "value": float(outcome.value),
        "published": experiment.published,
        "seconds": outcome.seconds,
        "files": [METRICS, *figures],
    }
    _write_json(folder / RESULT, result)
    return outcome


def stored_settings(folder: Path) -> dict[str, Any] | None:
    """What run the folder holds; `None` if it holds none."""
    return _read_json(folder / SETTINGS)


def stored_result(
    folder: Path, experiment: AbstractStudy, seed: int
) -> dict[str, Any] | None:
    """The result of this run, if the folder holds it; `None` until it is finished.

    **Raises:** `FolderError` if the folder holds another run.
    """
    result = _read_json(folder / RESULT)
    if result is not None:
        _check_same(folder, _description(experiment, seed))
    return result


def discard(folder: Path) -> None:
    """Delete the run that the folder holds, and nothing else."""
    if stored_settings(folder) is None:
        return
    if (folder / CHECKPOINT).is_dir():
        shutil.rmtree(folder / CHECKPOINT)
    written = (_read_json(folder / RESULT) or {"files": []})["files"]
    known = (CHECKPOINT, f"{CHECKPOINT}.partial", METRICS, RESULT, SETTINGS)
    for name in (*known, *written):
        (folder / name).unlink(missing_ok=True)


def _claim(folder: Path, wanted: dict[str, Any], resume: bool) -> None:
    if stored_settings(folder) is not None:
        if not resume:
            raise FolderError(f"`{folder}` holds a run already.")
        return _check_same(folder, wanted)
    if folder.exists() and not folder.is_dir():
        raise FolderError(f"`{folder}` is no folder.")
    if folder.exists() and any(f.suffix != ".partial" for f in folder.iterdir()):
        raise FolderError(f"`{folder}` holds something that is no run of pnnjax.")
    folder.mkdir(parents=True, exist_ok=True)
    versions = {name: version(name) for name in ("pnnjax", "jax", "equinox")}
    device = f"{jax.default_backend()}: {jax.devices()[0].device_kind}"
    machine = {"python": platform.python_version(), "device": device}
    _write_json(folder / SETTINGS, {**wanted, "made with": versions | machine})


def _description(experiment: AbstractStudy, seed: int) -> dict[str, Any]:
    """What decides the numbers of a run."""
    settings = values_of(experiment)
    return {"experiment": experiment.name, "seed": seed, "settings": settings}


def _check_same(folder: Path, wanted: dict[str, Any]) -> None:
    stored = stored_settings(folder)
    if stored is None:
        raise FolderError(f"`{folder}` has lost its `{SETTINGS}`.")
    names = ("experiment", "seed")
    pairs = {name: (stored.get(name), wanted[name]) for name in names}
    old, new = stored["settings"], wanted["settings"]
    pairs |= {name: (old.get(name), new.get(name)) for name in [*old, *new]}
    lines = [
        f"{name}: {was} there, {now} here"
        for name, (was, now) in pairs.items()
        if was != now
    ]
    if lines:
        raise FolderError("\n  ".join([f"`{folder}` holds another run:", *lines]))


def _write_metrics(path: Path, outcome: Outcome) -> None:
    if outcome.history is not None:
        outcome.history.write_csv(path)
    elif outcome.table:
        with open(path, "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(outcome.table)
            writer.writerows(zip(*outcome.table.values(), strict=True))


def _write_json(path: Path, content: dict[str, Any]) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(content, indent=2) + "\n")
    os.replace(partial, path)


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise FolderError(f"`{path}` is damaged: {error}.") from error
