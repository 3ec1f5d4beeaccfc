"""Photodetectors on a plane: light in, photocurrents out."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, PRNGKeyArray

from .._layer import AbstractLayer, Facts

ELEMENTARY_CHARGE = 1.602176634e-19  # C, exact since 2019
BOLTZMANN_CONSTANT = 1.380649e-23  # J/K, exact since 2019

Region = tuple[int, int, int, int]
"""Pixels `(y, y_end, x, x_end)` of a rectangle; the ends are outside."""


def power_in(
    field: Complex[Array, "*batch ny nx"],  # √W
    regions: tuple[Region, ...],
) -> Float[Array, "*batch n"]:  # W
    """The power that falls on each of `n` rectangles."""
    ny, nx = field.shape[-2:]
    _check(regions, ny, nx)
    intensity = field.real**2 + field.imag**2
    dtype, highest = intensity.dtype, jax.lax.Precision.HIGHEST
    rows = _indicator([(y, y_end) for y, y_end, _, _ in regions], ny).astype(dtype)
    columns = _indicator([(x, x_end) for _, _, x, x_end in regions], nx).astype(dtype)
    strips = jnp.einsum("...yx,nx->...yn", intensity, columns, precision=highest)
    return jnp.einsum("...yn,ny->...n", strips, rows, precision=highest)


def detector_grid(
    shape: tuple[int, int], n: int, size: int, spacing: int
) -> tuple[Region, ...]:
    """`n` squares in centered rows: 3, 4 and 3 of them for ten, as Lin et al. (2018).

    **Arguments:** `shape`: the plane (pixels). `size`: the side of a square (pixels).
    `spacing`: from center to center, in both directions (pixels).
    **Raises:** if squares overlap or do not fit the plane.
    """
    if spacing < size:
        raise ValueError(f"squares of {size} pixels overlap at a spacing of {spacing}.")
    rows = max(1, round(math.sqrt(n)))
    extra = n % rows
    first = (rows - extra) // 2
    counts = [n // rows + (first <= row < first + extra) for row in range(rows)]
    regions = []
    for row, count in enumerate(counts):
        y = round(shape[0] / 2 + (row - (rows - 1) / 2) * spacing - size / 2)
        for column in range(count):
            x = round(shape[1] / 2 + (column - (count - 1) / 2) * spacing - size / 2)
            regions.append((y, y + size, x, x + size))
    _check(tuple(regions), *shape)
    return tuple(regions)


class Detector(AbstractLayer):
    r"""Photocurrents (A) of `n` photodiodes; at 1 A/W, their powers (W).

    With a key, each current $I$ gets Gaussian noise of variance $2qIB + 4k_BTB/R$: shot
    noise, in the limit of many photons, and the thermal noise of the load.

    **Source:** Saleh and Teich, *Fundamentals of Photonics* (2019), on
    noise in photodetectors.
    """

    regions: tuple[Region, ...] = eqx.field(static=True)
    responsivity: float = eqx.field(static=True)  # A/W
    bandwidth: float = eqx.field(static=True)  # Hz
    temperature: float = eqx.field(static=True)  # K
    load: float = eqx.field(static=True)  # ohm
    facts = Facts()

    def __init__(
        self,
        regions: tuple[Region, ...],
        *,
        responsivity: float = 1.0,  # A/W
        bandwidth: float = 1e6,  # Hz
        temperature: float = 300.0,  # K
        load: float = 1e4,  # ohm
    ):
        self.regions = regions
        self.responsivity = responsivity
        self.bandwidth = bandwidth
        self.temperature = temperature
        self.load = load

    def __call__(
        self,
        x: Complex[Array, "*batch ny nx"],  # √W
        *,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "*batch n"]:  # A
        current = self.responsivity * power_in(x, self.regions)
        if key is None:
            return current
        shot = 2 * ELEMENTARY_CHARGE * self.bandwidth * current
        thermal = 4 * BOLTZMANN_CONSTANT * self.temperature * self.bandwidth / self.load
        noise = jax.random.normal(key, current.shape, current.dtype)
        return current + jnp.sqrt(shot + thermal) * noise


class BalancedDetector(AbstractLayer):
    r"""Differences $I_+ - I_-$ (A) of pairs of photodiodes, one pair a class.

    Each photodiode has its own load and noise. `normalized` divides by $I_+ + I_-$
    (dimensionless), as the classes of Li et al. are scored.

    **Source:** Li et al., *Advanced Photonics* 1, 046001 (2019),
    doi:10.1117/1.AP.1.4.046001.
    """

    positive: Detector
    negative: Detector
    normalized: bool = eqx.field(static=True)
    facts = Facts()

    def __init__(
        self, positive: Detector, negative: Detector, *, normalized: bool = False
    ):
        n, m = len(positive.regions), len(negative.regions)
        if n != m:
            raise ValueError(f"{n} positive and {m} negative regions make no pairs.")
        self.positive = positive
        self.negative = negative
        self.normalized = normalized

    def __call__(
        self,
        x: Complex[Array, "*batch ny nx"],  # √W
        *,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "*batch n"]:  # A, or 1 if normalized
        keys = (None, None) if key is None else jax.random.split(key)
        positive, negative = (
            self.positive(x, key=keys[0]),
            self.negative(x, key=keys[1]),
        )
        difference = positive - negative
        return difference / (positive + negative) if self.normalized else difference


def _indicator(intervals, length):
    positions = np.arange(length)
    return np.stack([(positions >= a) & (positions < b) for a, b in intervals])


def _check(regions, ny, nx):
    for y, y_end, x, x_end in regions:
        if not (0 <= y < y_end <= ny and 0 <= x < x_end <= nx):
            raise ValueError(
                f"region {(y, y_end, x, x_end)} is empty or leaves the plane of "
                f"{ny} x {nx} pixels."
            )
