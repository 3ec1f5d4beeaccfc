"""The leaderboard: every layer with every estimator that accepts it, measured."""

import os
import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import equinox as eqx
import jax

from .._estimator import unmet
from .._physical import innermost
from ..zoo.specimens import (
    ESTIMATORS,
    LAYERS,
    LayerSpecimen,
    estimator_named,
    layer_named,
)
from ._drive import drive
from ._durable import write_whole
from ._engine import AbstractEngine
from ._leaderboard_page import leaderboard_page
from ._local_processes import LocalProcesses
from ._measure import Batch, Pair, failed, measure
from ._point import Row
from ._store import Store

if TYPE_CHECKING:
    from polars import DataFrame

KIND = "leaderboard"
SEEDS = 3
BOARD = (
    "layer kind domain estimator rule claim parameters inputs outputs cosine "
    "relative_error cosine_of_mean relative_error_of_mean draws runs relaxations "
    "measured flops seconds compile_seconds bytes accuracy accuracy_untrained "
    "physical_runs error"
).split()
ROBUSTNESS = "layer estimator what level cosine relative_error".split()


class NoPairError(ValueError):
    """No layer of those asked for has what an estimator of those needs."""


class Leaderboard(NamedTuple):
    """What was measured."""

    board: "DataFrame"
    """A row a layer and estimator."""
    robustness: "DataFrame"
    """A row a layer, estimator, and level of mismatch or noise."""


def pairs_of(
    layers: Sequence[str], estimators: Sequence[str], seeds: int
) -> list[Pair]:
    """Those in which the layer has what the estimator needs.

    **Raises:** `UnknownSpecimenError`; `NoPairError` if there is none.
    """
    rules = {name: estimator_named(name) for name in estimators}
    found = []
    for name in layers:
        specimen = layer_named(name)
        layer = innermost(_shape_of(specimen))
        found += [
            Pair(name, specimen, estimator, rule, seeds)
            for estimator, rule in rules.items()
            if not unmet(rule(layer), layer)
        ]
    if not found:
        raise NoPairError(
            "None of these estimators accepts any of these layers: "
            f"{', '.join(estimators)}; {', '.join(layers)}."
        )
    return found


def leaderboard(
    out: str | os.PathLike[str],
    *,
    layers: Sequence[str] | None = None,
    estimators: Sequence[str] | None = None,
    quick: bool = False,
    engine: AbstractEngine | None = None,
    progress: bool = True,
) -> Leaderboard:
    """Measure into the folder `out`, or go on there; write two tables and a page.

    `leaderboard.csv`, `robustness.csv` and `leaderboard.html`. A pair that fails is a
    row with its error.

    **Arguments:** `layers`, `estimators`: names of `zoo.specimens`, or one's own as
    `module:function`; by default all. `quick`: one seed of each layer in place of 3.
    `engine`: `LocalProcesses()` by default.
    **Raises:** `zoo.specimens.UnknownSpecimenError`; `NoPairError`; `zoo.FolderError`
    if `out` holds anything else, or was made by another version; `FullDiskError`.
    """
    names = list(LAYERS if layers is None else layers)
    rules = list(ESTIMATORS if estimators is None else estimators)
    seeds = 1 if quick else SEEDS
    pairs = pairs_of(names, rules, seeds)
    folder = Path(out)
    description = {"layers": names, "estimators": rules, "seeds": seeds}
    store = Store.claim(folder, KIND, description)
    engine = LocalProcesses() if engine is None else engine
    for double, title in ((True, "layers, gradients"), (False, "layers, costs")):
        # The engine's workers compute as this process does.
        with _quickly_compiled(), jax.enable_x64(double):
            jobs = _jobs(pairs, double)
            drive(
                store, engine, measure, jobs, title=title, progress=progress, lost=_lost
            )
        jax.clear_caches()
        eqx.clear_caches()
    found = tables_of(store.table(), pairs)
    write_whole(folder / "leaderboard.csv", found.board.write_csv().encode())
    write_whole(folder / "robustness.csv", found.robustness.write_csv().encode())
    leaderboard_page(
        folder / "leaderboard.html", found.board, found.robustness, _made_with(seeds)
    )
    return found


def tables_of(rows: "DataFrame", pairs: Sequence[Pair]) -> Leaderboard:
    """The two tables, the pairs in their order."""
    import polars

    by = ["layer", "estimator"]
    order = polars.DataFrame(
        [(p.layer, p.estimator, p.layer_specimen.domain) for p in pairs],
        schema={"layer": str, "estimator": str, "domain": str},
        orient="row",
    )
    parts: dict[str, DataFrame] = {
        name: polars.DataFrame() for name in ("gradient", "cost", "robustness")
    }
    for (name,), part in rows.group_by("table"):
        parts[f"{name}"] = part
    told = ("gradient", {"error": "e1"}), ("cost", {"error": "e2", "domain": "d"})
    board = order
    for name, renamed in told:
        own = parts[name].drop("table", "job", "worker").rename(renamed, strict=False)
        own = own.select(c for c in own.columns if not own[c].is_null().all())
        board = board.join(own, on=by, how="left", maintain_order="left")
    both = polars.concat_str(["e1", "e2"], separator="; ", ignore_nulls=True)
    board = board.with_columns(both.str.strip_chars("; ").alias("error"))
    robustness = order.select(by).head(0)
    if parts["robustness"].height:
        levels = parts["robustness"].select(ROBUSTNESS)
        robustness = order.select(by).join(levels, on=by, maintain_order="left")
    robustness = _with(robustness, ROBUSTNESS)
    return Leaderboard(_with(board, BOARD), robustness)


def _with(frame: "DataFrame", columns: Sequence[str]) -> "DataFrame":
    """These columns; what is not there is null."""
    import polars

    lacking = [name for name in columns if name not in frame.columns]
    return frame.with_columns(polars.lit(None).alias(c) for c in lacking).select(
        columns
    )


def _jobs(pairs: Sequence[Pair], double: bool) -> dict[str, Batch]:
    """A layer each, those with most estimators first, so that none is last alone."""
    layers = dict.fromkeys(pair.layer for pair in pairs)
    jobs = {name: tuple(p for p in pairs if p.layer == name) for name in layers}
    longest = sorted(jobs.items(), key=lambda job: -len(job[1]))
    part = "gradient" if double else "cost"
    return {f"{part} {name}": Batch(own, double) for name, own in longest}


def _lost(batch: Batch, why: str) -> list[Row]:
    return [failed(pair, batch.double, why) for pair in batch.pairs]


def _shape_of(specimen: LayerSpecimen) -> Any:
    """The layer, with shapes for arrays where numbers are not looked at."""
    key = jax.random.key(0)
    try:
        return eqx.filter_eval_shape(specimen, key)[0]
    except jax.errors.ConcretizationTypeError:
        return specimen(key)[0]


@contextmanager
def _quickly_compiled() -> Iterator[None]:
    """Workers that start inside compile what is not timed as fast as they can."""
    before = os.environ.get("XLA_FLAGS")
    flags = f"{before or ''} --xla_backend_optimization_level=0".strip()
    os.environ["XLA_FLAGS"] = flags
    try:
        yield
    finally:
        if before is None:
            del os.environ["XLA_FLAGS"]
        else:
            os.environ["XLA_FLAGS"] = before


def _made_with(seeds: int) -> dict[str, str]:
    libraries = ("pnnjax", "jax", "jaxlib", "equinox")
    versions = ", ".join(f"{name} {version(name)}" for name in libraries)
    return {
        "versions": versions,
        "machine": f"{platform.machine()}, {platform.system()}, "
        f"{os.cpu_count()} cores; one thread a worker",
        "seeds": f"{seeds}",
    }
