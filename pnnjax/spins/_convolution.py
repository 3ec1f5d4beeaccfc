"""Layers of feature maps, joined by a convolution and pooling."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact, PRNGKeyArray

from ._convolve import convolve, convolve_transposed
from ._hopfield_couplings import AbstractCoupling
from ._pooling import AbstractPooling, MaxPool


class ConvolutionalCoupling(AbstractCoupling):
    r"""Feature maps to feature maps: $\Phi = s_\text{above} \cdot (P(w *
    s_\text{below}) + b)$.

    Maps are `height x width x channels`. The layer above has the size of the pooled
    convolution. It feels $P(w * s_\text{below}) + b$; the layer below feels
    $w^\top * \partial_u(s_\text{above} \cdot P(u))$ at $u = w * s_\text{below}$.

    **Source:** Laborieux et al., *Front. Neurosci.* 15, 633674 (2021),
    doi:10.3389/fnins.2021.633674.
    """

    kernel: Float[Array, "rows columns channels_below channels_above"]
    bias: Float[Array, " channels_above"]
    below: tuple[int, int, int] = eqx.field(static=True)
    padding: int = eqx.field(static=True)
    pool: AbstractPooling

    def __init__(
        self,
        kernel: Float[Array, "rows columns channels_below channels_above"],
        bias: Float[Array, " channels_above"],
        below: tuple[int, int, int],
        *,
        padding: int = 0,
        pool: AbstractPooling | None = None,
    ):
        """Couple by `kernel`.

        **Arguments:** `below`: height, width and channels of the layer below;
        `padding`: rows and columns of zeros around it; `pool`: `MaxPool(2)` by default.
        **Raises:** `ValueError` if these don't fit together.
        """
        pool = MaxPool(2) if pool is None else pool
        _check(kernel.shape, tuple(below), padding, pool.window)
        self.kernel = kernel
        self.bias = bias
        self.below = below
        self.padding = padding
        self.pool = pool

    @classmethod
    def random(
        cls,
        below: tuple[int, int, int],
        channels: int,
        size: int,
        *,
        key: PRNGKeyArray,
        padding: int = 0,
        pool: AbstractPooling | None = None,
        gain: float = 1.0,
    ) -> "ConvolutionalCoupling":
        r"""Square kernels, uniform within $\pm g/\sqrt{n}$, and no bias.

        **Arguments:** `channels`: of the layer above; `size`: of the kernels, in rows;
        $n$ is how many units below each unit above is joined to, before pooling.
        """
        shape = (size, size, below[-1], channels)
        bound = gain / math.sqrt(math.prod(shape[:-1]))
        kernel = jax.random.uniform(key, shape, minval=-bound, maxval=bound)
        bias = jnp.zeros_like(kernel[0, 0, 0])
        return cls(kernel, bias, below, padding=padding, pool=pool)

    @property
    def holomorphic(self) -> bool:
        return self.pool.holomorphic

    @property
    def above(self) -> tuple[int, int, int]:
        return _size_above(
            self.kernel.shape, self.below, self.padding, self.pool.window
        )

    def interaction(
        self, below: Inexact[Array, "*batch_and_below"], above: Inexact[Array, "..."]
    ) -> Inexact[Array, "..."]:
        drive = self.drive_above(below).astype(above.dtype)
        return jnp.sum(drive * above, axis=(-3, -2, -1))

    def drive_above(
        self, below: Inexact[Array, "*batch_and_below"]
    ) -> Inexact[Array, "..."]:
        pooled = self.pool(self._convolved(below))
        return pooled + jnp.broadcast_to(self.bias.astype(pooled.dtype), pooled.shape)

    def drive_below(
        self, below: Inexact[Array, "*batch_and_below"], above: Inexact[Array, "..."]
    ) -> Inexact[Array, "*batch_and_below"]:
        force = self.pool.transpose(self._convolved(below), above)
        return convolve_transposed(force, self.kernel, self.padding)

    def _convolved(self, below):
        if below.shape[-3:] != self.below:
            raise ValueError(
                f"The layer below is of shape {self.below} in each example, but "
                f"{below.shape} was given. Maps are height x width x channels."
            )
        return convolve(below, self.kernel, self.padding)


def _size_above(kernel, below, padding, window):
    rows, columns, _, channels = kernel
    height, width, _ = below
    return (
        (height + 2 * padding - rows + 1) // window,
        (width + 2 * padding - columns + 1) // window,
        channels,
    )


def _check(kernel, below, padding, window):
    if padding < 0 or padding >= min(kernel[:2]):
        raise ValueError(
            f"`padding` must be from 0 to {min(kernel[:2]) - 1} for kernels of "
            f"{kernel[0]} x {kernel[1]}, not {padding}."
        )
    if len(below) != 3 or below[-1] != kernel[2]:
        raise ValueError(
            f"The kernel joins to {kernel[2]} channels below, but `below` = {below}; "
            "it is height, width and channels."
        )
    if min(_size_above(kernel, below, padding, window)) < 1:
        raise ValueError(
            f"Nothing remains of maps of {below[0]} x {below[1]}: the kernels are "
            f"{kernel[0]} x {kernel[1]}, `padding` is {padding}, and windows of "
            f"{window} x {window} are pooled."
        )
