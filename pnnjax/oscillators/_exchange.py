"""Exchange between coupled modes: bonds, colors in which they don't meet, rotations."""

import functools
import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer
from jaxtyping import Array, Float

from .._fast_angles import cos_sin
from .._motion import PhaseSpace
from ..integrators import Splitting

Bonds = tuple[tuple[int, int], ...]


def chain_bonds(sites: int) -> Bonds:
    """Each site with the next."""
    return tuple((i, i + 1) for i in range(sites - 1))


def ring_bonds(sites: int) -> Bonds:
    """A chain whose ends are joined; for three sites or more."""
    return (*chain_bonds(sites), (sites - 1, 0))


def grid_bonds(rows: int, columns: int) -> Bonds:
    """Nearest neighbors on a grid whose sites are numbered row by row."""
    across = [(i, i + 1) for i in range(rows * columns) if (i + 1) % columns]
    down = [(i, i + columns) for i in range((rows - 1) * columns)]
    return (*across, *down)


def hypercube_bonds(dimension: int) -> Bonds:
    """Sites whose numbers differ in one binary digit: any two are near each other."""
    return tuple(
        (i, i ^ 1 << digit)
        for digit in range(dimension)
        for i in range(2**dimension)
        if not i >> digit & 1
    )


class Color(NamedTuple):
    """Bonds of which no two have a site in common."""

    bonds: np.ndarray
    """Their numbers."""
    first: np.ndarray
    second: np.ndarray
    """The sites that each of them joins."""
    partner: np.ndarray
    """Of each site; itself, where there is none."""
    bond_of: np.ndarray
    """The number of each site's bond; that after the last one, where there is none."""


@functools.cache
def edge_colors(bonds: Bonds, sites: int) -> tuple[Color, ...]:
    """Each bond gets the first color that neither of its sites has yet."""
    used: list[set[int]] = [set() for _ in range(sites)]
    members: dict[int, list[int]] = {}
    for number, (i, j) in enumerate(bonds):
        color = next(c for c in itertools.count() if c not in used[i] | used[j])
        used[i].add(color)
        used[j].add(color)
        members.setdefault(color, []).append(number)
    return tuple(_color(bonds, sites, members[c]) for c in sorted(members))


def exchange_energy(
    state: PhaseSpace,
    coupling: Float[Array, " bonds"],  # rad/s
    color: Color,
) -> Float[Array, "*batch"]:
    r"""$\sum J_{ij}(\psi_i^*\psi_j + \text{c.c.})$ over the bonds of a color."""
    (q, q_), (p, p_) = (
        (side[color.first], side[color.second]) for side in _by_site(*state)
    )
    overlap = jnp.moveaxis(q * q_ + p * p_, 0, -1)
    return jnp.sum(each(coupling[color.bonds], overlap) * overlap, -1)


def exchange(
    state: PhaseSpace,
    coupling: Float[Array, " bonds"],  # rad/s
    color: Color,
    duration: float,  # s
) -> PhaseSpace:
    r"""The exact flow of `exchange_energy`: $\psi_i \to c\,\psi_i - i s\,\psi_j$.

    $c, s$ are the cosine and sine of $J_{ij}$ times the duration.
    """
    padded = jnp.concatenate([coupling, jnp.zeros(1, coupling.dtype)])
    angle = duration * padded[color.bond_of]
    parts = (each(part, state.position) for part in cos_sin(angle))
    (q, p), (cosine, sine) = _by_site(*state), _by_site(*parts)
    turned = (
        cosine * q + sine * _swapped(p, color),
        cosine * p - sine * _swapped(q, color),
    )
    # Colors that follow each other would be fused, and each found again for the next.
    turned = lax.optimization_barrier(turned)
    return PhaseSpace(*(jnp.moveaxis(side, 0, -1) for side in turned))


def each(
    values: Float[Array, " n"], like: Float[Array, "*batch n"]
) -> Float[Array, "*batch n"]:
    """The same values for every example, in the precision of `like`."""
    return jnp.broadcast_to(values.astype(like.dtype), like.shape)


def index(numbers: Sequence) -> np.ndarray:
    """Numbers of sites or bonds, in a type that every precision of JAX takes."""
    return np.asarray(numbers, np.int32)


def _by_site(*sides: Float[Array, "*batch sites"]) -> list[Float[Array, "sites ..."]]:
    """A row a site, which is fetched at once, where numbers are one by one."""
    return [jnp.moveaxis(side, -1, 0) for side in sides]


def _swapped(
    rows: Float[Array, "sites ..."], color: Color
) -> Float[Array, "sites ..."]:
    """Each site's partner's."""
    fetch = lambda rows: rows[color.partner]  # noqa: E731
    # It is its own inverse and its own transpose. JAX would transpose a fetch into
    # rows that are added one after the other, which takes long.
    return lax.custom_linear_solve(fetch, rows, lambda _, b: fetch(b), symmetric=True)


def check_bonds(bonds: Sequence[tuple[int, int]], sites: int) -> Bonds:
    """The bonds as a tuple of pairs, once they are known to be possible.

    **Raises:** `ValueError` naming the bond that is not, or that is there twice.
    """
    if sites < 1:
        raise ValueError(f"A lattice has at least one site, not {sites}.")
    seen = set()
    for i, j in bonds:
        if not (0 <= i < sites and 0 <= j < sites and i != j):
            raise ValueError(
                f"The bond {(i, j)} does not join two of the {sites} sites, which are "
                f"numbered from 0 to {sites - 1}."
            )
        if frozenset((i, j)) in seen:
            raise ValueError(f"The bond {(i, j)} is given twice: leave one out.")
        seen.add(frozenset((i, j)))
    return tuple((int(i), int(j)) for i, j in bonds)


def bonds_of(
    coupling: Float[Array | np.ndarray, "_ _"],
) -> tuple[Bonds, Float[np.ndarray, " bonds"]]:
    """The entries off the diagonal that are not zero, and their values.

    **Raises:** `ValueError` naming the entries that are not symmetric or not finite.
    """
    matrix = np.asarray(coupling)
    if matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"`coupling` must be square, but is of shape {matrix.shape}.")
    if not np.all(np.isfinite(matrix)):
        i, j = np.argwhere(~np.isfinite(matrix))[0].tolist()
        raise ValueError(f"`coupling[{i}, {j}]` is not finite.")
    if np.any(matrix != matrix.T):
        i, j = np.argwhere(matrix != matrix.T)[0].tolist()
        raise ValueError(
            "`coupling` must be symmetric, or the energy is not real: but "
            f"coupling[{i}, {j}] is {matrix[i, j]}, and coupling[{j}, {i}] is "
            f"{matrix[j, i]}. Their mean {(matrix[i, j] + matrix[j, i]) / 2} would do "
            "for both."
        )
    rows, columns = np.nonzero(np.triu(matrix, 1))
    bonds = tuple(zip(rows.tolist(), columns.tolist(), strict=True))
    return bonds, matrix[rows, columns]


def checked_loss(loss_rate: float) -> float:
    """`loss_rate`, unless it is gain. **Raises:** `ValueError`."""
    if not loss_rate >= 0:
        raise ValueError(
            f"`loss_rate` can't be negative, which is gain, but is {loss_rate} per "
            "second: take 0 for a lossless one."
        )
    return loss_rate


def chosen_sites(
    wanted: Sequence[int] | None, sites: int, name: str
) -> tuple[int, ...]:
    """`wanted`, or all sites. **Raises:** `ValueError` for any that is not there."""
    chosen = tuple(range(sites)) if wanted is None else tuple(map(int, wanted))
    strange = [site for site in chosen if not 0 <= site < sites]
    if strange or not chosen or len(set(chosen)) < len(chosen):
        raise ValueError(
            f"`{name}` must be different sites, from 0 to {sites - 1}, not {chosen}."
        )
    return chosen


def strongest_rate(
    frequency: Float[np.ndarray, " sites"],  # rad/s
    coupling: Float[np.ndarray, " bonds"],  # rad/s
    bonds: Bonds,
) -> float:  # rad/s
    """No eigenfrequency of the linear lattice is larger (Gershgorin)."""
    total = np.abs(frequency)
    for (i, j), strength in zip(bonds, np.abs(coupling), strict=True):
        total[i] += strength
        total[j] += strength
    return float(np.max(total))


def check_turn(
    frequency: Float[Array | np.ndarray, " sites"],  # rad/s
    coupling: Float[Array | np.ndarray, " bonds"],  # rad/s
    bonds: Bonds,
    splitting: Splitting,
) -> None:
    """Refuse a step in which a linear mode may turn by more than half a turn.

    **Raises:** `ValueError` with the longest step.
    """
    if isinstance(frequency, Tracer) or isinstance(coupling, Tracer):
        return
    rate = strongest_rate(np.array(frequency), np.asarray(coupling), bonds)
    if rate * splitting.dt > math.pi:
        raise ValueError(
            f"A step of {splitting.dt:.3g} s is unstable: modes turn at up to "
            f"{rate:.3g} rad/s, so that it must be {math.pi / rate:.3g} s or less. "
            f"Take at least {math.ceil(splitting.duration * rate / math.pi)} steps."
        )


def _color(bonds: Bonds, sites: int, members: list[int]) -> Color:
    first, second = index([bonds[m] for m in members]).reshape(-1, 2).T
    partner, bond_of = index(range(sites)), index([len(bonds)] * sites)
    partner[first], partner[second] = second, first
    bond_of[first] = bond_of[second] = members
    return Color(index(members), first, second, partner, bond_of)
