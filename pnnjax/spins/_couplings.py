"""Couplings between spins, as a full matrix or as lists of neighbors."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact, Int

AnyArray = jax.Array | np.ndarray


class AbstractCouplings(eqx.Module):
    """A symmetric matrix $J$ with an empty diagonal.

    The spins are partitioned into groups none of whose members are coupled: `order`
    lists the spins group by group, `groups` says how many are in each.
    """

    order: eqx.AbstractVar[Int[Array, " n"]]
    groups: eqx.AbstractVar[tuple[int, ...]]

    @property
    @abc.abstractmethod
    def size(self) -> int:
        """How many spins."""

    @abc.abstractmethod
    def matrix(self) -> Float[Array, "n n"]:
        """All of $J$."""

    @abc.abstractmethod
    def product(self, spins: Inexact[Array, "*batch n"]) -> Inexact[Array, "*batch n"]:
        """$Js$."""

    @abc.abstractmethod
    def rows_product(
        self, rows: Int[Array, " m"], spins: Float[Array, "n replicas"]
    ) -> Float[Array, "m replicas"]:
        """The rows `rows` of $Js$, for replicas side by side."""


class DenseCouplings(AbstractCouplings):
    """All pairs are coupled: each spin is a group of its own."""

    values: Float[Array, "n n"]
    order: Int[Array, " n"]
    groups: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, values: Float[AnyArray, "n n"]):
        """`values`: the matrix.

        **Raises:** `ValueError` naming the entry, if one is not finite, not that of
        its transpose, or on the diagonal and not zero. Traced values raise at run time.
        """
        self.values = _checked_matrix(values)
        self.order = jnp.arange(len(self.values))
        self.groups = (1,) * len(self.values)

    @property
    def size(self) -> int:
        return len(self.values)

    def matrix(self) -> Float[Array, "n n"]:
        return self.values

    def product(self, spins: Inexact[Array, "*batch n"]) -> Inexact[Array, "*batch n"]:
        return spins @ self.values.astype(spins.dtype)

    def rows_product(
        self, rows: Int[Array, " m"], spins: Float[Array, "n replicas"]
    ) -> Float[Array, "m replicas"]:
        return self.values[rows] @ spins


class SparseCouplings(AbstractCouplings):
    """Each spin is coupled to few: its neighbors, padded with itself at no weight."""

    neighbors: Int[Array, "n degree"]
    weights: Float[Array, "n degree"]
    order: Int[Array, " n"]
    groups: tuple[int, ...] = eqx.field(static=True)

    def __init__(
        self,
        n: int,
        edges: Int[AnyArray, "edges 2"],
        weights: Float[AnyArray, " edges"],
    ):
        """Couple the two spins of each row of `edges`, counted from 0.

        **Raises:** `ValueError` naming the edge, if one leaves the `n` spins, joins a
        spin to itself, is there twice or has no finite weight.
        """
        edges = np.asarray(edges)
        _check_edges(n, edges)
        self.neighbors, entries = _neighbor_lists(n, edges)
        padded = jnp.concatenate([_finite(weights, edges), jnp.zeros_like(weights[:1])])
        self.weights = padded[entries]
        colors = _greedy_coloring(n, edges)
        self.order = jnp.asarray(np.argsort(colors, kind="stable").astype(np.int32))
        self.groups = tuple(int(count) for count in np.bincount(colors))

    @property
    def size(self) -> int:
        return len(self.neighbors)

    def matrix(self) -> Float[Array, "n n"]:
        rows = jnp.arange(self.size)[:, None]
        empty = jnp.zeros((self.size, self.size), self.weights.dtype)
        return empty.at[rows, self.neighbors].add(self.weights)

    def product(self, spins: Inexact[Array, "*batch n"]) -> Inexact[Array, "*batch n"]:
        picked = spins[..., self.neighbors]
        return jnp.einsum("...nd,nd->...n", picked, self.weights.astype(spins.dtype))

    def rows_product(
        self, rows: Int[Array, " m"], spins: Float[Array, "n replicas"]
    ) -> Float[Array, "m replicas"]:
        picked = spins[self.neighbors[rows]]
        return jnp.einsum("mdr,md->mr", picked, self.weights[rows])


def _checked_matrix(values: Float[AnyArray, "n n"]) -> Float[Array, "n n"]:
    if values.ndim != 2 or values.shape[0] != values.shape[1] or not values.size:
        raise ValueError(f"Couplings are a square matrix, not {values.shape}.")
    if isinstance(values, jax.core.Tracer):
        wrong = (values != values.T) | (jnp.eye(len(values)) * values != 0)
        return eqx.error_if(
            jnp.asarray(values),
            jnp.any(wrong),
            "Couplings must be finite and symmetric with an empty diagonal.",
        )
    matrix = np.asarray(values)
    for wrong, why in (
        (~np.isfinite(matrix), "is not finite"),
        (matrix != matrix.T, "differs from its transpose; use (J + J.T) / 2"),
        (np.diag(np.diag(matrix)) != 0, "couples a spin to itself; set it to 0"),
    ):
        if wrong.any():
            i, j = (int(k) for k in np.argwhere(wrong)[0])
            raise ValueError(
                f"The coupling J[{i}, {j}] = {matrix[i, j]:g} {why}"
                f" (J[{j}, {i}] = {matrix[j, i]:g}; {wrong.sum()} such entries)."
            )
    return jnp.asarray(values)


def _check_edges(n: int, edges: np.ndarray) -> None:
    if n < 1:
        raise ValueError(f"There must be at least one spin, not {n}.")
    low, high = edges.min(axis=1, initial=0), edges.max(axis=1, initial=0)
    keys = np.minimum(*edges.T) * n + np.maximum(*edges.T)
    first = np.zeros(len(edges), bool)
    first[np.unique(keys, return_index=True)[1]] = True
    for wrong, why in (
        ((low < 0) | (high >= n), f"leaves the spins 0 to {n - 1}"),
        (edges[:, 0] == edges[:, 1], "joins a spin to itself"),
        (~first, "is there twice"),
    ):
        if wrong.any():
            i = int(np.argmax(wrong))
            raise ValueError(f"Edge {i}, {tuple(edges[i].tolist())}, {why}.")


def _finite(weights: Float[AnyArray, " m"], edges: np.ndarray) -> Float[Array, " m"]:
    if isinstance(weights, jax.core.Tracer):
        message = "The weight of each edge must be finite."
        return eqx.error_if(weights, ~jnp.isfinite(weights).all(), message)
    wrong = ~np.isfinite(np.asarray(weights))
    if wrong.any():
        i = int(np.argmax(wrong))
        raise ValueError(
            f"Edge {i}, {tuple(edges[i].tolist())}, has the weight {weights[i]}."
        )
    return jnp.asarray(weights)


def _neighbor_lists(n: int, edges: np.ndarray) -> tuple[Array, np.ndarray]:
    """For each spin its neighbors, and which edge leads there; `m` where none does."""
    ends = np.concatenate([edges, edges[:, ::-1]])
    which = np.tile(np.arange(len(edges)), 2)
    sort = np.argsort(ends[:, 0], kind="stable")
    rows = ends[sort, 0]
    degree = np.bincount(rows, minlength=n)
    columns = np.arange(len(rows)) - np.repeat(np.cumsum(degree) - degree, degree)
    shape = (n, max(1, int(degree.max(initial=0))))
    neighbors = np.tile(np.arange(n, dtype=np.int32)[:, None], (1, shape[1]))
    entries = np.full(shape, len(edges), np.int32)
    neighbors[rows, columns] = ends[sort, 1]
    entries[rows, columns] = which[sort]
    return jnp.asarray(neighbors), entries


def _greedy_coloring(n: int, edges: np.ndarray) -> np.ndarray:
    """A color for each spin that no neighbor has; those with most neighbors first."""
    near: list[list[int]] = [[] for _ in range(n)]
    for i, j in edges.tolist():
        near[i].append(j)
        near[j].append(i)
    colors = np.full(n, -1)
    for i in sorted(range(n), key=lambda i: -len(near[i])):
        taken = {int(colors[j]) for j in near[i]}
        colors[i] = next(c for c in range(n) if c not in taken)
    return colors
