"""The adjoint of linear dynamics, run on the dynamics themselves."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from .._estimator import AbstractEstimator, Claim, Conditions, Exact, PhysicalCost
from .._motion import AbstractTrajectoryLayer


class SameDeviceAdjoint(AbstractEstimator):
    r"""A second run of the same system, driven by the error played backwards in time.

    With $v_t = \sum_{k<t} h_{t-k} s_k$, the loss changes with the sources as
    $\lambda_k = \sum_{t>k} h_{t-k}^\top n_t$, $n_t = \partial L/\partial v_t$. Where
    $h = h^\top$, that is the system's own response to $n$ in reversed order, itself
    reversed. Damping does not spoil it, nor does the size of the error: no limit is
    taken, and no momentum is turned round. Each parameter's gradient is then a product
    of what its own nodes did in the two runs.

    **Error:** rounding.
    **Source:** that reciprocity suffices for linear trajectories, overdamped ones
    included: Boesch et al. (2026), on unifying physical backpropagation. Reciprocity of
    dissipative dynamics: Onsager, *Phys. Rev.* 37, 405 (1931),
    doi:10.1103/PhysRev.37.405.
    """

    claim: ClassVar[Claim] = Exact()
    conditions: ClassVar[Conditions] = Conditions(
        AbstractTrajectoryLayer,
        required={
            "linear": "it is not linear, so the error's response depends on the signal",
            "reciprocal": "it is not reciprocal, so an error that is played backwards "
            "does not see the transposed response",
        },
    )

    def forward(
        self, layer: Any, x: Float[Array, "..."], *, key: PRNGKeyArray | None
    ) -> tuple[Float[Array, "..."], PyTree[Array]]:
        del key
        trajectory = layer.evolve(layer.drive(x))
        return layer.readout(trajectory), trajectory

    def backward(
        self,
        layer: Any,
        x: Float[Array, "..."],
        residuals: PyTree[Array],
        y_bar: Float[Array, "..."],
        *,
        key: PRNGKeyArray | None,
    ) -> tuple[PyTree, Float[Array, "..."]]:
        del key
        arrays, static = eqx.partition(layer, eqx.is_inexact_array)

        def sensed(arrays, trajectory):
            return eqx.combine(arrays, static).readout(trajectory)

        def driven(arrays, x):
            return eqx.combine(arrays, static).drive(x)

        at_sensors, error = jax.vjp(sensed, arrays, residuals)[1](y_bar)
        adjoint = jnp.flip(layer.evolve(jnp.flip(error, -2)), -2)
        at_sources, x_bar = jax.vjp(driven, arrays, x)[1](adjoint)
        inside = eqx.filter(layer.cotangent(residuals, adjoint), eqx.is_inexact_array)
        return jax.tree.map(lambda *b: sum(b), at_sensors, at_sources, inside), x_bar

    def cost(self, layer: Any, x: Any) -> PhysicalCost:
        sources = eqx.filter_eval_shape(layer.drive, x)
        return PhysicalCost(runs=2, measurements=2 * sources.size)
