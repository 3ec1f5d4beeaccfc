"""Banks of microrings that weight wavelength channels."""

import math
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from .._layer import AbstractBoundedLayer, Facts


class Ports(NamedTuple):
    """The parts of a channel's power that leave a ring, or a row of rings."""

    through: Float[Array, "..."]
    drop: Float[Array, "..."]


def add_drop_ring(
    phase: Float[Array, "..."],  # rad, of a round trip, from resonance
    finesse: float,
    loss: float = 0.0,  # of the power, in a round trip
) -> Ports:
    r"""Transmitted powers of a ring between two waveguides, equally coupled.

    $$T = \frac{r^2 (1 - a)^2 + 4 A \sin^2(\phi/2)}{(1 - A)^2 + 4 A \sin^2(\phi/2)},
    \qquad D = \frac{(1 - r^2)^2 a}{(1 - A)^2 + 4 A \sin^2(\phi/2)}$$

    with the amplitude $a$ left after a round trip, self-coupling $r$ and
    $A = r^2 a$. The `finesse` is the distance of resonances over the full width of one
    at half maximum, $\sin(\pi/2F) = (1 - A)/2\sqrt A$.

    **Raises:** `ValueError` if the loss alone makes resonances wider than that.
    **Source:** Bogaerts et al., *Laser Photonics Rev.* 6, 47 (2012),
    doi:10.1002/lpor.201100017.
    """
    amplitude, once = _round_trip(finesse, loss)
    coupling = amplitude / once
    detuned = 4 * amplitude * jnp.sin(phase / 2) ** 2
    below = (1 - amplitude) ** 2 + detuned
    return Ports(
        through=(coupling * (1 - once) ** 2 + detuned) / below,
        drop=(1 - coupling) ** 2 * once / below,
    )


class RingWeightBank(AbstractBoundedLayer):
    r"""Powers of wavelength channels to weighted sums: rows of rings, one a channel.

    The light is divided evenly among $M$ rows. In each, ring $n$ is tuned close to
    channel $n$: what it drops, and what passes all rings, meet a balanced detector,

    $$y_m = \tfrac1M \sum_n w_{mn} x_n, \qquad w_{mn} = T_{mn} - D_{mn},$$

    so that weights are from -1, where all light is dropped, up to nearly 1. The tails
    of its neighbors' resonances act on a channel too. Resonances are Airy peaks, a
    `free_spectral_range` apart. What a ring drops does not reach
    the next one. The detunings, of each ring from its own channel, are trained.

    **Valid for:** channels many linewidths apart: powers are added up, without the
    interference of two rings that drop the same channel.
    **Source:** Tait et al., *Sci. Rep.* 7, 7430 (2017),
    doi:10.1038/s41598-017-07754-z.
    """

    detuning: Float[Array, "rows channels"]  # Hz
    spacing: float = eqx.field(static=True)  # Hz
    free_spectral_range: float = eqx.field(static=True)  # Hz
    finesse: float = eqx.field(static=True)
    loss: float = eqx.field(static=True)
    facts = Facts(linear=True)

    def __init__(
        self,
        detuning: Float[Array, "rows channels"],  # Hz
        *,
        spacing: float,  # Hz, from channel to channel
        free_spectral_range: float,  # Hz
        finesse: float,
        loss: float = 0.0,  # of the power, in a round trip
    ):
        """**Raises:** `ValueError` where the channels do not fit between two
        resonances of a ring, or the loss does not allow the finesse.
        """
        channels = detuning.shape[-1]
        if spacing <= 0 or channels * spacing > free_spectral_range:
            raise ValueError(
                f"{channels} channels {spacing:.4g} Hz apart need a "
                f"`free_spectral_range` of {channels * spacing:.4g} Hz or more, not "
                f"{free_spectral_range:.4g} Hz."
            )
        _round_trip(finesse, loss)
        self.detuning = detuning
        self.spacing = spacing
        self.free_spectral_range = free_spectral_range
        self.finesse = finesse
        self.loss = loss

    @classmethod
    def from_weights(
        cls,
        weights: np.ndarray,  # "rows channels"
        *,
        spacing: float,  # Hz
        free_spectral_range: float,  # Hz
        finesse: float,
        loss: float = 0.0,
    ) -> "RingWeightBank":
        """The bank of these weights, crosstalk included.

        **Raises:** `ValueError` where a weight can't be reached within half a spacing,
        naming the least and the greatest that can.
        """
        from scipy.optimize import least_squares

        weights = np.asarray(weights, float)
        settings = spacing, free_spectral_range, finesse, loss

        def off(detuning, row):
            ports = _row(detuning[None] * spacing, *settings)
            return np.asarray(ports.through - ports.drop)[0] - row

        found = []
        for row in weights:
            start = np.clip(_alone(row, *settings), 0.01, 0.45)
            fit = least_squares(off, start, bounds=(0, 0.5), args=(row,), xtol=1e-15)
            if np.abs(fit.fun).max() > 1e-6:
                low, high = (off(np.full(len(row), at), 0 * row) for at in (0.0, 0.5))
                raise ValueError(
                    f"no detunings make the weights {row}: they reach from "
                    f"{low.max():.4f} to {high.min():.4f}. A higher `finesse`, or a "
                    "wider `spacing`, reaches farther."
                )
            found.append(fit.x * spacing)
        return cls(
            jnp.asarray(np.stack(found), float),
            spacing=spacing,
            free_spectral_range=free_spectral_range,
            finesse=finesse,
            loss=loss,
        )

    def __call__(
        self,
        x: Float[Array, "*batch channels"],  # W
        *,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "*batch rows"]:  # W
        weights = self.weights().astype(x.dtype) / len(self.detuning)
        return jnp.matmul(x, weights.T, precision=lax.Precision.HIGHEST)

    def ports(self) -> Ports:
        """What part of each channel's light in a row passes it, and is dropped."""
        return _row(
            self.detuning,
            self.spacing,
            self.free_spectral_range,
            self.finesse,
            self.loss,
        )

    def weights(self) -> Float[Array, "rows channels"]:
        """Through minus drop, of each channel in each row."""
        ports = self.ports()
        return ports.through - ports.drop

    def project(self) -> "RingWeightBank":
        """Every ring between its own channel and half way to the next."""
        detuning = jnp.clip(self.detuning, 0, self.spacing / 2)
        return eqx.tree_at(lambda bank: bank.detuning, self, detuning)


def _row(detuning, spacing, free_spectral_range, finesse, loss):
    """Rings in a row: `"rows channels"` of `Ports`."""
    channels = detuning.shape[-1]
    apart = spacing * (np.arange(channels)[:, None] - np.arange(channels))
    # Of channel i at ring j, for each row.
    offset = jnp.asarray(apart, detuning.dtype)[None] - detuning[..., None, :]
    phase = 2 * math.pi / free_spectral_range * offset
    single = add_drop_ring(phase, finesse, loss)
    passed = jnp.cumprod(single.through, -1)
    arriving = jnp.concatenate([jnp.ones_like(passed[..., :1]), passed[..., :-1]], -1)
    return Ports(passed[..., -1], jnp.sum(arriving * single.drop, -1))


def _alone(weights, spacing, free_spectral_range, finesse, loss):
    """Detunings, in spacings, that a lossless ring without neighbors would need."""
    amplitude, _ = _round_trip(finesse, 0 * loss)
    dropped = np.clip((1 - weights) / 2, 1e-6, 1)
    sine = (1 - amplitude) * np.sqrt((1 / dropped - 1) / (4 * amplitude))
    phase = 2 * np.arcsin(np.clip(sine, 0, 1))
    return phase * free_spectral_range / (2 * math.pi * spacing)


def _round_trip(finesse: float, loss: float) -> tuple[float, float]:
    """$A$ and $a$: the amplitude after a round trip, with and without the couplers."""
    if not finesse > 1 or not 0 <= loss < 1:
        raise ValueError(
            f"`finesse` must be above 1, and `loss` from 0 to below 1; they are "
            f"{finesse} and {loss}."
        )
    sine = math.sin(math.pi / (2 * finesse))
    amplitude = (math.sqrt(sine**2 + 1) - sine) ** 2
    once = math.sqrt(1 - loss)
    if amplitude > once:
        raise ValueError(
            f"a loss of {loss} in a round trip allows no finesse of {finesse}: at most "
            f"{math.pi / (2 * math.asin((1 - once) / (2 * math.sqrt(once)))):.4g}."
        )
    return amplitude, once
