"""Resistive memory: oxide cells whose conductances relax after programming."""

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from .._analog_memory import AbstractAnalogMemory
from .._fast_random import fast_normal

MICRO = 1e-6
DAY = 86_400.0  # s
# µS by powers of the part of 40 µS, rising, at 1 s, 1 day and 2 days.
RELAXED = (
    (0.348, 16.030, -43.853, 45.393, -16.815),
    (0.701, 22.086, -50.773, 47.095, -16.458),
    (0.782, 20.274, -43.507, 37.062, -11.934),
)


def rram_relaxed_deviation(
    share: Float[Array, "..."],  # of the maximum
    time: float | Float[Array, ""],  # s
) -> Float[Array, "..."]:  # S, for a maximum of 40 µS
    """By how much conductances differ from what they were programmed to, in time.

    A fourth-order polynomial each at 1 s, 1 day and 2 days; between them, the variance
    is linear in the logarithm of the time, and outside it stays.
    """
    variances = [jnp.maximum(_polynomial(share, c), 0.0) ** 2 for c in RELAXED]
    second, day, two_days = variances
    log = jnp.log(jnp.asarray(time, share.dtype))
    first = jnp.clip(log / jnp.log(DAY), 0.0, 1.0).astype(share.dtype)
    last = jnp.clip((log - jnp.log(DAY)) / jnp.log(2.0), 0.0, 1.0).astype(share.dtype)
    variance = second + first * (day - second) + last * (two_days - day)
    return MICRO * jnp.sqrt(variance)


class RRAM(AbstractAnalogMemory):
    r"""Resistive memory as on a chip of three million HfOx cells, in time.

    Write-verify pulses bring each cell near its target; within a second, and slowly
    after, conductances relax at random to a deviation that `rram_relaxed_deviation`
    has. `program` leaves what is there after 1 s; `drift` adds, with one Gaussian
    number for each cell, the variance that has come since.

    **Arguments:** `read_noise`: of each read, as a part of the maximum.
    **Valid for:** 1 s to 2 days; later, nothing more changes.
    **Source:** Wan et al., *Nature* 608, 504 (2022), doi:10.1038/s41586-022-04992-8,
    Extended Data Fig. 3, with the fits of aihwkit 1.1.0.
    """

    maximum: float = 40e-6
    read_noise: float = 0.0

    def __check_init__(self):
        _check(self.maximum, self.read_noise)

    def program(
        self, target: Float[Array, "..."], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "..."]:
        return _scattered(target, self._deviation(target, 1.0), key)

    def drift(
        self,
        conductance: Float[Array, "..."],
        time: float | Float[Array, ""],
        *,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "..."]:
        before = self._deviation(conductance, 1.0)
        now = self._deviation(conductance, time)
        since = jnp.sqrt(jnp.maximum(now**2 - before**2, 0.0))
        return _scattered(conductance, since, key)

    def read(
        self,
        conductance: Float[Array, "..."],
        time: float | Float[Array, ""],
        *,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "..."]:
        del time
        noise = jnp.full_like(conductance, self.read_noise * self.maximum)
        return _scattered(conductance, noise, key)

    def _deviation(self, conductance: Array, time: float | Array) -> Array:
        share = conductance / jnp.asarray(self.maximum, conductance.dtype)
        return self.maximum / 40e-6 * rram_relaxed_deviation(share, time)


class MultilevelRRAM(AbstractAnalogMemory):
    r"""HfO2 cells programmed in small steps of the gate voltage, with verification.

    $\sigma = \max(4.782321 - 0.009107\,G, 0)$, all in µS, from 50 to 225 µS. Nothing
    changes afterwards.

    **Arguments:** `read_noise`: of each read, as a part of the maximum.
    **Source:** Milo et al., *IEEE IRPS* (2021),
    doi:10.1109/IRPS46558.2021.9405119, Fig. 4 (IGVVA-100), with the fit of CrossSim.
    """

    maximum: float = 225e-6
    read_noise: float = 0.0

    def __check_init__(self):
        _check(self.maximum, self.read_noise)

    def program(
        self, target: Float[Array, "..."], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "..."]:
        deviation = jnp.maximum(4.782321 * MICRO - 0.009107 * target, 0.0)
        return _scattered(target, deviation, key)

    def drift(
        self,
        conductance: Float[Array, "..."],
        time: float | Float[Array, ""],
        *,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "..."]:
        del time, key
        return conductance

    def read(
        self,
        conductance: Float[Array, "..."],
        time: float | Float[Array, ""],
        *,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "..."]:
        del time
        noise = jnp.full_like(conductance, self.read_noise * self.maximum)
        return _scattered(conductance, noise, key)


def _scattered(mean: Array, deviation: Array, key: PRNGKeyArray | None) -> Array:
    """With Gaussian noise, and nowhere below zero."""
    if key is None:
        return mean
    noise = deviation * fast_normal(key, mean.shape, mean.dtype)
    return jnp.maximum(mean + noise, 0.0)


def _polynomial(x: Array, rising: tuple[float, ...]) -> Array:
    total = jnp.full_like(x, rising[-1])
    for coefficient in rising[-2::-1]:
        total = total * x + coefficient
    return total


def _check(maximum: float, read_noise: float) -> None:
    if not maximum > 0 or read_noise < 0:
        raise ValueError(
            "`maximum` must be positive, such as 40e-6 S, and `read_noise` not "
            f"negative, but they are {maximum} and {read_noise}."
        )
