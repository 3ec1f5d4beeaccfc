"""Detectors with electronic noise, as those at the end of a chip."""

from collections.abc import Callable
from typing import ClassVar

import equinox as eqx
import jax
from jaxtyping import Array, Complex, Float, PRNGKeyArray

from .._layer import AbstractLayer, Facts


class NoisyDetectors(AbstractLayer):
    """Powers as detectors show them: with a key, with Gaussian noise.

    **Arguments:** `powers`: which are detected, as a function of the field.
    """

    powers: Callable[[Array], Array] = eqx.field(static=True)
    deviation: float = eqx.field(static=True)  # W
    facts: ClassVar[Facts] = Facts()

    def __call__(
        self, x: Complex[Array, "*batch modes"], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "*batch detectors"]:  # W
        powers = self.powers(x)
        if key is None:
            return powers
        noise = jax.random.normal(key, powers.shape, powers.dtype)
        return powers + self.deviation * noise
