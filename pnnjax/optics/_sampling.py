"""Arguments that all propagators share, and what to do where sampling fails."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

Number = float | Float[Array, "..."]
"""A static setting, or one for each of the leading axes."""

Pitch = float | tuple[float, float]
"""The size of a pixel (m): one, or that along y and that along x."""


def pitches(pitch: Pitch) -> tuple[float, float]:
    """The pitch along y and along x (m)."""
    dy, dx = pitch if isinstance(pitch, tuple) else (pitch, pitch)
    if not (dy > 0 and dx > 0):
        raise ValueError(f"`pitch` must be positive, in meters; got {pitch}.")
    return dy, dx


def aligned(
    field: Complex[Array, "..."], distance: Number, wavelength: Number
) -> tuple[Number, Number, int]:
    """Distance and wavelength with four axes after their own, and their rank before.

    Floats stay floats, to be handled in double precision.
    """
    rank = max(np.ndim(distance), np.ndim(wavelength))
    real = jnp.finfo(field.dtype).dtype

    def align(value):
        if not isinstance(value, jax.Array):
            return value
        ones = (1,) * (rank - value.ndim)
        return value.astype(real).reshape(ones + value.shape + (1,) * 4)

    positive = wavelength > 0
    message = "`wavelength` must be positive, in meters."
    return align(distance), require(positive, align(wavelength), message), rank


def axes(
    x: np.ndarray, y: np.ndarray, rank: int, like: Complex[Array, "..."]
) -> tuple[Array, Array]:
    """Samples `"px nx"`, `"py ny"` on the axes `"px py nx ny"`, after `rank` more."""
    # The barrier keeps XLA from evaluating the transfer function while it compiles.
    real, ones = jnp.finfo(like.dtype).dtype, (1,) * rank
    along_x = jnp.asarray(x[:, None, :, None].reshape(ones + x[:, None, :, None].shape))
    along_y = jnp.asarray(y[None, :, None, :].reshape(ones + y[None, :, None, :].shape))
    return jax.lax.optimization_barrier((along_x.astype(real), along_y.astype(real)))


def require(valid, value, message: str):
    """`value`; a ValueError where a static `valid` is false, else a run-time error."""
    if isinstance(valid, jax.Array):
        return eqx.error_if(value, ~valid, message)
    if not valid:
        raise ValueError(message)
    return value


def check_wavelengths(
    field: Complex[Array, "..."], wavelengths: tuple[float, ...]
) -> None:
    """Raise unless the third last axis has one field for each wavelength."""
    if field.ndim < 3 or field.shape[-3] != len(wavelengths):
        raise ValueError(
            f"the third last axis of the field must have the {len(wavelengths)} "
            f"wavelengths; its shape is {field.shape}."
        )


def cycles(distance: Number, wavelength: Number) -> Number:
    """The distance in wavelengths, less the nearest integer: exact for floats."""
    turns = distance / wavelength
    if isinstance(turns, jax.Array):
        return turns - jnp.round(turns)
    return turns - round(turns)


def cis(phase: Float[Array, "*shape"]) -> Complex[Array, "*shape"]:
    r"""$e^{i\,\mathrm{phase}}$."""
    return jax.lax.complex(jnp.cos(phase), jnp.sin(phase))
