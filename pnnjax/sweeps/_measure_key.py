"""Random keys whose programs are small: they are compiled in a third of the time."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.random import define_prng_impl
from jaxtyping import Array, PRNGKeyArray, UInt, UInt32

from .._fast_random import hashed


def quick_key(seed: int) -> PRNGKeyArray:
    """A key for hundreds of draws, each within a program that runs for a second.

    All of `jax.random` takes it. A key is one word of 32 bits, and random bits are a
    hash of it and of their place: two of a thousand keys are the same once in ten
    thousand times. Not for secrets.

    **Source:** the hash is that of `fast_bits`.
    """
    # Without a program of its own, as `jax.random.key` has.
    word = jnp.asarray(np.asarray([seed * 0x9E3779B9 % 2**32], np.uint32))
    return jax.random.wrap_key_data(word, impl=_QUICK)


def _seeded(seed: Array) -> UInt32[Array, "1"]:
    return hashed(seed.astype(jnp.uint32).reshape(1) + jnp.uint32(1))


def _split(
    key: UInt32[Array, "1"], shape: tuple[int, ...]
) -> UInt32[Array, "*shape 1"]:
    return _words(key, shape, 0x85EBCA6B)[..., None]


def _folded(key: UInt32[Array, "1"], data: Any) -> UInt32[Array, "1"]:
    return hashed(
        hashed(key) + hashed(jnp.asarray(data).astype(jnp.uint32) + jnp.uint32(1))
    )


def _bits(
    key: UInt32[Array, "1"], width: int, shape: tuple[int, ...]
) -> UInt[Array, "*shape"]:
    low = _words(key, shape, 0x9E3779B9)
    if width < 64:
        return low.astype(jnp.dtype(f"uint{width}"))
    high = _words(key, shape, 0xC2B2AE35).astype(jnp.uint64)
    return high << jnp.uint64(32) | low.astype(jnp.uint64)


def _words(
    key: UInt32[Array, "1"], shape: tuple[int, ...], salt: int
) -> UInt32[Array, "*shape"]:
    place = lax.iota(jnp.uint32, math.prod(shape)).reshape(shape)
    return hashed(hashed(place + key[0]) ^ (key[0] + jnp.uint32(salt)))


_QUICK = define_prng_impl(
    key_shape=(1,),
    seed=_seeded,
    split=_split,
    random_bits=_bits,
    fold_in=_folded,
    name="quick",
    tag="quick",
)
