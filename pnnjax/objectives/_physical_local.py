"""Physical local learning: directions of activity tell right labels from wrong ones."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact, PRNGKeyArray

from ._label_embedding import AbstractLabelEmbedding
from ._local_contrast import AbstractContrast, LocalContrast, Normalize, unit_range
from ._wrong_labels import AbstractWrongLabels, RandomLabels


def cosine(a: Float[Array, "... n"], b: Float[Array, "... n"]) -> Float[Array, "..."]:
    r"""$a \cdot b / |a||b|$; zero, with a gradient of zero, where either is."""
    squares = jnp.sum(a**2, -1) * jnp.sum(b**2, -1)
    dark = squares <= 0
    product = jnp.where(dark, 0, jnp.sum(a * b, -1))
    return product / jnp.sqrt(jnp.where(dark, 1, squares))


class ReferenceCosine(AbstractContrast):
    r"""Activities are to point along a fixed vector under the right label, else not.

    $$L = \log(1 + e^{-\tau (c_+ - c_-)}), \qquad c = \cos(|h|, p)$$

    $p$ is a normal random vector, another one for each block. The score of a label is
    $c$ under it. This is what the code of the paper does.

    **Source:** https://github.com/MomeniAli/PhyLL, `Microwave/microwave_pnn.py`.
    """

    sharpness: float
    r"""$\tau$."""
    key: PRNGKeyArray
    """Draws $p$."""

    def loss(
        self,
        block: int,
        right: Inexact[Array, "batch ..."],
        wrong: Inexact[Array, "batch ..."],
    ) -> Float[Array, " batch"]:
        gap = self.along(block, right) - self.along(block, wrong)
        return jax.nn.softplus(-self.sharpness * gap)

    def scores(
        self, block: int, h: Inexact[Array, "classes batch ..."]
    ) -> Float[Array, "classes batch"]:
        return jax.vmap(lambda rows: self.along(block, rows))(h)

    def along(
        self, block: int, h: Inexact[Array, "batch ..."]
    ) -> Float[Array, " batch"]:
        """$c$ of the activities of the block with this number."""
        rows = _absolute(h)
        key = jax.random.fold_in(self.key, block)
        reference = jax.random.normal(key, rows.shape[1:], rows.dtype)
        return cosine(rows, jnp.broadcast_to(reference, rows.shape))


class PairCosine(AbstractContrast):
    r"""Activities under the right label are to point away from those under another.

    $$L = \log(1 + e^{\tau \cos(|h_+|, |h_-|)})$$

    The score of a label is minus the mean cosine between the activities under it and
    under each other label: the right one is that which differs from all.
    """

    sharpness: float
    r"""$\tau$."""

    def loss(
        self,
        block: int,
        right: Inexact[Array, "batch ..."],
        wrong: Inexact[Array, "batch ..."],
    ) -> Float[Array, " batch"]:
        del block
        alike = cosine(_absolute(right), _absolute(wrong))
        return jax.nn.softplus(self.sharpness * alike)

    def scores(
        self, block: int, h: Inexact[Array, "classes batch ..."]
    ) -> Float[Array, "classes batch"]:
        del block
        rows = jax.vmap(_absolute)(h)
        pairs = jax.vmap(lambda one: jax.vmap(lambda other: cosine(one, other))(rows))(
            rows
        )
        return -(jnp.sum(pairs, 1) - 1) / (len(h) - 1)


def physical_local(
    embedding: AbstractLabelEmbedding,
    contrast: AbstractContrast,
    *,
    wrong_labels: AbstractWrongLabels = RandomLabels(),
    normalize: Normalize = unit_range,
    skip: int = 0,
    layer: int | None = None,
) -> LocalContrast:
    r"""Each block's activities turn to another direction under wrong labels (PhyLL).

    A block is physics of which nothing need be known, $P$, and then trained weights:
    $h = W P(h_\text{before})$. The derivative by $W$ is $\partial L/\partial h$ times
    what was measured of $P$; none of $P$ is taken. With $u = |h|$ and $c = \cos(u, p)$,

    $$\frac{\partial c}{\partial u} = \frac1{|u|} \left(\frac{p}{|p|} -
      c\,\frac{u}{|u|}\right)$$

    **Arguments:**

    - `contrast`: `ReferenceCosine(tau, key)` or `PairCosine(tau)`.
    - `normalize`: of the activities, into what the next physical system takes.
    - `wrong_labels`, `skip`, `layer`: as in `forward_forward`.

    **Source:** Momeni *et al.*, *Science* 382, 1297 (2023),
    doi:10.1126/science.adi8474.
    """
    return LocalContrast(embedding, contrast, wrong_labels, normalize, skip, layer)


def _absolute(h: Array) -> Array:
    """Of each activity, as a row an example: what a detector shows of a field."""
    rows = h.reshape(len(h), -1)
    if not jnp.iscomplexobj(rows):
        return jnp.abs(rows)
    square = rows.real**2 + rows.imag**2
    return jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1)), 0)
