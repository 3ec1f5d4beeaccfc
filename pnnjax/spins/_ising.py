"""Ising spins: two-valued, coupled in pairs, each in a field."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer
from jaxtyping import Array, Float, Inexact, Int, Shaped

from ._coupling_matrix import (
    AbstractCouplingMatrix,
    DenseCouplingMatrix,
    SparseCouplingMatrix,
)

AnyArray = jax.Array | np.ndarray

SpinUpdate = Callable[
    [Float[Array, "m replicas"], Float[Array, "m replicas"], Shaped[Array, "m ..."]],
    Float[Array, "m replicas"],
]
"""`(spins, local_field, draws) -> spins`, of spins that are not coupled."""


def ising_energy(
    spins: Inexact[Array, "*batch n"],
    couplings: Float[Array, "n n"],
    field: Float[Array, " n"],
) -> Inexact[Array, "*batch"]:
    r"""$E = -\tfrac12 s^\top J s - h^\top s$, dimensionless.

    **Arguments:** `couplings`: $J$, symmetric with an empty diagonal; `field`: $h$.
    """
    mean_field = 0.5 * (spins @ couplings.astype(spins.dtype))
    return -jnp.sum(spins * (mean_field + _lifted(field, spins)), axis=-1)


class IsingProblem(eqx.Module):
    r"""Spins $s_i = \pm1$ with the energy $E = -\tfrac12 s^\top J s - h^\top s$.

    Differentiable in the couplings and the field.
    """

    couplings: AbstractCouplingMatrix
    field: Float[Array, " n"]

    def __init__(
        self,
        couplings: Float[AnyArray, "n n"] | AbstractCouplingMatrix,
        field: Float[AnyArray, " n"] | None = None,
    ):
        """`couplings`: $J$, symmetric with an empty diagonal; `field`: $h$, or none.

        **Raises:** `ValueError` naming the culprit, if an entry of $J$ is not finite,
        not that of its transpose, or on the diagonal and not zero, or if a field is not
        finite or one is missing. Traced values raise at run time.
        """
        if not isinstance(couplings, AbstractCouplingMatrix):
            couplings = DenseCouplingMatrix(couplings)
        self.couplings = couplings
        self.field = _checked_field(field, couplings)

    @classmethod
    def from_edges(
        cls,
        n: int,
        edges: Int[AnyArray, "edges 2"],
        weights: Float[AnyArray, " edges"],
        field: Float[AnyArray, " n"] | None = None,
    ) -> "IsingProblem":
        """Spins few of which are coupled: `edges` names them in pairs, from 0 on.

        The weight of an edge is the coupling of its spins. The edges must be known
        when the program is built; the weights may be traced.

        **Raises:** `ValueError` naming the edge, if one leaves the `n` spins, joins a
        spin to itself, is there twice or has no finite weight.
        """
        return cls(SparseCouplingMatrix(n, edges, weights), field)

    @property
    def size(self) -> int:
        """How many spins."""
        return self.couplings.size

    def local_field(
        self, spins: Inexact[Array, "*batch n"]
    ) -> Inexact[Array, "*batch n"]:
        """$Js + h$: flipping spin $i$ costs the energy $2 s_i (Js + h)_i$."""
        return self.couplings.product(spins) + _lifted(self.field, spins)

    def energy(self, spins: Inexact[Array, "*batch n"]) -> Inexact[Array, "*batch"]:
        """The energy of each configuration."""
        mean_field = 0.5 * self.couplings.product(spins)
        return -jnp.sum(spins * (mean_field + _lifted(self.field, spins)), axis=-1)

    def sweep(
        self,
        spins: Float[Array, "n replicas"],
        update: SpinUpdate,
        draws: Shaped[Array, "n ..."],
    ) -> Float[Array, "n replicas"]:
        """Give each spin the chance to follow `update` once, replicas side by side.

        Spins that are not coupled to each other move at once, group by group, each in
        the field that the others have by then: as one after the other.

        **Arguments:** `draws`: a row for each spin, for `update` to use, such as random
        numbers.
        """

        couplings, order = self.couplings.in_groups()
        if couplings is not self.couplings:
            problem, order = self.in_groups()
            moved = problem.sweep(spins[order], update, draws[order])
            return moved[jnp.argsort(order)]

        def move(spins: Array, product: Array, start: Array) -> Array:
            count = spins.shape[0]
            field = lax.dynamic_slice_in_dim(self.field, start, count)
            own = lax.dynamic_slice_in_dim(draws, start, count)
            return update(spins, product + _lifted(field, spins.T).T, own)

        return self.couplings.visit(spins, move)

    def in_groups(self) -> tuple["IsingProblem", Int[Array, " n"]]:
        """The same problem with its spins in the order in which a sweep visits them.

        **Returns:** it, and that order: its spin `i` is the one that was `order[i]`.
        Many sweeps are faster there.
        """
        couplings, order = self.couplings.in_groups()
        where = lambda problem: (problem.couplings, problem.field)  # noqa: E731
        return eqx.tree_at(where, self, (couplings, self.field[order])), order


def _lifted(field: Float[Array, " n"], spins: Inexact[Array, "*batch n"]) -> Array:
    lead = (1,) * (spins.ndim - 1)
    return field.astype(spins.dtype).reshape(*lead, -1)


def _checked_field(
    field: Float[AnyArray, " n"] | None, couplings: AbstractCouplingMatrix
) -> Float[Array, " n"]:
    dtype = jax.eval_shape(couplings.matrix).dtype
    if field is None:
        return jnp.zeros(couplings.size, dtype)
    if field.shape != (couplings.size,):
        raise ValueError(
            f"The field has shape {field.shape}, but there are {couplings.size} spins."
        )
    if isinstance(field, Tracer):
        message = "The field of each spin must be finite."
        return eqx.error_if(field, ~jnp.isfinite(field).all(), message)
    wrong = ~np.isfinite(np.asarray(field))
    if wrong.any():
        i = int(np.argmax(wrong))
        raise ValueError(f"The field of spin {i} is {field[i]}.")
    return jnp.asarray(field, dtype)
