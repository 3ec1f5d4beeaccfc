"""Convolution of images by Fourier transforms, as diffraction needs it."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, Complex


def frequencies(n: int, pitch: float, *, pad: bool) -> np.ndarray:
    """The sampled spatial frequencies (1/m), as `"parity n"`.

    Without padding, one row in the order of the fast Fourier transform. Padding `n`
    samples to `2n` halves the frequency step: the even multiples make the first row,
    the odd ones the second.
    """
    parities = 2 if pad else 1
    return np.fft.fftfreq(parities * n, pitch).reshape(n, parities).T


def offsets(n: int, pitch: float, *, pad: bool) -> np.ndarray:
    """The displacements (m) at which a kernel is sampled, zero first."""
    samples = 2 * n if pad else n
    return np.fft.fftfreq(samples, 1 / (samples * pitch))


def transfer_of(kernel: Any, *, pad: bool) -> Any:
    """The transfer function of a kernel `"*lead x y"` that is sampled at `offsets`."""
    xp: Any = jnp if isinstance(kernel, jax.Array) else np
    parities = 2 if pad else 1
    *lead, x, y = kernel.shape
    split = (*lead, x // parities, parities, y // parities, parities)
    return xp.moveaxis(xp.fft.fft2(kernel).reshape(split), (-3, -1), (-4, -3))


def convolve(
    field: Complex[Array, "*batch ny nx"],
    transfer: Complex[Array, "*lead px py nx ny"],
) -> Complex[Array, "*out ny nx"]:
    r"""Multiply the spectrum of `field` by `transfer`, and transform back.

    `transfer` is sampled at `frequencies`, its axes those of x before those of y, its
    leading axes broadcast against the field's. It must be even in both frequencies:
    then the operation is its own transpose, which is how it is differentiated.

    With two parities an axis this is the convolution of the zero-padded field, cropped.
    No padded array is made: the even multiples of the halved frequency step are the
    transform of the field, the odd ones that of the field times $e^{-i\pi j/n}$.

    **Error:** rounding only. Forward-mode differentiation is refused.
    """
    lead = np.broadcast_shapes(field.shape[:-2], transfer.shape[:-4])
    ones = (1,) * (len(lead) - transfer.ndim + 4)
    field = jnp.broadcast_to(field, lead + field.shape[-2:])
    return _convolve(field, transfer.reshape(ones + transfer.shape))


@jax.custom_batching.custom_vmap
def _on_any_batch(field, transfer):
    # Without this rule `jax.vmap` would batch the transforms of the loop below.
    return _on_platform(field, transfer)


@_on_any_batch.def_vmap
def _(size, batched, field, transfer):
    if not batched[0]:
        field = jnp.broadcast_to(field, (size, *field.shape))
    if not batched[1]:
        transfer = transfer[None]
    return _on_any_batch(field, transfer), True


_convolve = jax.custom_vjp(_on_any_batch)


def _forward(field, transfer):
    kept = field.value if transfer.perturbed else None
    return _convolve(field.value, transfer.value), (kept, transfer.value)


def _backward(residuals, out_bar):
    field, transfer = residuals
    if isinstance(out_bar, SymbolicZero):
        return None, None
    field_bar = _convolve(out_bar, transfer)
    if field is None:
        return field_bar, None
    px, py, nx, ny = transfer.shape[-4:]
    spectrum_bar = jnp.conj(_spectrum(jnp.conj(out_bar), px, py)) / (px * py * nx * ny)
    overlap = _spectrum(field, px, py) * spectrum_bar
    shared = [i for i, n in enumerate(transfer.shape[:-4]) if n == 1]
    return field_bar, jnp.sum(overlap, axis=shared, keepdims=True)


_convolve.defvjp(_forward, _backward, symbolic_zeros=True)


@jax.jit
def _on_platform(field, transfer):
    return jax.lax.platform_dependent(field, transfer, cpu=_in_groups, default=_at_once)


def _in_groups(field, transfer):
    """A few images at a time, so that their spectra stay in a core's cache."""
    ny, nx = field.shape[-2:]
    lead, count = transfer.shape[:-4], math.prod(transfer.shape[:-4])
    images = field.reshape(-1, ny, nx)
    transfers = transfer.reshape(-1, *transfer.shape[-4:])
    # Two images of 200 x 200 are best, 2-3 times as fast as 32 at once.
    size = max(1, 2**17 // (ny * nx)) if count == 1 else 1
    if len(images) <= size:
        return _at_once(field, transfer)
    owner = np.broadcast_to(np.arange(count).reshape(lead), field.shape[:-2])

    def one(operands):
        image, i = operands
        return _at_once(image, transfers[0] if count == 1 else transfers[i])

    out = jax.lax.map(one, (images, jnp.asarray(owner.ravel())), batch_size=size)
    return out.reshape(field.shape)


def _at_once(field, transfer):
    spectrum = _spectrum(field, *transfer.shape[-4:-2]) * transfer
    return _merge(jnp.swapaxes(_merge(spectrum), -1, -2))


def _spectrum(field, px, py):
    return _split(jnp.swapaxes(_split(field, px), -1, -2), py)


def _split(x, parities):
    """Transform the last axis; its parities become the third last."""
    shifted = x[..., None, :, :]
    if parities == 2:
        shifted = shifted * _half_step(x.ndim + 1, x.shape[-1], x.dtype)
    return jnp.fft.fft(shifted)


def _merge(spectrum):
    """The inverse of `_split` (of which padding's zeros are cropped)."""
    x = jnp.fft.ifft(spectrum)
    if x.shape[-3] == 1:
        return x[..., 0, :, :]
    weights = _half_step(x.ndim, x.shape[-1], x.dtype).conj() / 2
    return jnp.sum(x * weights, axis=-3)


def _half_step(rank, n, dtype):
    phase = np.stack([np.zeros(n), -np.pi * np.arange(n) / n])
    shape = (1,) * (rank - 3) + (2, 1, n)
    return np.exp(1j * phase).reshape(shape).astype(dtype)
