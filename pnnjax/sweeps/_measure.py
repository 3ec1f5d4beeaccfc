"""All that is measured of a layer and an estimator: the rows of one pair."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from .._estimator import (
    Biased,
    Claim,
    Exact,
    Order,
    PhysicalCost,
    bias,
)
from .._frozen import is_trainable
from .._layer import output_size
from .._physical import innermost
from ..estimators._knobs import counted
from ..zoo.specimens import LayerSpecimen, RuleSpecimen
from ._measure_cost import physical_cost, speed
from ._measure_gradient import Alignment, Chips, Fidelity, chips_of, fidelity
from ._measure_task import Task, mark, task_of, untrained
from ._point import Row


class Pair(NamedTuple):
    """A layer and an estimator by their names, and where they come from."""

    layer: str
    layer_specimen: LayerSpecimen
    estimator: str
    rule_specimen: RuleSpecimen
    seeds: int
    """How many of the layer, over which accuracy and cosines are averaged."""


def measure(pairs: tuple[Pair, ...]) -> list[Row]:
    """The rows of some pairs: of one layer, so that what they share is made once."""
    return [row for pair in pairs for row in measured(pair)]


def measured(pair: Pair) -> list[Row]:
    """One row of the leaderboard, and those of its robustness.

    What fails is left out, and said in `error`.
    """
    names = {"layer": pair.layer, "estimator": pair.estimator}
    board = failed(pair, "")
    robust: list[Row] = []
    stages: list[Callable[[], None]] = [
        lambda: board.update(_described(pair)),
        lambda: board.update(_gradient(pair, robust)),
        lambda: board.update(_speed(pair)),
        lambda: board.update(_accuracy(pair)),
    ]
    errors = []
    for stage in stages:
        try:
            stage()
        # Whatever it is: the others are measured all the same.
        except Exception as error:
            errors.append(_short(error))
    board["error"] = "; ".join(dict.fromkeys(errors))
    return [board, *({"table": "robustness", **names, **row} for row in robust)]


def failed(pair: Pair, why: str) -> Row:
    """The row of the leaderboard before anything is measured, or in place of it."""
    return {
        "table": "leaderboard",
        "layer": pair.layer,
        "domain": pair.layer_specimen.domain,
        "estimator": pair.estimator,
        "error": why,
    }


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
@functools.lru_cache(maxsize=8)
def _specimen(specimen: LayerSpecimen, seed: int, double: bool) -> _Specimen:
    with jax.enable_x64(double):
        layer, x = specimen(jax.random.key(seed))
        axes = specimen.batch_axes
        # Programs with this generator in them are compiled in three quarters the time.
        key = jax.random.key(seed, impl="unsafe_rbg")
        return _Specimen(layer, x.reshape(-1, *x.shape[axes:]), key)


@functools.lru_cache(maxsize=8)
def _chips(specimen: LayerSpecimen, seed: int) -> Chips:
    layer, x, key = _specimen(specimen, seed, True)
    return chips_of(layer, x, key=key)


@functools.lru_cache(maxsize=8)
def _task(specimen: LayerSpecimen, seed: int) -> tuple[Task, float]:
    """And the accuracy of the untrained layer."""
    layer, x, key = _specimen(specimen, seed, False)
    # A few more examples to mix, or four sizes of a flower would not fit in.
    more = [_specimen(specimen, seed + 1000 * i, False).x for i in (1, 2)]
    task = task_of(layer, jnp.concatenate([x, *more]), key=key)
    return task, untrained(layer, task, key=key)


def _described(pair: Pair) -> Row:
    layer, x, _ = _specimen(pair.layer_specimen, 0, False)
    rule = pair.rule_specimen(layer)
    cost = physical_cost(rule, layer, x)
    return {
        "kind": type(innermost(layer)).__name__,
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


def _gradient(pair: Pair, robust: list[Row]) -> Row:
    with jax.enable_x64(True):
        found: list[Fidelity] = []
        for seed in range(pair.seeds):
            chips = _chips(pair.layer_specimen, seed)
            rule = pair.rule_specimen(chips.base)
            key = _specimen(pair.layer_specimen, seed, True).key
            found.append(fidelity(chips, rule, key=key))
    for what, level in found[0].imperfect:
        mean = _mean([one.imperfect[what, level] for one in found])
        robust.append({"what": what, "level": level, **mean._asdict()})
    averaged = _mean([one.averaged for one in found])
    return {
        **_mean([one.perfect for one in found])._asdict(),
        "cosine_of_mean": averaged.cosine,
        "relative_error_of_mean": averaged.relative_error,
        "draws": found[0].draws,
    }


def _speed(pair: Pair) -> Row:
    with jax.enable_x64(False):
        layer, x, key = _specimen(pair.layer_specimen, 0, False)
        return speed(layer, pair.rule_specimen(layer), x, key=key)._asdict()


def _accuracy(pair: Pair) -> Row:
    with jax.enable_x64(False):
        marks, controls = [], []
        for seed in range(pair.seeds):
            layer, x, key = _specimen(pair.layer_specimen, seed, False)
            rule = pair.rule_specimen(layer)
            task, control = _task(pair.layer_specimen, seed)
            runs = _runs(physical_cost(rule, layer, x))
            controls.append(control)
            marks.append(mark(layer, rule, runs, task, key=key))
    return {
        "accuracy": float(np.mean([one.accuracy for one in marks])),
        "accuracy_untrained": float(np.mean(controls)),
        "physical_runs": marks[0].runs,
    }


def _runs(cost: PhysicalCost) -> int:
    return cost.runs + cost.relaxations


def _mean(found: list[Alignment]) -> Alignment:
    return Alignment(*np.mean(found, 0).tolist())


def _short(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}"
