"""A stretch of free space as a layer."""

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Complex, PRNGKeyArray

from .._layer import AbstractLayer, Facts
from ._angular_spectrum import angular_spectrum
from ._sampling import Pitch, check_wavelengths

Propagator = Callable[..., Complex[Array, "..."]]
"""`angular_spectrum`, `fresnel`, `rayleigh_sommerfeld`, or one with their arguments."""


class FreeSpace(AbstractLayer):
    """Fields `"*batch ny nx"` (√W a pixel) after a fixed distance.

    With a tuple of `w` wavelengths, fields are `"*batch w ny nx"`. Nothing is trained:
    for a distance or a wavelength that is, call the propagator.

    Padded, light leaves the window, and evanescent waves decay in any case, so this is
    not lossless; unpadded, and above half a wavelength a pixel even on the diagonal, it
    is unitary.
    """

    distance: float = eqx.field(static=True)  # m
    wavelength: float | tuple[float, ...] = eqx.field(static=True)  # m
    pitch: Pitch = eqx.field(static=True)  # m
    propagator: Propagator = eqx.field(static=True)
    pad: bool = eqx.field(static=True)
    facts = Facts(linear=True, reciprocal=True, symmetric=True)

    def __init__(
        self,
        distance: float,  # m
        wavelength: float | tuple[float, ...],  # m
        pitch: Pitch,  # m
        *,
        propagator: Propagator = angular_spectrum,
        pad: bool = True,
    ):
        self.distance = distance
        self.wavelength = wavelength
        self.pitch = pitch
        self.propagator = propagator
        self.pad = pad

    def __call__(
        self,
        x: Complex[Array, "*batch ny nx"],  # √W
        *,
        key: PRNGKeyArray | None = None,
    ) -> Complex[Array, "*batch ny nx"]:  # √W
        if not isinstance(self.wavelength, tuple):
            return self._at(x, self.wavelength)
        check_wavelengths(x, self.wavelength)
        planes = enumerate(self.wavelength)
        return jnp.stack([self._at(x[..., i, :, :], w) for i, w in planes], axis=-3)

    def _at(self, field, wavelength):
        distance, pitch = self.distance, self.pitch
        return self.propagator(field, distance, wavelength, pitch, pad=self.pad)
