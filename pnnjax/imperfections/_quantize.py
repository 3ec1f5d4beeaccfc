"""Finite resolution of parameters, and of the signals in and out."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Inexact, PRNGKeyArray

from .._layer import Facts
from ._imperfection import (
    AbstractParameterImperfection,
    AbstractSignalImperfection,
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


class DAC(AbstractSignalImperfection):
    """A digital-to-analog converter (DAC) before the layer: its input is quantized."""

    bits: int = eqx.field(static=True)
    low: Number
    high: Number

    def __check_init__(self):
        _check(self.bits, self.low, self.high)

    def before(
        self, x: Inexact[Array, "..."], key: PRNGKeyArray | None
    ) -> Inexact[Array, "..."]:
        return quantize(x, self.bits, self.low, self.high)

    def after(
        self, y: Inexact[Array, "..."], key: PRNGKeyArray | None
    ) -> Inexact[Array, "..."]:
        return y

    def facts(self, inside: Facts) -> Facts:
        return Facts()


class ADC(AbstractSignalImperfection):
    """An analog-to-digital converter (ADC) after the layer: its output is quantized."""

    bits: int = eqx.field(static=True)
    low: Number
    high: Number

    def __check_init__(self):
        _check(self.bits, self.low, self.high)

    def before(
        self, x: Inexact[Array, "..."], key: PRNGKeyArray | None
    ) -> Inexact[Array, "..."]:
        return x

    def after(
        self, y: Inexact[Array, "..."], key: PRNGKeyArray | None
    ) -> Inexact[Array, "..."]:
        return quantize(y, self.bits, self.low, self.high)

    def facts(self, inside: Facts) -> Facts:
        return Facts()


def _check(bits: int, low: Number, high: Number) -> None:
    if bits < 1:
        raise ValueError(f"`bits` must be at least 1: {bits}.")
    known = isinstance(low, float | int) and isinstance(high, float | int)
    if known and low >= high:
        raise ValueError(f"`low` must be below `high`: {low}, {high}.")
