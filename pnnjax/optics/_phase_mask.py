"""A plane of phase shifters, such as a spatial light modulator."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, PRNGKeyArray

from .._layer import AbstractLayer, Facts
from ._sampling import polar


class PhaseMask(AbstractLayer):
    r"""Multiplies a field by $e^{i\phi}$, pixel by pixel; the phases are trained."""

    phase: Float[Array, "ny nx"]  # rad
    facts = Facts(
        linear=True,
        reciprocal=True,
        lossless=True,
        symmetric=True,
        phase_only=True,
        sinusoidal=True,
    )

    def __init__(self, phase: Float[Array, "ny nx"]):
        self.phase = phase

    @classmethod
    def random(cls, shape: tuple[int, int], *, key: PRNGKeyArray) -> "PhaseMask":
        """A mask of `ny, nx` pixels with uniform phases in [0, 2π)."""
        return cls(jax.random.uniform(key, shape, maxval=2 * jnp.pi))

    def __call__(
        self,
        x: Complex[Array, "*batch ny nx"],  # √W
        *,
        key: PRNGKeyArray | None = None,
    ) -> Complex[Array, "*batch ny nx"]:  # √W
        return times(x, polar(1, self.phase))


def times(
    field: Complex[Array, "*batch ny nx"], transmission: Complex[Array, "*lead ny nx"]
) -> Complex[Array, "*batch ny nx"]:
    """The field behind a thin element."""
    return field * jnp.expand_dims(transmission, range(field.ndim - transmission.ndim))
