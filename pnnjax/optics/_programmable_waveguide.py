"""A slab whose index is programmed from place to place while light crosses it."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, PRNGKeyArray, PyTree

from .._layer import AbstractBoundedLayer, AbstractReciprocalLayer, Detect, Facts
from ._beam_propagation import (
    EDGE,
    Space,
    cascade,
    edges,
    phase_per_step,
    space_of,
    transmit,
    transmit_back,
)
from ._waveguide_modes import needed_for

COARSEST = 0.5
"""The greatest phase of one step (rad)."""


class ProgrammableWaveguide(AbstractReciprocalLayer, AbstractBoundedLayer):
    r"""A slab with an index $n_0 + \Delta n(x, z)$ that is trained pixel by pixel.

    The field at the front, `"*batch samples"`, becomes that at the back, by
    `beam_propagation`. The pixels of `index` cover the whole length, and a `width` in
    the middle of the window; a Gaussian of standard deviation `smoothing` blurs their
    edges, as charges that spread do. It stands before the propagation, outside of its
    loop. Between planes of phases there is nothing but free slab, so that fields
    measured after them give all gradients.

    **Error:** of the field, against steps a sixteenth as long: measured as 0.8 to 1.4 %
    behind 100 rows of pixels in steps of 0.4 rad, one a row. About half of it is the
    blur between rows, which such steps do not resolve; the rest falls with their
    square.
    **Source:** Onodera et al., *Nature Physics* (2025),
    doi:10.1038/s41567-025-03094-2, arXiv:2402.17750.
    """

    index: Float[Array, "rows columns"]  # change of the index, dimensionless
    length: float = eqx.field(static=True)  # m
    width: float = eqx.field(static=True)  # m
    samples: int = eqx.field(static=True)
    steps: int = eqx.field(static=True)
    pitch: float = eqx.field(static=True)  # m
    wavelength: float = eqx.field(static=True)  # m
    background: float = eqx.field(static=True)
    max_index: float = eqx.field(static=True)
    min_index: float = eqx.field(static=True)
    smoothing: float = eqx.field(static=True)  # m
    stray: float = eqx.field(static=True)
    paraxial: bool = eqx.field(static=True)
    facts = Facts(linear=True, reciprocal=True, lossless=True, phase_only=True)

    def __init__(
        self,
        index: Float[Array, "rows columns"],
        *,
        length: float,  # m
        width: float,  # m
        samples: int,
        steps: int,
        pitch: float,  # m
        wavelength: float,  # m, in vacuum
        background: float = 1.8,
        max_index: float = 1e-3,
        min_index: float = 0.0,
        smoothing: float = 6e-6,  # m
        stray: float = 0.02,
        paraxial: bool = False,
    ):
        r"""**Arguments:**

        - `index`: $\Delta n$ of each pixel; light meets row 0 first. `project` keeps it
            from `min_index` to `max_index`.
        - `samples`, `pitch`: the window across; `steps`: along the whole length.
        - `stray`: the greatest part of the power that a beam may have in the outer
            thirty-seconds of the window, or of its spectrum.
        - `paraxial`: as the source has it; otherwise exact in the slab alone.

        **Raises:** `ValueError` where steps are too long for the index, the pixels do
        not fit into the window, or the pitch is too fine; when called, where light
        comes near the edge of the window or of the spectrum.
        """
        largest = max(abs(min_index), abs(max_index))
        coarsest = phase_per_step(largest, length / steps, wavelength)
        if coarsest > COARSEST:
            needed = int(np.ceil(steps * coarsest / COARSEST))
            raise ValueError(
                f"a step of {length / steps:.4g} m turns the phase by {coarsest:.3g} "
                f"rad at the greatest index, which is more than {COARSEST}: use at "
                f"least {needed} `steps`, not {steps}."
            )
        if samples < needed_for(width, pitch):
            raise ValueError(
                f"pixels over {width:.4g} m leave a window of {samples * pitch:.4g} m: "
                f"use at least {needed_for(width, pitch)} `samples`."
            )
        if not min_index < max_index:
            raise ValueError(f"`max_index` must be above {min_index}: {max_index}.")
        if smoothing < 0 or not 0 < stray < 1:
            raise ValueError(
                f"`smoothing` must not be below 0, and `stray` between 0 and 1; they "
                f"are {smoothing} m and {stray}."
            )
        self.index = index
        self.length, self.width = length, width
        self.samples, self.steps, self.pitch = samples, steps, pitch
        self.wavelength, self.background = wavelength, background
        self.max_index, self.min_index = max_index, min_index
        self.smoothing, self.stray, self.paraxial = smoothing, stray, paraxial
        self._space(jnp.complex64)

    def __call__(
        self,
        x: Complex[Array, "*batch samples"],  # √W
        *,
        key: PRNGKeyArray | None = None,
    ) -> Complex[Array, "*batch samples"]:  # √W
        space, phase = self._optics(x)
        out, most = cascade(space, phase, x)
        return self._confined(x, out, most)

    def transmit(
        self, field: Complex[Array, "*batch samples"], detect: Detect
    ) -> tuple[Complex[Array, "*batch samples"], PyTree]:
        """Forwards; `detect` sees the field just after each plane of phases."""
        return transmit(*self._optics(field), field, detect)

    def transmit_back(
        self, field: Complex[Array, "*batch samples"], detect: Detect
    ) -> tuple[Complex[Array, "*batch samples"], PyTree]:
        """Backwards; `detect` sees the field on the same side of each plane."""
        return transmit_back(*self._optics(field), field, detect)

    def cotangent(
        self, overlap: PyTree[Complex[Array, "..."]]
    ) -> "ProgrammableWaveguide":
        r"""The pixels' cotangent from $-\operatorname{Im}\sum a\,d$ of the phases."""
        _, pull_back = jax.vjp(self._phase, self.index)
        (bar,) = pull_back(-jnp.imag(overlap).astype(self.index.dtype))
        return eqx.tree_at(lambda layer: layer.index, self, bar)

    def project(self) -> "ProgrammableWaveguide":
        """Every pixel within what the material can do."""
        index = jnp.clip(self.index, self.min_index, self.max_index)
        return eqx.tree_at(lambda layer: layer.index, self, index)

    def index_map(self) -> Float[Array, "steps samples"]:
        r"""$\Delta n$ as light meets it: blurred, in the middle of each step."""
        settings = self.smoothing, self.index.dtype
        rows, columns = self.index.shape
        along = _blur(self.steps, self.length, rows, self.length, *settings)
        window = self.samples * self.pitch
        across = _blur(self.samples, window, columns, self.width, *settings)
        return along @ self.index @ across.T

    def intensity_map(
        self,
        field: Complex[Array, " samples"],  # √W
    ) -> Float[Array, "steps samples"]:  # W per sample
        """How strong the light is in the middle of each step."""

        def power(field):
            return field.real**2 + field.imag**2

        return self.transmit(field, power)[1]

    def _phase(self, index: Array) -> Array:
        layer = eqx.tree_at(lambda layer: layer.index, self, index)
        step = self.length / self.steps
        return phase_per_step(layer.index_map(), step, self.wavelength)

    def _optics(self, field: Array) -> tuple[Space, Array]:
        if field.shape[-1] != self.samples:
            raise ValueError(
                f"The field has shape {field.shape}; its last axis must be the "
                f"{self.samples} samples of the window."
            )
        phase = self._phase(self.index).astype(field.real.dtype)
        return self._space(field.dtype), phase

    def _space(self, dtype) -> Space:
        step = self.length / self.steps
        optics = self.wavelength, self.pitch, self.background, self.paraxial
        return space_of(self.samples, step, *optics, jnp.dtype(dtype))

    def _confined(self, field, out, most):
        """`out`, unless light is near the edge of the window or of the spectrum."""
        total = jnp.sum(field.real**2 + field.imag**2, -1)
        allowed = self.stray * total
        window = self.samples * self.pitch
        out = eqx.error_if(
            out,
            most > allowed,
            f"light reached the edge of a window of {window:.4g} m: more `samples` "
            f"than {self.samples}, or a shorter `length`, give it room.",
        )
        spectrum = jnp.fft.fftshift(jnp.fft.fft(jax.lax.stop_gradient(out)), axes=-1)
        fine = edges(spectrum, EDGE) / self.samples
        return eqx.error_if(
            out,
            fine > allowed,
            f"the field is finer than a `pitch` of {self.pitch:.4g} m can sample: make "
            "it smaller.",
        )


@functools.lru_cache(maxsize=32)
def _blur(samples, span, pixels, width, deviation, dtype):
    """What part of each pixel's box, blurred, is found at each sample's center."""
    from scipy.special import ndtr

    centers = (np.arange(samples) + 0.5) / samples * span - span / 2
    corners = np.linspace(-width / 2, width / 2, pixels + 1)
    beyond = centers[:, None] - corners
    inside = ndtr(beyond / deviation) if deviation > 0 else np.heaviside(beyond, 1)
    with jax.ensure_compile_time_eval():
        return jnp.asarray(inside[:, :-1] - inside[:, 1:], dtype)
