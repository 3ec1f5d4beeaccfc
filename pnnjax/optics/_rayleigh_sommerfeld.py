"""Free space by direct integration: every pixel radiates a spherical wave."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex

from ._fourier import convolve, offsets, transfer_of
from ._sampling import Number, Pitch, axes, cycles, polar, require, transfer_function


def rayleigh_sommerfeld(
    field: Complex[Array, "*batch ny nx"],  # √W
    distance: Number,  # m
    wavelength: Number,  # m
    pitch: Pitch,  # m
    *,
    pad: bool = True,
) -> Complex[Array, "*out ny nx"]:  # √W
    r"""The field after a `distance`, by the first Rayleigh–Sommerfeld integral.

    $$u(z) = \iint u(0)\,\frac{z}{2\pi r^2}\left(\frac1r - ik\right)e^{ikr}\,dx\,dy$$

    summed over the pixels. A negative distance applies the adjoint: propagating waves
    are retraced, evanescent ones are not brought back.

    **Arguments:** `distance`, `wavelength`: floats, or arrays that broadcast against
    the leading axes of `field` (for `"w batch ny nx"`, a wavelength of shape `"w 1"`).
    `pad`: without, what moves by more than half the window wraps around.
    **Raises:** where neighboring samples of the kernel differ by more than $\pi$ in
    phase, or its peak, of width $|z|$, is narrower than two pixels; the message names
    the least distance, and the greatest pitch for the same number of samples.
    **Valid for:** scalar fields in a uniform medium; give the wavelength in it.
    **Error:** that of the rectangle rule: spectral for fields that are smooth on the
    grid. In single precision, arrays of distances have a phase error of $kz\,\epsilon$;
    floats have none.
    **Source:** Shen and Wang, *Appl. Opt.* 45, 1102 (2006), doi:10.1364/AO.45.001102.
    """
    transfer = transfer_function(_transfer, field, distance, wavelength, pitch, pad)
    return convolve(field, transfer)


def _transfer(distance, wavelength, shape, pitch, pad):
    (ny, nx), (dy, dx) = shape, pitch
    reach = (ny, nx) if pad else (ny / 2, nx / 2)
    distance, wavelength = _far_enough(distance, wavelength, reach, pitch)
    along_x, along_y = offsets(nx, dx, pad=pad), offsets(ny, dy, pad=pad)
    x, y = axes(along_x[None], along_y[None], wavelength)
    kernel = _kernel(x**2 + y**2, distance, wavelength, dx * dy)
    return transfer_of(kernel[..., 0, 0, :, :], pad=pad)


def _kernel(square, distance, wavelength, area):
    xp = jnp if isinstance(square, jax.Array) else np
    far = abs(distance)
    r = xp.sqrt(square + far**2)
    # r - |z|, in a form that keeps its digits in single precision.
    phase = cycles(far, wavelength) + square / (r + far) / wavelength
    # 1 / (2 pi r) - i / wavelength, as amplitude and phase.
    size = xp.hypot(1 / (2 * np.pi * r), 1 / wavelength)
    turn = xp.arctan(2 * np.pi * r / wavelength)
    wave = polar(area * far / r**2 * size, 2 * np.pi * phase - turn)
    return xp.where(distance < 0, xp.conj(wave), wave)


def _far_enough(distance, wavelength, reach, pitch):
    """Check the kernel's samples up to `reach` pixels away."""
    static = not isinstance(distance, jax.Array)
    larger = max if static else jnp.maximum

    def least(reach, pitch):
        steepness = larger((2 * pitch / wavelength) ** 2 - 1, 0.0)
        return pitch * larger(2.0, reach * steepness**0.5)

    limit = larger(*map(least, reach, pitch))
    message = "is too near for direct integration: use `angular_spectrum`, or"
    if static:
        message = (
            f"a distance of {distance:.6g} m {message} a distance of at least "
            f"{np.nextafter(limit, np.inf)} m, or a pitch of at most "
            f"{_greatest_pitch(distance, wavelength, max(reach))} m."
        )
    else:
        message = (
            f"a distance {message} keep distances above {max(reach)} * pitch * "
            "sqrt((2 * pitch / wavelength)**2 - 1), and above 2 * pitch."
        )
    return require(abs(distance) >= limit, (distance, wavelength), message)


def _greatest_pitch(distance, wavelength, reach):
    root = np.sqrt(1 + (4 * distance / (reach * wavelength)) ** 2)
    bound = min(wavelength * np.sqrt((1 + root) / 8), abs(distance) / 2)
    return bound * (1 - 1e-12)
