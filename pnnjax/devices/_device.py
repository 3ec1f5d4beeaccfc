"""A device: physical hardware, or what stands for it, that runs a layer."""

import abc
from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Inexact, PRNGKeyArray

from .._frozen import is_trainable


class AbstractDevice(eqx.Module):
    """Something that can be given parameters and a signal, and then be measured.

    It stands where the layer would be run, under `jax.jit`, `jax.grad` and `jax.vmap`
    too. No gradient flows through it; `pnn.estimators.PhysicsAware` supplies one.
    """

    @abc.abstractmethod
    def __call__(
        self,
        layer: Any,
        x: Inexact[Array, "..."],
        *,
        key: PRNGKeyArray | None = None,
    ) -> Inexact[Array, "..."]:
        """What the device makes of `x` with the parameters of `layer`.

        **Arguments:** `x`: one batch, with any leading axes. `key`: for the noise of a
        device that is simulated; hardware draws its own.
        """


def parameters_of(layer: Any) -> list[Inexact[Array, "..."]]:
    """The trainable leaves of `layer` in the order in which a device receives them."""
    return jax.tree.leaves(eqx.filter(layer, is_trainable(layer)))


def without_gradient(tree: Any) -> Any:
    """`tree` with every inexact array behind `stop_gradient`."""
    inexact, rest = eqx.partition(tree, eqx.is_inexact_array)
    return eqx.combine(jax.lax.stop_gradient(inexact), rest)
