"""Forward-forward: activity is to be high for what fits together, else low."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact

from ._label_embedding import AbstractLabelEmbedding
from ._local_contrast import AbstractContrast, LocalContrast, Normalize, unit_length
from ._wrong_labels import AbstractWrongLabels, RandomLabels

Goodness = Callable[[Inexact[Array, "batch ..."]], Float[Array, " batch"]]
"""A number from the activities of a block."""


def sum_of_squares(h: Inexact[Array, "batch ..."]) -> Float[Array, " batch"]:
    r"""$\sum_i |h_i|^2$: of a field (√W), its power (W)."""
    return jnp.sum((h.real**2 + h.imag**2).reshape(len(h), -1), 1)


def mean_of_squares(h: Inexact[Array, "batch ..."]) -> Float[Array, " batch"]:
    r"""$\sum_i |h_i|^2 / n$ of $n$ activities."""
    return jnp.mean((h.real**2 + h.imag**2).reshape(len(h), -1), 1)


class GoodnessThreshold(AbstractContrast):
    r"""Goodness is to be above the threshold under the right label, else below.

    $$L = \log(1 + e^{\theta - g_+}) + \log(1 + e^{g_- - \theta})$$

    The score of a label is the goodness under it.
    """

    goodness: Goodness
    threshold: float

    def loss(
        self,
        block: int,
        right: Inexact[Array, "batch ..."],
        wrong: Inexact[Array, "batch ..."],
    ) -> Float[Array, " batch"]:
        del block
        high, low = self.goodness(right), self.goodness(wrong)
        return jax.nn.softplus(self.threshold - high) + jax.nn.softplus(
            low - self.threshold
        )

    def scores(
        self, block: int, h: Inexact[Array, "classes batch ..."]
    ) -> Float[Array, "classes batch"]:
        del block
        return jax.vmap(self.goodness)(h)


def forward_forward(
    embedding: AbstractLabelEmbedding,
    *,
    goodness: Goodness = sum_of_squares,
    threshold: float = 2.0,
    wrong_labels: AbstractWrongLabels = RandomLabels(),
    normalize: Normalize = unit_length,
    skip: int = 1,
    layer: int | None = None,
) -> LocalContrast:
    r"""Each block's goodness rises under right labels and falls under wrong ones.

    With $g = \sum_i |h_i|^2$ of the block's activities $h$ and the threshold $\theta$,

    $$L = \log(1 + e^{\theta - g_+}) + \log(1 + e^{g_- - \theta}), \qquad
      \frac{\partial L}{\partial h_\pm} = \mp 2\sigma(\pm(\theta - g_\pm))\,h_\pm$$

    of real activities, with the logistic function $\sigma$: no derivative of a later
    block has a part in it.

    **Arguments:**

    - `threshold`: $\theta$, in the unit of the goodness. It should be above the
        goodness that the untrained blocks have.
    - `wrong_labels`: `RandomLabels()`, or `LikelyLabels()`, which learns faster a step
        but runs the network ten times more in it, for ten classes.
    - `normalize`: of the activities, before the next block sees them, which could else
        read the goodness from their length.
    - `skip`: how many blocks, from the first one, do not count when classifying, unless
        there are no others.
    - `layer`: as in `LocalContrast`.

    **Source:** Hinton (2022), arXiv:2212.13345, sections 2 and 3.3.
    """
    contrast = GoodnessThreshold(goodness, threshold)
    return LocalContrast(embedding, contrast, wrong_labels, normalize, skip, layer)
