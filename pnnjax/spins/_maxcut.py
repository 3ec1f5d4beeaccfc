"""MaxCut: part the nodes of a graph so that much weight is between the parts."""

from typing import NamedTuple, Protocol, runtime_checkable

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from ._ising import IsingProblem
from ._solver import AbstractIsingSolver


@runtime_checkable
class AbstractGraph(Protocol):
    """Anything with these: a `pnnjax.data.Graph`, for one."""

    @property
    def n(self) -> int: ...
    @property
    def edges(self) -> Int[np.ndarray, "edges 2"]: ...
    @property
    def weights(self) -> Float[np.ndarray, " edges"]: ...


class Cut(NamedTuple):
    """A partition of a graph."""

    value: Float[Array, ""]
    """The weight of the edges between the two parts."""
    spins: Float[Array, " n"]
    """In which part each node is: -1 or 1."""


def cut_value(
    graph: AbstractGraph, spins: Float[Array, "*batch n"]
) -> Float[Array, "*batch"]:
    r"""$\tfrac12 \sum_{(i, j)} w_{ij} (1 - s_i s_j)$, summed over the edges."""
    weights = jnp.asarray(graph.weights, spins.dtype)
    first, second = graph.edges.T
    return 0.5 * ((1 - spins[..., first] * spins[..., second]) @ weights)


def maxcut_problem(graph: AbstractGraph) -> IsingProblem:
    """Couplings $J = -w$: the cut is half of the total weight, less half of $E$."""
    return IsingProblem.from_edges(graph.n, graph.edges, -graph.weights)


def maxcut(
    graph: AbstractGraph,
    solver: AbstractIsingSolver,
    *,
    key: PRNGKeyArray,
    replicas: int = 64,
) -> Cut:
    """The best cut among the ends of `replicas` runs of the solver."""
    problem = maxcut_problem(graph)
    spins = _solve(solver, problem, key, replicas)
    values = cut_value(graph, spins)
    best = jnp.argmax(values)
    return Cut(values[best], spins[best])


@eqx.filter_jit
def _solve(
    solver: AbstractIsingSolver, problem: IsingProblem, key: PRNGKeyArray, replicas: int
) -> Array:
    return solver(problem, key=key, replicas=replicas)
