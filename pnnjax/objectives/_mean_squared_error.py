"""Mean squared error, of real outputs or of complex fields."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact, Num

from ._labels import checked_labels


def mean_squared_error(
    y: Inexact[Array, "..."], target: Num[Array, "..."]
) -> Float[Array, ""]:
    r"""$|y - t|^2$, averaged over all examples and outputs.

    **Arguments:** `target`: $t$, in the shape of `y`; or the label of each example,
    which stands for 1 in its class and 0 in the others.
    **Raises:** `ValueError` if the shapes don't agree.
    """
    if jnp.issubdtype(target.dtype, jnp.integer) and target.shape != y.shape:
        labels = checked_labels(y, target)
        target = jax.nn.one_hot(labels, y.shape[-1], dtype=y.dtype)
    if target.shape != y.shape:
        raise ValueError(
            f"The outputs are of shape {y.shape}, but the target is of {target.shape}."
        )
    difference = y - target.astype(y.dtype)
    return jnp.mean(difference.real**2 + difference.imag**2)
