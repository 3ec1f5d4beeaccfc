"""What short pulses share: grids of time and frequency, dispersion, checks."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Complex, Float

from ._sampling import polar

Number = float | Float[Array, ""]
"""A fixed setting, or an array, which is trained where it is a layer's."""

Dispersion = Number | Sequence[Number]
r"""$\beta_2$ (s²/m), or $\beta_2, \beta_3$ (s³/m), and so on."""

EDGE = 32
"""The outer samples of a window are one in so many, on each side."""

MOST_PHASE = 0.5
"""rad: what a nonlinear phase may at most be in a step."""


def time_grid(nt: int, dt: float) -> Float[np.ndarray, " nt"]:
    """The times (s) of `nt` samples, zero in the middle: sample `nt // 2`.

    The window is periodic, of `nt * dt`: the sample after the last is the first.
    """
    return dt * (np.arange(nt) - nt // 2)


def frequency_grid(nt: int, dt: float) -> Float[np.ndarray, " nt"]:
    r"""Angular frequencies $\Omega$ (rad/s), in the order of `jnp.fft.fft`'s output.

    They count from the carrier. With $e^{-i\omega t}$, that transform has the light of
    frequency $\Omega$ where its own $f$ is $-\Omega/2\pi$.
    """
    return -2 * np.pi * np.fft.fftfreq(nt, dt)


def check_counts(dt: float, steps: int) -> None:
    """**Raises:** `ValueError` for what is not positive."""
    if not dt > 0:
        raise ValueError(f"`dt` must be positive, in seconds, but is {dt}.")
    if steps < 1:
        raise ValueError(f"`steps` is {steps}, but it takes at least 1.")


def orders(dispersion: Dispersion) -> list[Number]:
    """One coefficient for each order, from the second on."""
    return list(dispersion) if isinstance(dispersion, Sequence) else [dispersion]


def taylor(coefficients: Dispersion, omega: np.ndarray, dtype: Any) -> Any:
    r"""$\sum_{k \ge 2} \beta_k \Omega^k / k!$ (rad/m): by NumPy if all are floats."""
    betas = orders(coefficients)
    fixed = all(isinstance(beta, int | float) for beta in betas)
    grid = omega if fixed else jnp.asarray(omega, dtype)
    # By Horner's rule: single precision holds no fourth power of these frequencies.
    total = 0 * grid
    for k in range(len(betas) + 1, 1, -1):
        total = (total + betas[k - 2] / math.factorial(k)) * grid
    return total * grid


def transfer(
    wavenumber: Any, gain: Number, length: Any, dtype: Any
) -> Complex[Array, "*shape"]:
    """What a `length` (m) does to each frequency."""
    arrays = any(isinstance(a, jax.Array) for a in (wavenumber, gain, length))
    if not arrays:
        growth = np.exp(0.5 * gain * length)
        return jnp.asarray(polar(growth, wavenumber * length), dtype)
    real = jnp.finfo(dtype).dtype
    wavenumber, gain, length = (
        jnp.asarray(a, real) for a in (wavenumber, gain, length)
    )
    return polar(jnp.exp(0.5 * gain * length), wavenumber * length)


def times(
    factor: Complex[Array, " nt"], field: Complex[Array, "*batch nt"]
) -> Complex[Array, "*batch nt"]:
    """The same factors for every example."""
    return factor.reshape((1,) * (field.ndim - 1) + factor.shape) * field


class Worst(NamedTuple):
    """The greatest that was met on the way, of each example."""

    edge: Float[Array, "*batch"]
    """Share of the energy in the outer sixteenth of the window."""
    spectrum: Float[Array, "*batch"]
    """The same, of the spectrum."""
    phase: Float[Array, "*batch"]
    """Nonlinear phase in a step (rad)."""

    @classmethod
    def none(cls, shape: tuple[int, ...], dtype: Any) -> "Worst":
        """Before the start."""
        return cls(*(jnp.zeros(shape, dtype) for _ in range(3)))

    def after_kick(
        self, power: Float[Array, "*batch nt"], phase: Float[Array, "*batch"]
    ) -> "Worst":
        """Updated by the power in time, and by the phase of a step."""
        power, phase = lax.stop_gradient((power, phase))
        edge = jnp.maximum(self.edge, _share(power, _outer(power)))
        return Worst(edge, self.spectrum, jnp.maximum(self.phase, phase))

    def after_drift(self, power: Float[Array, "*batch nt"]) -> "Worst":
        """Updated by the power at each frequency, in the order of the FFT."""
        power = lax.stop_gradient(power)
        outer = _outer(jnp.fft.fftshift(power, -1))
        spectrum = jnp.maximum(self.spectrum, _share(power, outer))
        return Worst(self.edge, spectrum, self.phase)


def checked(
    envelope: Any, worst: Worst, tolerance: float, nt: int, dt: float, steps: int
) -> Any:
    """**Raises:** at run time, naming what to change, if the grid was too coarse."""
    failed = [
        jnp.any(jnp.isnan(worst.phase)),
        jnp.any(worst.phase > MOST_PHASE),
        jnp.any(worst.edge > tolerance),
        jnp.any(worst.spectrum > tolerance),
    ]
    share = f"more than {tolerance:g} of the pulse's energy is in the outer sixteenth"
    messages = [
        "the field is NaN or infinite: look at the envelope and the settings.",
        f"the nonlinear phase of a step is above {MOST_PHASE} rad: raise `steps` from "
        f"{steps}, to {2 * steps} or more, or lower the power.",
        f"{share} of the window `nt * dt` of {nt * dt:.3g} s, beyond which it comes "
        f"in again on the other side: take more samples, {2 * nt} or more, or raise "
        "`tolerance` if the light is meant to be periodic.",
        f"{share} of the spectrum: it is under-sampled. Lower `dt` from {dt:.3g} s, to "
        f"{dt / 2:.3g} s or less, with as many more samples.",
    ]
    failed = jnp.stack(failed)
    return eqx.branched_error_if(
        envelope, jnp.any(failed), jnp.argmax(failed), messages
    )


def _outer(power):
    width = max(1, power.shape[-1] // EDGE)
    return jnp.sum(power[..., :width], -1) + jnp.sum(power[..., -width:], -1)


def _share(power, outer):
    total = jnp.sum(power, -1)
    return outer / jnp.where(total > 0, total, 1)
