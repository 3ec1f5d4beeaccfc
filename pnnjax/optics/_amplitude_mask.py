"""Planes that absorb: an amplitude modulator, and one for amplitude and phase."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, PRNGKeyArray

from .._layer import AbstractBoundedLayer, Facts
from ._phase_mask import times


class AmplitudeMask(AbstractBoundedLayer):
    """Multiplies a field by amplitudes, pixel by pixel; `project` forbids gain."""

    amplitude: Float[Array, "ny nx"]  # 0 to 1
    facts = Facts(linear=True, reciprocal=True, symmetric=True)

    def __init__(self, amplitude: Float[Array, "ny nx"]):
        self.amplitude = amplitude

    def __call__(
        self,
        x: Complex[Array, "*batch ny nx"],  # √W
        *,
        key: PRNGKeyArray | None = None,
    ) -> Complex[Array, "*batch ny nx"]:  # √W
        return times(x, jax.lax.complex(self.amplitude, jnp.zeros_like(self.amplitude)))

    def project(self) -> "AmplitudeMask":
        clipped = jnp.clip(self.amplitude, 0.0, 1.0)
        return eqx.tree_at(lambda mask: mask.amplitude, self, clipped)


class ComplexMask(AbstractBoundedLayer):
    r"""Multiplies a field by $A e^{i\phi}$, pixel by pixel; both are trained."""

    amplitude: Float[Array, "ny nx"]  # 0 to 1
    phase: Float[Array, "ny nx"]  # rad
    facts = Facts(linear=True, reciprocal=True, symmetric=True)

    def __init__(self, amplitude: Float[Array, "ny nx"], phase: Float[Array, "ny nx"]):
        self.amplitude = amplitude
        self.phase = phase

    def __call__(
        self,
        x: Complex[Array, "*batch ny nx"],  # √W
        *,
        key: PRNGKeyArray | None = None,
    ) -> Complex[Array, "*batch ny nx"]:  # √W
        real = self.amplitude * jnp.cos(self.phase)
        imaginary = self.amplitude * jnp.sin(self.phase)
        return times(x, jax.lax.complex(real, imaginary))

    def project(self) -> "ComplexMask":
        clipped = jnp.clip(self.amplitude, 0.0, 1.0)
        return eqx.tree_at(lambda mask: mask.amplitude, self, clipped)
