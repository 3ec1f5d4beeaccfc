"""modReLU: a threshold on the amplitude that keeps the phase."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact, PRNGKeyArray

from .._layer import AbstractLayer, Facts


def mod_relu(
    field: Inexact[Array, "*batch modes"],  # √W
    bias: Float[Array, " modes"],  # √W
) -> Inexact[Array, "*batch modes"]:  # √W
    r"""Shrink the amplitude by a threshold: $(|z| + b)_+\, z / |z|$, and 0 at 0.

    A field below the amplitude $-b$ is blocked. With $b > 0$ the response jumps at
    zero field, and adds power; the derivative there is taken as zero.

    **Source:** Arjovsky, Shah & Bengio, *ICML* (2016), eq. 8,
    doi:10.48550/arXiv.1511.06464.
    """
    power = field.real**2 + field.imag**2
    lit = power > 0
    amplitude = jnp.sqrt(jnp.where(lit, power, jnp.ones_like(power)))
    threshold = jnp.broadcast_to(bias.astype(power.dtype), power.shape)
    passed = jnp.maximum(amplitude + threshold, jnp.zeros_like(power)) / amplitude
    return jnp.where(lit, passed, jnp.zeros_like(power)).astype(field.dtype) * field


class ModReLU(AbstractLayer):
    """modReLU on each of `modes` fields, with a trained bias (√W) each."""

    bias: Float[Array, " modes"]
    facts = Facts()

    def __init__(self, modes: int, bias: float = -0.1):
        """Every mode starts with `bias` (√W); only a negative one is passive."""
        self.bias = bias * jnp.ones(modes)

    def __call__(
        self,
        x: Inexact[Array, "*batch modes"],
        *,
        key: PRNGKeyArray | None = None,
    ) -> Inexact[Array, "*batch modes"]:
        return mod_relu(x, self.bias)
