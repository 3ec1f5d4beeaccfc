"""Errors of three values, as micromirrors show them."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float


class TernaryError(eqx.Module):
    """-1, 0 or 1, times the largest error of the batch.

    **Arguments:** `threshold`: smaller errors are 0; a share of the largest one. It
    should be above what all classes have in common: of ten that are equally likely, the
    nine wrong ones each have an error of 0.11 of that of the right one.
    **Source:** Launay et al., arXiv:2012.06373.
    """

    threshold: float = eqx.field(static=True, default=0.25)

    def __check_init__(self):
        if not 0 <= self.threshold < 1:
            raise ValueError(
                f"`threshold` is a share of the largest error, from 0 to below 1, not "
                f"{self.threshold}: 0.25, say."
            )

    def __call__(self, error: Float[Array, "..."]) -> Float[Array, "..."]:
        size = jnp.abs(error)
        largest = jnp.max(size)
        kept = (size > self.threshold * largest).astype(error.dtype)
        return largest * kept * jnp.sign(error)
