"""Read noise: parameters that fluctuate from run to run."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Inexact, PRNGKeyArray

from .._fast_random import fast_normal
from ._imperfection import (
    AbstractParameterImperfection,
    Number,
    Where,
    not_negative,
)


class ReadNoise(AbstractParameterImperfection):
    r"""Gaussian noise on the parameters, new in each run; none without a key.

    $p \mapsto p + \sigma\varepsilon$, or $p\,(1 + \sigma\varepsilon)$ if `relative`. A
    batch is one run: all its examples see the same parameters.

    **Arguments:** `sigma` in units of the parameter, or dimensionless if `relative`.
    """

    sigma: Number
    relative: bool = eqx.field(static=True, default=False)
    where: Where = eqx.field(static=True, default=None)

    def __check_init__(self):
        not_negative("sigma", self.sigma)

    def draw(self, parameter: Inexact[Array, "..."], key: PRNGKeyArray | None) -> None:
        return None

    def alter(
        self,
        parameter: Inexact[Array, "..."],
        hidden: None,
        key: PRNGKeyArray | None,
    ) -> Inexact[Array, "..."]:
        if key is None:
            return parameter
        noise = jnp.asarray(self.sigma, parameter.dtype) * _drawn(parameter, key)
        return parameter * (1 + noise) if self.relative else parameter + noise


def _drawn(parameter: Array, key: PRNGKeyArray) -> Array:
    """Of unit variance: half of it in either part of a complex parameter."""
    dtype = parameter.real.dtype
    if not jnp.issubdtype(parameter.dtype, jnp.complexfloating):
        return fast_normal(key, parameter.shape, dtype)
    parts = fast_normal(key, (2, *parameter.shape), dtype) * 0.5**0.5
    return jax.lax.complex(parts[0], parts[1])
