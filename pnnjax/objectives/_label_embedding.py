"""A label as a part of the input, for networks that judge whether the two agree."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Inexact, Integer


class AbstractLabelEmbedding(eqx.Module):
    """How examples and their labels, right or wrong ones, become inputs."""

    classes: eqx.AbstractVar[int]

    @abc.abstractmethod
    def __call__(
        self, x: Inexact[Array, "batch ..."], labels: Integer[Array, " batch"]
    ) -> Inexact[Array, "batch ..."]:
        """The inputs of the first block."""


class LabelInPixels(AbstractLabelEmbedding):
    """Writes the label over the first pixels: `strength` in its own, else zero.

    **Source:** Hinton (2022), arXiv:2212.13345, section 3.3.
    """

    classes: int
    strength: float = 1.0

    def __call__(
        self, x: Inexact[Array, "batch ..."], labels: Integer[Array, " batch"]
    ) -> Inexact[Array, "batch ..."]:
        rows = x.reshape(len(x), -1)
        if rows.shape[1] <= self.classes:
            raise ValueError(
                f"{self.classes} pixels are to hold the label, but an example has "
                f"only {rows.shape[1]}: use `LabelAppended({self.classes})`."
            )
        code = _one_hot(self, x, labels)
        return jnp.concatenate([code, rows[:, self.classes :]], 1).reshape(x.shape)


class LabelAppended(AbstractLabelEmbedding):
    """Adds `classes` inputs at the end: `strength` in that of the label, else zero."""

    classes: int
    strength: float = 1.0

    def __call__(
        self, x: Inexact[Array, "batch inputs"], labels: Integer[Array, " batch"]
    ) -> Inexact[Array, "batch more"]:
        return jnp.concatenate([x, _one_hot(self, x, labels)], 1)


def _one_hot(
    embedding: LabelInPixels | LabelAppended, x: Array, labels: Array
) -> Array:
    code = jax.nn.one_hot(labels, embedding.classes, dtype=x.dtype)
    return jnp.asarray(embedding.strength, x.dtype) * code
