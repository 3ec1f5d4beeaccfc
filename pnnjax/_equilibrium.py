"""How well a system has settled."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ._layer import AbstractEquilibriumLayer


def free_residual(
    layer: AbstractEquilibriumLayer,
    x: Float[Array, "*batch n"],
    *,
    key: PRNGKeyArray | None = None,
) -> Float[Array, "*batch"]:
    """The largest net force on any element after the free relaxation, in each example.

    Every rule that compares equilibria takes this for zero: where it is not small
    beside the nudge, neither is the error of the gradient.
    """
    state = layer.relax(layer.initial_state(x, key=key), x, None)
    forces = jax.tree.leaves(layer.residual(state, x))
    batch = x.ndim - 1
    largest = [jnp.max(jnp.abs(f), tuple(range(batch, f.ndim))) for f in forces]
    return jnp.max(jnp.stack(largest), 0)
