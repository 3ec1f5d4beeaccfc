"""Strict numbers everywhere: float64, no silent promotion of dtype or rank."""

import jax
import pytest

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture
def getkey():
    """A new key at each call, the same ones in every run."""
    keys = iter(jax.random.split(jax.random.key(20241122), 1000))
    return lambda: next(keys)
