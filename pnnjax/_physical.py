"""A layer and the rule for its gradient, joined."""

import warnings
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Inexact, PRNGKeyArray, PyTree

from ._batch import filled, physical_vjp
from ._estimator import AbstractEstimator, GradientBiasWarning, bias, unmet
from ._layer import AbstractLayer, AbstractWrapper, Facts


class Physical(AbstractLayer):
    """`layer`, differentiated by `estimator`: under `jax.grad`, its rule runs.

    Takes any leading axes. `jax.vmap(model)(X)` is one physical batch: the rule runs
    once, and the gradient of the parameters comes summed. A sweep that batches the
    parameters (or the estimator's numbers) runs the rule for each of its points.

    **Raises:** `TypeError` if the layer lacks what the estimator needs.
    **Warns:** `GradientBiasWarning` if the layer breaks a condition of its exactness.
    """

    layer: Any
    estimator: AbstractEstimator

    def __init__(self, layer: Any, estimator: AbstractEstimator):
        self.layer = layer
        self.estimator = estimator

    @property
    def facts(self) -> Facts:
        if isinstance(self.layer, AbstractLayer):
            return self.layer.facts
        return Facts()

    def __check_init__(self):
        layer = innermost(self.layer)
        reasons = unmet(self.estimator, layer)
        if reasons:
            raise TypeError(_refusal(layer, self.estimator, reasons))
        for reason in bias(self.estimator, self.layer):
            warnings.warn(
                f"`{_name(self.estimator)}` is biased on `{_name(layer)}`: {reason}",
                GradientBiasWarning,
                stacklevel=4,
            )

    def __call__(
        self, x: Inexact[Array, "..."], *, key: PRNGKeyArray | None = None
    ) -> Inexact[Array, "..."]:
        arrays, static = eqx.partition(self.estimator, eqx.is_array)
        estimator = eqx.combine(jax.lax.stop_gradient(arrays), static)
        return _run((self.layer, _Held(estimator)), x, key)


def attach(
    model: PyTree,
    estimator: AbstractEstimator | Callable[[AbstractLayer], AbstractEstimator],
    where: Callable[[AbstractLayer], bool] = lambda layer: True,
) -> PyTree:
    """`model` with `estimator` on every layer that supports it and that `where` picks.

    Where each layer has its own (a device of its own, say), `estimator` is a function
    that makes it from the layer. A layer that already is in a `Physical` is left as it
    is.

    **Raises:** `ValueError` if there is no such layer.
    """
    found, refused = [], set()

    def wrap(node: Any) -> Any:
        if isinstance(node, Physical) or not isinstance(node, AbstractLayer):
            return node
        if not where(node):
            return descend(node)
        own = estimator if isinstance(estimator, AbstractEstimator) else estimator(node)
        if unmet(own, innermost(node)):
            refused.add(type(own))
            return descend(node)
        found.append(node)
        return Physical(node, own)

    def descend(tree: Any) -> Any:
        return jax.tree.map(
            wrap,
            tree,
            is_leaf=lambda n: n is not tree and isinstance(n, AbstractLayer),
        )

    attached = wrap(model) if isinstance(model, AbstractLayer) else descend(model)
    if not found:
        if isinstance(estimator, AbstractEstimator):
            refused.add(type(estimator))
        rules = " or ".join(
            f"`{rule.__name__}` (it needs a `{rule.conditions.capability.__name__}`)"
            for rule in refused
        )
        raise ValueError(
            "No layer of this model that `where` picks is supported by "
            f"{rules or 'any estimator'}."
        )
    return attached


def innermost(layer: Any) -> Any:
    """What a stack of wrappers wraps."""
    while isinstance(layer, AbstractWrapper):
        layer = layer.layer
    return layer


class _Held(eqx.Module):
    """Keeps the estimator's numbers out of the differentiated parameters."""

    estimator: AbstractEstimator


def _realize(layer: Any, key: PRNGKeyArray | None) -> Any:
    while isinstance(layer, AbstractWrapper):
        if key is None:
            layer = layer.realize(None)
        else:
            key, own = jax.random.split(key)
            layer = layer.realize(own)
    return layer


def _forward(parameters, x, key):
    layer, held = parameters
    if not held.estimator.sets_hardware:
        layer = _realize(layer, key)
    return held.estimator.forward(layer, x, key=key)


def _backward(parameters, x, residuals, y_bar, key):
    layer, held = parameters
    trained, rest = eqx.partition(layer, eqx.is_inexact_array)

    def realized(trained):
        layer = _realize(eqx.combine(trained, rest), key)
        return eqx.filter(layer, eqx.is_inexact_array)

    if held.estimator.sets_hardware or not isinstance(layer, AbstractWrapper):
        layer_bar, x_bar = held.estimator.backward(layer, x, residuals, y_bar, key=key)
        return (layer_bar, None), x_bar
    inner, pullback = jax.vjp(realized, trained)
    inner_bar, x_bar = held.estimator.backward(
        _realize(layer, key), x, residuals, y_bar, key=key
    )
    (layer_bar,) = pullback(filled(inner_bar, inner))
    return (layer_bar, None), x_bar


_run = physical_vjp(_forward, _backward)


def _name(thing: Any) -> str:
    return type(thing).__name__


def _refusal(layer: Any, estimator: AbstractEstimator, reasons: list[str]) -> str:
    able = sorted(
        kind.__name__ for kind in _finals(AbstractEstimator) if not unmet(kind, layer)
    )
    return (
        f"`{_name(estimator)}` can't train `{_name(layer)}`: {'; '.join(reasons)}. "
        f"Estimators that can: {', '.join(able) or 'none'}."
    )


def _finals(kind: type) -> list[type]:
    below = [leaf for sub in kind.__subclasses__() for leaf in _finals(sub)]
    return below or [kind]
