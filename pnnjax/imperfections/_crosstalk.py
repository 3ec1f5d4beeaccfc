"""Crosstalk: a setting that leaks to its neighbors."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Inexact, PRNGKeyArray

from ._imperfection import (
    AbstractParameterImperfection,
    Number,
    Where,
    not_negative,
)


class Crosstalk(AbstractParameterImperfection):
    r"""Every element receives a share $s$ of its nearest neighbors along each axis.

    $p_i \mapsto p_i + s \sum_{j \sim i} p_j$, as heaters do that warm what is next to
    them. Elements at an edge have fewer neighbors.

    **Arguments:** `strength` $s$ (dimensionless).
    """

    strength: Number
    where: Where = eqx.field(static=True, default=None)

    def __check_init__(self):
        not_negative("strength", self.strength)

    def draw(self, parameter: Inexact[Array, "..."], key: PRNGKeyArray | None) -> None:
        return None

    def alter(
        self,
        parameter: Inexact[Array, "..."],
        hidden: None,
        key: PRNGKeyArray | None,
    ) -> Inexact[Array, "..."]:
        leaked = jnp.zeros_like(parameter)
        for axis in range(parameter.ndim):
            leaked = leaked + _neighbors(parameter, axis)
        return parameter + jnp.asarray(self.strength, parameter.dtype) * leaked


def _neighbors(values: Array, axis: int) -> Array:
    padded = jnp.moveaxis(values, axis, 0)
    edge = jnp.zeros_like(padded[:1])
    before = jnp.concatenate([edge, padded[:-1]])
    after = jnp.concatenate([padded[1:], edge])
    return jnp.moveaxis(before + after, 0, axis)
