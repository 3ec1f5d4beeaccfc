"""Which layer made a number that is not finite."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from ._checkpoint import named_leaves
from ._frozen import is_trainable
from ._objective import AbstractLocalObjective, Objective, apply, loss_of
from ._physical import Physical, innermost

AGAIN = (
    "running the batch again found nothing wrong: it was the optimizer's update, or a "
    "device that does not repeat itself"
)


class NonFiniteError(FloatingPointError):
    """Training met a NaN or an infinity. The parameters are those before that step."""

    step: int
    """The step that failed, counted from one."""
    model: PyTree
    """The model before that step."""
    history: Any
    """The `History` before that step."""

    def __init__(self, message: str, step: int, model: PyTree, history: Any):
        Exception.__init__(self, message)
        self.step = step
        self.model = model
        self.history = history


def diagnose(
    model: Any,
    x: Array,
    targets: Array,
    keys: Array | None,
    objective: Objective | AbstractLocalObjective,
    gradient: bool,
) -> str:
    """Run one batch again layer by layer: where it, or its gradient, is not finite.

    Without `gradient`, nothing is differentiated: there may be a device in the model.

    Layers are the members of an `eqx.nn.Sequential`, nested ones too; any other model
    is one layer, of which the parameters with such a gradient are named.
    """
    stages = _stages(model, "", keys)
    for stage in stages:
        if bad := _not_finite(eqx.filter(stage.layer, is_trainable(stage.layer))):
            return f"{stage.label} has parameters that are not finite: {bad}"
    if isinstance(objective, AbstractLocalObjective):
        loss = loss_of(objective, model, x, targets, keys)
        return f"the sum of the layers' own losses is {float(loss):.4g}"
    signals = [x]
    for stage in stages:
        signals.append(stage(stage.layer, signals[-1]))
        if _not_finite(signals[-1]):
            return f"{stage.label} is the first layer whose output is not finite"
    if _not_finite(objective(signals[-1], targets)):
        return "every layer's output is finite, but the objective of it is not"
    if not gradient:
        return AGAIN
    loss, pullback = eqx.filter_vjp(lambda y: objective(y, targets), signals[-1])
    (y_bar,) = pullback(jnp.ones_like(loss))
    if _not_finite(y_bar):
        return "the loss is finite, but the objective's gradient is not"
    for stage, signal in zip(reversed(stages), reversed(signals[:-1])):
        y_bar, message = _pull_back(stage, signal, y_bar)
        if message:
            return message
    return AGAIN


class _Stage(NamedTuple):
    label: str
    layer: Any
    keys: Array | None

    def __call__(self, layer: Any, x: PyTree) -> PyTree:
        return apply(layer, x, self.keys)


def _stages(layer: Any, path: str, keys: Array | None) -> list[_Stage]:
    if not isinstance(layer, eqx.nn.Sequential):
        name = f"layer {path} ({_describe(layer)})" if path else _describe(layer)
        return [_Stage(name, layer, keys)]
    parts: list[Array | None] = [None] * len(layer.layers)
    if keys is not None:
        # As `Sequential` itself does, so that the same noise is drawn.
        split = jax.vmap(lambda key: jax.random.split(key, len(layer.layers)))(keys)
        parts = [split[:, i] for i in range(len(layer.layers))]
    return [
        stage
        for i, (part, inner) in enumerate(zip(parts, layer.layers))
        for stage in _stages(inner, f"{path}[{i}]", part)
    ]


def _pull_back(stage: _Stage, x: PyTree, y_bar: PyTree) -> tuple[PyTree, str]:
    trained, fixed = eqx.partition(stage.layer, is_trainable(stage.layer))

    def run(trained: PyTree, x: PyTree) -> PyTree:
        return stage(eqx.combine(trained, fixed), x)

    _, pullback = eqx.filter_vjp(run, trained, x)
    layer_bar, x_bar = pullback(y_bar)
    of = "the last layer whose gradient is not finite, where the pass back meets it"
    if bad := _not_finite(layer_bar):
        return x_bar, f"{stage.label} is {of}: {bad}"
    if _not_finite(x_bar):
        return x_bar, f"{stage.label} is {of}: that of its input"
    return x_bar, ""


def _not_finite(tree: PyTree) -> str:
    """The paths of the leaves that are not finite; empty if all are."""
    return ", ".join(
        f"`{path}`" if path else "its output"
        for path, leaf in named_leaves(tree).items()
        if jnp.issubdtype(leaf.dtype, jnp.inexact) and not jnp.isfinite(leaf).all()
    )


def _describe(layer: Any) -> str:
    while isinstance(layer, Physical):
        layer = innermost(layer.layer)
    return type(innermost(layer)).__name__
