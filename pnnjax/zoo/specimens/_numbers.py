"""Random fields, and when a state has settled, in the precision that JAX is set to."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, PRNGKeyArray

from ...integrators import UntilSettled

Specimen = tuple[Any, Array]
"""A layer, and a batch of inputs."""


def field(key: PRNGKeyArray, *shape: int) -> Complex[Array, "..."]:
    """A random complex field."""
    return jax.random.normal(key, shape, complex)


def tolerance() -> float:
    """Of a state that is settled as far as rounding lets it."""
    return 1e-13 if jnp.result_type(float) == jnp.float64 else 1e-5


def settled() -> UntilSettled:
    """Until rounding is all that still moves."""
    return UntilSettled(tolerance(), tolerance())
