"""How many pulses a cell receives: small random whole numbers, fast."""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from .._fast_random import fast_normal, fast_uniform

# The greatest mean, and how many terms leave out a probability of 1e-7 of it.
FEW, FEW_TERMS = 0.5, 6
MORE, MORE_TERMS = 4.0, 17


def coincidences(
    key: PRNGKeyArray, means: tuple[Float[Array, "..."], ...]
) -> tuple[Float[Array, "..."], ...]:
    r"""Poisson numbers of these means.

    By inversion of the distribution with as many terms as the greatest mean $\mu$ of
    all takes; where it is above 4, by its quantile's expansion in $\mu^{-1/2}$ at
    normal numbers.

    **Source:** Giles, *ACM Trans. Math. Softw.* 42, 7 (2016), doi:10.1145/2699466, for
    the expansion.
    """
    keys = jax.random.split(key, (2, len(means)))
    drawn = tuple(map(_uniform, keys[0], means))

    def inverted(terms: int) -> tuple[Array, ...]:
        pairs = zip(drawn, means, strict=True)
        return tuple(_inverted(uniform, mean, terms) for uniform, mean in pairs)

    def many() -> tuple[Array, ...]:
        sets = zip(inverted(MORE_TERMS), means, keys[1], strict=True)
        return tuple(
            jnp.where(mean > MORE, _expanded(own, mean), count)
            for count, mean, own in sets
        )

    greatest = jnp.max(jnp.stack([jnp.max(mean, initial=0.0) for mean in means]))
    level = (greatest > FEW).astype(jnp.int32) + (greatest > MORE).astype(jnp.int32)
    few, more = (lambda: inverted(FEW_TERMS)), (lambda: inverted(MORE_TERMS))
    return lax.switch(level, [few, more, many])


def rounded(key: PRNGKeyArray, values: Float[Array, "..."]) -> Float[Array, "..."]:
    """One of the two whole numbers around each value, with the right mean."""
    return jnp.floor(values + fast_uniform(key, values.shape, values.dtype))


def _uniform(key: PRNGKeyArray, like: Array) -> Array:
    return fast_uniform(key, like.shape, like.dtype)


def _inverted(uniform: Array, mean: Array, terms: int) -> Array:
    probability = jnp.exp(-mean)
    total, count = probability, _one_if(uniform >= probability, mean)
    for number in range(1, terms):
        probability = probability * (mean * (1 / number))
        total = total + probability
        count = count + _one_if(uniform >= total, mean)
    # What is not a number stays so, to be found where parameters are checked.
    return count + 0.0 * mean


def _one_if(condition: Array, like: Array) -> Array:
    return jnp.where(condition, jnp.ones((), like.dtype), jnp.zeros((), like.dtype))


def _expanded(key: PRNGKeyArray, mean: Array) -> Array:
    w = fast_normal(key, mean.shape, mean.dtype)
    root = jnp.sqrt(jnp.maximum(mean, MORE))
    skew = 1 / 3 + w * w / 6
    curl = w * (w * w / 72 + 1 / 36)
    return jnp.maximum(jnp.floor(mean + (root * w + skew - curl / root)), 0.0)
