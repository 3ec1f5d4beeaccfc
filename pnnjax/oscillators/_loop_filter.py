"""How fast the node of a delay loop responds: filters as sums of exponentials."""

import abc
import math
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float


class Mode(NamedTuple):
    """One low-pass filter $T\\dot m = F - m$ of several that are added up."""

    weight: float
    time: float  # s


class AbstractLoopFilter(eqx.Module):
    """A linear response $x = \\sum_j w_j m_j$ to what the node drives."""

    @abc.abstractmethod
    def modes(self) -> tuple[Mode, ...]:
        """The low-pass filters that it is the sum of."""


class LowPass(AbstractLoopFilter):
    r"""$\tau\dot x = F - x$; at $\tau = 0$, the node responds at once."""

    time: float = eqx.field(static=True)

    def __init__(
        self,
        time: float,  # s
    ):
        r"""**Arguments:** `time`: $\tau$.

        **Raises:** `ValueError` if it is negative or not finite.
        """
        if not (time >= 0 and math.isfinite(time)):
            raise ValueError(f"A response time can't be {time} s: 0 or more will do.")
        self.time = time

    def modes(self) -> tuple[Mode, ...]:
        return (Mode(1.0, self.time),)


class BandPass(AbstractLoopFilter):
    r"""$x + \tau\dot x + \frac1\theta\int x\,dt = F$: nothing constant passes.

    The usual electronics of a wide-band electro-optic oscillator.

    **Valid for:** $\theta > 4\tau$, where nothing rings.
    **Source:** Kouomou, Colet, Larger, Gastaud, *Phys. Rev. Lett.* 95, 203903 (2005),
    doi:10.1103/PhysRevLett.95.203903.
    """

    time: float = eqx.field(static=True)
    recovery_time: float = eqx.field(static=True)

    def __init__(
        self,
        time: float,  # s
        recovery_time: float,  # s
    ):
        r"""**Arguments:** `time`: $\tau$ of the high cut-off, $1/2\pi\tau$;
        `recovery_time`: $\theta$ of the low one, $1/2\pi\theta$.

        **Raises:** `ValueError` unless $0 < 4\tau < \theta$.
        """
        if not (0 < 4 * time < recovery_time and math.isfinite(recovery_time)):
            raise ValueError(
                "The recovery time must be longer than four response times, which "
                f"{recovery_time} s is not for {time} s: try {10 * abs(time)} s."
            )
        self.time = time
        self.recovery_time = recovery_time

    def modes(self) -> tuple[Mode, ...]:
        # Partial fractions of s/tau / ((s + fast)(s + slow)).
        root = math.sqrt(1 - 4 * self.time / self.recovery_time)
        fast = (1 + root) / (2 * self.time)
        slow = 1 / (self.time * self.recovery_time * fast)
        return Mode(1 / root, 1 / fast), Mode(-1 / root, 1 / slow)


def step_weights(step: float, time: float) -> tuple[float, float, float]:
    r"""$(e^{-h}, w_0, w_1)$: how $m$ takes a `step`, with $h$ of it over `time`.

    $m \to e^{-h} m + w_0 F_0 + w_1 F_1$ is exact for a drive that goes straight from
    $F_0$ to $F_1$.

    **Error:** of the second order in the step, for a drive that is curved.
    """
    if time == 0:
        return 0.0, 0.0, 1.0
    h = step / time
    rise = -math.expm1(-h)
    if h < 1e-3:  # the next terms are below rounding, what is subtracted is not
        end = h / 2 - h**2 / 6 + h**3 / 24 - h**4 / 120
    else:
        end = 1 - rise / h
    return math.exp(-h), rise - end, end


def decaying_sum(
    terms: Float[Array, "*batch points"],
    start: Float[Array, "*batch"],
    decay: float,
) -> Float[Array, "*batch points"]:
    r"""$m_i = a\,m_{i-1} + g_i$ from $m_{-1}$ `start`, with $a$ the `decay`.

    Within blocks of about $\sqrt n$ points it is a product with a triangular matrix,
    and so it is from block to block: no loop, and $n^{3/2}$ operations.
    """
    if decay == 0:
        return terms
    n = terms.shape[-1]
    size = math.ceil(math.sqrt(n))
    count = -(-n // size)
    within, across, fade = _block_matrices(count, size, decay, terms.dtype)
    # What makes the terms would be done in short rows, a block long.
    terms = lax.optimization_barrier(terms)
    spare = [(0, 0)] * (terms.ndim - 1) + [(0, count * size - n)]
    blocks = jnp.pad(terms, spare).reshape(*terms.shape[:-1], count, size)
    own = jnp.matmul(blocks, within, precision=jax.lax.Precision.HIGHEST)
    ends = jnp.concatenate([start[..., None], own[..., :-1, -1]], axis=-1)
    carried = jnp.matmul(ends, across, precision=jax.lax.Precision.HIGHEST)
    whole = own + carried[..., None] * jnp.expand_dims(fade, range(carried.ndim))
    return whole.reshape(*terms.shape[:-1], -1)[..., :n]


def _block_matrices(count, size, decay, dtype):
    """Powers of the decay: within a block, between blocks, from a block's start."""

    def triangle(n, factor):
        lag = np.arange(n) - np.arange(n)[:, None]
        return np.where(lag < 0, 0.0, float(factor) ** np.maximum(lag, 0))

    within, across = triangle(size, decay), triangle(count, decay**size)
    fade = decay ** np.arange(1.0, size + 1)
    return tuple(jnp.asarray(m, dtype) for m in (within, across, fade))
