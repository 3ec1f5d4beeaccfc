"""Perturbation codes: which parameter is moved when, so that they can be told apart."""

import abc
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int, PRNGKeyArray

Shape = tuple[int, int]
"""How many systems, and how many knobs each."""


class AbstractCode(eqx.Module):
    r"""A signal $c_i(t)$ for each knob, which the cost is multiplied with again.

    Over a whole period the signals are orthogonal (random ones on average), so that
    $\sum_t C(t)\,c_i(t) / \sum_t c_i^2$ is what knob $i$ does to the cost.
    """

    order: eqx.AbstractVar[int]
    """The power of the amplitude by which the error of a period falls; 0 for a random
    code, which is right on average only.
    """

    @abc.abstractmethod
    def steps(self, count: int) -> int:
        """How many steps of time one period for `count` knobs has."""

    @abc.abstractmethod
    def power(self, count: int) -> float:
        """The mean of a knob's squared signal over a period."""

    @abc.abstractmethod
    def at(
        self, time: Int[Array, ""], shape: Shape, *, key: PRNGKeyArray
    ) -> Float[Array, "systems count"]:
        """The signals of all knobs at a step of time, within [-1, 1]."""


class SequentialCode(AbstractCode):
    """One knob after the other: finite differences.

    **Arguments:** `centered`: move each up, then down. Twice the steps; the error is
    then of second order, and a cost that is off by a constant does no harm.
    """

    centered: bool = eqx.field(static=True)

    def __init__(self, centered: bool = False):
        self.centered = centered

    @property
    def order(self) -> int:
        return 2 if self.centered else 1

    def steps(self, count: int) -> int:
        return (1 + self.centered) * count

    def power(self, count: int) -> float:
        return 1 / count

    def at(
        self, time: Int[Array, ""], shape: Shape, *, key: PRNGKeyArray
    ) -> Float[Array, "systems count"]:
        del key
        knob = time % self.steps(shape[1]) // (1 + self.centered)
        sign = 1 - 2 * (time % 2) if self.centered else jnp.ones_like(time)
        signal = jnp.where(jnp.arange(shape[1], dtype=time.dtype) == knob, sign, 0)
        return jnp.broadcast_to(signal.astype(float), shape)


class RandomCode(AbstractCode):
    """All knobs at once, each up or down as a coin falls; each system its own coins.

    **Arguments:** `period`: how many steps are averaged. `paired`: every second step is
    the one before with all signs turned, so that even orders of the cost cancel.
    **Raises:** `ValueError` if there is no step, or an odd number of paired ones.
    **Error:** the others' effects are noise, of which a share 1 / `period` stays.
    """

    period: int = eqx.field(static=True)
    paired: bool = eqx.field(static=True, default=False)
    order: ClassVar[int] = 0

    def __check_init__(self):
        if self.period < 1 or (self.paired and self.period % 2):
            raise ValueError(
                f"`period` must be at least 1, and even where steps are paired, not "
                f"{self.period}."
            )

    def steps(self, count: int) -> int:
        del count
        return self.period

    def power(self, count: int) -> float:
        del count
        return 1.0

    def at(
        self, time: Int[Array, ""], shape: Shape, *, key: PRNGKeyArray
    ) -> Float[Array, "systems count"]:
        draw = jax.random.fold_in(key, time // 2 if self.paired else time)
        signal = jax.random.rademacher(draw, shape, float)
        return signal * (1 - 2 * (time % 2)).astype(float) if self.paired else signal


class WalshCode(AbstractCode):
    """All knobs at once, up and down by Walsh functions, as in code-division radio.

    Those used change sign when time is reversed, so that even orders of the cost
    cancel; a period has the next power of two of twice as many steps as knobs.

    **Source:** Walsh, *Am. J. Math.* 45, 5 (1923), doi:10.2307/2387224.
    """

    order: ClassVar[int] = 2

    def steps(self, count: int) -> int:
        return 2 ** (2 * count - 1).bit_length()

    def power(self, count: int) -> float:
        del count
        return 1.0

    def at(
        self, time: Int[Array, ""], shape: Shape, *, key: PRNGKeyArray
    ) -> Float[Array, "systems count"]:
        del key
        # The numbers with an odd count of ones: their functions are the odd ones.
        knob = jnp.arange(shape[1], dtype=time.dtype)
        number = 2 * knob + 1 - lax.population_count(knob) % 2
        signal = 1 - 2 * (lax.population_count(number & time) % 2)
        return jnp.broadcast_to(signal.astype(float), shape)


class SinusoidalCode(AbstractCode):
    r"""All knobs at once, each at a frequency of its own: a lock-in for each.

    $c_i(t) = \sin(2\pi\, i\, s\,(t + \tfrac12)/T)$ with the `spacing` $s$ and
    $T = 2 s P + 1$ for $P$ knobs: odd in time, so that even orders of the cost cancel.
    A wider spacing is a longer measurement.

    **Raises:** `ValueError` unless the spacing is at least 1, and if the number of
    knobs is beyond integer arithmetic.
    """

    spacing: int = eqx.field(static=True, default=1)
    order: ClassVar[int] = 2

    def __check_init__(self):
        if self.spacing < 1:
            raise ValueError(f"`spacing` must be at least 1, not {self.spacing}.")

    def steps(self, count: int) -> int:
        period = 2 * self.spacing * count + 1
        if period**2 >= 2**31:
            raise ValueError(
                f"{count} frequencies, {self.spacing} apart, are more than 32-bit "
                "integers can count: take a `WalshCode`."
            )
        return period

    def power(self, count: int) -> float:
        del count
        return 0.5

    def at(
        self, time: Int[Array, ""], shape: Shape, *, key: PRNGKeyArray
    ) -> Float[Array, "systems count"]:
        del key
        cycles = self.spacing * (1 + jnp.arange(shape[1], dtype=time.dtype))
        # Whole turns are taken off in integers: single precision keeps its digits.
        period = self.steps(shape[1])
        half_steps = cycles * ((2 * time + 1) % (2 * period)) % (2 * period)
        signal = jnp.sin(half_steps.astype(float) * (jnp.pi / period))
        return jnp.broadcast_to(signal, shape)
