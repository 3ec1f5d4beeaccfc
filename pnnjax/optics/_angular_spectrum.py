"""Free space, exactly: every plane wave gets the phase of its own path."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex

from ._fourier import convolve, frequencies
from ._sampling import Number, Pitch, axes, cycles, polar, require, transfer_function


def angular_spectrum(
    field: Complex[Array, "*batch ny nx"],  # √W
    distance: Number,  # m
    wavelength: Number,  # m
    pitch: Pitch,  # m
    *,
    pad: bool = True,
) -> Complex[Array, "*out ny nx"]:  # √W
    r"""The field after a `distance` of free space, by its angular spectrum.

    $$\hat u(z) = e^{ik_z z}\,\hat u(0), \qquad k_z = \sqrt{k^2 - k_x^2 - k_y^2}$$

    Evanescent waves decay. A negative distance applies the adjoint: propagating waves
    are retraced, evanescent ones are not brought back.

    **Arguments:** `distance`, `wavelength`: floats, or arrays that broadcast against
    the leading axes of `field` (for `"w batch ny nx"`, a wavelength of shape `"w 1"`).
    `pad`: doubles the window with zeros and drops the rays that would leave it, so that
    nothing wraps around. Without, the field is periodic, and any distance will do.
    **Raises:** padded, where $(Np)^2 < 8\lambda|z|$, naming the greatest distance and
    the least pitch: farther, too few samples carry the spectrum that is kept.
    **Valid for:** scalar fields in a uniform medium; give the wavelength in it.
    **Error:** rounding, and padded the truncated spectrum: at the greatest distance 3 %
    of the field's norm behind an aperture that fills the window, 1 % behind one of a
    quarter of its width, falling with distance. In single precision, arrays of
    distances have a phase error of $kz\,\epsilon$; floats have none.
    **Source:** Matsushima and Shimobaba, *Opt. Express* 17, 19662 (2009),
    doi:10.1364/OE.17.019662, with the elliptic limits of the band.
    """
    transfer = transfer_function(_transfer, field, distance, wavelength, pitch, pad)
    return convolve(field, transfer)


def _transfer(distance, wavelength, shape, pitch, pad):
    (ny, nx), (dy, dx) = shape, pitch
    if pad:
        window = min((nx * dx, nx), (ny * dy, ny))
        distance, wavelength = _near_enough(distance, wavelength, window)
    along_x, along_y = frequencies(nx, dx, pad=pad), frequencies(ny, dy, pad=pad)
    fx, fy = axes(along_x, along_y, wavelength)
    x, y = wavelength * fx, wavelength * fy
    square = 1 - x**2 - y**2
    wave = _wave(square, distance, wavelength)
    if not pad:
        return wave
    xp = jnp if isinstance(wave, jax.Array) else np
    slope_x, slope_y = x * (distance / (nx * dx)), y * (distance / (ny * dy))
    kept = xp.maximum(slope_x**2, slope_y**2) <= abs(square)
    return xp.where(kept, wave, xp.zeros_like(wave))


def _wave(square, distance, wavelength):
    xp = jnp if isinstance(square, jax.Array) else np
    travels, decays = square > 0, square < 0
    root = xp.sqrt(xp.where(travels, square, 1))
    # k_z / k - 1, in a form that keeps its digits in single precision.
    lag = xp.where(travels, (square - 1) / (1 + root), -1)
    phase = cycles(distance, wavelength) + distance / wavelength * lag
    decay = xp.where(decays, xp.sqrt(xp.where(decays, -square, 1)), 0)
    amplitude = xp.exp(-2 * np.pi * abs(distance / wavelength) * decay)
    return polar(amplitude, 2 * np.pi * xp.where(decays, 0, phase))


def _near_enough(distance, wavelength, window):
    width, samples = window
    limit = width**2 / 8  # over the wavelength: measured against direct integration
    message = "too far for a padded angular spectrum: use `rayleigh_sommerfeld`,"
    if not isinstance(distance, jax.Array):
        pitch = np.sqrt(8 * wavelength * abs(distance)) / samples
        message = (
            f"a distance of {distance:.6g} m is {message} or a distance of at most "
            f"{np.nextafter(limit / wavelength, 0)} m, or a pitch of at least "
            f"{np.nextafter(pitch, np.inf)} m, or more samples."
        )
    else:
        message = f"a distance is {message} or keep |distance| * wavelength <= {limit}."
    valid = abs(distance) * wavelength <= limit
    return require(valid, (distance, wavelength), message)
