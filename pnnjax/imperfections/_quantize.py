"""Finite resolution of parameters, and of the signals in and out."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Inexact, PRNGKeyArray

from .._frozen import Frozen
from .._layer import AbstractLayer, Facts, respond
from ._imperfection import (
    AbstractImperfection,
    AbstractParameterImperfection,
    Number,
    Where,
)


def quantize(
    values: Inexact[Array, "..."],
    bits: int,
    low: Number,
    high: Number,
) -> Inexact[Array, "..."]:
    r"""Round to the nearest of $2^b$ equidistant levels from `low` to `high`.

    The step is $(h - l) / (2^b - 1)$. Beyond the range a value is held at its end. The
    gradient passes straight through within the range and is zero beyond. Real and
    imaginary parts are rounded each for itself.

    **Error:** uniform, at most half a step.
    **Source:** Bengio, Léonard & Courville (2013), doi:10.48550/arXiv.1308.3432, for
    the straight-through gradient.
    """
    if jnp.iscomplexobj(values):
        parts = (quantize(part, bits, low, high) for part in (values.real, values.imag))
        return jax.lax.complex(*parts)
    low, high = jnp.asarray(low, values.dtype), jnp.asarray(high, values.dtype)
    step = (high - low) / (2**bits - 1)
    fixed = jax.lax.stop_gradient(values)
    index = jnp.round((jnp.clip(fixed, low, high) - low) / step)
    inside = (fixed >= low) & (fixed <= high)
    return low + index * step + jnp.where(inside, values - fixed, 0)


class Quantize(AbstractParameterImperfection):
    """Parameters that can be set to `2**bits` levels from `low` to `high` only."""

    bits: int = eqx.field(static=True)
    low: Number
    high: Number
    where: Where = eqx.field(static=True, default=None)

    def __check_init__(self):
        _check(self.bits, self.low, self.high)

    def draw(self, parameter: Inexact[Array, "..."], key: PRNGKeyArray | None) -> None:
        return None

    def alter(
        self,
        parameter: Inexact[Array, "..."],
        hidden: None,
        key: PRNGKeyArray | None,
    ) -> Inexact[Array, "..."]:
        return quantize(parameter, self.bits, self.low, self.high)


class DAC(AbstractImperfection):
    """A digital-to-analog converter (DAC) before the layer: its input is quantized."""

    bits: int = eqx.field(static=True)
    low: Number
    high: Number

    def __check_init__(self):
        _check(self.bits, self.low, self.high)

    def __call__(
        self, layer: Any, *, key: PRNGKeyArray | None = None
    ) -> "QuantizedInput":
        return QuantizedInput(layer, self)


class ADC(AbstractImperfection):
    """An analog-to-digital converter (ADC) after the layer: its output is quantized."""

    bits: int = eqx.field(static=True)
    low: Number
    high: Number

    def __check_init__(self):
        _check(self.bits, self.low, self.high)

    def __call__(
        self, layer: Any, *, key: PRNGKeyArray | None = None
    ) -> "QuantizedOutput":
        return QuantizedOutput(layer, self)


class QuantizedInput(AbstractLayer):
    """A layer behind a digital-to-analog converter; it is linear no more."""

    layer: Any
    converter: Frozen[DAC]
    facts = Facts()

    def __init__(self, layer: Any, converter: DAC):
        self.layer = layer
        self.converter = Frozen(converter)

    def __call__(
        self,
        x: Inexact[Array, "..."],
        *,
        key: PRNGKeyArray | None = None,
    ) -> Inexact[Array, "..."]:
        dac = self.converter.value
        return respond(self.layer, quantize(x, dac.bits, dac.low, dac.high), key)


class QuantizedOutput(AbstractLayer):
    """A layer before an analog-to-digital converter; it is linear no more."""

    layer: Any
    converter: Frozen[ADC]
    facts = Facts()

    def __init__(self, layer: Any, converter: ADC):
        self.layer = layer
        self.converter = Frozen(converter)

    def __call__(
        self,
        x: Inexact[Array, "..."],
        *,
        key: PRNGKeyArray | None = None,
    ) -> Inexact[Array, "..."]:
        adc = self.converter.value
        y = respond(self.layer, x, key)
        return quantize(y, adc.bits, adc.low, adc.high)


def _check(bits: int, low: Number, high: Number) -> None:
    if bits < 1:
        raise ValueError(f"`bits` must be at least 1: {bits}.")
    known = isinstance(low, float | int) and isinstance(high, float | int)
    if known and low >= high:
        raise ValueError(f"`low` must be below `high`: {low}, {high}.")
