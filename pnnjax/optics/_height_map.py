"""A printed or etched relief: the phase mask that does not need power."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, PRNGKeyArray

from .._layer import AbstractBoundedLayer, Facts
from ._phase_mask import PhaseMask, times
from ._sampling import check_wavelengths


def relief_transmission(
    height: Float[Array, "ny nx"],  # m
    wavelength: float,  # m
    index: float,  # refractive index
    extinction: float = 0.0,  # imaginary part of the index
) -> Complex[Array, "ny nx"]:
    r"""$e^{2\pi i(n - 1 + i\kappa)h/\lambda}$: material of height $h$ in place of air.

    **Valid for:** reliefs thin enough that light crosses them within a pixel; without
    reflection at the surface.
    """
    phase = 2 * math.pi * (index - 1) / wavelength * height
    amplitude = jnp.exp(-2 * math.pi * extinction / wavelength * height)
    return jax.lax.complex(amplitude * jnp.cos(phase), amplitude * jnp.sin(phase))


class HeightMap(AbstractBoundedLayer):
    """A relief of trained height; `project` keeps it between 0 and `maximum`.

    With a tuple of `w` wavelengths, fields are `"*batch w ny nx"`.
    """

    height: Float[Array, "ny nx"]  # m
    wavelength: float | tuple[float, ...] = eqx.field(static=True)  # m
    index: float = eqx.field(static=True)
    maximum: float = eqx.field(static=True)  # m
    extinction: float = eqx.field(static=True)
    facts = Facts(linear=True, reciprocal=True, symmetric=True)

    def __init__(
        self,
        height: Float[Array, "ny nx"],  # m
        wavelength: float | tuple[float, ...],  # m
        index: float,
        maximum: float,  # m
        *,
        extinction: float = 0.0,
    ):
        """`index` and `extinction` are the parts of the material's refractive index."""
        self.height = height
        self.wavelength = wavelength
        self.index = index
        self.maximum = maximum
        self.extinction = extinction

    @classmethod
    def from_phase(
        cls, mask: PhaseMask, wavelength: float, index: float
    ) -> "HeightMap":
        """The lowest relief that is equivalent to `mask`: below one turn of phase."""
        if index == 1:
            raise ValueError("a relief needs an `index` other than 1.")
        maximum = wavelength / abs(index - 1)
        sign = math.copysign(1.0, index - 1)
        height = maximum * jnp.mod(sign * mask.phase / (2 * math.pi), 1.0)
        return cls(height, wavelength, index, maximum)

    def phase_mask(self, wavelength: float) -> PhaseMask:
        """The phases at one wavelength, without the absorption."""
        turns = (self.index - 1) / wavelength * self.height
        return PhaseMask(2 * math.pi * turns)

    def __call__(
        self,
        x: Complex[Array, "*batch ny nx"],  # √W
        *,
        key: PRNGKeyArray | None = None,
    ) -> Complex[Array, "*batch ny nx"]:  # √W
        if not isinstance(self.wavelength, tuple):
            return times(x, self._at(self.wavelength))
        check_wavelengths(x, self.wavelength)
        return times(x, jnp.stack([self._at(w) for w in self.wavelength]))

    def project(self) -> "HeightMap":
        clipped = jnp.clip(self.height, 0.0, self.maximum)
        return eqx.tree_at(lambda relief: relief.height, self, clipped)

    def _at(self, wavelength):
        return relief_transmission(self.height, wavelength, self.index, self.extinction)
