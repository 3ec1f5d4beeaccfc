"""Errors of a prediction in units of how much there is to predict."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from ._labels import check_real


def nmse(
    y: Float[Array, "*batch outputs"], target: Float[Array, "..."]
) -> Float[Array, ""]:
    r"""Normalized mean squared error $\langle(y - t)^2\rangle / \operatorname{var} t$.

    Averages are over all leading axes, and then over the outputs: 1 is as good as
    always answering with the mean.

    **Raises:** `ValueError` if the shapes differ; at run time, if a target is constant.
    """
    check_real(y)
    if y.shape != target.shape:
        raise ValueError(
            f"The outputs are of shape {y.shape}, but the target is of {target.shape}."
        )
    axes = tuple(range(y.ndim - 1))
    spread = jnp.var(target, axis=axes)
    spread = eqx.error_if(spread, spread == 0, "A target is constant: no variance.")
    return jnp.mean(jnp.mean((y - target.astype(y.dtype)) ** 2, axis=axes) / spread)


def nrmse(
    y: Float[Array, "*batch outputs"], target: Float[Array, "..."]
) -> Float[Array, ""]:
    """The root of `nmse`: the error in standard deviations of the target."""
    return jnp.sqrt(nmse(y, target))
