"""One run of an experiment as a page."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import plots, zoo
from .._history import History
from ..zoo._run import METRICS, RESULT, _read_json as read_json
from ._page import Image, Part, Picture, Table, Terms, Text, Tiles
from ._page._values import shown

if TYPE_CHECKING:
    from polars import DataFrame


def run_parts(folder: Path, settings: dict[str, Any]) -> list[Part]:
    """Of the run that `folder` holds, as `zoo.run` has written it."""
    import polars

    result = read_json(folder / RESULT)
    parts: list[Part] = []
    if result is None:
        said = "This run has no result yet. pnnjax train with --resume goes on with it."
        parts.append(Text("Not finished", said))
    else:
        parts.append(Tiles("At a glance", _figures(result)))
    if (folder / METRICS).exists():
        frame = polars.read_csv(folder / METRICS, infer_schema_length=None)
        parts += _course(frame)
    for file in (result or {"files": []})["files"]:
        if (
            file.endswith(".png")
            and file != "training.png"
            and (folder / file).exists()
        ):
            heading = file.removesuffix(".png").replace("_", " ").capitalize()
            parts.append(Image(heading, folder / file, ""))
    said = {name: shown(value) for name, value in settings["settings"].items()}
    parts.append(Terms("Settings", {**said, "seed": f"{settings['seed']}"}))
    return parts


def reference(settings: dict[str, Any]) -> str:
    """What the experiment is, and the paper; nothing if it is not known here."""
    try:
        kind = zoo.find(settings["experiment"])
    except zoo.UnknownExperimentError:
        return ""
    return f"{kind.summary}. {kind.reference}"


def _figures(result: dict[str, Any]) -> dict[str, str]:
    published = result["published"]
    figures = {
        result["figure"]: shown(result["value"]),
        "published": "none" if published is None else shown(published),
        "time": shown(result["seconds"], "s"),
    }
    return figures


def _course(frame: "DataFrame") -> list[Part]:
    """Curves where it was one training run; a table in any case."""
    parts: list[Part] = []
    if frame.columns[:2] == ["step", "loss"] and frame.height:
        evaluated = frame.drop_nulls()
        names = [name for name in frame.columns if name not in ("step", "loss")]
        run = History(
            frame["loss"].to_numpy(),
            evaluated["step"].to_numpy() if names else np.zeros(0, int),
            {name: evaluated[name].cast(float).to_numpy() for name in names},
            0.0,
        )
        caption = "The loss of each step, with its running mean, and the metrics."
        parts.append(Picture("Training", plots.learning_curve(run), caption))
        frame = evaluated if names else frame.tail(1)
    parts.append(Table("Evaluations", frame, "As in metrics.csv."))
    return parts
