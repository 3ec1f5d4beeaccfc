"""Every block of a stack learns to tell right labels from wrong ones, on its own."""

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Inexact, Integer

from .._frozen import is_trainable
from .._objective import AbstractLocalObjective, apply
from ._label_embedding import AbstractLabelEmbedding
from ._wrong_labels import AbstractWrongLabels

Normalize = Callable[[Inexact[Array, "batch ..."]], Inexact[Array, "batch ..."]]
"""What the next block sees of the activities of a block."""


def unit_length(h: Inexact[Array, "batch ..."]) -> Inexact[Array, "batch ..."]:
    r"""$h / \|h\|$: of what a block found, the next one sees nothing but the direction.

    What is zero stays so.
    """
    return _divided(h, jnp.sum(_power(h), 1, keepdims=True))


def unit_mean_square(h: Inexact[Array, "batch ..."]) -> Inexact[Array, "batch ..."]:
    r"""`unit_length` times $\sqrt n$ for $n$ activities, which are 1 on average."""
    return _divided(h, jnp.mean(_power(h), 1, keepdims=True))


def unit_range(h: Float[Array, "batch ..."]) -> Float[Array, "batch ..."]:
    """From 0, the least activity of an example, to 1: for elements of limited range.

    Where all are alike, zeros.
    """
    rows = h.reshape(len(h), -1)
    low = jnp.min(rows, 1, keepdims=True)
    span = jnp.max(rows, 1, keepdims=True) - low
    return ((rows - low) / jnp.where(span > 0, span, 1)).reshape(h.shape)


class AbstractContrast(eqx.Module):
    """How activities under the right label are to differ from those under another."""

    @abc.abstractmethod
    def loss(
        self,
        block: int,
        right: Inexact[Array, "batch ..."],
        wrong: Inexact[Array, "batch ..."],
    ) -> Float[Array, " batch"]:
        """Of the activities of the block with this number, under a label each."""

    @abc.abstractmethod
    def scores(
        self, block: int, h: Inexact[Array, "classes batch ..."]
    ) -> Float[Array, "classes batch"]:
        """How much the activities under each label look like those under the right."""


class LocalContrast(AbstractLocalObjective):
    """Each member of an `eqx.nn.Sequential` is a block that learns on its own.

    The label is a part of the input. Gradients are stopped in front of each block, so
    that one `jax.grad` is every block's own, and no later block has a part in it.
    To classify, the network is run with every label in turn: the scores of the blocks
    are added up, and the greatest sum wins.

    A block is anything with trainable parameters. It may begin with physics of which
    nothing is known, and of which no derivative is taken, if that is `Frozen`:

        eqx.nn.Sequential([pnn.Frozen(pnn.devices.DeviceLayer(cavity, chip)), linear])

    To train the blocks one after the other, call `fit` for each, with its number as
    `layer`. An optimizer that also moves parameters without a gradient, as by weight
    decay, would then move those of the other blocks too.

    **Raises:** `TypeError` if the model is no `eqx.nn.Sequential`; `ValueError` without
    keys (`fit(..., noisy=False)`), by which wrong labels are drawn, or if a block has
    no trainable parameter, or if there is none with the number `layer`.
    """

    embedding: AbstractLabelEmbedding
    contrast: AbstractContrast
    wrong_labels: AbstractWrongLabels
    normalize: Normalize
    """Between blocks."""
    skip: int
    """How many blocks, from the first one, have no say in the classification."""
    layer: int | None
    """The one block that learns, and the last one that is run; without, all learn."""

    def __check_init__(self):
        if self.skip < 0:
            raise ValueError(f"`skip` must not be negative, but is {self.skip}.")
        if self.layer is not None and self.layer < 0:
            raise ValueError(f"`layer` counts from 0, but is {self.layer}.")

    def loss(
        self,
        model: Any,
        x: Inexact[Array, "batch ..."],
        targets: Integer[Array, " batch"],
        *,
        keys: Array | None,
    ) -> Float[Array, ""]:
        if keys is None:
            raise ValueError(
                "Wrong labels are drawn by keys: train with `noisy=True` in `fit`."
            )
        drawing, scanning, right, wrong = _split(keys, 4)
        labels = self._checked(targets)
        other = self.wrong_labels(
            labels,
            self.embedding.classes,
            lambda: self.predict(_untrained(model), x, keys=scanning),
            drawing,
        )
        h = jnp.concatenate([self.embedding(x, labels), self.embedding(x, other)])
        keys = jnp.concatenate([right, wrong])
        total = None
        for index, block in enumerate(self._blocks(model)):
            keys, own = _split(keys, 2)
            h = apply(block, lax.stop_gradient(h), own)
            if self.layer in (None, index):
                loss = jnp.mean(self.contrast.loss(index, *jnp.split(h, 2)))
                total = loss if total is None else total + loss
            h = self.normalize(h)
        assert total is not None
        return total

    def predict(
        self, model: Any, x: Inexact[Array, "batch ..."], *, keys: Array | None = None
    ) -> Float[Array, "batch classes"]:
        """The sum of the blocks' scores for each label."""
        scores = self.scores(model, x, keys=keys)
        return jnp.sum(scores[:, min(self.skip, scores.shape[1] - 1) :], 1)

    def scores(
        self, model: Any, x: Inexact[Array, "batch ..."], *, keys: Array | None = None
    ) -> Float[Array, "batch blocks classes"]:
        """What each block says to each label; gradients are not stopped here."""
        classes, batch = self.embedding.classes, len(x)
        labels = jnp.repeat(jnp.arange(classes, dtype=jnp.int32), batch)
        h = self.embedding(jnp.tile(x, (classes,) + (1,) * (x.ndim - 1)), labels)
        if keys is not None:
            keys = jnp.concatenate(_split(keys, classes))
        rows = []
        for index, block in enumerate(self._blocks(model)):
            own = None
            if keys is not None:
                keys, own = _split(keys, 2)
            h = apply(block, h, own)
            grouped = h.reshape(classes, batch, *h.shape[1:])
            rows.append(self.contrast.scores(index, grouped))
            h = self.normalize(h)
        return jnp.moveaxis(jnp.stack(rows), -1, 0)

    def _blocks(self, model: Any) -> tuple[Any, ...]:
        """Those that are run."""
        if not isinstance(model, eqx.nn.Sequential):
            raise TypeError(
                "Local learning needs an `eqx.nn.Sequential`, each member of which is "
                f"a block of its own, not a `{type(model).__name__}`."
            )
        for index, block in enumerate(model.layers):
            if not jax.tree.leaves(eqx.filter(block, is_trainable(block))):
                raise ValueError(
                    f"Block {index}, a `{type(block).__name__}`, has nothing to train: "
                    "join it with its neighbor in an `eqx.nn.Sequential` of their own."
                )
        if self.layer is None:
            return model.layers
        if self.layer >= len(model.layers):
            raise ValueError(
                f"`layer` is {self.layer}, but the last of the {len(model.layers)} "
                f"blocks is number {len(model.layers) - 1}."
            )
        return model.layers[: self.layer + 1]

    def _checked(self, targets):
        classes = self.embedding.classes
        strange = (targets < 0) | (targets >= classes)
        return eqx.error_if(
            targets.astype(jnp.int32),
            strange,
            f"A label is none of the {classes} classes of the label's embedding.",
        )


def _untrained(model: Any) -> Any:
    """Behind `stop_gradient`, and so all that it computes."""
    return jax.tree.map(
        lambda leaf: lax.stop_gradient(leaf) if eqx.is_array(leaf) else leaf, model
    )


def _split(keys: Array, count: int) -> list[Array]:
    """`count` lists of keys from one, with a key an example each."""
    parts = jax.vmap(lambda key: jax.random.split(key, count), out_axes=1)(keys)
    return list(parts)


def _power(h: Array) -> Array:
    rows = h.reshape(len(h), -1)
    return rows.real**2 + rows.imag**2


def _divided(h: Array, square: Array) -> Array:
    dark = square <= 0
    length = jnp.sqrt(jnp.where(dark, 1, square))
    return (h.reshape(len(h), -1) / length.astype(h.dtype)).reshape(h.shape)
