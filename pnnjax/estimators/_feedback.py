"""Matrices that carry errors backwards in place of the transposed weights."""

import abc
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Inexact, PRNGKeyArray

from .._frozen import Frozen
from ._signals import as_complex, like


class Link(NamedTuple):
    """From where an error is sent, and to where."""

    number: int
    """Zero for the link to the input of the stack, then one for each hidden block."""
    receivers: int
    senders: int
    dtype: Any
    """Complex if either end is."""
    largest: tuple[int, int]
    """The most receivers, and senders, of any link of the stack."""
    layer: Any
    """The trained layer whose transposed weights would do it; none if there are
    several."""
    input_dtype: Any
    """Of that layer."""


class AbstractFeedback(eqx.Module):
    """How a stack's feedback matrices are chosen.

    Matrices are for errors as JAX has them: the transposed weights, not conjugated,
    would be backpropagation. Unless said otherwise, an error keeps its length on
    average: the mean square of the elements is one over the number of receivers.
    """

    @abc.abstractmethod
    def matrix(
        self, link: Link, *, key: PRNGKeyArray | None
    ) -> Inexact[Array, "receivers senders"] | None:
        """For one link; `None` is a matrix of zeros.

        **Arguments:** `key`: that of the run.
        """

    @abc.abstractmethod
    def runs(self, link: Link) -> int:
        """Of the layer that the link stands for, to measure it."""


class RandomFeedback(AbstractFeedback):
    """A Gaussian matrix for each link, always the same ones."""

    key: Frozen[PRNGKeyArray]
    scale: float = eqx.field(static=True)

    def __init__(self, *, key: PRNGKeyArray, scale: float = 1.0):
        """`scale` multiplies the matrices; `key` draws them, for any stack."""
        self.key = Frozen(key)
        self.scale = scale

    def matrix(
        self, link: Link, *, key: PRNGKeyArray | None
    ) -> Inexact[Array, "receivers senders"] | None:
        own = jax.random.fold_in(self.key.value, link.number)
        return gaussian(own, link, self.scale)

    def runs(self, link: Link) -> int:
        return 0


class SharedFeedback(AbstractFeedback):
    """One Gaussian matrix as large as the largest link; each takes a corner of it.

    **Source:** Launay, Poli, Krzakala, arXiv:1906.04554.
    """

    key: Frozen[PRNGKeyArray]
    scale: float = eqx.field(static=True)

    def __init__(self, *, key: PRNGKeyArray, scale: float = 1.0):
        """`scale` multiplies the matrices; `key` draws them, for any stack."""
        self.key = Frozen(key)
        self.scale = scale

    def matrix(
        self, link: Link, *, key: PRNGKeyArray | None
    ) -> Inexact[Array, "receivers senders"] | None:
        whole = jax.random.normal(self.key.value, link.largest, link.dtype)
        corner = whole[: link.receivers, : link.senders]
        return self.scale / math.sqrt(link.receivers) * corner

    def runs(self, link: Link) -> int:
        return 0


class RedrawnFeedback(AbstractFeedback):
    """New Gaussian matrices in each run: the control, with which nothing aligns.

    **Raises:** `ValueError` if the layer is called without a key.
    """

    scale: float = eqx.field(static=True, default=1.0)

    def matrix(
        self, link: Link, *, key: PRNGKeyArray | None
    ) -> Inexact[Array, "receivers senders"] | None:
        own = jax.random.fold_in(run_key(self, key), link.number)
        return gaussian(own, link, self.scale)

    def runs(self, link: Link) -> int:
        return 0


class GivenFeedback(AbstractFeedback):
    """Matrices that are given, one a link: first that to the stack's input."""

    matrices: Frozen[tuple[Inexact[Array, "receivers senders"] | None, ...]]

    def __init__(self, matrices: Sequence[Inexact[Array, "receivers senders"] | None]):
        """Each is `"receivers senders"`; `None` is a matrix of zeros."""
        self.matrices = Frozen(tuple(matrices))

    def matrix(
        self, link: Link, *, key: PRNGKeyArray | None
    ) -> Inexact[Array, "receivers senders"] | None:
        matrices, shape = self.matrices.value, (link.receivers, link.senders)
        if link.number >= len(matrices):
            raise ValueError(
                f"{len(matrices)} feedback matrices are given, but the stack has more "
                "blocks: one is needed for each of them."
            )
        matrix = matrices[link.number]
        if matrix is not None and matrix.shape != shape:
            raise ValueError(
                f"Feedback matrix {link.number} must have the shape {shape}, not "
                f"{matrix.shape}: receivers, then senders."
            )
        return matrix if matrix is None else matrix.astype(link.dtype)

    def runs(self, link: Link) -> int:
        return 0


def carried(
    matrix: Inexact[Array, "receivers senders"] | None,
    error: Inexact[Array, "*batch senders"],
    receiver: Inexact[Array, "..."],
) -> Inexact[Array, "..."]:
    """The `error` where it arrives, in the shape and dtype of the signal there."""
    if matrix is None:
        return jnp.zeros_like(receiver)
    sent = as_complex(error) if jnp.iscomplexobj(matrix) else error
    received = jnp.matmul(sent, matrix.T, precision=lax.Precision.HIGHEST)
    return arriving(received, receiver)


def arriving(
    received: Inexact[Array, "*batch receivers"], receiver: Inexact[Array, "..."]
) -> Inexact[Array, "..."]:
    """`received` in the shape and dtype of the signal; a real one has a real part."""
    shaped = received.reshape(receiver.shape)
    if jnp.iscomplexobj(receiver):
        return as_complex(shaped)
    return like(shaped, receiver)


def link_dtype(error: Any, receiver: Any) -> Any:
    """Complex if either is."""
    for signal in (error, receiver):
        if jnp.issubdtype(signal.dtype, jnp.complexfloating):
            return signal.dtype
    return error.dtype


def gaussian(
    key: PRNGKeyArray, link: Link, scale: float
) -> Inexact[Array, "receivers senders"]:
    """Elements of mean square `scale`² over the number of receivers."""
    shape = link.receivers, link.senders
    return scale / math.sqrt(link.receivers) * jax.random.normal(key, shape, link.dtype)


def run_key(feedback: Any, key: PRNGKeyArray | None) -> PRNGKeyArray:
    """A key for what is drawn in each run, other than those of the layers' noise."""
    if key is None:
        raise ValueError(
            f"`{type(feedback).__name__}` draws anew in each run: call the model with "
            "a key, as `fit(..., noisy=True)` does."
        )
    return jax.random.fold_in(key, 0xFEEDBAC)
