"""Light through columns of interferometers, and back: the fast loops of the meshes.

Modes come first and the batch last, with even and odd modes, real and imaginary parts
in arrays of their own: all arithmetic is then on whole rows of real numbers. The
barriers keep XLA from recomputing one column inside the next.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Complex, Float, PyTree

from .._fast_angles import cos_sin
from ._mzi import mzi, unit

Wave = tuple[Array, Array]
"""Real and imaginary parts."""
Light = tuple[Wave, Wave]
"""The even modes, "slots+1 batch", and the odd modes, "slots batch"."""


class Lattice(NamedTuple):
    """Interferometers in columns: in even ones slot k joins modes 2k and 2k + 1, in
    odd ones 2k + 1 and 2k + 2. The number of columns is even.

    An empty slot has splitter angles and phases of zero: light passes unchanged.
    """

    theta: Float[Array, "columns slots"]  # rad
    phi: Float[Array, "columns slots"]  # rad
    first: Float[Array, "columns slots"]  # rad, splitter angle
    second: Float[Array, "columns slots"]  # rad, splitter angle
    gain: Float[Array, "columns slots"]  # amplitude that gets through


class Taps(NamedTuple):
    """The complex fields just after the two phase shifters of a column."""

    theta: Any
    phi: Any


Look = Callable[[Taps], PyTree]


@jax.custom_vjp
def propagate(lattice: Lattice, light: Light) -> Light:
    r"""Light through all columns.

    Its reverse rule sends the output back through the inverse of each column, beside
    the cotangent, instead of keeping the fields of the forward run: memory does not
    grow with depth. A phase $\varphi$ receives
    $\bar\varphi = -\operatorname{Im}\sum a\,d$, summed over the batch on the way.
    The splitters and the gain are given: no gradient.

    **Error:** rounding; with loss, that of light which met the most interferometers
    grows by the loss it has over light that met the fewest.
    """
    return _run(_matrices(lattice), light)[0]


def transmit(
    lattice: Lattice, present: Float[Array, "columns slots"], light: Light, look: Look
) -> tuple[Light, PyTree]:
    """Light through all columns, and what `look` says of the fields at the shifters."""
    taps = _parts(unit(lattice.phi)), cos_sin(lattice.second)
    scale = present, present / lattice.gain

    def visit(column, before, after):
        ((phi, (cosine, sine)), (on, tap)) = column
        (ur, ui), (lr, li) = after
        theta = tap * (cosine * ur + sine * li), tap * (cosine * ui - sine * lr)
        return look(Taps(theta, _scale(on, _times(phi, before[0]))))

    light, seen = _run(_matrices(lattice), light, (taps, scale), visit)
    return light, _merge(seen)


def transmit_back(
    lattice: Lattice, present: Float[Array, "columns slots"], light: Light, look: Look
) -> tuple[Light, PyTree]:
    """Light into the outputs, through all columns in reverse: the transposed matrix."""
    taps = _parts(unit(-lattice.phi)), cos_sin(lattice.second)
    scale = present, present * lattice.gain

    def visit(column, before, after):
        ((phi, (cosine, sine)), (on, tap)) = column
        (ur, ui), (lr, li) = before
        theta = tap * (cosine * ur - sine * li), tap * (cosine * ui + sine * lr)
        return look(Taps(theta, _scale(on, _times(phi, after[0]))))

    a, b, c, d = _matrices(lattice)
    light, seen = _run((a, c, b, d), light, (taps, scale), visit, reverse=True)
    return light, _merge(seen)


def split(field: Complex[Array, "batch modes"]) -> Light:
    """The layout of the kernel; an even number of modes gets an empty one more."""
    even, odd = field[:, 0::2].T, field[:, 1::2].T
    if len(even) == len(odd):
        even = jnp.pad(even, ((0, 1), (0, 0)))
    return _parts(even), _parts(odd)


def join(light: Light, modes: int) -> Complex[Array, "batch modes"]:
    """Undo `split`."""
    even, odd = (lax.complex(*wave) for wave in light)
    odd = jnp.pad(odd, ((0, len(even) - len(odd)), (0, 0)))
    rows = jnp.stack([even, odd], 1).reshape(2 * len(even), even.shape[1])
    return rows[:modes].T


def _propagate_fwd(lattice, light):
    light = propagate(lattice, light)
    return light, (lattice, light)


def _propagate_bwd(residuals, cotangent):
    lattice, light = residuals
    a, b, c, d = _matrices(lattice)
    back = (a, c, b, d)
    undo = tuple(_conjugate(_scale(lattice.gain**-2.0, entry)) for entry in back)

    def step(carry, columns):
        light, error = carry
        sums: list[Any] = [None, None]
        for parity in (1, 0):
            undo, back, splitter = jax.tree.map(lambda x: x[parity], columns)
            light_after, error_after = _take(light, parity), _take(error, parity)
            theta = _arm_overlap(splitter, light_after, error_after)
            light = _put(light, parity, _mix(undo, light_after))
            error = _put(error, parity, _mix(back, error_after))
            light, error = lax.optimization_barrier((light, error))
            upper = _take(light, parity)[0], _take(error, parity)[0]
            sums[parity] = Taps(theta, _overlap(*upper))
        return (light, error), tuple(sums)

    columns = _two_by_two((undo, back, cos_sin(lattice.second)))
    # The cotangent of two real arrays is the conjugate of that of a complex one.
    carry = light, tuple(map(_conjugate, cotangent))
    (_, error), sums = lax.scan(step, carry, columns, reverse=True)
    sums = _merge(sums)
    nothing = jnp.zeros_like(lattice.theta)
    bar = Lattice(-sums.theta, -sums.phi, nothing, nothing, nothing)
    return bar, tuple(map(_conjugate, error))


propagate.defvjp(_propagate_fwd, _propagate_bwd)


def _run(matrices, light, extra=None, visit=lambda *_: None, reverse=False):
    """Two columns a step, so that each returns the light in the arrays it came in."""

    def step(light, columns):
        seen = [None, None]
        for parity in (1, 0) if reverse else (0, 1):
            matrix, column = jax.tree.map(lambda x: x[parity], columns)
            before = _take(light, parity)
            after = _mix(matrix, before)
            light = lax.optimization_barrier(_put(light, parity, after))
            seen[parity] = visit(column, before, _take(light, parity))
        return light, tuple(seen)

    return lax.scan(step, light, _two_by_two((matrices, extra)), reverse=reverse)


def _matrices(lattice):
    gain = lattice.gain
    return tuple(_scale(gain, _parts(entry)) for entry in mzi(*lattice[:4]))


def _take(light, parity):
    """Upper and lower waves of the interferometers of an even or odd column."""
    even, odd = light
    slots = len(odd[0])
    if parity == 0:
        return tuple(part[:slots] for part in even), odd
    return odd, tuple(part[1:] for part in even)


def _put(light, parity, pair):
    """Undo `_take`: the even mode that has no partner passes."""
    even, _ = light
    upper, lower = pair
    if parity == 0:
        parts = zip(upper, even, strict=True)
        return tuple(jnp.concatenate([new, old[-1:]]) for new, old in parts), lower
    parts = zip(lower, even, strict=True)
    return tuple(jnp.concatenate([old[:1], new]) for new, old in parts), upper


def _mix(matrix, pair):
    (a, b, c, d), (upper, lower) = matrix, pair
    return (
        _plus(_times(a, upper), _times(b, lower)),
        _plus(_times(c, upper), _times(d, lower)),
    )


def _arm_overlap(splitter, light, error):
    """The overlap just after theta, from the waves behind the second splitter."""
    cosine, sine = splitter
    (ur, ui), (lr, li) = light
    (vr, vi), (mr, mi) = error
    arm = cosine * ur + sine * li, cosine * ui - sine * lr
    return _overlap(arm, (cosine * vr - sine * mi, cosine * vi + sine * mr))


def _overlap(a: Wave, d: Wave) -> Array:
    """The imaginary part of the sum over the batch.

    As a product with ones: XLA adds up rows one number after the other.
    """
    product = lax.optimization_barrier(a[0] * d[1] + a[1] * d[0])
    return product @ jnp.ones(product.shape[1], product.dtype)


def _two_by_two(columns):
    """Pairs of columns in front; numbers of a slot stand against the batch."""
    return jax.tree.map(lambda x: x.reshape(-1, 2, x.shape[1], 1), columns)


def _merge(seen):
    """What was seen in even and in odd columns, in the order of the columns."""

    def interleave(even, odd):
        return jnp.stack([even, odd], 1).reshape(-1, *even.shape[1:])

    return jax.tree.map(interleave, *seen)


def _parts(x):
    return x.real, x.imag


def _conjugate(x: Wave) -> Wave:
    return x[0], -x[1]


def _plus(x: Wave, y: Wave) -> Wave:
    return x[0] + y[0], x[1] + y[1]


def _times(x: Wave, y: Wave) -> Wave:
    return x[0] * y[0] - x[1] * y[1], x[0] * y[1] + x[1] * y[0]


def _scale(factor: Array, x: Wave) -> Wave:
    return factor * x[0], factor * x[1]
