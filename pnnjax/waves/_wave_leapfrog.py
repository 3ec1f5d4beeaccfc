"""Leapfrog steps of a scalar field on a grid, and their adjoint within little memory.

A field is kept as one long row, `"batch cells"`: the rows of the grid end to end, with
a dark cell after each and a dark row before the first and after the last. So every
neighbor is at a constant offset, and the loops over cells need no case distinction.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, PyTree

Update = Callable[[PyTree, Array, Array, Array], Array]
"""`(coefficients, field, previous, laplacian) -> next`, cell by cell.

It must be zero where field, previous and coefficients are: in the dark cells.
"""


class Grid(NamedTuple):
    """How cells are laid out, where waves are fed in and where they are recorded."""

    shape: tuple[int, int]
    sources: tuple[tuple[int, int], ...]
    probes: tuple[tuple[int, int], ...]

    @property
    def width(self) -> int:
        """From a cell to the one below it."""
        return self.shape[1] + 1

    @property
    def inside(self) -> slice:
        """All but the dark rows."""
        return slice(self.width, self.width * (self.shape[0] + 1))

    def flat(self, field: Float[Array, "*batch ny nx"]) -> Float[Array, "*batch cells"]:
        """Rows end to end."""
        margins = [(0, 0)] * (field.ndim - 2) + [(1, 1), (0, 1)]
        return jnp.pad(field, margins).reshape(*field.shape[:-2], -1)

    def square(
        self, field: Float[Array, "*batch cells"]
    ) -> Float[Array, "*batch ny nx"]:
        """The grid again."""
        rows = field.reshape(*field.shape[:-1], self.shape[0] + 2, self.width)
        return rows[..., 1:-1, :-1]

    def places(self, cells: tuple[tuple[int, int], ...]) -> Int[np.ndarray, " n"]:
        """Where they are in the long row."""
        return np.asarray([(y + 1) * self.width + x for y, x in cells], np.int32)

    def inner(self, tree: Any) -> Any:
        """Every field of a tree without the dark rows."""
        return jax.tree.map(lambda field: field[..., self.inside], tree)

    def wide(self, inner: Float[Array, "*batch lit"]) -> Float[Array, "*batch cells"]:
        """With the dark rows again."""
        # Not `jnp.pad`, which the compiler makes a branch in each cell of.
        dark = jnp.zeros((*inner.shape[:-1], self.width), inner.dtype)
        return jnp.concatenate([dark, inner, dark], axis=-1)

    def laplacian(
        self, field: Float[Array, "*batch cells"]
    ) -> Float[Array, "*batch lit"]:
        """Sum over the four neighbors, less four times the cell itself."""
        low, high = self.inside.start, self.inside.stop

        def neighbor(offset):
            return field[..., low + offset : high + offset]

        across = neighbor(1) + neighbor(-1)
        return across + neighbor(self.width) + neighbor(-self.width) - 4 * neighbor(0)


State = tuple[Float[Array, "batch cells"], Float[Array, "batch cells"]]
"""The field, and that of one step before."""


def leapfrog(
    update: Update,
    grid: Grid,
    coefficients: PyTree[Float[Array, "1 cells"]],
    state: State,
    drive: Float[Array, "time batch sources"],
) -> tuple[State, Float[Array, "time batch probes"]]:
    """As many steps as `drive` has times: the final state, and the field at the probes.

    `drive` is added to the next field at the sources.

    **Error:** the derivative is exact, and needs $O(\\sqrt{T})$ fields: those between
    which a segment of $\\sqrt{2T}$ steps lies, and those of one segment, computed anew.
    """
    time = drive.shape[0]
    length = segment_length(time)
    count, rest = divmod(time, length)

    def segment(state, drive):
        return _segment((coefficients, state, drive), update, grid)

    state, first = segment(state, drive[:rest]) if rest else (state, None)
    pieces = drive[rest:].reshape(count, length, *drive.shape[1:])
    state, seen = lax.scan(segment, state, pieces)
    seen = seen.reshape(count * length, *seen.shape[2:])
    return state, seen if first is None else jnp.concatenate([first, seen])


def segment_length(time: int) -> int:
    """About sqrt(2 time); if it can be, even and without a rest."""
    best = math.sqrt(2 * time)
    near = range(max(1, round(0.6 * best)), min(time, round(1.7 * best)) + 1)
    exact = [n for n in near if time % n == 0]
    return min(exact or near, key=lambda n: (n % 2, abs(n - best)))


@eqx.filter_custom_vjp
def _segment(operands, update, grid):
    coefficients, state, drive = operands

    def body(state, now):
        state = _step(update, grid, coefficients, state, now)
        return state, state[0][:, grid.places(grid.probes)]

    return _scan(body, state, drive)


@_segment.def_fwd
def _(perturbed, operands, update, grid):
    del perturbed
    return _segment(operands, update, grid), operands


@_segment.def_bwd
def _(operands, cotangent, perturbed, _, update, grid):
    """The adjoint of a leapfrog step is one too, back in time: $L$ is symmetric."""
    coefficients, start, drive = operands
    (field_bar, previous_bar), seen_bar = cotangent

    def forth(state, now):
        return _step(update, grid, coefficients, state, now), state[0]

    _, fields = _scan(forth, start, drive)
    before = jnp.concatenate([start[1][None], fields[:-1]])

    def pull(coefficients, field, previous, laplacian, bar):
        trained, fixed = eqx.partition(coefficients, perturbed[0])
        # One for each example: sums over examples within the loop are slower.
        each = jax.tree.map(lambda c: jnp.broadcast_to(c, field.shape), trained)

        def pointwise(each, field, previous, laplacian):
            return update(eqx.combine(each, fixed), field, previous, laplacian)

        return jax.vjp(pointwise, each, field, previous, laplacian)[1](bar)

    def back(carry, operands):
        bar, previous_bar, sums = carry
        (field, previous), seen_bar = operands
        if seen_bar is not None:
            bar = _added(bar, grid.places(grid.probes), seen_bar)

        curved = grid.laplacian(field)
        # Only what is sent to the neighbors is needed in the dark rows too.
        *_, sent = pull(coefficients, field, previous, grid.wide(curved), bar)
        places = grid.inner(coefficients), grid.inner(field), grid.inner(previous)
        own, here, earlier, _ = pull(*places, curved, grid.inner(bar))
        carry = (
            grid.wide(previous_bar + here + grid.laplacian(sent)),
            earlier,
            jax.tree.map(jnp.add, sums, own),
        )
        return carry, bar[:, grid.places(grid.sources)]

    zeros = jnp.zeros_like(start[0])
    bars = [zeros if bar is None else bar for bar in (field_bar, previous_bar)]
    trained = eqx.filter(coefficients, perturbed[0])
    sums = jax.tree.map(lambda _: grid.inner(zeros), trained)
    carry = (bars[0], grid.inner(bars[1]), sums)
    carry, drive_bar = _scan(back, carry, ((fields, before), seen_bar), reverse=True)
    sums = jax.tree.map(
        lambda s: grid.wide(jnp.sum(s, axis=0, keepdims=True)), carry[2]
    )
    return sums, (carry[0], grid.wide(carry[1])), drive_bar


def _step(update, grid, coefficients, state, now):
    field, previous = state
    places = grid.inner(coefficients), grid.inner(field), grid.inner(previous)
    after = grid.wide(update(*places, grid.laplacian(field)))
    return _added(after, grid.places(grid.sources), now), field


def _added(field, places, amounts):
    # Place by place in the field's own memory, where a scatter would copy it.
    for i, place in enumerate(places):
        there = field[:, place : place + 1] + amounts[:, i : i + 1]
        field = lax.dynamic_update_slice(field, there, (0, int(place)))
    return field


def _scan(body, carry, operands, reverse=False):
    # Two at a time: after two steps the fields are in each other's memory again, where
    # after one they would be copied.
    return lax.scan(body, carry, operands, reverse=reverse, unroll=2)
