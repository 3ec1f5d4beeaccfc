"""Convolution of maps and its transpose, whose derivatives are as fast as they are."""

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, Float, Inexact

Maps = Inexact[Array, "*batch _ _ _"]  # height, width, channels

# Of all layouts, XLA has its fast path on a CPU for this one only, and inside of loops
# it does not bring the others into it.
FAST = ("NHWC", "HWIO", "NHWC")


def convolve(
    maps: Maps, kernel: Float[Array, "rows columns below above"], padding: int
) -> Maps:
    r"""$(w * s)_{yxc} = \sum_{ijk} w_{ijkc}\,s_{y+i-p,\,x+j-p,\,k}$, zero outside.

    **Arguments:** `padding`: $p$, how many rows and columns of zeros surround the maps.
    """
    return _correlated(maps, kernel, (padding, padding))


def convolve_transposed(
    maps: Maps, kernel: Float[Array, "rows columns below above"], padding: int
) -> Maps:
    r"""The transpose of `convolve`: $\sum u\,(w * s) = \sum s\,(w^\top * u)$."""
    rows, columns = kernel.shape[:2]
    turned = kernel[::-1, ::-1].swapaxes(2, 3)
    return _correlated(maps, turned, (rows - 1 - padding, columns - 1 - padding))


def _correlated(maps, kernel, padding):
    if jnp.iscomplexobj(maps):
        real = _correlated(maps.real, kernel, padding)
        return lax.complex(real, _correlated(maps.imag, kernel, padding))
    flat = maps.reshape(-1, *maps.shape[-3:])
    result = _correlate(flat, kernel.astype(maps.dtype), padding)
    return result.reshape(*maps.shape[:-3], *result.shape[1:])


def _plain(maps, kernel, padding, layout):
    pads = [(pad, pad) for pad in padding]
    return lax.conv_general_dilated(
        maps, kernel, (1, 1), pads, dimension_numbers=layout
    )


def _correlate(maps, kernel, padding):
    @jax.custom_jvp
    def correlate(maps, kernel):
        return _plain(maps, kernel, padding, FAST)

    def rule(primals, tangents):
        parts = [
            function(padding, *operands)
            for function, operands in (
                (_of_maps, (tangents[0], primals[1])),
                (_of_kernel, (primals[0], tangents[1])),
            )
            if not any(isinstance(o, SymbolicZero) for o in operands)
        ]
        return correlate(*primals), sum(parts[1:], parts[0])

    correlate.defjvp(rule, symbolic_zeros=True)
    return correlate(maps, kernel)


def _of_maps(padding, maps, kernel):
    """In a layout whose derivative in the maps is the fast one."""
    return _plain(maps, kernel.swapaxes(2, 3), padding, ("NHWC", "HWOI", "NHWC"))


def _of_kernel(padding, maps, kernel):
    """In a layout whose derivative in the kernel is the fast one."""
    result = _plain(
        maps.transpose(3, 1, 2, 0),
        kernel.transpose(2, 0, 1, 3),
        padding,
        ("CHWN", "IHWO", "HWNC"),
    )
    return result.transpose(2, 0, 1, 3)
