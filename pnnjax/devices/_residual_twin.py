"""A twin that adds a small network to what physics explains."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Inexact, PRNGKeyArray

from .._frozen import Frozen
from .._layer import AbstractLayer, Facts, respond
from ._device import parameters_of
from ._probes import Probes


class ResidualTwin(AbstractLayer):
    r"""$y = p + s\,N(\theta, x, p)$ with $p = f_\text{physics}(x, \theta)$.

    The fixed network $N$ sees every number of the parameters, of the example and of
    what physics makes of it, each brought to between -1 and 1 over the probes; its
    derivatives count, its weights are not trained. In the beginning it is zero.
    """

    layer: Any
    network: Frozen[eqx.nn.MLP]
    scales: Frozen[tuple[Array, Array, Array]]
    """Of the numbers that enter: center and half width; $s$ of those that leave."""
    example_ndim: int = eqx.field(static=True)
    facts = Facts()

    def __init__(
        self,
        layer: Any,
        probes: Probes,
        said: Inexact[np.ndarray, "settings inputs ..."],
        missed: Inexact[np.ndarray, "settings inputs ..."],
        *,
        width: int,
        key: PRNGKeyArray,
    ):
        """A network with two hidden layers of `width` units.

        **Arguments:** `said`: what `layer` says of the probes; `missed`: what it misses
        of the device's answers.
        """
        signals = [
            _numbers(jnp.asarray(array), array.ndim - 2)
            for array in (probes.inputs, said)
        ]
        columns = [_numbers(jnp.asarray(s), s.ndim - 1) for s in probes.settings]
        seen = [*columns, *(array.reshape(-1, array.shape[-1]) for array in signals)]
        low = jnp.concatenate([array.min(0) for array in seen])
        high = jnp.concatenate([array.max(0) for array in seen])
        half = jnp.where(high > low, (high - low) / 2, 1)
        left = _numbers(jnp.asarray(missed), missed.ndim - 2)
        size = jnp.sqrt(jnp.mean(left**2))
        network = eqx.nn.MLP(
            low.size, left.shape[-1], width, 2, jnp.tanh, key=key, dtype=left.dtype
        )
        network = eqx.tree_at(
            lambda n: (n.layers[-1].weight, n.layers[-1].bias),
            network,
            replace_fn=jnp.zeros_like,
        )
        self.layer = layer
        self.network = Frozen(network)
        self.scales = Frozen(((low + high) / 2, half, size))
        self.example_ndim = probes.inputs.ndim - 2

    def __call__(
        self, x: Inexact[Array, "..."], *, key: PRNGKeyArray | None = None
    ) -> Inexact[Array, "..."]:
        y = respond(self.layer, x, key)
        center, half, size = self.scales.value
        rows = _numbers(x, self.example_ndim)
        rows = rows.reshape(-1, rows.shape[-1])
        own = [_numbers(array, array.ndim) for array in parameters_of(self.layer)]
        setting = jnp.concatenate(own)
        setting = jnp.broadcast_to(setting, (len(rows), setting.size))
        said = _numbers(y, y.ndim - (x.ndim - self.example_ndim))
        said = said.reshape(len(rows), -1)
        seen = jnp.concatenate([setting, rows, said], axis=-1)
        seen = (seen - center[None]) / half[None]
        missing = size * jax.vmap(self.network.value)(seen)
        if jnp.iscomplexobj(y):
            missing = jax.lax.complex(*jnp.split(missing, 2, axis=-1))
        return y + missing.reshape(y.shape).astype(y.dtype)


def _numbers(array: Array, trailing: int) -> Array:
    """The `trailing` axes as one axis of real numbers."""
    flat = array.reshape(*array.shape[: array.ndim - trailing], -1)
    if jnp.iscomplexobj(flat):
        return jnp.concatenate([flat.real, flat.imag], axis=-1)
    return flat
