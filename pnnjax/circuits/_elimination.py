"""Networks of resistors alone: solved, and seen from some of their nodes."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Inexact


def eliminated(
    matrix: Float[Array, "nodes nodes"],  # S
    force: Inexact[Array, "*batch nodes"],  # A
    inside: Bool[np.ndarray, " nodes"],
) -> tuple[Float[Array, "kept kept"], Inexact[Array, "*batch kept"], Callable]:
    r"""What the other nodes see of a network of which some lie `inside`.

    With $o$ for the others, $K' = K_{oo} - K_{oi} K_{ii}^{-1} K_{io}$ and
    $b' = b_o - K_{oi} K_{ii}^{-1} b_i$. One factorization serves a whole batch.

    **Returns:** $K'$, $b'$, and the function from the others' voltages to those of all.
    **Source:** Kron, *Tensor Analysis of Networks* (1939); Dörfler, Bullo, *IEEE Trans.
    Circuits Syst. I* 60, 150 (2013), doi:10.1109/TCSI.2012.2215780.
    """
    i, o = np.flatnonzero(inside), np.flatnonzero(~inside)
    between, within = matrix[i][:, o], matrix[i][:, i]
    pulled = solve_columns(within, between)
    drawn = apply_matrix(pulled.T, force[..., i])
    alone = solve(within, force[..., i])
    order = np.argsort(np.concatenate([i, o]))

    def restored(voltage: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        voltages = alone - apply_matrix(pulled, voltage), voltage
        return jnp.concatenate(voltages, -1)[..., order]

    return matrix[o][:, o] - between.T @ pulled, force[..., o] - drawn, restored


def solve(
    matrix: Inexact[Array, "..."], force: Inexact[Array, "..."]
) -> Inexact[Array, "..."]:
    """By one factorization for the batch if it shares the matrix, else one for each."""
    if jnp.iscomplexobj(matrix):
        return jnp.linalg.solve(matrix, force[..., None])[..., 0]
    if jnp.iscomplexobj(force):
        return lax.complex(solve(matrix, force.real), solve(matrix, force.imag))
    if matrix.ndim == 2:
        columns = force.reshape(-1, force.shape[-1]).T
        return solve_columns(matrix, columns).T.reshape(force.shape)
    return solve_columns(matrix, force[..., None])[..., 0]


def solve_columns(
    matrix: Float[Array, "..."], columns: Float[Array, "..."]
) -> Float[Array, "..."]:
    """The same for several columns at once, of a real matrix."""
    if matrix.ndim == 2:
        return jax.scipy.linalg.solve(matrix, columns, assume_a="pos")
    return solve_by_factor(jnp.linalg.cholesky(matrix), columns)


def solve_by_factor(
    factor: Float[Array, "..."], columns: Float[Array, "..."]
) -> Float[Array, "..."]:
    """For the Cholesky factor of a matrix, the lower triangle."""
    solve = partial(lax.linalg.triangular_solve, factor, left_side=True, lower=True)
    return solve(solve(columns), transpose_a=True)


def apply_matrix(
    matrix: Inexact[Array, "..."], vector: Inexact[Array, "..."]
) -> Inexact[Array, "..."]:
    """To the last axis, of a matrix that may be that of each example."""
    if jnp.iscomplexobj(vector):
        matrix = matrix.astype(vector.dtype)
    return jnp.einsum("...ij,...j->...i", matrix, vector)
