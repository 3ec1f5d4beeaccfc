"""Free space in the paraxial approximation: spherical waves become parabolic."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex

from ._fourier import convolve, frequencies, offsets
from ._sampling import Number, Pitch, cycles, polar, transfer_function


def fresnel(
    field: Complex[Array, "*batch ny nx"],  # √W
    distance: Number,  # m
    wavelength: Number,  # m
    pitch: Pitch,  # m
    *,
    pad: bool = True,
) -> Complex[Array, "*out ny nx"]:  # √W
    r"""The field after a `distance` of free space, to second order in the angles.

    $$\hat u(z) = e^{ikz}\,e^{-i\pi\lambda z(f_x^2 + f_y^2)}\,\hat u(0)$$

    Padded, each axis uses this transfer function where it is well sampled, which is up
    to $|z| = 2Np^2/\lambda$, and farther out the transform of the impulse response
    $e^{i\pi x^2/\lambda z}/\sqrt{i\lambda z}$, which is well sampled from there on.

    **Arguments:** `distance`, `wavelength`: floats, or arrays that broadcast against
    the leading axes of `field` (for `"w batch ny nx"`, a wavelength of shape `"w 1"`).
    `pad`: doubles the window with zeros, so that nothing wraps around. Without, the
    field is periodic. Both hold at any distance.
    **Valid for:** $\pi x^4 \ll 4\lambda|z|^3$ for the displacements $x$ that matter.
    Not for the terahertz networks of Lin et al. (2018): 0.4 mm pixels, 30 mm apart, at
    0.75 mm, where the intensity is wrong by 12 %.
    **Error:** beyond the approximation, rounding. In single precision, arrays of
    distances have a phase error of $kz\,\epsilon$; floats have none.
    **Source:** Voelz and Roggemann, *Appl. Opt.* 48, 6132 (2009),
    doi:10.1364/AO.48.006132, for the sampling of both forms.
    """
    transfer = transfer_function(_transfer, field, distance, wavelength, pitch, pad)
    return convolve(field, transfer)


def _transfer(distance, wavelength, shape, pitch, pad):
    turns, spread = cycles(distance, wavelength), distance * wavelength
    y, x = (_along(n, step, spread, pad) for n, step in zip(shape, pitch, strict=True))
    xp = jnp if isinstance(spread, jax.Array) else np
    start = polar(1, 2 * np.pi * turns)
    return start * xp.expand_dims(x, (-3, -1)) * xp.expand_dims(y, (-4, -2))


def _along(n, pitch, spread, pad):
    """One axis of the transfer function, as `"*lead parity n"`, for z lambda."""
    traced = isinstance(spread, jax.Array)
    xp = jnp if traced else np
    if traced:
        spread = spread[..., 0, 0]
    f = _like(spread, frequencies(n, pitch, pad=pad))
    transfer = polar(1, -np.pi * spread * f**2)
    limit = 2 * n * pitch**2
    if not pad or (not traced and abs(spread) <= limit):
        return transfer
    near = abs(spread) <= limit
    # The impulse response has no derivative at no distance.
    response = _response(n, pitch, xp.where(near, limit, spread))
    return xp.where(near, transfer, response)


def _response(n, pitch, spread):
    xp = jnp if isinstance(spread, jax.Array) else np
    x = _like(spread, offsets(n, pitch, pad=True)[None])
    phase = np.pi * (x**2 / spread - xp.sign(spread) / 4)
    spectrum = xp.fft.fft(polar(pitch / abs(spread) ** 0.5, phase))
    *lead, _, samples = spectrum.shape
    return xp.swapaxes(spectrum.reshape(*lead, samples // 2, 2), -1, -2)


def _like(spread, samples):
    if not isinstance(spread, jax.Array):
        return samples
    ones = (1,) * (spread.ndim - samples.ndim)
    return jnp.asarray(samples.reshape(ones + samples.shape), spread.dtype)
