"""Arrays as rows of real numbers that can be turned, each in its own unit."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

Scales = Callable[[PyTree[Array]], PyTree[Float[Array, ""]]]
"""From a tree of arrays, a layer's parameters or an input, to the size of each leaf in
the unit of that leaf, of which perturbations are a small part."""


def own_units(tree: PyTree[Array]) -> PyTree[Float[Array, ""]]:
    """One, in the unit of each array."""
    return jax.tree.map(lambda leaf: jnp.ones((), leaf.real.dtype), tree)


def typical_sizes(tree: PyTree[Array]) -> PyTree[Float[Array, ""]]:
    """The root mean square of each array; one, in its unit, where it is all zero."""

    def size(leaf: Array) -> Array:
        # Squares of SI numbers may leave the range of single precision.
        largest = jnp.max(jnp.abs(leaf), initial=0)
        largest = jnp.where(largest > 0, largest, jnp.ones_like(largest))
        squares = jnp.square(jnp.abs(leaf / largest.astype(leaf.dtype)))
        mean = jnp.where(jnp.any(squares > 0), jnp.mean(squares), 1)
        return largest * jnp.sqrt(mean.astype(largest.dtype))

    return jax.tree.map(size, tree)


def counted(tree: PyTree) -> int:
    """How many real numbers a tree of arrays holds; a complex one counts two."""
    return sum(map(_reals, jax.tree.leaves(tree)))


def moved(
    tree: PyTree[Array], turn: Float[Array, "... count"], scales: Scales
) -> PyTree[Array]:
    """`tree` with its numbers turned so far, in units of their scales.

    `turn` has one row for a whole tree, or one for each row of a single array.
    """
    leaves, structure = jax.tree.flatten(tree)
    sizes = jax.tree.leaves(scales(tree))
    parts = _split(turn, leaves)
    new = [
        leaf + _like(part * size.astype(part.dtype), leaf)
        for leaf, part, size in zip(leaves, parts, sizes, strict=True)
    ]
    return jax.tree.unflatten(structure, new)


def turned_back(
    tree: PyTree[Array], slopes: Float[Array, "... count"], scales: Scales
) -> PyTree[Array]:
    """The cotangent of `tree` whose knobs have these slopes."""
    leaves, structure = jax.tree.flatten(tree)
    sizes = jax.tree.leaves(scales(tree))
    parts = _split(slopes, leaves)
    # The cost changes by Re(bar * change): the imaginary part's slope is -Im(bar).
    bars = [
        jnp.conj(_like(part / size.astype(part.dtype), leaf))
        for leaf, part, size in zip(leaves, parts, sizes, strict=True)
    ]
    return jax.tree.unflatten(structure, bars)


def _reals(leaf: Any) -> int:
    return math.prod(leaf.shape) * (1 + jnp.issubdtype(leaf.dtype, jnp.complexfloating))


def _split(turn: Array, leaves: list[Array]) -> list[Array]:
    """Each leaf's own knobs."""
    rows = math.prod(turn.shape[:-1])
    ends, start = [], 0
    for leaf in leaves:
        stop = start + _reals(leaf) // rows
        ends.append(turn[..., start:stop])
        start = stop
    return ends


def _like(knobs: Array, leaf: Array) -> Array:
    """Real numbers as the entries of a leaf: all real parts of a row come first."""
    if not jnp.iscomplexobj(leaf):
        return knobs.reshape(leaf.shape).astype(leaf.dtype)
    real, imaginary = jnp.split(knobs.astype(leaf.real.dtype), 2, axis=-1)
    return jax.lax.complex(real.reshape(leaf.shape), imaginary.reshape(leaf.shape))
