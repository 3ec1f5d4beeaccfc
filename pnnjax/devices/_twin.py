"""A model in the place of a device: physics, and a small network for what it misses."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact, PRNGKeyArray

from .._estimator import facts_of
from .._frozen import Frozen
from .._layer import AbstractLayer, Facts, respond
from ._device import parameters_of
from ._probes import Probes


class Residual(NamedTuple):
    """A network for what physics misses, and the units of its numbers."""

    network: eqx.nn.MLP
    center: Float[Array, " seen"]
    half: Float[Array, " seen"]
    """Half of the range of each number that enters."""
    size: Float[Array, ""]
    """Of what leaves."""


class Twin(AbstractLayer):
    r"""$y = p + s\,N(\theta, x, p)$ with $p = f_\text{physics}(x, \theta)$, or $y = p$.

    The parameters $\theta$ are those that the device is set to.

    The fixed network $N$ sees every number of the parameters, of the example and of
    what physics makes of it, each brought to between -1 and 1 over the probes; its
    derivatives count, its weights are not trained. In the beginning it is zero.
    """

    layer: Any
    residual: Frozen[Residual] | None
    example_ndim: int = eqx.field(static=True)

    def __init__(
        self,
        layer: Any,
        residual: Frozen[Residual] | None = None,
        example_ndim: int = 1,
    ):
        """`layer` alone, unless there is a residual.

        **Arguments:** `example_ndim`: how many trailing axes are one example, for it.
        """
        self.layer = layer
        self.residual = residual
        self.example_ndim = example_ndim

    @property
    def facts(self) -> Facts:
        if self.residual is not None:
            return Facts()
        return Facts(**facts_of(self.layer))

    def with_network(
        self,
        probes: Probes,
        said: Inexact[np.ndarray, "settings inputs ..."],
        missed: Inexact[np.ndarray, "settings inputs ..."],
        *,
        width: int,
        key: PRNGKeyArray,
    ) -> "Twin":
        """With a network of two hidden layers of `width` units.

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
        network = eqx.nn.MLP(
            low.size, left.shape[-1], width, 2, jnp.tanh, key=key, dtype=left.dtype
        )
        network = eqx.tree_at(
            lambda n: (n.layers[-1].weight, n.layers[-1].bias),
            network,
            replace_fn=jnp.zeros_like,
        )
        size = jnp.sqrt(jnp.mean(left**2))
        residual = Residual(network, (low + high) / 2, half, size)
        return Twin(self.layer, Frozen(residual), probes.inputs.ndim - 2)

    def __call__(
        self, x: Inexact[Array, "..."], *, key: PRNGKeyArray | None = None
    ) -> Inexact[Array, "..."]:
        y = respond(self.layer, x, key)
        if self.residual is None:
            return y
        residual = self.residual.value
        rows = _numbers(x, self.example_ndim)
        rows = rows.reshape(-1, rows.shape[-1])
        said = _numbers(y, y.ndim - (x.ndim - self.example_ndim))
        said = said.reshape(len(rows), -1)
        own = [_numbers(array, array.ndim) for array in parameters_of(self.layer)]
        setting = jnp.concatenate(own)
        setting = jnp.broadcast_to(setting, (len(rows), setting.size))
        seen = jnp.concatenate([setting, rows, said], axis=-1)
        seen = (seen - residual.center[None]) / residual.half[None]
        missing = residual.size * jax.vmap(residual.network)(seen)
        if jnp.iscomplexobj(y):
            missing = jax.lax.complex(*jnp.split(missing, 2, axis=-1))
        return y + missing.reshape(y.shape).astype(y.dtype)


def _numbers(array: Array, trailing: int) -> Array:
    """The `trailing` axes as one axis of real numbers."""
    flat = array.reshape(*array.shape[: array.ndim - trailing], -1)
    if jnp.iscomplexobj(flat):
        return jnp.concatenate([flat.real, flat.imag], axis=-1)
    return flat
