"""How weights of either sign are held by cells, which only conduct more or less."""

import abc
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float


class AbstractEncoding(eqx.Module):
    r"""What cells hold a weight, and how their currents become its product.

    $W = r \sum_s d_s R_s$: the weight is $r$, its range, times the readings $R_s$ of
    the arrays, times digital factors $d_s$. Cell states are parts of the maximum
    conductance, from 0 to 1.
    """

    factors: eqx.AbstractVar[tuple[float, ...]]
    """The digital factor of each reading; the sum of their sizes is 1."""
    coefficients: eqx.AbstractVar[tuple[float, ...]]
    """By how much $W / r$ rises with the state of each cell."""

    @abc.abstractmethod
    def encode(
        self, weight: Float[Array, "outputs inputs"]
    ) -> Float[Array, "devices outputs inputs"]:
        """The states that hold `weight`, a part of the range, from -1 to 1."""

    @abc.abstractmethod
    def arrays(
        self, states: Float[Array, "devices outputs inputs"]
    ) -> list[Float[Array, "outputs inputs"]]:
        """The states of all arrays that are built, those of reference cells too."""

    @abc.abstractmethod
    def readings(self, arrays: list[Float[Array, "..."]]) -> list[Float[Array, "..."]]:
        """Differences of what the arrays hold, or of the currents from them."""


class DifferentialPair(AbstractEncoding):
    r"""Two cells a weight: $W = r\,(g^+ - g^-)$.

    A weight is first written with one cell of the two at zero, or, if `balanced`, with
    both as far from the middle, $g^\pm = \tfrac12(1 \pm W/r)$.
    """

    balanced: bool = False
    factors: ClassVar[tuple[float, ...]] = (1.0,)
    coefficients: ClassVar[tuple[float, ...]] = (1.0, -1.0)

    def encode(
        self, weight: Float[Array, "outputs inputs"]
    ) -> Float[Array, "2 outputs inputs"]:
        signed = jnp.stack([weight, -weight])
        return (1 + signed) / 2 if self.balanced else jnp.maximum(signed, 0)

    def arrays(
        self, states: Float[Array, "2 outputs inputs"]
    ) -> list[Float[Array, "outputs inputs"]]:
        return [states[0], states[1]]

    def readings(self, arrays: list[Float[Array, "..."]]) -> list[Float[Array, "..."]]:
        return [arrays[0] - arrays[1]]


class Referenced(AbstractEncoding):
    r"""One cell a weight, against a fixed one of half the maximum: $W = r\,(2g - 1)$.

    The reference cells form an array of their own.
    """

    factors: ClassVar[tuple[float, ...]] = (1.0,)
    coefficients: ClassVar[tuple[float, ...]] = (2.0,)

    def encode(
        self, weight: Float[Array, "outputs inputs"]
    ) -> Float[Array, "1 outputs inputs"]:
        return (1 + weight[None]) / 2

    def arrays(
        self, states: Float[Array, "1 outputs inputs"]
    ) -> list[Float[Array, "outputs inputs"]]:
        return [states[0], jnp.full_like(states[0], 0.5)]

    def readings(self, arrays: list[Float[Array, "..."]]) -> list[Float[Array, "..."]]:
        return [2 * (arrays[0] - arrays[1])]


class BitSliced(AbstractEncoding):
    r"""A weight's magnitude, cut into slices of a few bits, a pair of cells each.

    With $m$ = `bits` / `slices` bits a cell, $W = r \sum_s d_s (g^+_s - g^-_s)$,
    $d_s = 2^{ms} (2^m - 1) / (2^{m \cdot \text{slices}} - 1)$. Each slice is read, and
    converted, for itself; they are added digitally. A weight is rounded to $2^b - 1$
    steps of its magnitude, so that integers up to $r = 2^b - 1$ are held exactly.

    **Raises:** `ValueError` unless `slices` divides `bits`.
    """

    bits: int
    slices: int

    def __check_init__(self):
        if self.slices < 1 or self.bits < 1 or self.bits % self.slices:
            raise ValueError(
                f"{self.bits} bits can't be cut into {self.slices} slices of equal "
                "width: `slices` must divide `bits`, as 2 divides 8."
            )

    @property
    def factors(self) -> tuple[float, ...]:
        levels, full = 2 ** (self.bits // self.slices), 2**self.bits - 1
        return tuple(levels**s * (levels - 1) / full for s in range(self.slices))

    @property
    def coefficients(self) -> tuple[float, ...]:
        return tuple(sign * d for d in self.factors for sign in (1.0, -1.0))

    def encode(
        self, weight: Float[Array, "outputs inputs"]
    ) -> Float[Array, "devices outputs inputs"]:
        levels = 2 ** (self.bits // self.slices)
        rest = jnp.round(jnp.maximum(jnp.stack([weight, -weight]), 0) * self._full)
        digits = []
        for _ in range(self.slices):
            digits.append(jnp.mod(rest, levels))
            rest = jnp.floor(rest / levels)
        return jnp.concatenate(digits) / (levels - 1)

    def arrays(
        self, states: Float[Array, "devices outputs inputs"]
    ) -> list[Float[Array, "outputs inputs"]]:
        return [states[k] for k in range(2 * self.slices)]

    def readings(self, arrays: list[Float[Array, "..."]]) -> list[Float[Array, "..."]]:
        return [up - down for up, down in zip(arrays[::2], arrays[1::2], strict=True)]

    @property
    def _full(self) -> int:
        return 2**self.bits - 1
