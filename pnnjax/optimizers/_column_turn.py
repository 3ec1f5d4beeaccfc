"""Columns of an array, some at a time, in rotation."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Int


class Turn(NamedTuple):
    """The columns, slices of the last index, whose turn it is, in arrays of one shape.

    The first ones come again after the last, so that all have as many turns. Other
    arrays are whole.
    """

    number: Int[Array, ""]
    most: int
    shape: tuple[int, ...]

    def columns(self, array: Array) -> Array:
        if self._whole(array):
            return array
        here, over = self._place()
        if over is None:
            return _slice(array, here, self.width)
        return _slice(self._both(array, here), over, self.width)

    def put(self, array: Array, part: Array) -> Array:
        """`array`, with `part` in the place of these columns."""
        if self._whole(array):
            return part
        here, over = self._place()
        if over is None:
            return _put(array, part, here)
        both = _put(self._both(array, here), part, over)
        array = _put(array, both[..., : self.width], here)
        # Where a slice is more than half of the array, the two have columns in common.
        begun = jnp.arange(self.width, dtype=over.dtype) < over
        first = jnp.where(begun, both[..., self.width :], array[..., : self.width])
        return _put(array, first, jnp.zeros_like(here))

    @property
    def width(self) -> int:
        return min(self.most, self.shape[-1])

    def _whole(self, array: Array) -> bool:
        return array.ndim == 0 or array.shape != self.shape

    def _place(self) -> tuple[Array, Array | None]:
        """Where a slice begins, and how many columns of it are the first ones."""
        size = self.shape[-1]
        if size % self.width == 0:
            return self.number % (size // self.width) * self.width, None
        # The remainder first: the product of a large number could overflow.
        start = self.number % size * self.width % size
        here = jnp.minimum(start, size - self.width)
        return here, start - here

    def _both(self, array: Array, here: Array) -> Array:
        """The slice that ends no later than the array, and the first columns."""
        first = array[..., : self.width]
        return jnp.concatenate([_slice(array, here, self.width), first], axis=-1)


def _slice(array: Array, here: Array, width: int) -> Array:
    return lax.dynamic_slice_in_dim(array, here, width, axis=-1)


def _put(array: Array, part: Array, here: Array) -> Array:
    return lax.dynamic_update_slice_in_dim(array, part, here, axis=-1)
