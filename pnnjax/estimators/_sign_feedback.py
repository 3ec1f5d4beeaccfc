"""Feedback that knows the signs of the weights, but not how large they are."""

import abc
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact, PRNGKeyArray

from .._frozen import Frozen
from .._layer import AbstractLayer, respond
from ._feedback import AbstractFeedback, Link, run_key


class AbstractMagnitudes(eqx.Module):
    """How large the elements are whose signs are those of the weights."""

    @abc.abstractmethod
    def draw(
        self, link: Link, *, key: PRNGKeyArray | None
    ) -> Float[Array, "receivers senders"]:
        """Of mean square one."""


class UniformMagnitudes(AbstractMagnitudes):
    """All alike."""

    def draw(
        self, link: Link, *, key: PRNGKeyArray | None
    ) -> Float[Array, "receivers senders"]:
        return jnp.ones((link.receivers, link.senders), _real(link))


class FixedMagnitudes(AbstractMagnitudes):
    """Of Gaussian numbers that are always the same."""

    key: Frozen[PRNGKeyArray]

    def __init__(self, *, key: PRNGKeyArray):
        """`key` draws them, for any stack."""
        self.key = Frozen(key)

    def draw(
        self, link: Link, *, key: PRNGKeyArray | None
    ) -> Float[Array, "receivers senders"]:
        return _magnitudes(self.key.value, link)


class RedrawnMagnitudes(AbstractMagnitudes):
    """Of Gaussian numbers that are new in each run.

    **Raises:** `ValueError` if the layer is called without a key.
    """

    def draw(
        self, link: Link, *, key: PRNGKeyArray | None
    ) -> Float[Array, "receivers senders"]:
        return _magnitudes(run_key(self, key), link)


class SignFeedback(AbstractFeedback):
    """The transposed weights' signs (phases, if complex), with other magnitudes.

    The weights are measured by sending each unit vector, and nothing, through the
    layer: for `FeedbackAlignment` over linear layers.

    **Raises:** `TypeError` if a layer is not known to be linear.
    **Source:** Liao, Leibo, Poggio, arXiv:1510.05067; Moskovitz, Litwin-Kumar, Abbott,
    arXiv:1812.06488.
    """

    magnitudes: AbstractMagnitudes = UniformMagnitudes()
    scale: float = eqx.field(static=True, default=1.0)

    def matrix(
        self, link: Link, *, key: PRNGKeyArray | None
    ) -> Inexact[Array, "receivers senders"] | None:
        signs = jnp.sign(_transposed(link))
        sizes = self.magnitudes.draw(link, key=key).astype(signs.dtype)
        return (self.scale / math.sqrt(link.receivers) * signs * sizes).astype(
            link.dtype
        )

    def runs(self, link: Link) -> int:
        return link.receivers + 1


def _transposed(link: Link) -> Inexact[Array, "receivers senders"]:
    layer = link.layer
    if not _is_linear(layer):
        raise TypeError(
            f"`SignFeedback` measures a matrix, but `{type(layer).__name__}` is not "
            "known to be linear: `RandomFeedback` asks for nothing."
        )
    units = jnp.eye(link.receivers, dtype=link.input_dtype)
    offset = respond(layer, jnp.zeros_like(units[:1]), None)
    matrix = respond(layer, units, None) - offset
    if matrix.shape != (link.receivers, link.senders):
        raise ValueError(
            f"`SignFeedback` measured a matrix of the shape {matrix.shape} at "
            f"`{type(layer).__name__}`, but errors go from {link.senders} to "
            f"{link.receivers} elements: other layers come between, with other shapes."
        )
    return matrix


def _is_linear(layer: Any) -> bool:
    if isinstance(layer, AbstractLayer):
        return layer.facts.linear
    return isinstance(layer, eqx.nn.Linear)


def _magnitudes(key: PRNGKeyArray, link: Link) -> Float[Array, "receivers senders"]:
    own = jax.random.fold_in(key, link.number)
    shape = link.receivers, link.senders
    return jnp.abs(jax.random.normal(own, shape, _real(link)))


def _real(link: Link) -> Any:
    return jnp.finfo(link.dtype).dtype
