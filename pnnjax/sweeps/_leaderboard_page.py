"""The leaderboard as a page: every layer with every estimator that takes it."""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .. import plots
from ..plots._looks import Look, looks
from ..zoo.specimens import DOMAINS, ESTIMATORS
from ._leaderboard_columns import COLUMNS
from ._page import Column, Part, Picture, Table, Terms, Text, Tiles, write_page

if TYPE_CHECKING:
    from polars import DataFrame

HOW = (
    "A row is a layer: a small specimen of a physical system. A column is an "
    "estimator: a rule that obtains its gradient. Where both have a cell, the rule "
    "accepts the layer, and the cell says how well its gradient points where the exact "
    "one does, which is differentiated through the simulated physics.\n\nA cosine of 1 "
    "trains as backpropagation does; one above 0 still goes downhill. Rules that draw "
    "random directions are near 0 in a single draw and right on average. Everything "
    "that a picture shows is in the tables below, in all its digits: they stand in the "
    "tooltip of each number."
)
TITLE = "Which gradients on which physics"
LEAST_ERROR = 1e-16


def leaderboard_page(
    path: str | os.PathLike[str],
    board: "DataFrame",
    robustness: "DataFrame",
    made_with: Mapping[str, str] | None = None,
) -> Path:
    """Write pictures and sortable tables of the leaderboard to an HTML file.

    **Arguments:** `board`, `robustness`: the tables that `pnnjax bench` writes;
    `made_with`: what is to be said of how they were made, such as command and machine.
    **Returns:** `path`.
    **Raises:** `ValueError` that names the columns which a table lacks.
    """
    _check(board, "board", ("layer", "estimator", "domain", "cosine", "error"))
    _check(robustness, "robustness", ("layer", "estimator", "what", "level", "cosine"))
    board, robustness = _sorted(board), _floats(robustness)
    appearance = looks([*ESTIMATORS, *board["estimator"]])
    parts: list[Part] = [Tiles("At a glance", _figures(board))]
    parts.append(Text("How to read it", HOW))
    parts += _pictures(board, robustness, appearance)
    parts += _tables(board, robustness, appearance)
    told = {c.label: said for n, (c, said) in COLUMNS.items() if n in board.columns}
    parts.append(Terms("The columns", told))
    parts.append(Terms("How it was made", _making(made_with)))
    lead = (
        "Small physical systems, each with every training rule that accepts it: how "
        "near its gradient is to the exact one, what that costs, what is left of it "
        "with noise and mismatch, and what it trains."
    )
    return write_page(path, TITLE, parts, lead)


def cosines_of(
    board: "DataFrame",
) -> tuple[np.ndarray, list[str], list[str], list[str]]:
    """Layers by estimators, with NaN where there is none; their names; the domains."""
    board = _sorted(board)
    layers = list(dict.fromkeys(board["layer"]))
    present = set(board["estimator"])
    methods = [n for n in looks([*ESTIMATORS, *board["estimator"]]) if n in present]
    domains = dict(zip(board["layer"], board["domain"], strict=True))
    found = np.full((len(layers), len(methods)), np.nan)
    for row in board.select("layer", "estimator", "cosine").iter_rows():
        layer, method, cosine = row
        if cosine is not None:
            found[layers.index(layer), methods.index(method)] = cosine
    return found, layers, methods, [domains[layer] for layer in layers]


def _check(frame: "DataFrame", name: str, needed: tuple[str, ...]) -> None:
    missing = [column for column in needed if column not in frame.columns]
    if missing:
        raise ValueError(f"`{name}` has no column {', '.join(missing)}.")


def _sorted(board: "DataFrame") -> "DataFrame":
    """By domain, otherwise as it is."""
    import polars

    place = {domain: i for i, domain in enumerate(DOMAINS)}
    order = polars.col("domain").replace_strict(place, default=len(place))
    return _floats(board).sort(order, maintain_order=True)


def _floats(frame: "DataFrame") -> "DataFrame":
    """No number is null, not NaN; a column of nothing but nulls may be text."""
    import polars

    names = ("cosine", "relative_error", "seconds", "accuracy", "level")
    there = [
        polars.col(n).cast(float).fill_nan(None) for n in names if n in frame.columns
    ]
    return frame.with_columns(there)


def _figures(board: "DataFrame") -> dict[str, str]:
    cosine = board["cosine"].drop_nulls()
    failed = sum(1 for error in board["error"] if error)
    figures = {
        "layers": f"{board['layer'].n_unique()}",
        "estimators": f"{board['estimator'].n_unique()}",
        "pairs": f"{len(board):,}",
        "of them with a cosine above 0.999": f"{(cosine > 0.999).sum():,}",
        "failed": f"{failed}",
    }
    if "accuracy" in board.columns and board["accuracy"].count():
        trained = board.filter(board["accuracy"].is_not_null())
        figures["trained on the task"] = f"{len(trained):,}"
    return figures


def _pictures(
    board: "DataFrame", robustness: "DataFrame", appearance: Mapping[str, Look]
) -> list[Part]:
    cosines, layers, methods, domains = cosines_of(board)
    parts: list[Part] = [
        Picture(
            "Which gradient is right where",
            plots.alignment_map(cosines, layers, methods, groups=domains),
            "Cosine between the estimated and the exact gradient, without noise; 1: "
            "above 0.9995. Where there is no cell, the rule refuses the layer, or "
            "failed.",
        )
    ]
    parts += _costs(board, appearance)
    parts += _robust(robustness, appearance, methods)
    parts += _times(board, appearance)
    return parts


def _costs(board: "DataFrame", appearance: Mapping[str, Look]) -> list[Part]:
    parts: list[Part] = []
    left_out = (
        "Median over the layers, with bars between the quartiles. Dashed: the Pareto "
        "front. Rules that differentiate a model make no physical run, and are not "
        "here."
    )
    errors = _by_method(board, ("runs", "relaxations"), "relative_error")
    errors = {n: (x, np.maximum(y, LEAST_ERROR)) for n, (x, y) in errors.items()}
    if errors:
        fig = plots.cost_and_quality(
            errors,
            cost="Runs and relaxations for one gradient",
            quality="Relative error of the gradient",
            higher=False,
            appearance=appearance,
        )
        parts.append(Picture("What accuracy of the gradient costs", fig, left_out))
    trained = _by_method(board, ("physical_runs",), "accuracy")
    if trained:
        fig = plots.cost_and_quality(
            trained,
            cost="Physical runs used for training",
            quality="Test accuracy",
            higher=True,
            appearance=appearance,
        )
        parts.append(Picture("What training costs", fig, left_out))
    return parts


def _by_method(
    board: "DataFrame", costs: tuple[str, ...], quality: str
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Costs above zero, and the quality there, of each estimator."""
    import polars

    if not {*costs, quality} <= {*board.columns}:
        return {}
    cost = polars.sum_horizontal(polars.col(name).cast(float) for name in costs)
    frame = board.select("estimator", cost.alias("cost"), polars.col(quality))
    frame = frame.drop_nulls().filter(polars.col("cost") > 0)
    return {
        str(name): (part["cost"].to_numpy(), part[quality].to_numpy())
        for (name,), part in frame.group_by(["estimator"], maintain_order=True)
    }


def _robust(
    robustness: "DataFrame", appearance: Mapping[str, Look], methods: list[str]
) -> list[Part]:
    results: dict[str, dict[str, tuple[np.ndarray, np.ndarray]]] = {}
    for (method, what), part in robustness.group_by(
        ["estimator", "what"], maintain_order=True
    ):
        wide = part.pivot("level", index="layer", values="cosine").drop_nulls()
        levels = sorted((n for n in wide.columns if n != "layer"), key=float)
        if wide.height and levels:
            found = wide.select(levels).to_numpy().astype(float)
            axis = np.array([float(level) for level in levels])
            results.setdefault(str(method), {})[str(what)] = axis, found
    ordered = {name: results[name] for name in methods if name in results}
    if not ordered:
        return []
    fig = plots.robustness_panels(
        ordered,
        label="Relative noise of readings, or relative mismatch of parameters",
        quantity="Cosine with the exact gradient",
        columns=6,
        appearance=appearance,
    )
    caption = "Median over the layers, and between the quartiles."
    return [Picture("What is left with noise and mismatch", fig, caption)]


def _times(board: "DataFrame", appearance: Mapping[str, Look]) -> list[Part]:
    import polars

    if "seconds" not in board.columns:
        return []
    reference = board.filter(polars.col("estimator") == "autodiff")
    own = dict(zip(reference["layer"], reference["seconds"], strict=True))
    frame = board.select("layer", "estimator", "seconds").drop_nulls()
    frame = frame.filter(polars.col("seconds") > 0)
    times: dict[str, list[float]] = {}
    ratios: dict[str, list[float]] = {}
    for layer, method, seconds in frame.iter_rows():
        times.setdefault(method, []).append(seconds)
        if own.get(layer) and method != "autodiff":
            ratios.setdefault(method, []).append(seconds / own[layer])
    parts: list[Part] = []
    for heading, values, label, unit in (
        ("Time of a gradient", times, "One gradient of a batch of 30", "s"),
        ("Compared with autodiff", ratios, "Time, in that of autodiff", ""),
    ):
        if values:
            arrays = {name: np.array(found) for name, found in values.items()}
            fig = plots.strips(arrays, label=label, unit=unit, appearance=appearance)
            caption = (
                "Of the simulation, on the machine named below. A dot a layer, a line "
                "at their median."
            )
            parts.append(Picture(heading, fig, caption))
    return parts


def _tables(
    board: "DataFrame", robustness: "DataFrame", appearance: Mapping[str, Look]
) -> list[Part]:
    import polars

    columns = {name: column for name, (column, _) in COLUMNS.items()}
    columns["estimator"] = Column("estimator", marks=appearance)
    order = [name for name in COLUMNS if name in board.columns]
    order += [name for name in board.columns if name not in COLUMNS]
    place = {name: i for i, name in enumerate(appearance)}
    own = _methods(board).sort(polars.col("estimator").replace_strict(place))
    wide = _levels(robustness)
    shades = {
        name: Column(name, shaded=True)
        for name in wide.columns
        if name not in ("layer", "estimator", "what")
    }
    return [
        Table(
            "Estimators",
            own,
            "Each over all of its layers: medians, and the least cosine.",
            {**columns, "least cosine": Column("least cosine", shaded=True)},
        ),
        Table(
            "All pairs",
            board.select(order),
            "A heading sorts, and sorts the other way when it is pressed again.",
            columns,
            pinned=2,
        ),
        Table(
            "Noise and mismatch",
            wide,
            "The cosine at each level.",
            {**columns, **shades},
            pinned=2,
        ),
    ]


def _methods(board: "DataFrame") -> "DataFrame":
    import polars

    medians = ("relative_error", "runs", "relaxations", "seconds", "bytes")
    medians += ("accuracy", "physical_runs")
    there = [polars.col(n).median() for n in medians if n in board.columns]
    return board.group_by("estimator", maintain_order=True).agg(
        polars.col("layer").n_unique().alias("layers"),
        polars.col("cosine").median(),
        polars.col("cosine").min().alias("least cosine"),
        *there,
        (polars.col("error").fill_null("") != "").sum().alias("failed"),
    )


def _levels(robustness: "DataFrame") -> "DataFrame":
    """A row for each pair and disturbance, a column for each level."""
    by = ["layer", "estimator", "what"]
    wide = robustness.pivot("level", index=by, values="cosine", maintain_order=True)
    levels = sorted((n for n in wide.columns if n not in by), key=float)
    names = {level: f"at {float(level):g}" for level in levels}
    return wide.select(*by, *levels).rename(names)


def _making(made_with: Mapping[str, str] | None) -> dict[str, str]:
    now = datetime.now(UTC)
    written = f"{now:%Y-%m-%d %H:%M} UTC, by pnnjax {version('pnnjax')}"
    return {**(made_with or {}), "page written": written}
