"""Loss: light that doesn't arrive."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Inexact, PRNGKeyArray

from .._estimator import facts_of
from .._frozen import Frozen
from .._layer import AbstractLayer, Facts, respond
from ._imperfection import AbstractImperfection, Number, not_negative


class Loss(AbstractImperfection):
    r"""Uniform insertion loss of the field that leaves: $y \mapsto 10^{-L/20}\,y$.

    **Arguments:** `decibel` $L$ >= 0 (dB), of the power.
    **Valid for:** layers whose output is an amplitude, not a power.
    """

    decibel: Number

    def __check_init__(self):
        not_negative("decibel", self.decibel)

    def __call__(self, layer: Any, *, key: PRNGKeyArray | None = None) -> "LossyOutput":
        return LossyOutput(layer, self)


class LossyOutput(AbstractLayer):
    """A layer before an attenuator: neither lossless nor reversible."""

    layer: Any
    loss: Frozen[Loss]
    facts: Facts = eqx.field(static=True)

    def __init__(self, layer: Any, loss: Loss):
        self.layer = layer
        self.loss = Frozen(loss)
        inside = Facts(**facts_of(layer))
        self.facts = inside._replace(lossless=False, time_reversible=False)

    def __call__(
        self,
        x: Inexact[Array, "..."],
        *,
        key: PRNGKeyArray | None = None,
    ) -> Inexact[Array, "..."]:
        field = respond(self.layer, x, key)
        decibel = jnp.asarray(self.loss.value.decibel, field.real.dtype)
        return (10 ** (-decibel / 20)).astype(field.dtype) * field
