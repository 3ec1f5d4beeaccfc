"""Drift: programmed values that decay as a power of time."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact, PRNGKeyArray

from ._imperfection import (
    AbstractParameterImperfection,
    Number,
    Where,
    needs_key,
    not_negative,
    positive,
)


class Drift(AbstractParameterImperfection):
    r"""Power-law relaxation $p(t) = p\,(t/t_0)^{-\nu}$, as of phase-change memory.

    With a `spread`, each element has its own hidden Gaussian $\nu$. One key is one
    device, at any time.

    **Arguments:** `exponent`: the mean $\nu$ (dimensionless); `reference_time` $t_0$
    and `time` $t$ after programming (s); `spread`: the standard deviation of $\nu$.
    **Valid for:** $t \ge t_0$.
    **Source:** Joshi et al., *Nat. Commun.* 11, 2473 (2020),
    doi:10.1038/s41467-020-16108-9.
    """

    exponent: Number
    reference_time: Number
    time: Number
    spread: Number = 0.0
    where: Where = eqx.field(static=True, default=None)

    def __check_init__(self):
        not_negative("spread", self.spread)
        positive("time", self.time)
        positive("reference_time", self.reference_time)

    def draw(
        self, parameter: Inexact[Array, "..."], key: PRNGKeyArray | None
    ) -> Float[Array, "..."] | None:
        if isinstance(self.spread, float | int) and self.spread == 0:
            return None
        dtype = parameter.real.dtype
        return jax.random.normal(needs_key(key, self), parameter.shape, dtype)

    def alter(
        self,
        parameter: Inexact[Array, "..."],
        hidden: Float[Array, "..."] | None,
        key: PRNGKeyArray | None,
    ) -> Inexact[Array, "..."]:
        dtype = parameter.real.dtype
        exponent = jnp.asarray(self.exponent, dtype)
        if hidden is not None:
            exponent = exponent + jnp.asarray(self.spread, dtype) * hidden
        elapsed = jnp.asarray(self.time / self.reference_time, dtype)
        factor = jnp.exp(-exponent * jnp.log(elapsed))
        return parameter * factor.astype(parameter.dtype)
