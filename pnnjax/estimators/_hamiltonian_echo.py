"""Hamiltonian echo: gradients from a motion that is reversed with an error in it."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact, PRNGKeyArray, PyTree

from .._estimator import AbstractEstimator, Claim, Conditions, Order, PhysicalCost
from .._motion import AbstractHamiltonianLayer
from ._echo import Echoes, echo_cotangents
from ._phases import direction, strength


class HamiltonianEcho(AbstractEstimator):
    r"""The Hamiltonian's derivative along two echoes, compared.

    The final state is reversed, $(q, p) \to (q, -p)$, which for an amplitude is phase
    conjugation, and the motion runs again with the drive replayed backwards. When it
    passes a time at which the output was read, it is kicked by the Hamiltonian
    $\pm\epsilon\,\bar y\cdot y$. With $e_\pm$ the two echoes,

    $$\bar\theta = \frac{1}{2\epsilon}\int\left[\partial_\theta H(e_+)
    - \partial_\theta H(e_-)\right]dt$$

    where centered, else the second echo is the free one, which is the forward run
    reversed. The cotangent of the input is read from where the echoes end, and from
    what they do to the drive. The kick has length `epsilon`, whatever the length of
    $\bar y$, by which the contrast is then multiplied.

    Only the final state is kept. What the sensors do, and how `x` is brought into the
    system, is differentiated digitally.

    **Arguments:** `epsilon`, in units of (energy · time / output); `centered`.
    **Raises:** `ValueError` if `epsilon` is 0.
    **Error:** of order `epsilon`, centered of its square; and rounding over `epsilon`:
    in single precision, take 0.01 to 0.1. A splitting of exact flows makes it the
    derivative of the discrete motion, whatever the step.
    **Source:** López-Pastor and Marquardt, *Phys. Rev. X* 13, 031020 (2023),
    doi:10.1103/PhysRevX.13.031020 (one reading, at the end); Pourcel and Ernoult,
    arXiv:2506.05259 (2025) (drive and readings all along; three passes).
    """

    conditions: ClassVar[Conditions] = Conditions(
        AbstractHamiltonianLayer,
        expected={
            "time_reversible": "its motion is damped, and the echo is damped again: "
            "what happened a time t before the end counts too little, by about "
            "exp(-loss_rate t), so that the gradient turns away as loss_rate times "
            "duration grows"
        },
    )

    epsilon: Float[Array, "..."]
    centered: bool = eqx.field(static=True)

    def __init__(self, epsilon: float | Array = 1e-3, centered: bool = True):
        self.epsilon = strength(epsilon, "epsilon")
        self.centered = centered

    @property
    def claim(self) -> Claim:
        return Order(2 if self.centered else 1, in_="epsilon")

    def forward(
        self, layer: Any, x: Inexact[Array, "..."], *, key: PRNGKeyArray | None
    ) -> tuple[Float[Array, "..."], PyTree[Array]]:
        del key  # the motion draws nothing
        final, y = layer.run(x)
        return y, final

    def backward(
        self,
        layer: Any,
        x: Inexact[Array, "..."],
        residuals: PyTree[Array],
        y_bar: Float[Array, "..."],
        *,
        key: PRNGKeyArray | None,
    ) -> tuple[PyTree, Inexact[Array, "..."]]:
        del key
        along, length = _unit(layer, y_bar)
        epsilon = self.epsilon.astype(y_bar.dtype)
        signs = jnp.asarray([1, -1] if self.centered else [1, 0], y_bar.dtype)
        shares = jnp.asarray([0.5, 0.5] if self.centered else [0, 1], y_bar.dtype)
        across = jnp.asarray([0.5, -0.5] if self.centered else [1, -1], y_bar.dtype)
        echoes = Echoes(
            epsilon * signs, jnp.multiply.outer(across / epsilon, length), shares
        )
        unread = layer.splitting.unread
        return echo_cotangents(
            layer, x, residuals, unread(y_bar), unread(along), echoes
        )

    def cost(self, layer: Any, x: Any) -> PhysicalCost:
        """Each echo is a run; a parameter's force is added up where it acts."""
        state, y = eqx.filter_eval_shape(layer.run, x)
        learned = eqx.filter(layer, eqx.is_inexact_array)
        drive = eqx.filter_eval_shape(layer.drive, x)
        read = sum(leaf.size for leaf in jax.tree.leaves((state, learned, drive)))
        # Not centered, the forward run is the one to compare with.
        return PhysicalCost(runs=2 + self.centered, measurements=y.size + 2 * read)


def _unit(
    layer: Any, y_bar: Float[Array, "..."]
) -> tuple[Float[Array, "..."], Float[Array, "*batch"]]:
    """Each example's cotangent, of all readings, with length one; and its length."""
    if layer.splitting.readings is None:
        return direction(y_bar)
    flat = y_bar.reshape(*y_bar.shape[:-2], -1)
    along, length = direction(flat)
    return along.reshape(y_bar.shape), length
