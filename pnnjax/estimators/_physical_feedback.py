"""Errors that a physical system carries back to all blocks at once."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Inexact, PRNGKeyArray

from .._frozen import Frozen
from ._coherent_receiver import CoherentReceiver
from ._signals import as_complex


class GaussianReceiver(eqx.Module):
    """Gaussian noise in proportion to the root mean square of what is measured."""

    deviation: float = eqx.field(static=True)  # of the root mean square

    def measured(
        self, readings: Inexact[Array, "..."], *, key: PRNGKeyArray
    ) -> Inexact[Array, "..."]:
        """`readings` with noise drawn from `key`."""
        size = jnp.sqrt(jnp.mean(jnp.abs(readings) ** 2)).astype(readings.dtype)
        noise = jax.random.normal(key, readings.shape, readings.dtype)
        return readings + self.deviation * size * noise


class PhysicalFeedback(eqx.Module):
    r"""A linear layer, one run of which projects the error for the whole stack.

    Its inputs are the elements of the error, each example's largest one at amplitude 1;
    its outputs are shared out among the input of the stack and the hidden blocks, in
    this order. Signals that are real get the real part of a field.

    **Arguments:**
    - `projection`: such as `pnn.optics.ScatteringMedium`, `pnn.optics.RingWeightBank`.
    - `receiver`: the noise of what is measured; drawn only when called with a key.
    - `scale`: multiplies what is measured.
    - `rectified`: the positive and the negative part of the error are sent one after
      the other, for layers whose inputs are powers.

    **Source:** Launay et al., arXiv:2012.06373 (scattering medium); Filipovich et al.,
    *Optica* 9, 1323 (2022), doi:10.1364/OPTICA.475493 (rings, Gaussian noise).
    """

    projection: Frozen[Any]
    receiver: CoherentReceiver | GaussianReceiver | None
    scale: float = eqx.field(static=True)
    rectified: bool = eqx.field(static=True)

    def __init__(
        self,
        projection: Any,
        receiver: CoherentReceiver | GaussianReceiver | None = None,
        scale: float = 1.0,
        rectified: bool = False,
    ):
        self.projection = Frozen(projection)
        self.receiver = receiver
        self.scale = scale
        self.rectified = rectified

    @property
    def runs(self) -> int:
        """Of the projection."""
        return 2 if self.rectified else 1

    def send(
        self,
        error: Inexact[Array, "*batch senders"],
        receivers: int,
        *,
        key: PRNGKeyArray | None,
    ) -> Inexact[Array, "*batch receivers"]:
        """What arrives at each of the receivers.

        **Raises:** `ValueError` if the projection has too few outputs, or the error is
        complex and to be `rectified`.
        """
        peak = jnp.max(jnp.abs(error), -1, keepdims=True)
        unit = error / jnp.where(peak > 0, peak, 1).astype(error.dtype)
        keys = [None] * 2 if key is None else list(jax.random.split(key))
        if self.rectified:
            _refuse_complex(error)
            up = self._measured(jnp.maximum(unit, 0), keys[0])
            received = up - self._measured(jnp.maximum(-unit, 0), keys[1])
        else:
            received = self._measured(unit, keys[0])
        if received.shape[-1] < receivers:
            raise ValueError(
                f"The projection has {received.shape[-1]} outputs, but the stack's "
                f"input and hidden blocks together need {receivers}."
            )
        size = self.scale * peak
        if jnp.iscomplexobj(received):
            size = as_complex(size)
        return size * received[..., :receivers]

    def outputs(self, error: Any) -> Any:
        """The shape and dtype of what is measured in one run."""
        return eqx.filter_eval_shape(self._measured, error, None)

    def _measured(self, unit: Array, key: PRNGKeyArray | None) -> Array:
        if key is None:
            return self.projection.value(unit, key=None)
        own, noise = jax.random.split(key)
        reading = self.projection.value(unit, key=own)
        if self.receiver is None:
            return reading
        return self.receiver.measured(reading, key=noise)


def _refuse_complex(error: Array) -> None:
    if jnp.iscomplexobj(error):
        raise ValueError(
            "A complex error has no positive and negative part: leave out `rectified`."
        )
