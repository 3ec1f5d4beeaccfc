"""Phase-change memory: cells that are programmed, drift, and fluctuate when read."""

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from .._analog_memory import AbstractAnalogMemory
from .._fast_random import fast_normal

FITTED_MAXIMUM = 25e-6
"""S, of the cells that were measured."""
MICRO = 1e-6


def pcm_programming_deviation(
    share: Float[Array, "..."],  # of the maximum
) -> Float[Array, "..."]:  # S, for a maximum of 25 µS
    r"""$\sigma_P = \max(-1.1731\,g^2 + 1.9650\,g + 0.26348, 0)$ µS."""
    deviation = (-1.1731 * share + 1.9650) * share + 0.26348
    return MICRO * jnp.maximum(deviation, 0.0)


def pcm_drift_exponent(
    share: Float[Array, "..."],  # of the maximum
) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    r"""The mean of $\nu$ and its deviation from cell to cell.

    $\mu_\nu = -0.0155 \ln g + 0.0244$, from 0.049 to 0.1, and
    $\sigma_\nu = -0.0125 \ln g - 0.0059$, from 0.008 to 0.045.
    """
    log = jnp.log(jnp.maximum(share, 1e-7))
    mean = jnp.clip(-0.0155 * log + 0.0244, 0.049, 0.1)
    return mean, jnp.clip(-0.0125 * log - 0.0059, 0.008, 0.045)


def pcm_read_deviation(
    share: Float[Array, "..."],  # of the maximum, as programmed
    time: float | Float[Array, ""],  # s
    read_time: float = 250e-9,  # s
) -> Float[Array, "..."]:
    r"""Relative to what is read: $Q\,\sqrt{\ln((t + t_r)/2t_r)}$, $1/f$ noise of all
    frequencies that a time $t$ has room for.

    $Q = 0.0088\,g^{-0.65}$, at most 0.2.
    """
    # A power takes four times as long as the two functions that it is.
    power = jnp.exp(-0.65 * jnp.log(jnp.maximum(share, 1e-4)))
    strength = jnp.minimum(0.0088 * power, 0.2)
    span = jnp.asarray((time + read_time) / (2 * read_time), share.dtype)
    return strength * jnp.sqrt(jnp.log(jnp.maximum(span, 1.0)))


class PCM(AbstractAnalogMemory):
    r"""Phase-change memory as a million cells of doped GeSbTe were measured to be.

    With $g$ the conductance as a part of the `maximum`: iterative programming leaves
    a Gaussian error $\sigma_P(g)$, and no cell below zero. The amorphous part then
    relaxes, $G(t) = G\,(t/t_0)^{-\nu}$, where each cell has its own Gaussian $\nu$,
    never below zero, which depends on $g$. A read adds $1/f$ noise in proportion to
    what is left. Errors of cells with another maximum are taken to scale with it.

    A `scale` multiplies the deviation of its noise, or the exponents; 0 turns it off.

    **Valid for:** $t \ge t_0$; before, nothing drifts.
    **Error:** the noise of a read depends on $g$ when programmed, which is taken from
    what is left by the mean exponent.
    **Source:** Joshi et al., *Nat. Commun.* 11, 2473 (2020),
    doi:10.1038/s41467-020-16108-9, and Nandakumar et al., *IEEE ICECS* (2019),
    doi:10.1109/ICECS46596.2019.8964852, with the fits of aihwkit 1.1.0.
    """

    maximum: float = FITTED_MAXIMUM
    start: float = 20.0
    """$t_0$ (s), when programming was read last."""
    read_time: float = 250e-9
    """$t_r$, which one read takes (s)."""
    programming_scale: float = 1.0
    drift_scale: float = 1.0
    read_scale: float = 1.0

    def __check_init__(self):
        if not min(self.maximum, self.start, self.read_time) > 0:
            raise ValueError(
                "`maximum`, `start` and `read_time` must be positive, such as 25e-6 S, "
                f"20 s and 250e-9 s, not {self.maximum}, {self.start} and "
                f"{self.read_time}."
            )
        if min(self.programming_scale, self.drift_scale, self.read_scale) < 0:
            raise ValueError(
                "A scale can't be negative: programming "
                f"{self.programming_scale}, drift {self.drift_scale}, read "
                f"{self.read_scale}."
            )

    def program(
        self, target: Float[Array, "..."], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "..."]:
        if key is None:
            return target
        scale = self.programming_scale * self.maximum / FITTED_MAXIMUM
        deviation = scale * pcm_programming_deviation(self._share(target))
        noise = deviation * fast_normal(key, target.shape, target.dtype)
        return jnp.maximum(target + noise, 0.0)

    def drift(
        self,
        conductance: Float[Array, "..."],
        time: float | Float[Array, ""],
        *,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "..."]:
        mean, deviation = pcm_drift_exponent(self._share(conductance))
        exponent = mean
        if key is not None:
            draw = fast_normal(key, conductance.shape, conductance.dtype)
            exponent = jnp.abs(mean + deviation * draw)
        return conductance * jnp.exp(-exponent * self._decades(conductance, time))

    def read(
        self,
        conductance: Float[Array, "..."],
        time: float | Float[Array, ""],
        *,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "..."]:
        if key is None:
            return conductance
        relative = pcm_read_deviation(
            self._programmed_share(conductance, time), time, self.read_time
        )
        draw = fast_normal(key, conductance.shape, conductance.dtype)
        shown = conductance * (1.0 + self.read_scale * relative * draw)
        return jnp.maximum(shown, 0.0)

    def _share(self, conductance: Array) -> Array:
        return conductance / jnp.asarray(self.maximum, conductance.dtype)

    def _decades(self, like: Array, time: float | Array) -> Array:
        """The logarithm of the time since the start, for the exponents' scale."""
        elapsed = jnp.maximum(jnp.asarray(time / self.start, like.dtype), 1.0)
        return self.drift_scale * jnp.log(elapsed)

    def _programmed_share(self, conductance: Array, time: float | Array) -> Array:
        now, decades = self._share(conductance), self._decades(conductance, time)
        share = now
        for _ in range(2):
            share = now * jnp.exp(decades * pcm_drift_exponent(share)[0])
        return share
