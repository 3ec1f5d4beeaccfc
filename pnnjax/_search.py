"""Optimizers that are told losses, and never a gradient."""

import abc
from collections.abc import Callable

import equinox as eqx
from jaxtyping import Array, Inexact, PRNGKeyArray, PyTree

Loss = Callable[[PyTree, PRNGKeyArray], Inexact[Array, ""]]
"""`loss(parameters, key)` of the batch at hand; the key draws that run's noise."""


class AbstractSearch(eqx.Module):
    """An optimizer that proposes parameters and is told their losses.

    `fit` takes one in place of an `optax.GradientTransformation`. The loss it may ask
    for is that of the mini-batch of the step; `jax.vmap` of it is a population in one
    call. It must not be differentiated: the model may be a device.
    """

    @abc.abstractmethod
    def init(self, parameters: PyTree[Array]) -> PyTree[Array]:
        """What it remembers before the first step: arrays only."""

    @abc.abstractmethod
    def step(
        self,
        loss: Loss,
        memory: PyTree[Array],
        parameters: PyTree[Array],
        *,
        key: PRNGKeyArray,
    ) -> tuple[PyTree[Array], PyTree[Array], Inexact[Array, ""]]:
        """`(parameters, memory, loss)` after one step.

        The loss returned is recorded as that of the step: of the parameters before it,
        or what else the method measures of the batch.
        """
