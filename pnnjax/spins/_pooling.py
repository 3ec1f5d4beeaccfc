"""Pooling of feature maps, and how it sends a force back."""

import abc
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Inexact

Maps = Inexact[Array, "*batch _ _ _"]  # height, width, channels


class AbstractPooling(eqx.Module):
    """One value for each square window of a map; windows do not overlap.

    Rows and columns that don't fill a window are left out.
    """

    window: eqx.AbstractVar[int]
    """How many rows, and how many columns, become one."""
    holomorphic: eqx.AbstractClassVar[bool]
    """Is it analytic in the maps, and does it take complex ones?"""

    @abc.abstractmethod
    def __call__(self, maps: Maps) -> Maps:
        r"""$P(u)$, the pooled maps."""

    @abc.abstractmethod
    def transpose(self, maps: Maps, above: Maps) -> Maps:
        r"""$\partial_u (a \cdot P(u))$, with $a$ = `above`, in the shape of `maps`."""


class MaxPool(AbstractPooling):
    """The largest value; a force goes back to where that was (the first, if several).

    These positions are the switches that Laborieux et al. use to invert pooling.
    """

    window: int = eqx.field(static=True)
    holomorphic: ClassVar[bool] = False

    def __init__(self, window: int = 2):
        self.window = _checked(window)

    def __call__(self, maps: Maps) -> Maps:
        if jnp.iscomplexobj(maps):
            raise TypeError(
                "Complex values have no largest one: use `SoftmaxPool` or "
                "`AveragePool` where the state is complex."
            )
        return _largest(_cut(maps, self.window))

    def transpose(self, maps: Maps, above: Maps) -> Maps:
        switches = _switches(_cut(maps, self.window))
        return _restore(jnp.where(switches, above[..., None], 0), maps.shape)


class AveragePool(AbstractPooling):
    """The mean. With `window=1`, no pooling at all."""

    window: int = eqx.field(static=True)
    holomorphic: ClassVar[bool] = True

    def __init__(self, window: int = 2):
        self.window = _checked(window)

    def __call__(self, maps: Maps) -> Maps:
        return _cut(maps, self.window).mean(-1)

    def transpose(self, maps: Maps, above: Maps) -> Maps:
        share = above[..., None] / self.window**2
        spread = jnp.broadcast_to(share, (*above.shape, self.window**2))
        return _restore(spread, maps.shape)


class SoftmaxPool(AbstractPooling):
    r"""$\sum_i p_i u_i$, with $p = \operatorname{softmax}(\kappa u)$ in each window.

    Between the mean ($\kappa = 0$) and the largest value ($\kappa \to \infty$).

    **Arguments:** `sharpness`: $\kappa$, not trained.
    **Source:** Laborieux & Zenke, *NeurIPS* 35 (2022), arXiv:2209.00530.
    """

    window: int = eqx.field(static=True)
    sharpness: float
    holomorphic: ClassVar[bool] = True

    def __init__(self, window: int = 2, sharpness: float = 1.0):
        self.window = _checked(window)
        self.sharpness = sharpness

    def __call__(self, maps: Maps) -> Maps:
        values = _cut(maps, self.window)
        return jnp.sum(_softmax(self.sharpness * values) * values, axis=-1)

    def transpose(self, maps: Maps, above: Maps) -> Maps:
        values = _cut(maps, self.window)
        weights = _softmax(self.sharpness * values)
        mean = jnp.sum(weights * values, axis=-1, keepdims=True)
        slope = weights * (1 + self.sharpness * (values - mean))
        return _restore(slope * above[..., None], maps.shape)


def _checked(window: int) -> int:
    if window < 1:
        raise ValueError(f"A window has at least one row and column, not {window}.")
    return window


def _cut(maps, window):
    """The values of each window on a last axis of their own."""
    *batch, height, width, channels = maps.shape
    rows, columns = height // window, width // window
    whole = maps[..., : rows * window, : columns * window, :]
    tiles = whole.reshape(*batch, rows, window, columns, window, channels)
    # (row, i, column, j, channel) -> (row, column, channel, i, j)
    first = len(batch)
    order = (*range(first), *(first + k for k in (0, 2, 4, 1, 3)))
    return tiles.transpose(order).reshape(*batch, rows, columns, channels, window**2)


def _restore(values, shape):
    """The inverse of `_cut`: maps of that shape, zero where they were left out."""
    *batch, rows, columns, channels, count = values.shape
    window = round(count**0.5)
    tiles = values.reshape(*batch, rows, columns, channels, window, window)
    first = len(batch)
    order = (*range(first), *(first + k for k in (0, 3, 1, 4, 2)))
    maps = tiles.transpose(order)
    maps = maps.reshape(*batch, rows * window, columns * window, channels)
    missing = [(0, whole - part) for whole, part in zip(shape, maps.shape, strict=True)]
    return jnp.pad(maps, missing) if maps.shape != shape else maps


@jax.custom_jvp
def _largest(values):
    return values.max(-1)


@_largest.defjvp
def _(primals, tangents):
    """Of equal values only the first is the largest, here as in `transpose`.

    JAX's own derivative shares the tangent among them, and is slower.
    """
    (values,), (tangent,) = primals, tangents
    rate = jnp.sum(jnp.where(_switches(values), tangent, 0), axis=-1)
    return _largest(values), rate


def _switches(values):
    """True at the first of the largest values."""
    positions = lax.broadcasted_iota(int, values.shape, values.ndim - 1)
    return positions == values.argmax(-1, keepdims=True)


def _softmax(values):
    """Analytic in complex values too: a real shift of the exponent cancels."""
    shift = lax.stop_gradient(values.real.max(-1, keepdims=True))
    powers = jnp.exp(values - shift.astype(values.dtype))
    return powers / powers.sum(-1, keepdims=True)
