"""Trainings of the same shapes, side by side in one compiled program."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.custom_batching import sequential_vmap
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from .. import zoo
from .._fit import task_of
from .._parts import Parts
from .._session import strong
from .._step import LOSSES, State, Task, one_step, predict
from ._rule import WithRule


class Lane(NamedTuple):
    """What one training has to itself; with a leading axis, what each of them has."""

    settings: tuple[Float[Array, "..."], ...]
    keys: PRNGKeyArray
    """Of the model, and of `fit`."""
    arrays: PyTree
    """Of a model that was built beforehand; `None` if it is built in the program."""


class Progress(NamedTuple):
    """What steps change. All trainings are at the same step when a call ends."""

    step: Int[Array, ""]
    trained: PyTree
    memory: PyTree
    """The optimizer's."""
    failed: Int[Array, "..."]
    """The step that was not finite, counted from one; 0 while there is none."""


class Family(NamedTuple):
    """What trainings of one program share."""

    study: zoo.AbstractTraining
    """One of them, whose other settings are those of all."""
    traced: tuple[str, ...]
    """Settings that are arrays in the program."""
    parts: Parts
    trainable: tuple[bool, ...]
    """Which leaves of the model: where a setting is one, it looks like a parameter."""
    static: Any
    """What is no array of models that were built beforehand, or `None`."""
    measured: bool
    """Metrics are taken in the program; otherwise, of the predictions it returns."""
    exact: bool = False
    """They take turns, each rounded as if it were alone; otherwise, all are vmapped."""

    def configured(self, lane: Lane) -> Any:
        """The study with the settings of the lane."""
        return with_settings(self.study, self.traced, lane.settings)

    def model(self, study: zoo.AbstractTraining, lane: Lane) -> Any:
        """The untrained model of the lane."""
        if self.static is None:
            return study.model(key=lane.keys[0])
        return eqx.combine(lane.arrays, self.static)

    def task(self, lane: Lane, parts: Parts) -> tuple[Task, PyTree]:
        """As `fit` makes it, and the parameters before training."""
        study = self.configured(lane)
        model = self.model(study, lane)
        return task_of(
            model,
            self.mask(model),
            parts,
            study.rule(),
            study.optimizer(self.steps()),
            lane.keys[1],
            study.batch_size,
        )

    def mask(self, model: Any) -> PyTree[bool]:
        """Which leaves are trained."""
        return jax.tree.unflatten(jax.tree.structure(model), self.trainable)

    def epoch_steps(self) -> int:
        return len(self.parts.train_x) // self.study.batch_size

    def steps(self) -> int:
        """In all."""
        return self.study.epochs * self.epoch_steps()

    def evaluate_every(self) -> int:
        """Steps, as `AbstractTraining.run` has it."""
        return max(1, self.study.epochs // 100) * self.epoch_steps()


class Fleet(NamedTuple):
    """The programs of a family, for any number of lanes."""

    family: Family
    begin: Callable[..., Progress]
    """`begin(parts, lanes)`."""
    advance: Callable[..., tuple[Progress, Array]]
    """`advance(parts, lanes, progress, stop)`; also the loss of each step made."""
    evaluate: Callable[..., PyTree]
    """`evaluate(parts, lanes, trained, step)`: metrics, or predictions."""


def fleet_of(family: Family) -> Fleet:
    """To be compiled when they are first called."""
    shared: Any = None
    own: Any = 0
    # What takes turns returns nothing that is shared.
    step = own if family.exact else shared
    state = Progress(step, own, own, own)

    def program(function: Callable, inputs: Any, outputs: Any) -> Callable:
        one = partial(function, family)
        each = sequential_vmap(one) if family.exact else one
        return jax.jit(jax.vmap(each, inputs, outputs))

    return Fleet(
        family,
        program(_begin, (shared, own), state),
        program(_advance, (shared, own, state, shared), (state, own)),
        program(_evaluate, (shared, own, own, step), own),
    )


class Course(NamedTuple):
    """How one training went."""

    loss: np.ndarray
    """Of each finished step."""
    steps: list[int]
    """After how many each evaluation was made."""
    metrics: dict[str, list[float]]
    failed: int
    """The step that was not finite, counted from one, or 0."""
    bad: float
    """Its loss."""


def train(fleet: Fleet, lanes: Lane, studies: Sequence[Any]) -> list[Course]:
    """All lanes to the end; `studies` are theirs."""
    family, period = fleet.family, fleet.family.evaluate_every()
    progress, last = fleet.begin(family.parts, lanes), family.steps()
    losses, evaluations, made = [], {}, 0
    while made < last and not np.all(progress.failed):
        stop = min(last, (made // period + 1) * period, made + LOSSES)
        progress, new = fleet.advance(family.parts, lanes, progress, jnp.int32(stop))
        losses.append(np.asarray(new)[:, : stop - made])
        made = stop
        if made % period == 0 or made == last:
            found = fleet.evaluate(family.parts, lanes, progress.trained, progress.step)
            evaluations[made] = _taken(family, found, studies)
    loss = np.concatenate(losses, axis=1)
    failed, names = np.asarray(progress.failed), list(family.study.metrics())
    return [
        _course(
            names, loss[i], int(failed[i]), {n: m[i] for n, m in evaluations.items()}
        )
        for i in range(len(studies))
    ]


def _begin(family: Family, parts: Parts, lane: Lane) -> Progress:
    task, trained = family.task(lane, parts)
    memory = task.optimizer.init(trained)
    start = strong(State(jnp.int32(0), trained, memory))
    return Progress(*start, jnp.int32(0))


def _advance(
    family: Family, parts: Parts, lane: Lane, progress: Progress, stop: Int[Array, ""]
) -> tuple[Progress, Array]:
    """As `advance` of one training; but one that fails keeps its state, and goes on."""
    task, trained = family.task(lane, parts)
    mask = family.mask(task.model(trained))
    spe, start = task.steps_per_epoch, progress.step

    def epoch(carry):
        order = task.order(carry[0].step)
        end = jnp.minimum(stop, (carry[0].step // spe + 1) * spe)
        return lax.while_loop(lambda c: c[0].step < end, step(order), carry)

    def step(order):
        def body(carry):
            old, losses = carry
            new, loss, finite = one_step(task, State(*old[:3]), order)
            fine = old.failed == 0
            losses = losses.at[old.step - start].set(loss)
            kept = eqx.filter(new.trained, mask), new.memory
            kept = _select(fine & finite, kept, (old.trained, old.memory))
            failed = jnp.where(fine & ~finite, new.step, old.failed)
            return Progress(new.step, *kept, failed), losses

        return body

    # A model that is built again may hold a function that is equal, but not the same.
    like = progress._replace(trained=trained, memory=task.optimizer.init(trained))
    length = min(LOSSES, family.evaluate_every())
    carry = _as(like, progress), jnp.zeros(length, task.loss_dtype)
    last, losses = lax.while_loop(lambda c: c[0].step < stop, epoch, carry)
    return _as(progress, last), losses


def _evaluate(
    family: Family, parts: Parts, lane: Lane, trained: PyTree, step: Int[Array, ""]
) -> PyTree:
    task, like = family.task(lane, parts)
    model = eqx.nn.inference_mode(task.model(_as(like, trained)))
    key = jax.random.fold_in(jax.random.fold_in(lane.keys[1], 2), step)
    out = predict(task.objective, model, parts.test_x, key, task.batch_size)
    if not family.measured:
        return out
    metrics = family.configured(lane).metrics()
    return {name: metric(out, parts.test_y) for name, metric in metrics.items()}


def _taken(
    family: Family, found: PyTree, studies: Sequence[Any]
) -> list[dict[str, float]]:
    """The metrics of each lane."""
    host = jax.tree.map(np.asarray, found)
    own = [jax.tree.map(lambda leaf, i=i: leaf[i], host) for i in range(len(studies))]
    if family.measured:
        return [{name: float(value) for name, value in one.items()} for one in own]
    targets = family.parts.test_y
    return [
        {
            name: float(metric(jax.tree.map(jnp.asarray, out), targets))
            for name, metric in study.metrics().items()
        }
        for out, study in zip(own, studies, strict=True)
    ]


def _course(
    names: Sequence[str],
    loss: np.ndarray,
    failed: int,
    evaluations: dict[int, dict[str, float]],
) -> Course:
    steps = [step for step in evaluations if not failed or step < failed]
    metrics = {name: [evaluations[step][name] for step in steps] for name in names}
    if not failed:
        return Course(loss, steps, metrics, 0, 0.0)
    return Course(loss[: failed - 1], steps, metrics, failed, float(loss[failed - 1]))


def _as(like: PyTree, tree: PyTree) -> Any:
    """The leaves of `tree` in the structure of `like`."""
    return jax.tree.unflatten(jax.tree.structure(like), jax.tree.leaves(tree))


def _select(condition: Array, new: PyTree, old: PyTree) -> PyTree:
    return jax.tree.map(lambda a, b: lax.select(condition, a, b), new, old)


def with_settings(study: Any, names: Sequence[str], values: Sequence[Any]) -> Any:
    """`study` with these settings, whatever they are: its `__init__` is not run."""
    if not names:
        return study
    if isinstance(study, WithRule):
        return WithRule(with_settings(study.study, names, values), study.estimator)
    return eqx.tree_at(lambda s: [getattr(s, n) for n in names], study, list(values))
