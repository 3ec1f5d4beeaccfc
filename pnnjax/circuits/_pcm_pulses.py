"""Phase-change cells under cumulative SET pulses: up in steps, never down."""

import math
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .._analog_memory import AbstractPulsedDevice
from .._fast_random import fast_normal

# All in µS, as fitted.
MEAN = -0.084, 0.880, 1.40
r"""$m_1, c_1, A_1$: a pulse adds $m_1 G + c_1 + A_1 P$ on average."""
DEVIATION = 0.091, 0.260, 2.15
r"""$m_2, c_2, A_2$: of what a pulse adds, $m_2 G + c_2 + A_2 P$."""
FORGETTING = math.exp(-1 / 2.6)
"""What a pulse leaves of the memory $P$, which a RESET sets to 1."""
KEPT = 1 + MEAN[0]
"""What a pulse leaves of a difference in conductance."""
MICRO = 1e-6


class PCMCells(NamedTuple):
    """What a phase-change cell remembers besides its state."""

    memory: Float[Array, "..."]
    """$P$: how little it has been pulsed since its last RESET, from 1 to 0."""
    age: Float[Array, "..."]
    """Since its last pulse (s)."""


def pcm_pulsed_mean(
    conductance: Float[Array, "..."],  # µS
    memory: Float[Array, "..."],
    pulses: Float[Array, "..."],
) -> Float[Array, "..."]:  # µS
    r"""The mean after $n$ pulses: the sum of $G \mapsto qG + c_1 + A_1 r^k P$.

    $G_n = q^n G + c_1 \frac{1 - q^n}{1 - q} + A_1 P\,r\,\frac{q^n - r^n}{q - r}$,
    with $q = 1 + m_1$ and $r$ what a pulse leaves of the memory.
    """
    kept = jnp.exp(math.log(KEPT) * pulses)
    remembered = jnp.exp(math.log(FORGETTING) * pulses)
    steady = MEAN[1] / (1 - KEPT) * (1 - kept)
    share = MEAN[2] * FORGETTING / (KEPT - FORGETTING)
    return kept * conductance + steady + share * memory * (kept - remembered)


class PCMPulses(AbstractPulsedDevice):
    r"""Identical SET pulses, each of which crystallizes a little more.

    What a pulse adds falls with the conductance, and with the number of pulses since
    the last RESET; it is Gaussian, and the deviation is about as large as the mean.
    Pulses down do nothing: such cells are used in differential pairs. The state is a
    part of the `maximum`.

    `rest` lets a cell drift, $G\,(1 + t/t_0)^{-\nu}$, $t$ after its last pulse, by
    which what has drifted is restored and drift begins anew.

    **Valid for:** pulses of 90 µA, 50 ns; drift of the mean cell.
    **Error:** exact for a pulse; of several at a time, the mean is exact but for the
    bounds, and the variance is that of the mean's path with the deviations of the
    first and of the last pulse.
    **Source:** Nandakumar et al., *J. Appl. Phys.* 124, 152135 (2018),
    doi:10.1063/1.5042408.
    """

    maximum: float = 12e-6
    """S."""
    exponent: float = 0.04
    r"""$\nu$."""
    start: float = 38.6
    """$t_0$ (s)."""
    low: float = 0.0
    high: float = 1.0

    def __check_init__(self):
        if not (self.maximum > 0 and self.start > 0 and self.exponent >= 0):
            raise ValueError(
                "`maximum` and `start` must be positive, such as 12e-6 S and 38.6 s, "
                f"and `exponent` not negative: {self.maximum}, {self.start}, "
                f"{self.exponent}."
            )
        if not 0 <= self.low < self.high <= 1:
            raise ValueError(
                "`low` and `high` are parts of `maximum`, such as 0 and 1, not "
                f"{self.low} and {self.high}."
            )
        if not self.granularity > 0:
            raise ValueError(
                f"A cell of {self.maximum / MICRO:g} µS is not half full when SET "
                "pulses stop to move it: take a `maximum` of 20e-6 S or less."
            )

    @property
    def granularity(self) -> float:
        middle = (self.low + self.high) / 2 * self.maximum / MICRO
        return (MEAN[0] * middle + MEAN[1]) * MICRO / self.maximum / 2

    def manufacture(
        self, state: Float[Array, "..."], *, key: PRNGKeyArray | None
    ) -> PCMCells:
        """All alike, and as many pulses after a RESET as bring the mean cell there."""
        del key
        pulses = np.linspace(0, 60, 601)
        kept, left = KEPT**pulses, FORGETTING**pulses
        share = MEAN[2] * FORGETTING / (KEPT - FORGETTING)
        course = MEAN[1] / (1 - KEPT) * (1 - kept) + share * (kept - left)
        course = jnp.asarray(course * MICRO / self.maximum, state.dtype)
        memory = jnp.interp(state, course, jnp.asarray(left, state.dtype))
        return PCMCells(memory, jnp.zeros_like(state))

    def pulse(
        self,
        state: Float[Array, "..."],
        cell: PCMCells,
        up: Float[Array, "..."],
        down: Float[Array, "..."],
        *,
        key: PRNGKeyArray | None,
    ) -> tuple[Float[Array, "..."], PCMCells]:
        del down
        unit = MICRO / self.maximum
        restored = state / self._decay(cell.age) / unit
        moved = pcm_pulsed_mean(restored, cell.memory, up)
        memory = cell.memory * jnp.exp(math.log(FORGETTING) * up)
        if key is not None:
            deviation = _deviation(restored, moved, cell.memory, memory, up)
            moved = moved + deviation * fast_normal(key, state.shape, state.dtype)
        pulsed = up > 0
        state = jnp.where(pulsed, jnp.clip(moved * unit, self.low, self.high), state)
        age = jnp.where(pulsed, jnp.zeros_like(cell.age), cell.age)
        return state, PCMCells(memory, age)

    def rest(
        self,
        state: Float[Array, "..."],
        cell: PCMCells,
        seconds: float | Float[Array, ""],
        *,
        key: PRNGKeyArray | None,
    ) -> tuple[Float[Array, "..."], PCMCells]:
        del key
        age = cell.age + jnp.asarray(seconds, state.dtype)
        return state * self._decay(age) / self._decay(cell.age), PCMCells(
            cell.memory, age
        )

    def _decay(self, age: Array) -> Array:
        return jnp.exp(-self.exponent * jnp.log1p(age / self.start))


def _deviation(before: Array, after: Array, old: Array, new: Array, n: Array) -> Array:
    """Of `n` pulses, whose noise decays as all differences do."""
    slope, constant, fresh = DEVIATION
    first = slope * before + constant + fresh * FORGETTING * old
    last_but_one = (after - MEAN[1] - MEAN[2] * new) / KEPT
    last = slope * last_but_one + constant + fresh * new
    squares = (first**2 + jnp.maximum(last, 0.0) ** 2) / 2
    single = n <= 1
    squares = jnp.where(single, first**2, squares)
    reach = (1 - jnp.exp(2 * math.log(KEPT) * n)) / (1 - KEPT**2)
    return jnp.sqrt(squares * reach)
