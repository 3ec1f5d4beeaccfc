"""Objectives that run the model themselves, layer by layer."""

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Inexact, Shaped

Objective = Callable[[Any, Any], Array]
"""A scalar from `(predictions, targets)`."""


class AbstractLocalObjective(eqx.Module):
    """A loss for each layer, of what the layer makes of chosen inputs.

    Where a global objective sees predictions and targets, this one sees the model: it
    sends through it what it likes (an image with a right and with a wrong label, say),
    and stops gradients between the layers. One `jax.grad` of the sum of its losses is
    then every layer's own gradient. Give it to `fit` in place of a function.
    """

    @abc.abstractmethod
    def loss(
        self,
        model: Any,
        x: Shaped[Array, "batch ..."],
        targets: Shaped[Array, "batch ..."],
        *,
        keys: Array | None,
    ) -> Inexact[Array, ""]:
        """The mean over the examples of the layers' losses, added up.

        **Arguments:** `keys`: one an example, for the noise of the layers, and for what
        the objective draws; none in a deterministic run.
        """

    @abc.abstractmethod
    def predict(
        self, model: Any, x: Shaped[Array, "batch ..."], *, keys: Array | None
    ) -> Inexact[Array, "batch ..."]:
        """What metrics compare with the targets: a score for each class, say."""


def loss_of(
    objective: Objective | AbstractLocalObjective,
    model: Any,
    x: Shaped[Array, "batch ..."],
    targets: Shaped[Array, "batch ..."],
    keys: Array | None,
) -> Inexact[Array, ""]:
    """What is minimized, of either kind of objective."""
    if isinstance(objective, AbstractLocalObjective):
        return objective.loss(model, x, targets, keys=keys)
    return objective(apply(model, x, keys), targets)


def predictions_of(
    objective: Objective | AbstractLocalObjective,
    model: Any,
    x: Shaped[Array, "batch ..."],
    keys: Array | None,
) -> Any:
    """What metrics are taken of, for either kind of objective."""
    if isinstance(objective, AbstractLocalObjective):
        return objective.predict(model, x, keys=keys)
    return apply(model, x, keys)


def apply(model: Any, x: Any, keys: Array | None) -> Any:
    """`model` on each example, with a key each, or without noise."""
    if keys is None:
        return jax.vmap(model)(x)
    return jax.vmap(lambda x, key: model(x, key=key))(x, keys)
