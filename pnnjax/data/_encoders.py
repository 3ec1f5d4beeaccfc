"""Encoders: how numbers become light, on any leading axes."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Inexact

AnyArray = Array | np.ndarray


def amplitude(
    x: Float[AnyArray, "..."],  # within [-1, 1]
    power: float = 1.0,  # W
    *,
    axis: int | tuple[int, ...] = -1,
) -> Complex[Array, "..."]:  # √W
    r"""A laser shared equally by modulators, each of which transmits its feature.

    $a_j = x_j \sqrt{P / n}$: an example that is all ones carries the whole `power`, a
    dimmer one less. A negative feature is a phase of $\pi$.

    **Arguments:** `axis`: the one, or those, along which the `n` features of an example
    lie; `(-2, -1)` for images.
    """
    return _complex(x) * math.sqrt(power / _size(x, axis))


def phase(
    x: Float[AnyArray, "..."],  # rad
    power: float = 1.0,  # W
    *,
    axis: int | tuple[int, ...] = -1,
) -> Complex[Array, "..."]:  # √W
    r"""A laser shared equally by phase shifters.

    $a_j = \sqrt{P / n}\, e^{i x_j}$: each example carries the whole `power`.

    **Arguments:** `axis`: as for `amplitude`.
    """
    return jax.lax.complex(jnp.cos(x), jnp.sin(x)) * math.sqrt(power / _size(x, axis))


def power_normalized(
    x: Inexact[AnyArray, "..."],
    power: float = 1.0,  # W
    *,
    axis: int | tuple[int, ...] = -1,
) -> Complex[Array, "..."]:  # √W
    r"""Each example scaled so that it carries `power`.

    $a = x \sqrt{P / \sum_j |x_j|^2}$. Only ratios of features are left: where the
    length of `x` matters, `with_reference` keeps it. All zeros stay zeros.

    **Arguments:** `axis`: as for `amplitude`.
    """
    field = _complex(x)
    total = jnp.sum(_power(field), axis=axis, keepdims=True)
    lit = total > 0
    scale = jnp.where(lit, jnp.sqrt(power / jnp.where(lit, total, 1)), 0)
    return field * _complex(scale)


def with_reference(
    x: Inexact[AnyArray, "*batch n"],  # √W
    modes: int = 1,
    power: float = 1.0,  # W
) -> Complex[Array, "*batch m"]:  # √W
    r"""Each example carries the whole `power`: the rest of it is in further modes.

    $a = (x_1 \dots x_n, r \dots r)$, where $r^2$ is $P - \sum_j |x_j|^2$ divided by the
    number of further `modes`.

    **Raises:** `ValueError` if there are no further modes; at run time, if an example
    has more than `power` by itself.
    """
    if modes < 1:
        raise ValueError(f"`modes` must be at least 1, but is {modes}.")
    field = _complex(x)
    rest = power - jnp.sum(_power(field), axis=-1, keepdims=True)
    rest = eqx.error_if(
        rest, rest < -1e-5 * power, "An example has more than `power`: scale it down."
    )
    left = rest > 0
    # The slope of the root is infinite at zero, where the gradient is taken as zero.
    reference = jnp.where(left, jnp.sqrt(jnp.where(left, rest, 1) / modes), 0)
    references = jnp.repeat(_complex(reference), modes, axis=-1)
    return jnp.concatenate([field, references], axis=-1)


def repeated(
    x: Inexact[AnyArray, "..."], copies: int, *, axis: int = -2
) -> Inexact[Array, "..."]:
    """The same features `copies` times over, for as many modulators in a row.

    Light that passes the data `K` times is a polynomial of degree `K` in it: linear
    optics that is nonlinear in what it computes with (structural nonlinearity).

    **Arguments:** `axis`: where the copies lie in the result; `-3` for images.
    **Source:** Yildirim *et al.*, *Nat. Photonics* 18, 1076 (2024),
    doi:10.1038/s41566-024-01494-z.
    """
    if copies < 1:
        raise ValueError(f"`copies` must be at least 1, but is {copies}.")
    return jnp.repeat(jnp.expand_dims(x, axis), copies, axis=axis)


def low_frequencies(
    image: Inexact[AnyArray, "*batch ny nx"], size: int
) -> Complex[Array, "*batch size size"]:
    r"""The `size x size` lowest spatial frequencies of an image, zero in the middle.

    The unitary discrete Fourier transform ($e^{-ikx}$), of which the outside is cut
    off, so that no power is gained. The zero frequency is at `[size // 2, size // 2]`.

    **Raises:** `ValueError` if the image has fewer pixels than that.
    **Source:** Williamson *et al.*, *IEEE J. Sel. Top. Quantum Electron.* 26, 7700412
    (2020), doi:10.1109/JSTQE.2019.2930455.
    """
    shape = image.shape[-2:]
    if not 1 <= size <= min(shape):
        raise ValueError(f"`size` must be from 1 to {min(shape)}, but is {size}.")
    spectrum = jnp.fft.fftshift(jnp.fft.fft2(image, norm="ortho"), axes=(-2, -1))
    top, left = (n // 2 - size // 2 for n in shape)
    return spectrum[..., top : top + size, left : left + size]


def on_grid(
    image: Inexact[AnyArray, "*batch ny nx"],
    shape: tuple[int, int],
    scale: int = 1,
) -> Inexact[Array, "*batch my mx"]:
    """An image in the middle of a dark plane, its pixels `scale` times wider.

    Where the margin is odd, the further row or column comes last.

    **Raises:** `ValueError` if the image does not fit.
    """
    fits = min(n // m for n, m in zip(shape, image.shape[-2:]))
    if not 1 <= scale <= fits:
        raise ValueError(
            f"`scale` is {scale}, but an image of {image.shape[-2:]} on a plane of "
            f"{shape} takes a scale from 1 to {fits}."
            if fits
            else f"An image of {image.shape[-2:]} does not fit on a plane of {shape}."
        )
    image = jnp.repeat(jnp.repeat(image, scale, axis=-2), scale, axis=-1)
    margins = [n - m for n, m in zip(shape, image.shape[-2:])]
    pad = [(margin // 2, margin - margin // 2) for margin in margins]
    return jnp.pad(image, [(0, 0)] * (image.ndim - 2) + pad)


def _complex(x: Inexact[AnyArray, "..."]) -> Complex[Array, "..."]:
    x = jnp.asarray(x)
    return x if jnp.iscomplexobj(x) else jax.lax.complex(x, jnp.zeros_like(x))


def _power(field: Complex[Array, "..."]) -> Float[Array, "..."]:
    return field.real**2 + field.imag**2


def _size(x: AnyArray, axis: int | tuple[int, ...]) -> int:
    axes = (axis,) if isinstance(axis, int) else axis
    return math.prod(x.shape[i] for i in axes)
