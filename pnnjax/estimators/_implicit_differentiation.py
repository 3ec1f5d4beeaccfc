"""The exact gradient of a settled state, by the implicit function theorem."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from .._estimator import Claim, Conditions, Exact, PhysicalCost
from .._layer import AbstractEquilibriumLayer
from ._autodiff import model_flops
from ._settling import SMOOTH, AbstractSettling


class ImplicitDifferentiation(AbstractSettling):
    r"""The reference for every rule that compares equilibria.

    Where the force $F(s, \theta, x)$ is zero,

    $$\left[\partial_s F\right]^\top\lambda = \left[\partial_s y\right]^\top\bar y,
    \qquad \bar\theta = -\left[\partial_\theta F\right]^\top\lambda, \qquad
    \bar x = -\left[\partial_x F\right]^\top\lambda$$

    No relaxation is unrolled. The model of the layer is taken for the physics. The
    linear system of each example is solved by `lineax`: densely up to `dense_up_to`
    elements of the state, by GMRES above.

    **Raises:** where the iteration stops short, an error that says so.
    **Valid for:** a state that has settled; its residual $F$ enters the error.
    **Error:** rounding, or `rtol` for GMRES.
    """

    claim: ClassVar[Claim] = Exact()
    conditions: ClassVar[Conditions] = Conditions(
        AbstractEquilibriumLayer, required=SMOOTH
    )

    dense_up_to: int = eqx.field(static=True, default=512)
    rtol: float = eqx.field(static=True, default=1e-6)

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
        solve = lambda s, x, y: self._adjoint(layer, s, x, y)  # noqa: E731
        for _ in range(y_bar.ndim - 1):
            solve = jax.vmap(solve)
        adjoint = solve(residuals, x, y_bar)
        arrays, static = eqx.partition(layer, eqx.is_inexact_array)
        _, pullback = jax.vjp(
            lambda arrays, x: eqx.combine(arrays, static).residual(residuals, x),
            arrays,
            x,
        )
        return pullback(jax.tree.map(jnp.negative, adjoint))

    def cost(self, layer: Any, x: Any) -> PhysicalCost:
        return PhysicalCost(runs=0, relaxations=1, flops=3 * model_flops(layer, x))

    def _adjoint(self, layer, state, x, y_bar):
        """One example's $\\lambda$."""
        import lineax as lx

        (source,) = jax.vjp(layer.readout, state)[1](y_bar)
        _, transposed = jax.vjp(lambda s: layer.residual(s, x), state)
        operator = lx.FunctionLinearOperator(
            lambda v: transposed(v)[0], jax.eval_shape(lambda: state)
        )
        size = sum(leaf.size for leaf in jax.tree.leaves(state))
        if size <= self.dense_up_to:
            solver = lx.AutoLinearSolver(well_posed=True)
        else:
            solver = lx.GMRES(rtol=self.rtol, atol=self.rtol)
        return lx.linear_solve(operator, source, solver).value
