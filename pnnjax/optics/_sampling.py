"""Arguments that all propagators share, and what to do where sampling fails."""

import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

Number = float | Float[Array, "..."]
"""A static setting, or one for each of the leading axes."""

POSITIVE = "`wavelength` must be positive, in meters."

Pitch = float | tuple[float, float]
"""The size of a pixel (m): one, or that along y and that along x."""


def pitches(pitch: Pitch) -> tuple[float, float]:
    """The pitch along y and along x (m)."""
    dy, dx = pitch if isinstance(pitch, tuple) else (pitch, pitch)
    if not (dy > 0 and dx > 0):
        raise ValueError(f"`pitch` must be positive, in meters; got {pitch}.")
    return dy, dx


def transfer_function(
    method: Callable[..., Any],
    field: Complex[Array, "*batch ny nx"],
    distance: Number,
    wavelength: Number,
    pitch: Pitch,
    pad: bool,
) -> Complex[Array, "*lead px py nx ny"]:
    """What `method` says of free space: by NumPy, and once, if nothing is traced."""
    settings = field.shape[-2:], pitches(pitch), pad
    if isinstance(distance, float) and isinstance(wavelength, float):
        return _evaluated(method, distance, wavelength, *settings, field.dtype)
    real = jnp.finfo(field.dtype).dtype
    rank = max(np.ndim(distance), np.ndim(wavelength))

    def align(value):
        ones = (1,) * (rank - np.ndim(value))
        return jnp.asarray(value, real).reshape(ones + np.shape(value) + (1,) * 4)

    wavelength = require(jnp.asarray(wavelength) > 0, align(wavelength), POSITIVE)
    return method(align(distance), wavelength, *settings)


@functools.lru_cache(maxsize=32)
def _evaluated(method, distance, wavelength, shape, pitch, pad, dtype):
    require(wavelength > 0, wavelength, POSITIVE)
    transfer = method(distance, wavelength, shape, pitch, pad)
    with jax.ensure_compile_time_eval():
        return jnp.asarray(transfer.astype(dtype))


def axes(x: np.ndarray, y: np.ndarray, like: Any) -> tuple[Any, Any]:
    """`"px nx"`, `"py ny"` on the axes `"px py nx ny"`, of the kind of `like`."""
    x, y = x[:, None, :, None], y[None, :, None, :]
    if not isinstance(like, jax.Array):
        return x, y
    ones = (1,) * (like.ndim - 4)
    along_x, along_y = x.reshape(ones + x.shape), y.reshape(ones + y.shape)
    return jnp.asarray(along_x, like.dtype), jnp.asarray(along_y, like.dtype)


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


def cycles(distance: Any, wavelength: Any) -> Any:
    """The distance in wavelengths, less the nearest integer: exact for floats."""
    turns = distance / wavelength
    return turns - (jnp if isinstance(turns, jax.Array) else np).round(turns)


def polar(amplitude: Any, phase: Any) -> Any:
    """Complex numbers, by NumPy or by JAX, like the real ones given."""
    if not isinstance(phase, jax.Array):
        return amplitude * np.exp(1j * phase)
    return jax.lax.complex(amplitude * jnp.cos(phase), amplitude * jnp.sin(phase))
