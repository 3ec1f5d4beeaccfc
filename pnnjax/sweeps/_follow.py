"""One training, stopped now and then to see where its gradients point."""

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from .. import zoo
from .._estimator import PhysicalCost, unmet
from .._frozen import is_trainable
from .._layer import AbstractLayer, AbstractWrapper, Facts
from .._objective import loss_of
from .._parts import parts_of
from .._physical import Physical, innermost
from .._search import AbstractSearch
from .._session import strong
from .._step import LOSSES, State, Task, advance, example_keys
from ..estimators import Autodiff, ImplicitDifferentiation
from ._fleet import Family, Lane
from ._rule import WithRule

MOMENTS = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)
"""Of the whole training."""

EXAMPLES = 256
"""Of the training part, in whose mean loss the gradients are taken."""


ROUNDS = 9
STRETCH = 50
"""Steps that are timed in one go."""


class NotFollowedError(ValueError):
    """A training whose gradients can't be looked at."""


class Training(NamedTuple):
    """One run, before its first step."""

    task: Task
    state: State
    steps: int
    """In all."""


class Followed(NamedTuple):
    """Where the gradients of one training pointed."""

    steps: Int[np.ndarray, " moments"]
    """After how many of them."""
    cosines: Mapping[str, Float[np.ndarray, " moments"]]
    """By layer, of the estimated gradient with the exact one."""


def training_of(study: Any, seed: int) -> Training:
    """What `study.run` trains.

    **Raises:** `NotFollowedError` if it is no training by gradients.
    """
    whole = study.study if isinstance(study, WithRule) else study
    if not isinstance(whole, zoo.AbstractTraining):
        raise NotFollowedError("it is no training run of one model")
    if type(whole).run is not zoo.AbstractTraining.run:
        raise NotFollowedError("it has a `run` of its own")
    lane = Lane((), jax.random.split(jax.random.key(seed)), None)
    trainable = jax.tree.leaves(is_trainable(study.model(key=lane.keys[0])))
    parts = parts_of(study.data())
    family = Family(study, (), parts, tuple(trainable), None, True)
    task, trained = family.task(lane, family.parts)
    if isinstance(task.optimizer, AbstractSearch):
        raise NotFollowedError("it trains by a search, without a gradient")
    memory = task.optimizer.init(trained)
    state = strong(State(jnp.int32(0), trained, memory))
    return Training(task, state, family.steps())


def follow(training: Training, moments: Sequence[float] = MOMENTS) -> Followed:
    """Train to the end, and compare the gradients at some moments.

    The exact gradient is that of `ImplicitDifferentiation` where a layer settles, and
    of `Autodiff` elsewhere, with the same parameters, examples and noise.

    **Raises:** `NotFollowedError` if a step is not finite; what the exact rule raises,
    where there is none.
    """
    task, state, steps = training
    stops = sorted({round(moment * steps) for moment in moments})
    cosines: list[dict[str, float]] = []
    for stop in stops:
        state = _advanced(task, state, stop)
        cosines.append(_cosines(task, state))
    return Followed(
        steps=np.asarray(stops),
        cosines={n: np.asarray([each[n] for each in cosines]) for n in cosines[0]},
    )


def seconds_per_step(trainings: Sequence[Training]) -> list[float]:
    """The median of each, in rounds in which each has its turn: what else the machine
    does meets all of them. Compilation is not in it.
    """
    for task, state, _ in trainings:
        _advanced(task, state, 1)
    found = [[_pace(training) for training in trainings] for _ in range(ROUNDS)]
    return np.median(found, axis=0).tolist()


def cost_of(training: Training) -> tuple[PhysicalCost, int]:
    """Of one gradient of one example, all estimators of the model together; and for how
    many examples the whole training asks for one.

    **Raises:** `NotFollowedError` if it is not known.
    """
    task, state, steps = training
    seen: list[tuple[Physical, jax.ShapeDtypeStruct]] = []

    def note(node: Any) -> Any:
        return _Noted(node, seen) if isinstance(node, Physical) else node

    model = jax.tree.map(
        note, task.model(state.trained), is_leaf=lambda n: isinstance(n, Physical)
    )
    x, y = task.x[:1], task.y[:1]
    keys = example_keys(task.noise_key, state.step, 1)
    try:
        jax.eval_shape(lambda x: loss_of(task.objective, model, x, y, keys), x)
    except (AttributeError, TypeError) as error:
        raise NotFollowedError(f"its model can't be looked into: {error}") from error
    if not seen:
        raise NotFollowedError("its model has no `Physical`")
    costs = [_cost(physical, shape) for physical, shape in seen]
    total = PhysicalCost(*(sum(each) for each in zip(*costs, strict=True)))
    return total, steps * task.batch_size


class _Noted(AbstractLayer):
    """A `Physical` that notes what it is given."""

    physical: Physical
    seen: list[tuple[Physical, jax.ShapeDtypeStruct]] = eqx.field(static=True)

    def __init__(self, physical: Physical, seen: Any):
        self.physical = physical
        self.seen = seen

    @property
    def facts(self) -> Facts:
        return self.physical.facts

    @property
    def layer(self) -> Any:
        return self.physical.layer

    @property
    def estimator(self) -> Any:
        return self.physical.estimator

    def __call__(self, x: Any, *, key: Any = None) -> Any:
        self.seen.append((self.physical, jax.ShapeDtypeStruct(x.shape, x.dtype)))
        return self.physical(x, key=key)


def _cost(physical: Physical, x: jax.ShapeDtypeStruct) -> PhysicalCost:
    layer, rule = physical.layer, physical.estimator
    while isinstance(layer, AbstractWrapper) and not rule.sets_hardware:
        layer = layer.realize(None)
    return rule.cost(layer, x)


def _pace(training: Training) -> float:
    task, state, steps = training
    stop = min(steps, STRETCH)
    begun = time.perf_counter()
    _advanced(task, state, stop)
    return (time.perf_counter() - begun) / stop


def _advanced(task: Task, state: State, stop: int) -> State:
    while int(state.step) < stop:
        to = min(stop, int(state.step) + LOSSES)
        state, _, finite = advance(task, state, jnp.asarray(to, jnp.int32))
        if not finite:
            raise NotFollowedError(f"step {int(state.step) + 1} is not finite")
    return state


def _cosines(task: Task, state: State) -> dict[str, float]:
    model = task.model(state.trained)
    x, y = task.x[:EXAMPLES], task.y[:EXAMPLES]
    keys = example_keys(task.noise_key, state.step, len(x))
    found = _gradient(task.objective, model, x, y, keys)
    exact = _gradient(task.objective, _exactly(model), x, y, keys)
    names = [_layer_name(path) for path, _ in jax.tree.leaves_with_path(found)]
    pairs = list(zip(names, jax.tree.leaves(found), jax.tree.leaves(exact)))
    return {
        layer: _cosine(*zip(*[(a, b) for name, a, b in pairs if name == layer]))
        for layer in dict.fromkeys(names)
    }


@eqx.filter_jit
def _gradient(
    objective: Any, model: Any, x: Array, y: Array, keys: Array | None
) -> PyTree[Array]:
    trained, fixed = eqx.partition(model, is_trainable(model))

    def loss(trained: PyTree) -> Array:
        return loss_of(objective, eqx.combine(trained, fixed), x, y, keys)

    return jax.grad(loss)(trained)


def _exactly(model: Any) -> Any:
    """`model` with the exact rule in the place of each estimator."""

    def swap(node: Any) -> Any:
        if not isinstance(node, Physical):
            return node
        rule = ImplicitDifferentiation()
        settles = not unmet(rule, innermost(node.layer))
        return Physical(node.layer, rule if settles else Autodiff())

    return jax.tree.map(swap, model, is_leaf=lambda node: isinstance(node, Physical))


def _cosine(found: Sequence[Array], exact: Sequence[Array]) -> float:
    u, v = (np.concatenate([_real(leaf) for leaf in each]) for each in (found, exact))
    size = float(np.linalg.norm(u) * np.linalg.norm(v))
    return float(u @ v) / size if size else float("nan")


def _real(leaf: Array) -> np.ndarray:
    parts = (leaf.real, leaf.imag) if jnp.iscomplexobj(leaf) else (leaf,)
    return np.concatenate([np.ravel(np.asarray(part, float)) for part in parts])


def _layer_name(path: Sequence[Any]) -> str:
    """What holds the array, as one would write it."""
    text = jax.tree_util.keystr(tuple(path[:-1]))
    return re.sub(r"\.layer\b|\._value\b", "", text).strip(".") or "model"
