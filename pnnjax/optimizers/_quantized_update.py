"""Updates of parameters that can be set to a number of levels only."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray


class QuantizedUpdateState(NamedTuple):
    """What `quantized_update` remembers."""

    step: Int[Array, ""]
    """How many updates there were: the random numbers follow from it."""


def quantized_update(
    bits: int, low: float, high: float, *, seed: int = 0
) -> optax.GradientTransformation:
    """End each update on one of `2**bits` equidistant levels from `low` to `high`.

    Of the two levels nearest to where the update would lead, one is drawn, with
    probabilities that make the mean right: an update much smaller than a level is then
    made rarely instead of never. To be the last of an `optax.chain`.

    **Arguments:** `low` and `high` in the unit of the parameters.
    **Raises:** `ValueError` for less than one bit, or a range that does not rise.
    **Error:** unbiased within the range; the variance is at most a quarter of a squared
    level.
    **Source:** Gupta et al. (2015), doi:10.48550/arXiv.1502.02551, for stochastic
    rounding.
    """
    if bits < 1 or not low < high:
        raise ValueError(
            "There must be at least one bit, and levels that rise, not "
            f"bits={bits}, low={low}, high={high}."
        )

    def init(params: Any) -> QuantizedUpdateState:
        del params
        return QuantizedUpdateState(jnp.zeros((), jnp.int32))

    def update(
        updates: Any, state: Any, params: Any | None = None
    ) -> tuple[Any, QuantizedUpdateState]:
        if params is None:
            raise ValueError("`quantized_update` needs the parameters: pass `params`.")
        key = jax.random.fold_in(jax.random.key(seed), state.step)
        leaves, tree = jax.tree.flatten(params)
        keys = jax.tree.unflatten(tree, list(jax.random.split(key, len(leaves))))
        moved = jax.tree.map(
            lambda p, u, k: _rounded(p + u, bits, low, high, k) - p,
            params,
            updates,
            keys,
        )
        return moved, QuantizedUpdateState(state.step + 1)

    return optax.GradientTransformation(init, update)


def _rounded(
    values: Float[Array, "..."], bits: int, low: float, high: float, key: PRNGKeyArray
) -> Float[Array, "..."]:
    last = 2**bits - 1
    level = (high - low) / last
    place = jnp.clip((values - low) / level, 0, last)
    drawn = jnp.floor(place + jax.random.uniform(key, place.shape, place.dtype))
    return low + level * jnp.minimum(drawn, last)
