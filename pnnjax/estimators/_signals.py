"""Real signals in complex rules."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Complex, Inexact


def as_complex(x: Inexact[Array, "..."]) -> Complex[Array, "..."]:
    """`x` as a complex field; a real one has phase zero."""
    return x if jnp.iscomplexobj(x) else lax.complex(x, jnp.zeros_like(x))


def like(x_bar: Inexact[Array, "..."], x: Inexact[Array, "..."]) -> Array:
    """A cotangent for `x`: only the real part of `x_bar` acts on a real signal."""
    return x_bar if jnp.iscomplexobj(x) else x_bar.real
