"""Where forces vanish: downhill first, then by Newton's method."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jax.scipy.linalg import cho_solve
from jaxtyping import Array, Float, Inexact, Int

Force = Callable[[Inexact[Array, " free"], Int[Array, ""]], Inexact[Array, " free"]]
"""On a state, at the row of that number."""

MOST_STEPS = 200


def settle_newton(
    force: Force,  # m, over a stiffness
    state: Inexact[Array, "rows free"],  # m
) -> Inexact[Array, "rows free"]:  # m
    """Where `force` vanishes, from `state` by Newton's method, row by row.

    **Raises:** at run time, if the iteration does not converge.
    """
    import optimistix as optx

    is_complex = jnp.iscomplexobj(state)
    tolerance = float(jnp.finfo(state.dtype).eps) ** 0.75

    def split(s):
        return (s.real, s.imag) if is_complex else (s,)

    def solve(row, s):
        solution = optx.root_find(
            lambda parts, row: split(force(_joined(parts), row)),
            optx.Newton(rtol=tolerance, atol=tolerance),
            split(s),
            args=row,
            max_steps=64,
            throw=False,
        )
        return _joined(solution.value), solution.result == optx.RESULTS.successful

    end, found = jax.vmap(solve)(jnp.arange(len(state)), state)
    return eqx.error_if(
        end,
        ~found,
        "Newton's method found no equilibrium of the springs: load them less, or take "
        "`linearized=True`.",
    )


def downhill(
    force: Force,  # N
    state: Float[Array, "rows free"],  # m
    reach: Float[Array, ""],  # m
) -> Float[Array, "rows free"]:  # m
    r"""Near the equilibrium to which the energy falls from `state`, row by row.

    Where the stiffness $K = -\partial F/\partial s$ is positive, a step is Newton's,
    $K^{-1}F$, cut to the length of the `reach` $d$. Elsewhere it is $(K + \mu)^{-1}F$,
    with $\mu = -1.1\lambda + |F|/d$ for the least eigenvalue $\lambda$: not longer than
    $d$ either. It ends where Newton's is shorter than $d/100$. Nothing is
    differentiated.

    **Source:** Ueda and Yamashita, *A Regularized Newton Method without Line Search for
    Unconstrained Optimization*, Kyoto University, Technical Report 2009-007.
    """
    rows = jnp.arange(len(state))

    def advance(carry):
        s, far, count = carry
        stiffness = -jax.vmap(jax.jacfwd(force))(s, rows)
        pull = jax.vmap(force)(s, rows)
        factor = jnp.linalg.cholesky(stiffness)
        stable = jnp.all(jnp.isfinite(factor), (1, 2))
        newton = jax.vmap(lambda low, f: cho_solve((low, True), f))(factor, pull)
        length = jnp.linalg.norm(newton, axis=1, keepdims=True)
        step = newton * jnp.minimum(1, reach / jnp.maximum(length, reach / 100))
        step = lax.cond(
            jnp.all(stable),
            lambda: step,
            lambda: jnp.where(
                stable[:, None],
                step,
                jax.vmap(_softened, (0, 0, None))(stiffness, pull, reach),
            ),
        )
        near = stable & (length[:, 0] <= reach / 100)
        return s + jnp.where(far[:, None], step, 0), far & ~near, count + 1

    start = state, jnp.ones(len(state), bool), jnp.asarray(0)
    return lax.while_loop(
        lambda c: jnp.any(c[1]) & (c[2] < MOST_STEPS), advance, start
    )[0]


def _softened(stiffness, pull, reach):
    lowest, size = jnp.linalg.eigvalsh(stiffness)[0], jnp.linalg.norm(pull)
    added = size / reach - 1.1 * lowest
    return jnp.linalg.solve(
        stiffness + added * jnp.eye(len(pull), dtype=pull.dtype), pull
    )


def _joined(parts):
    return lax.complex(*parts) if len(parts) == 2 else parts[0]
