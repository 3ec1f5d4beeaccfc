"""What the rules that compare settled states share."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Float, Inexact, PyTree

from .._estimator import PhysicalCost


def strength(value: float | Array, name: str) -> Float[Array, "..."]:
    """`value` as an array, once it is known to be a possible size of a nudge.

    **Raises:** `ValueError` if it is zero or not finite.
    """
    array = jnp.asarray(value, float)
    known = not isinstance(array, Tracer)
    if known and not jnp.all(jnp.isfinite(array) & (array != 0)):
        raise ValueError(
            f"`{name}` is the size of the nudge, by which differences are divided: it "
            f"must be finite and not 0, not {value}."
        )
    return array


def direction(
    y_bar: Float[Array, "*batch n"],
) -> tuple[Float[Array, "*batch n"], Float[Array, "*batch"]]:
    """Each example's cotangent with length one, and the length that it had.

    A nudge is then in units of the output, however the loss is scaled.
    """
    squared = jnp.sum(y_bar**2, -1)
    some = squared > 0
    length = jnp.where(some, jnp.sqrt(jnp.where(some, squared, 1)), 0)
    return y_bar / jnp.where(some, length, 1)[..., None], length


def energy_cotangents(
    layer: Any,
    x: Float[Array, "..."],
    terms: list[tuple[PyTree[Array], Inexact[Array, "..."]]],
) -> tuple[PyTree, Float[Array, "..."]]:
    r"""The cotangents of the layer and of x of $\operatorname{Re}\sum_k w_k E(s_k)$.

    `terms` are the states, held as they are, and their weights, one an example.
    """
    arrays, static = eqx.partition(layer, eqx.is_inexact_array)

    states, weights = jax.tree.map(lambda *leaves: jnp.stack(leaves), *terms)

    def total(arrays, x):
        # Under `vmap`, what x alone does is found, and differentiated, once for all.
        energy = jax.vmap(lambda s: eqx.combine(arrays, static).energy(s, x))
        return jnp.sum(weights * energy(states)).real

    return jax.grad(total, (0, 1))(arrays, x)


def settling_cost(layer: Any, x: Any, phases: int, compared: int) -> PhysicalCost:
    """Of `phases` relaxations, in `compared` of which every element is read."""
    state = eqx.filter_eval_shape(layer.initial_state, x)
    return PhysicalCost(
        runs=0, relaxations=phases, measurements=compared * _real_numbers(state)
    )


def _real_numbers(tree) -> int:
    return sum(
        leaf.size * (1 + jnp.issubdtype(leaf.dtype, jnp.complexfloating))
        for leaf in jax.tree.leaves(tree)
        if jnp.issubdtype(leaf.dtype, jnp.inexact)
    )
