"""Mismatch: no two devices are made alike."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Inexact, PRNGKeyArray

from ._imperfection import (
    AbstractParameterImperfection,
    Number,
    Where,
    needs_key,
    not_negative,
)


class Mismatch(AbstractParameterImperfection):
    r"""Hidden Gaussian errors of the parameters that never change.

    $p \mapsto p + \sigma\varepsilon$, or $p\,(1 + \sigma\varepsilon)$ if `relative`,
    with $\langle|\varepsilon|^2\rangle = 1$ (circular for a complex parameter). Whoever
    trains the layer sees $p$ only. One key is one device, at any $\sigma$.

    **Arguments:** `sigma` in units of the parameter, or dimensionless if `relative`.
    """

    sigma: Number
    relative: bool = eqx.field(static=True, default=False)
    where: Where = eqx.field(static=True, default=None)

    def __check_init__(self):
        not_negative("sigma", self.sigma)

    def draw(
        self, parameter: Inexact[Array, "..."], key: PRNGKeyArray | None
    ) -> Inexact[Array, "..."]:
        return jax.random.normal(needs_key(key, self), parameter.shape, parameter.dtype)

    def alter(
        self,
        parameter: Inexact[Array, "..."],
        hidden: Inexact[Array, "..."],
        key: PRNGKeyArray | None,
    ) -> Inexact[Array, "..."]:
        error = jnp.asarray(self.sigma, parameter.dtype) * hidden
        return parameter * (1 + error) if self.relative else parameter + error
