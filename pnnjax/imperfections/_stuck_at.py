"""Stuck-at faults: elements that can't be set."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Inexact, PRNGKeyArray

from ._imperfection import (
    AbstractParameterImperfection,
    Number,
    Where,
    needs_key,
)


class StuckAt(AbstractParameterImperfection):
    """A hidden random share of the elements stays at `value`, whatever is programmed.

    Stuck elements have no gradient.

    **Arguments:** `fraction`: the chance of each element to be stuck, in [0, 1];
    `value` in units of the parameter.
    """

    fraction: Number
    value: Number
    where: Where = eqx.field(static=True, default=None)

    def __check_init__(self):
        if isinstance(self.fraction, float | int) and not 0 <= self.fraction <= 1:
            raise ValueError(f"`fraction` must be in [0, 1]: {self.fraction}.")

    def draw(
        self, parameter: Inexact[Array, "..."], key: PRNGKeyArray | None
    ) -> Bool[Array, "..."]:
        dtype = parameter.real.dtype
        draws = jax.random.uniform(needs_key(key, self), parameter.shape, dtype)
        return draws < jnp.asarray(self.fraction, draws.dtype)

    def alter(
        self,
        parameter: Inexact[Array, "..."],
        hidden: Bool[Array, "..."],
        key: PRNGKeyArray | None,
    ) -> Inexact[Array, "..."]:
        return jnp.where(hidden, jnp.asarray(self.value, parameter.dtype), parameter)
