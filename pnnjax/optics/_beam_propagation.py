"""A beam through a slab whose index changes slowly: symmetric split steps."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Complex, Float, PyTree

from .._layer import Detect

EDGE = 1 / 32
"""The part of the window, on each side, where no beam should be."""


class Space(NamedTuple):
    """What diffraction does to the spectrum: over half a step, and over a whole one."""

    half: Complex[Array, " nx"]
    whole: Complex[Array, " nx"]


def beam_propagation(
    field: Complex[Array, "*batch nx"],  # √W
    index: Float[Array, "steps columns"],  # change of the index, dimensionless
    length: float,  # m, of all steps together
    wavelength: float,  # m, in vacuum
    pitch: float,  # m
    *,
    background: float = 1.0,  # index of the slab
    paraxial: bool = False,
) -> Complex[Array, "*batch nx"]:  # √W
    r"""The envelope of a beam behind a slab of index $n_0 + \Delta n(x, z)$.

    $$u(z + \delta) = D^{1/2} e^{i k_0 \Delta n(x, z + \delta/2)\,\delta} D^{1/2} u(z),
    \qquad \hat D = e^{i (k_z - k)\,\delta}, \quad k = n_0 k_0$$

    with $k_z = \sqrt{k^2 - k_x^2}$, so that the slab without a change is exact at any
    angle, or, `paraxial`, $k_z = k - k_x^2/2k$. The carrier $e^{ikz}$ is left out. Row
    $j$ of `index` is what the beam meets in the middle of step $j$. The window is
    periodic. All is unitary, and its transpose is the same slab from behind.

    Its reverse rule rebuilds the field backwards beside the cotangent: memory does not
    grow with the number of steps. Forward-mode differentiation is refused.

    **Raises:** `ValueError` where the pitch is finer than half a wavelength in the
    slab, whose evanescent waves would have to decay.
    **Valid for:** scalar fields, $\Delta n \ll n_0$, no reflections.
    **Error:** second order in the step: see `phase_per_step`.
    **Source:** Feit and Fleck, *Applied Optics* 17, 3990 (1978),
    doi:10.1364/AO.17.003990; paraxial as in Onodera et al., *Nature Physics* (2025),
    doi:10.1038/s41567-025-03094-2.
    """
    steps, nx = index.shape
    if field.shape[-1] != nx:
        raise ValueError(
            f"The index has {nx} columns; so must the field, which is {field.shape}."
        )
    space = space_of(
        nx, length / steps, wavelength, pitch, background, paraxial, field.dtype
    )
    phase = phase_per_step(index, length / steps, wavelength).astype(field.real.dtype)
    return cascade(space, phase, field)[0]


def phase_per_step(change: Any, step: float, wavelength: float) -> Any:
    r"""$k_0\,\Delta n\,\delta$ (rad), the phase of one step.

    It is also the phase by which a step diffracts the steepest light that $\Delta n$
    guides, $k_x^2 = 2 k k_0 \Delta n$: the one number that has to be small.
    """
    return change * (2 * np.pi * step / wavelength)


@functools.lru_cache(maxsize=32)
def space_of(
    nx: int,
    step: float,  # m
    wavelength: float,  # m
    pitch: float,  # m
    background: float,
    paraxial: bool,
    dtype: Any,
) -> Space:
    """The transfer functions of the slab, evaluated once, in double precision."""
    if not (wavelength > 0 and pitch > 0 and background > 0 and step > 0):
        raise ValueError(
            "`length`, `wavelength`, `pitch` and `background` must be positive."
        )
    finest = wavelength / (2 * background)
    if not paraxial and pitch < finest:
        raise ValueError(
            f"`pitch` is {pitch:.4g} m, below the half wavelength {finest:.4g} m in "
            "the slab, so that it holds waves that can't propagate: make it that, or "
            "more, or choose `paraxial=True`."
        )
    k = 2 * np.pi * background / wavelength
    sideways = 2 * np.pi * np.fft.fftfreq(nx, pitch)
    longitudinal = k if paraxial else np.sqrt(np.maximum(k**2 - sideways**2, 0))
    turn = -(sideways**2) / (k + longitudinal) * step
    with jax.ensure_compile_time_eval():
        half, whole = (jnp.asarray(np.exp(1j * p), dtype) for p in (turn / 2, turn))
    return Space(half, whole)


@jax.custom_vjp
def cascade(
    space: Space,
    phase: Float[Array, "steps nx"],  # rad
    field: Complex[Array, "*batch nx"],  # √W
) -> tuple[Complex[Array, "*batch nx"], Float[Array, "*batch"]]:  # √W, W
    r"""The field behind all steps, and the greatest power met at the window's edges.

    A phase receives $\bar\varphi = -\operatorname{Im}\sum a\,d$, with $a$ the field
    just after it and $d$ the cotangent there. `space` is given: no gradient.
    """
    return _run(space, phase, field)


def transmit(
    space: Space, phase: Float[Array, "steps nx"], field: Array, detect: Detect
) -> tuple[Array, PyTree]:
    """Through all steps; `detect` looks at the field just after each phase."""

    def step(spectrum, screen):
        after = _times(_ifft(spectrum), screen)
        return _times(_fft(after), space.whole), detect(after)

    spectrum, seen = lax.scan(step, _times(_fft(field), space.half), _unit(phase))
    return _ifft(_times(spectrum, space.half.conj())), seen


def transmit_back(
    space: Space, phase: Float[Array, "steps nx"], field: Array, detect: Detect
) -> tuple[Array, PyTree]:
    """From behind, through the transposed matrix; `detect` looks at the same places."""

    def step(spectrum, screen):
        after = _ifft(spectrum)
        return _times(_fft(_times(after, screen)), space.whole), detect(after)

    start = _times(_fft(field), space.half)
    spectrum, seen = lax.scan(step, start, _unit(phase), reverse=True)
    return _ifft(_times(spectrum, space.half.conj())), seen


def edges(
    field: Complex[Array, "*batch nx"], width: float = EDGE
) -> Float[Array, "*batch"]:
    """The power (W) on both sides of the window, in that part of it on each."""
    n = max(1, round(field.shape[-1] * width))
    both = jnp.concatenate([field[..., :n], field[..., -n:]], -1)
    return jnp.sum(both.real**2 + both.imag**2, -1)


def _run(space, phase, field):
    def step(carry, screen):
        spectrum, most = carry
        after = _times(_ifft(spectrum), screen)
        spectrum = _times(_fft(after), space.whole)
        return (spectrum, jnp.maximum(most, edges(after))), None

    start = _times(_fft(field), space.half), edges(field)
    (spectrum, most), _ = lax.scan(step, start, _unit(phase))
    return _ifft(_times(spectrum, space.half.conj())), most


def _cascade_fwd(space, phase, field):
    out = _run(space, phase, field)
    return out, (space, phase, out[0])


def _cascade_bwd(residuals, bars):
    space, phase, out = residuals
    undo = space.whole.conj()

    # Sent back through the inverse, a conjugated cotangent meets what the field meets.
    def step(spectra, screen):
        light, error = _ifft(_times(spectra, undo))
        overlap = light.imag * error.real - light.real * error.imag
        bar = -jnp.sum(overlap, axis=tuple(range(overlap.ndim - 1)))
        both = _times(jnp.stack([light, error]), screen.conj())
        return _fft(both), bar

    both = _times(_fft(jnp.stack([out, bars[0].conj()])), space.half)
    both, phase_bar = lax.scan(step, both, _unit(phase), reverse=True)
    error = _ifft(_times(both[1], space.half.conj()))
    nothing = jax.tree.map(jnp.zeros_like, space)
    return nothing, phase_bar, error.conj()


cascade.defvjp(_cascade_fwd, _cascade_bwd)


def _times(field, row):
    return field * jnp.expand_dims(row, range(field.ndim - 1))


def _unit(phase):
    """All at once: in the loop, XLA would take each sine again for each row."""
    return lax.complex(jnp.cos(phase), jnp.sin(phase))


_fft = jnp.fft.fft
_ifft = jnp.fft.ifft
