"""What joins two layers of a Hopfield network."""

import abc
import math
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact, PRNGKeyArray


class AbstractCoupling(eqx.Module):
    r"""A symmetric coupling of a layer to the one below it, linear in the one above.

    With $\Phi$ the interaction, a unit of either layer feels $\partial\Phi/\partial s$.
    Biases of the layer above belong to the coupling. States may be complex, the one
    below real where it is the input; then $\Phi$ is the analytic continuation.
    """

    below: eqx.AbstractVar[tuple[int, ...]]
    """The shape of the layer below, in one example."""
    above: eqx.AbstractVar[tuple[int, ...]]
    """The shape of the layer above, in one example."""
    holomorphic: ClassVar[bool] = True
    r"""Whether $\Phi$ is analytic in both states: with a maximum, it is not."""

    @abc.abstractmethod
    def interaction(
        self, below: Inexact[Array, "*batch_and_below"], above: Inexact[Array, "..."]
    ) -> Inexact[Array, "..."]:
        r"""$\Phi$ of each example, which the energy loses."""

    @abc.abstractmethod
    def drive_above(
        self, below: Inexact[Array, "*batch_and_below"]
    ) -> Inexact[Array, "..."]:
        r"""$\partial\Phi/\partial s_\text{above}$."""

    @abc.abstractmethod
    def drive_below(
        self, below: Inexact[Array, "*batch_and_below"], above: Inexact[Array, "..."]
    ) -> Inexact[Array, "*batch_and_below"]:
        r"""$\partial\Phi/\partial s_\text{below}$."""


class DenseCoupling(AbstractCoupling):
    r"""Every unit to every unit: $\Phi = s_\text{below} W s_\text{above} + b
    s_\text{above}$.

    A layer below with several axes is read as one long row.
    """

    weight: Float[Array, "below above"]
    bias: Float[Array, " above"]
    below: tuple[int, ...] = eqx.field(static=True)

    def __init__(
        self,
        weight: Float[Array, "below above"],
        bias: Float[Array, " above"],
        below: tuple[int, ...] | None = None,
    ):
        """Couple by `weight`.

        **Arguments:** `below`: the shape of the layer below, if it is no plain row.
        **Raises:** `ValueError` if that shape has another number of units.
        """
        shape = weight.shape[:1] if below is None else tuple(below)
        if math.prod(shape) != weight.shape[0]:
            raise ValueError(
                f"A layer of shape {shape} has {math.prod(shape)} units, but `weight` "
                f"couples {weight.shape[0]}."
            )
        self.weight = weight
        self.bias = bias
        self.below = shape

    @classmethod
    def random(
        cls,
        below: int | tuple[int, ...],
        above: int,
        *,
        key: PRNGKeyArray,
        gain: float = 1.0,
    ) -> "DenseCoupling":
        r"""No bias, and weights uniform within $\pm g\sqrt{6/(n_\text{below} +
        n_\text{above})}$.

        **Source:** Glorot & Bengio, *AISTATS* (2010), eq. 16, for $g = 1$.
        """
        shape = (below,) if isinstance(below, int) else below
        count = math.prod(shape)
        bound = gain * math.sqrt(6 / (count + above))
        weight = jax.random.uniform(key, (count, above), minval=-bound, maxval=bound)
        return cls(weight, jnp.zeros_like(weight[0]), shape)

    @property
    def above(self) -> tuple[int, ...]:
        return self.bias.shape

    def interaction(
        self, below: Inexact[Array, "*batch_and_below"], above: Inexact[Array, "..."]
    ) -> Inexact[Array, "..."]:
        return jnp.sum(self.drive_above(below).astype(above.dtype) * above, axis=-1)

    def drive_above(
        self, below: Inexact[Array, "*batch_and_below"]
    ) -> Inexact[Array, "..."]:
        row = below.reshape(*below.shape[: below.ndim - len(self.below)], -1)
        drive = row @ self.weight.astype(row.dtype)
        return drive + jnp.broadcast_to(self.bias.astype(row.dtype), drive.shape)

    def drive_below(
        self, below: Inexact[Array, "*batch_and_below"], above: Inexact[Array, "..."]
    ) -> Inexact[Array, "*batch_and_below"]:
        return (above @ self.weight.T.astype(above.dtype)).reshape(below.shape)
