"""Convolution on a crossbar: one patch of the image a read."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from .._estimator import facts_of
from .._layer import AbstractLayer, Facts, respond


class CrossbarConvolution(AbstractLayer):
    r"""Each patch of all channels, laid flat, drives the rows of one crossbar.

    $y_{o,p} = \sum_{cuv} W_{o,cuv}\,x_{c,\,sp + (u,v)}$: the columns hold the kernels,
    channels first, and the image is zero beyond its edges.

    The crossbar's weights are the kernels, each laid flat,
    `kernels.reshape(kernels.shape[0], -1)`. It may be in a `Physical`, or have
    imperfections.
    """

    crossbar: Any
    kernel: tuple[int, int] = eqx.field(static=True)
    stride: tuple[int, int] = eqx.field(static=True)
    padding: tuple[int, int] = eqx.field(static=True)

    def __init__(
        self,
        crossbar: Any,
        kernel: tuple[int, int],
        *,
        stride: tuple[int, int] = (1, 1),
        padding: tuple[int, int] = (0, 0),
    ):
        """`crossbar`: of channels times kernel height times width inputs, any layer
        that acts on the last axis.

        **Raises:** `ValueError` for a kernel or stride below 1, a padding below 0.
        """
        if min(*kernel, *stride) < 1 or min(padding) < 0:
            raise ValueError(
                "A kernel and a stride have one pixel or more, a padding none or more, "
                f"but they are {kernel}, {stride} and {padding}."
            )
        self.crossbar = crossbar
        self.kernel = kernel
        self.stride = stride
        self.padding = padding

    @property
    def facts(self) -> Facts:
        return Facts(linear=facts_of(self.crossbar)["linear"])

    def __call__(
        self,
        x: Float[Array, "*batch channels height width"],
        *,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "*batch maps rows columns"]:
        down, across = self.padding
        patches = lax.conv_general_dilated_patches(
            x.reshape(-1, *x.shape[-3:]),
            self.kernel,
            self.stride,
            ((down, down), (across, across)),
            precision=lax.Precision.HIGHEST,
        )
        y = respond(self.crossbar, jnp.moveaxis(patches, 1, -1), key)
        return jnp.moveaxis(y, -1, 1).reshape(*x.shape[:-3], -1, *y.shape[1:3])
