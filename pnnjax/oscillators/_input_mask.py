"""Masks that spread one input sample over the virtual nodes of a delay loop."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray


def binary_mask(
    nodes: int, inputs: int = 1, *, key: PRNGKeyArray, density: float = 1.0
) -> Float[Array, "nodes inputs"]:
    """Random signs; where `density` is below 1, that share of the inputs is connected.

    **Raises:** `ValueError` for a `density` that is not above 0 and up to 1.
    **Source:** Appeltant *et al.*, *Nat. Commun.* 2, 468 (2011),
    doi:10.1038/ncomms1476.
    """
    _check(nodes, inputs)
    if not 0 < density <= 1:
        raise ValueError(f"`density` is a share above 0 and up to 1, not {density}.")
    signs, places = jax.random.split(key)
    mask = jax.random.rademacher(signs, (nodes, inputs), jnp.result_type(float))
    return mask * jax.random.bernoulli(places, density, mask.shape).astype(mask.dtype)


def uniform_mask(
    nodes: int, inputs: int = 1, *, key: PRNGKeyArray
) -> Float[Array, "nodes inputs"]:
    """Random numbers from -1 to 1.

    **Source:** Paquot *et al.*, *Sci. Rep.* 2, 287 (2012), doi:10.1038/srep00287.
    """
    _check(nodes, inputs)
    return jax.random.uniform(key, (nodes, inputs), minval=-1.0, maxval=1.0)


def sine_mask(nodes: int, inputs: int = 1) -> Float[Array, "nodes inputs"]:
    """Input `j` in a sine of `j + 1` periods, as an oscillator makes it.

    **Source:** Duport *et al.*, *Sci. Rep.* 6, 22381 (2016), doi:10.1038/srep22381.
    """
    _check(nodes, inputs)
    turns = jnp.arange(nodes)[:, None] * jnp.arange(1, inputs + 1)[None] / nodes
    return jnp.sin(2 * jnp.pi * turns)


def _check(nodes, inputs):
    if nodes < 1 or inputs < 1:
        raise ValueError(
            f"A mask has at least one node and one input, not {nodes} and {inputs}."
        )
