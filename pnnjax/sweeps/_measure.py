"""All that is measured of a layer and an estimator: the rows of one pair."""

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from .._estimator import Biased, Claim, Exact, Order, bias
from .._frozen import is_trainable
from .._layer import output_size
from .._physical import innermost
from ..estimators._knobs import counted
from ..zoo.specimens import LayerSpecimen, RuleSpecimen
from ._measure_cost import physical_cost
from ._measure_gradient import Alignment, Chips, Fidelity, chips_of, fidelity
from ._measure_key import quick_key
from ._measure_task import Task, accuracy, task_of
from ._measure_training import lesson_of, mark, speed
from ._point import Row


class Pair(NamedTuple):
    """A layer and an estimator by their names, and where they come from."""

    layer: str
    layer_specimen: LayerSpecimen
    estimator: str
    rule_specimen: RuleSpecimen
    seeds: int
    """How many of the layer, over which accuracy and cosines are averaged."""


class Batch(NamedTuple):
    """What one job measures: pairs of one layer, so that what they share is made once.

    Gradients are compared in double precision, in which claims are meant; all else is
    measured in single precision, which users run. No process does both: what libraries
    keep of a compiled program may not fit the other.
    """

    pairs: tuple[Pair, ...]
    double: bool


def measure(batch: Batch) -> list[Row]:
    """A row a pair, in the table "gradient" or "cost"; and those of "robustness".

    What fails is left out, and said in `error`.
    """
    with jax.enable_x64(batch.double):
        # Of the layer before, or of this one in the other precision.
        for cached in (_specimen, _chips, _task, _control):
            cached.cache_clear()
        # Their memory maps, of which Linux allows a process 65,530, add up.
        jax.clear_caches()
        eqx.clear_caches()
        part = _gradients if batch.double else _costs
        return [row for pair in batch.pairs for row in part(pair)]


def failed(pair: Pair, double: bool, why: str) -> Row:
    """The row of a pair before anything is measured, or in place of it."""
    names = {"layer": pair.layer, "estimator": pair.estimator}
    return {"table": "gradient" if double else "cost", **names, "error": why}


def in_words(claim: Claim, biased: bool) -> str:
    """What an estimator promises of a layer."""
    if biased:
        return "biased"
    match claim:
        case Exact():
            return "exact"
        case Order(p):
            return f"order {p}"
        case Biased(cosine):
            return f"cosine ≥ {cosine:g}"
    return "unbiased"


class _Specimen(NamedTuple):
    layer: Any
    x: Array
    """Examples along one leading axis."""
    key: PRNGKeyArray


# The pairs of a job share their layer.
@functools.lru_cache(maxsize=16)
def _specimen(specimen: LayerSpecimen, seed: int) -> _Specimen:
    key = jax.random.key(seed)
    try:
        # One program is sooner compiled than many small ones.
        layer, x = eqx.filter_jit(specimen)(key)
    except jax.errors.ConcretizationTypeError:
        layer, x = specimen(key)
    examples = x.reshape(-1, *x.shape[specimen.batch_axes :])
    return _Specimen(layer, examples, quick_key(seed))


@functools.lru_cache(maxsize=8)
def _chips(specimen: LayerSpecimen, seed: int) -> Chips:
    layer, x, key = _specimen(specimen, seed)
    return chips_of(layer, x, key=key)


@functools.lru_cache(maxsize=8)
def _task(specimen: LayerSpecimen, seed: int) -> Task:
    # A few more examples to mix, or four sizes of a flower would not fit in.
    more = [_specimen(specimen, seed + 1000 * i).x for i in range(3)]
    layer = _specimen(specimen, seed).layer
    return task_of(layer, np.concatenate(more), seed=seed)


@functools.lru_cache(maxsize=8)
def _control(specimen: LayerSpecimen, seed: int) -> float:
    return accuracy(_specimen(specimen, seed).layer, _task(specimen, seed))


def _gradients(pair: Pair) -> list[Row]:
    row, robust = failed(pair, True, ""), []
    _fill(row, _gradient(pair, robust))
    names = {"layer": pair.layer, "estimator": pair.estimator}
    return [row, *({"table": "robustness", **names, **level} for level in robust)]


def _costs(pair: Pair) -> list[Row]:
    row = failed(pair, False, "")
    for stage in (_described, _trained):
        _fill(row, stage(pair))
    return [row]


def _fill(row: Row, stage: Iterator[Row]) -> None:
    try:
        for part in stage:
            row.update(part)
    # Whatever it is: the others are measured all the same.
    except Exception as error:
        said = [row["error"], _said(error)]
        row["error"] = "; ".join(part[:300] for part in said if part)


def _said(error: Exception) -> str:
    """Its kind and its message; of a check within a program, what that says."""
    kind, text = type(error).__name__, f"{error}"
    check = "EquinoxRuntimeError"
    if check in text:
        # Stacks come before it, and advice after a line.
        kind, text = check, text.rpartition(f"{check}: ")[2]
    return f"{kind}: {' '.join(text.split()).partition(' -----')[0]}"


def _described(pair: Pair) -> Iterator[Row]:
    layer, x, _ = _specimen(pair.layer_specimen, 0)
    rule = pair.rule_specimen(layer)
    cost = physical_cost(rule, layer, x)
    yield {
        "kind": type(innermost(layer)).__name__,
        "domain": pair.layer_specimen.domain,
        "rule": type(rule).__name__,
        "claim": in_words(rule.claim, bool(bias(rule, layer))),
        "parameters": counted(eqx.filter(layer, is_trainable(layer))),
        "inputs": counted(x[0]),
        "outputs": output_size(layer, x[0]),
        "runs": cost.runs,
        "relaxations": cost.relaxations,
        "measured": cost.measurements,
        "flops": cost.flops,
    }


def _gradient(pair: Pair, robust: list[Row]) -> Iterator[Row]:
    found: list[Fidelity] = []
    for seed in range(pair.seeds):
        chips = _chips(pair.layer_specimen, seed)
        key = _specimen(pair.layer_specimen, seed).key
        found.append(fidelity(chips, pair.rule_specimen(chips.base), key=key))
    for what, level in found[0].imperfect:
        mean = _mean([one.imperfect[what, level] for one in found])
        robust.append({"what": what, "level": level, **mean._asdict()})
    averaged = _mean([one.averaged for one in found])
    yield {
        **_mean([one.perfect for one in found])._asdict(),
        "cosine_of_mean": averaged.cosine,
        "relative_error_of_mean": averaged.relative_error,
        "draws": found[0].draws,
    }


def _trained(pair: Pair) -> Iterator[Row]:
    """What a gradient takes, then how well it trains."""
    marks, controls = [], []
    for seed in range(pair.seeds):
        layer, x, key = _specimen(pair.layer_specimen, seed)
        rule, task = pair.rule_specimen(layer), _task(pair.layer_specimen, seed)
        lesson = lesson_of(layer, rule, task, key=key)
        if not marks:
            yield speed(lesson)._asdict()
        cost = physical_cost(rule, layer, x)
        marks.append(mark(lesson, cost.runs + cost.relaxations))
        controls.append(_control(pair.layer_specimen, seed))
    yield {
        "accuracy": float(np.mean([one.accuracy for one in marks])),
        "accuracy_untrained": float(np.mean(controls)),
        "physical_runs": marks[0].runs,
    }


def _mean(found: list[Alignment]) -> Alignment:
    return Alignment(*np.mean(found, 0).tolist())
