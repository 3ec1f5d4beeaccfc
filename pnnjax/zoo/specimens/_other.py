"""What declares no physics."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from ._numbers import Specimen


def foreign(key: PRNGKeyArray) -> Specimen:
    """A digital network of Equinox, which declares no physics."""
    return (
        eqx.nn.MLP(4, 3, 8, 1, key=key),
        jax.random.normal(key, (5, 4)),
    )


def stack(key: PRNGKeyArray) -> Specimen:
    """Two digital linear layers, with a nonlinearity between."""
    return _stack(key), jax.random.normal(key, (5, 4))


def _stack(key):
    """Two linear layers, with a nonlinearity between."""
    lower, upper = jax.random.split(key)
    return eqx.nn.Sequential(
        [
            eqx.nn.Linear(4, 6, key=lower),
            eqx.nn.Lambda(jnp.tanh),
            eqx.nn.Linear(6, 3, key=upper),
        ]
    )
