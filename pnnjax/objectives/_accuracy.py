"""How many examples are classified rightly."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact, Integer

from ._labels import check_real, checked_labels


def accuracy(
    y: Inexact[Array, "*batch classes"], labels: Integer[Array, "*batch"]
) -> Float[Array, ""]:
    """The part of the examples of which the largest output is that of their class.

    **Raises:** as `cross_entropy`.
    """
    check_real(y)
    labels = checked_labels(y, labels)
    guess = jnp.argmax(y, axis=-1).astype(labels.dtype)
    return jnp.mean(guess == labels, dtype=y.dtype)
