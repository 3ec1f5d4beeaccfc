"""What every objective asks of its outputs and labels."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Inexact, Int32, Integer


def checked_labels(
    y: Inexact[Array, "*batch classes"], labels: Integer[Array, "*batch"]
) -> Int32[Array, "*batch"]:
    """The labels, if they can be labels of `y`.

    **Raises:** `ValueError` if the shapes or the type are wrong; at run time, if a
    label is none of the classes.
    """
    if labels.shape != y.shape[:-1]:
        raise ValueError(
            f"The outputs are of shape {y.shape}, so the labels must be of shape "
            f"{y.shape[:-1]}, but are of shape {labels.shape}."
        )
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise ValueError(f"Labels must be integers, but are {labels.dtype}.")
    labels = labels.astype(jnp.int32)
    strange = (labels < 0) | (labels >= y.shape[-1])
    return eqx.error_if(
        labels, strange, f"A label is none of the {y.shape[-1]} classes."
    )


def check_real(y: Inexact[Array, "..."]) -> None:
    """**Raises:** `TypeError` if `y` is a field, which no sensor shows."""
    if jnp.iscomplexobj(y):
        raise TypeError(
            "The outputs are complex fields, which have no order. Detect them first: "
            "`y.real**2 + y.imag**2` is their power."
        )
