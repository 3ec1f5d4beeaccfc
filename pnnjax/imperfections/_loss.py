"""Loss: light that doesn't arrive."""

import jax.numpy as jnp
from jaxtyping import Array, Inexact, PRNGKeyArray

from .._layer import Facts
from ._imperfection import AbstractSignalImperfection, Number, not_negative


class Loss(AbstractSignalImperfection):
    r"""Uniform insertion loss of the field that leaves: $y \mapsto 10^{-L/20}\,y$.

    The layer is then neither lossless nor reversible.

    **Arguments:** `decibel` $L$ >= 0 (dB), of the power.
    **Valid for:** layers whose output is an amplitude, not a power.
    """

    decibel: Number

    def __check_init__(self):
        not_negative("decibel", self.decibel)

    def before(
        self, x: Inexact[Array, "..."], key: PRNGKeyArray | None
    ) -> Inexact[Array, "..."]:
        return x

    def after(
        self, y: Inexact[Array, "..."], key: PRNGKeyArray | None
    ) -> Inexact[Array, "..."]:
        decibel = jnp.asarray(self.decibel, y.real.dtype)
        return (10 ** (-decibel / 20)).astype(y.dtype) * y

    def facts(self, inside: Facts) -> Facts:
        return inside._replace(lossless=False, time_reversible=False)
