"""Couplings between spins, as a full matrix or as lists of neighbors."""

import abc
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer
from jaxtyping import Array, Float, Inexact, Int

AnyArray = jax.Array | np.ndarray

Move = Callable[
    [Float[Array, "m replicas"], Float[Array, "m replicas"], Int[Array, ""]],
    Float[Array, "m replicas"],
]
"""`(spins, product, start) -> spins`: `product` is $Js$; the first one is `start`."""


class AbstractCouplingMatrix(eqx.Module):
    """A symmetric matrix $J$ with an empty diagonal."""

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
    def squares(self) -> Float[Array, ""]:
        r"""$\sum_{ij} J_{ij}^2$."""

    @abc.abstractmethod
    def in_groups(self) -> tuple["AbstractCouplingMatrix", Int[Array, " n"]]:
        """The couplings of the spins in the order of `visit`, and that order."""

    @abc.abstractmethod
    def visit(
        self, spins: Float[Array, "n replicas"], move: Move
    ) -> Float[Array, "n replicas"]:
        """Let all groups of spins that are not coupled to each other move in turn.

        The replicas are side by side; only for couplings that are `in_groups`.
        """


class DenseCouplingMatrix(AbstractCouplingMatrix):
    """All pairs are coupled: each spin is a group of its own."""

    values: Float[Array, "n n"]

    def __init__(self, values: Float[AnyArray, "n n"]):
        """`values`: the matrix.

        **Raises:** `ValueError` naming the entry, if one is not finite, not that of
        its transpose, or on the diagonal and not zero. Traced values raise at run time.
        """
        self.values = _checked_matrix(values)

    @property
    def size(self) -> int:
        return len(self.values)

    def matrix(self) -> Float[Array, "n n"]:
        return self.values

    def product(self, spins: Inexact[Array, "*batch n"]) -> Inexact[Array, "*batch n"]:
        return spins @ self.values.astype(spins.dtype)

    def squares(self) -> Float[Array, ""]:
        return jnp.sum(self.values**2)

    def in_groups(self) -> tuple["DenseCouplingMatrix", Int[Array, " n"]]:
        return self, jnp.arange(self.size)

    def visit(
        self, spins: Float[Array, "n replicas"], move: Move
    ) -> Float[Array, "n replicas"]:
        values = self.values.astype(spins.dtype)

        def one(spins: Array, i: Array) -> tuple[Array, None]:
            row, spin = (lax.dynamic_slice_in_dim(a, i, 1) for a in (values, spins))
            moved = move(spin, row @ spins, i)
            return lax.dynamic_update_slice_in_dim(spins, moved, i, 0), None

        return lax.scan(one, spins, jnp.arange(self.size))[0]


class SparseCouplingMatrix(AbstractCouplingMatrix):
    """Each spin is coupled to few.

    The spins are sorted into groups none of whose members are coupled. Each group has
    a list of neighbors, padded with couplings of zero.
    """

    neighbors: tuple[Int[Array, "degree members"], ...]
    weights: tuple[Float[Array, "degree members"], ...]
    order: Int[Array, " n"] | None
    place: Int[Array, " n"] | None

    def __init__(
        self,
        n: int,
        edges: Int[AnyArray, "edges 2"],
        weights: Float[AnyArray, " edges"],
    ):
        """Couple the two spins of each row of `edges`, counted from 0.

        The edges must be known when the program is built; the weights may be traced.

        **Raises:** `ValueError` naming the edge, if one leaves the `n` spins, joins a
        spin to itself, is there twice or has no finite weight.
        """
        edges = np.asarray(edges)
        if len(weights) != len(edges):
            raise ValueError(f"{len(edges)} edges can't have {len(weights)} weights.")
        _check_edges(n, edges)
        weights = _finite(weights, edges)
        # Known weights are sorted by NumPy: JAX would compile a program a group.
        xp = jnp if isinstance(weights, Tracer) else np
        weights = xp.concatenate([weights, xp.zeros(1, weights.dtype)])
        groups = independent_groups(n, edges)
        order = np.concatenate(groups)
        place = np.argsort(order).astype(np.int32)
        lists = _neighbor_lists(n, place[edges], [len(group) for group in groups])
        self.neighbors = tuple(jnp.asarray(near) for near, _ in lists)
        self.weights = tuple(jnp.asarray(weights[which]) for _, which in lists)
        self.order, self.place = jnp.asarray(order), jnp.asarray(place)

    @property
    def size(self) -> int:
        return sum(near.shape[1] for near in self.neighbors)

    def matrix(self) -> Float[Array, "n n"]:
        return self.product(jnp.eye(self.size, dtype=self.weights[0].dtype))

    def product(self, spins: Inexact[Array, "*batch n"]) -> Inexact[Array, "*batch n"]:
        # A whole row is fetched for each neighbor, so the batch comes last.
        rows = spins.reshape(-1, spins.shape[-1]).T
        rows = rows if self.order is None else rows[self.order]
        lists = zip(self.neighbors, self.weights, strict=True)
        summed = jnp.concatenate([_sum_neighbors(*pair, rows) for pair in lists])
        summed = summed if self.place is None else summed[self.place]
        return summed.T.reshape(spins.shape)

    def squares(self) -> Float[Array, ""]:
        return jnp.sum(jnp.stack([jnp.sum(weights**2) for weights in self.weights]))

    def in_groups(self) -> tuple["SparseCouplingMatrix", Int[Array, " n"]]:
        if self.order is None:
            return self, jnp.arange(self.size)
        where = lambda this: (this.order, this.place)  # noqa: E731
        return eqx.tree_at(where, self, (None, None)), self.order

    def visit(
        self, spins: Float[Array, "n replicas"], move: Move
    ) -> Float[Array, "n replicas"]:
        start = 0
        for near, weights in zip(self.neighbors, self.weights, strict=True):
            group = spins[start : start + near.shape[1]]
            moved = move(group, _sum_neighbors(near, weights, spins), jnp.int32(start))
            spins = lax.dynamic_update_slice_in_dim(spins, moved, start, 0)
            start += near.shape[1]
        return spins


def independent_groups(
    n: int, edges: Int[np.ndarray, "edges 2"]
) -> list[Int[np.ndarray, " members"]]:
    """The spins, sorted into groups none of whose members share an edge.

    Colors are given greedily, to the spins with most neighbors first (Welsh and Powell,
    *Comput. J.* 10, 85 (1967), doi:10.1093/comjnl/10.1.85). A color is split further
    where a few spins with many neighbors would make all lists of neighbors long.
    """
    near: list[list[int]] = [[] for _ in range(n)]
    for i, j in edges.tolist():
        near[i].append(j)
        near[j].append(i)
    degree = np.array([len(others) for others in near])
    ranked = np.argsort(-degree, kind="stable").astype(np.int32)
    colors = np.full(n, -1)
    for i in ranked.tolist():
        taken = {int(colors[j]) for j in near[i]}
        colors[i] = next(c for c in range(n) if c not in taken)
    groups = []
    for color in range(colors.max() + 1):
        members = ranked[colors[ranked] == color]
        groups += _split_by_degree(members, degree[members])
    return groups


def _checked_matrix(values: Float[AnyArray, "n n"]) -> Float[Array, "n n"]:
    if values.ndim != 2 or values.shape[0] != values.shape[1] or not values.size:
        raise ValueError(f"Couplings are a square matrix, not {values.shape}.")
    if isinstance(values, Tracer):
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


def _finite(weights: Float[AnyArray, " m"], edges: np.ndarray) -> Float[AnyArray, " m"]:
    if isinstance(weights, Tracer):
        message = "The weight of each edge must be finite."
        return eqx.error_if(weights, ~jnp.isfinite(weights).all(), message)
    wrong = ~np.isfinite(np.asarray(weights))
    if wrong.any():
        i = int(np.argmax(wrong))
        raise ValueError(
            f"Edge {i}, {tuple(edges[i].tolist())}, has the weight {weights[i]}."
        )
    return np.asarray(weights)


_STEP_COST = 64
"""What one more neighbor costs a group, beside the members' own, in members."""


def _split_by_degree(members: np.ndarray, degree: np.ndarray) -> list[np.ndarray]:
    """The cheapest cut into parts, where a part costs its largest degree a member."""
    # Dynamic programming from the end; `degree` falls, so a part's first is its largest
    starts = np.flatnonzero(np.diff(degree, prepend=-1))
    ends = [*starts[1:].tolist(), len(degree)]
    best: dict[int, tuple[float, int]] = {len(degree): (0.0, len(degree))}
    for start in reversed(starts.tolist()):
        best[start] = min(
            (max(degree[start], 1) * (end - start + _STEP_COST) + best[end][0], end)
            for end in ends
            if end > start
        )
    cuts, start = [], 0
    while start < len(degree):
        cuts.append(members[start : best[start][1]])
        start = best[start][1]
    return cuts


def _sum_neighbors(
    neighbors: Int[Array, "degree members"],
    weights: Float[Array, "degree members"],
    spins: Inexact[Array, "n replicas"],
) -> Inexact[Array, "members replicas"]:
    def add(total: Array, pair: tuple[Array, Array]) -> tuple[Array, None]:
        rows = spins.at[pair[0]].get(mode="promise_in_bounds")
        return total + pair[1].astype(spins.dtype)[:, None] * rows, None

    empty = jnp.zeros((neighbors.shape[1], spins.shape[1]), spins.dtype)
    return lax.scan(add, empty, (neighbors, weights))[0]


def _neighbor_lists(
    n: int, edges: np.ndarray, sizes: list[int]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each group the neighbors, and which edge leads there; -1 where none does."""
    ends = np.concatenate([edges, edges[:, ::-1]])
    sort = np.argsort(ends[:, 0], kind="stable")
    rows, which = ends[sort, 0], np.tile(np.arange(len(edges)), 2)[sort]
    degree = np.bincount(rows, minlength=n)
    columns = np.arange(len(rows)) - np.repeat(np.cumsum(degree) - degree, degree)
    lists, start = [], 0
    for size in sizes:
        end = start + size
        mine = (rows >= start) & (rows < end)
        shape = (max(1, int(degree[start:end].max())), size)
        near = np.tile(np.arange(start, end, dtype=np.int32), (shape[0], 1))
        edge = np.full(shape, -1)
        near[columns[mine], rows[mine] - start] = ends[sort[mine], 1]
        edge[columns[mine], rows[mine] - start] = which[mine]
        lists.append((near, edge))
        start = end
    return lists
