"""A device: physical hardware, or what stands for it, that runs a layer."""

import abc
from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Inexact, PRNGKeyArray, UInt32

from .._frozen import is_trainable
from ._limits import Limits


class AbstractDevice(eqx.Module):
    """Something that can be given parameters and a signal, and then be measured.

    It stands where the layer would be run, under `jax.jit`, `jax.grad` and `jax.vmap`
    too. No gradient flows through it; `pnn.estimators.PhysicsAware` supplies one.
    """

    limits: eqx.AbstractVar[Limits]
    """What it can be asked for; beyond that is an error, never a clip."""

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


class AbstractOnceDevice(AbstractDevice):
    """A device that passes the name of a run on to the hardware.

    A run that is asked for again by the same name, since its answer was lost or the
    process was killed, need not be made again by hardware that keeps its last answers.
    """

    @abc.abstractmethod
    def __call__(
        self,
        layer: Any,
        x: Inexact[Array, "..."],
        *,
        key: PRNGKeyArray | None = None,
        request: UInt32[Array, "3"] | None = None,
    ) -> Inexact[Array, "..."]:
        """`request` names the run: two numbers of who asks, and the run's own.

        Without it, each call is a run of its own.
        """


def parameters_of(layer: Any) -> list[Inexact[Array, "..."]]:
    """The trainable leaves of `layer` in the order in which a device receives them."""
    return jax.tree.leaves(eqx.filter(layer, is_trainable(layer)))


def without_gradient(tree: Any) -> Any:
    """`tree` with every inexact array behind `stop_gradient`."""
    inexact, rest = eqx.partition(tree, eqx.is_inexact_array)
    return eqx.combine(jax.lax.stop_gradient(inexact), rest)
