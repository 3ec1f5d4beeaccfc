"""Echoes: a motion run backwards with an error signal, and what that changes."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact, PyTree

from .._layer import AbstractHamiltonianLayer, PhaseSpace


class Echoes(NamedTuple):
    """Several reversed motions, along a leading axis, and how they are compared."""

    strengths: Float[Array, "..."]
    """Of the error signal in each."""
    weights: Float[Array, "..."]
    """Of each echo of each example, in the sum of $\\partial H/\\partial\\theta$."""
    shares: Float[Array, "..."]
    """With which their states are averaged, to find the forward one; sum 1."""


class _Carry(NamedTuple):
    states: PhaseSpace
    bar: PyTree


def echo_cotangents(
    layer: AbstractHamiltonianLayer,
    x: Inexact[Array, "..."],
    final: PhaseSpace,
    y_bar: Float[Array, "readings *batch outputs"],
    along: Float[Array, "readings *batch outputs"],
    echoes: Echoes,
) -> tuple[PyTree, Inexact[Array, "..."]]:
    r"""The cotangents of the layer and of `x`, from echoes of the `final` state.

    Each echo starts with the momenta reversed, meets the drive in reverse order, and is
    kicked by `strengths` times the Hamiltonian $\sum n\,y$, with $n$ = `along`, when it
    passes a time of reading. No state but the present one is kept.
    """
    arrays, static = eqx.partition(layer, eqx.is_inexact_array)

    def part_of(arrays: PyTree) -> AbstractHamiltonianLayer:
        return eqx.combine(arrays, static)

    drive, pull_drive = jax.vjp(lambda a, x: part_of(a).drive(x), arrays, x)
    start, pull_start = jax.vjp(lambda a, x: part_of(a).initial_state(x), arrays, x)
    splitting, parts = layer.splitting, layer.parts()

    def read(carry: _Carry, y_bar: Array, along: Array) -> _Carry:
        def pull(state, strength):
            _, pull_back = jax.vjp(
                lambda a, s: part_of(a).readout(s.reversed()), arrays, state
            )
            slope = pull_back(along)[1]
            return state.kicked(slope, strength), pull_back(y_bar)[0]

        states, bars = jax.vmap(pull)(carry.states, echoes.strengths)
        bar = jax.tree.map(lambda b: jnp.tensordot(echoes.shares, b, 1), bars)
        return _Carry(states, _add(carry.bar, bar))

    def step(carry: _Carry, drive: PyTree) -> tuple[_Carry, PyTree]:
        def visit(carry, k, drive, duration):
            (states, bar), drive_bar = carry
            if parts[k].energy is not None:

                def energy(arrays, drive):
                    own = part_of(arrays).parts()[k].energy
                    values = jax.vmap(lambda s: own(s, drive))(states)
                    return duration * jnp.sum(echoes.weights * values)

                found = jax.grad(energy, (0, 1))(arrays, drive)
                bar, drive_bar = _add(bar, found[0]), _add(drive_bar, found[1])
            flow = parts[k].flow
            states = jax.vmap(lambda s: flow(s, drive, duration))(states)
            return _Carry(states, bar), drive_bar

        empty = carry, jax.tree.map(jnp.zeros_like, drive)
        return splitting.step(visit, len(parts), empty, drive)

    def until_read(carry, block):
        drives, y_bar, along = block
        carry = read(carry, y_bar, along)
        return jax.lax.scan(step, carry, drives, splitting.every, reverse=True)

    copies = len(echoes.strengths)
    states = jax.tree.map(lambda s: jnp.stack([s] * copies), final.reversed())
    blocks = splitting.blocks(drive), y_bar, along
    carry, drive_bars = jax.lax.scan(
        until_read,
        _Carry(states, jax.tree.map(jnp.zeros_like, arrays)),
        blocks,
        splitting.blocks_count,
        reverse=True,
    )
    start_bar = _start_cotangent(carry.states, echoes, start)
    from_start, from_drive = (
        pull_start(start_bar),
        pull_drive(jax.tree.map(lambda d, b: b.reshape(d.shape), drive, drive_bars)),
    )
    arrays_bar, x_bar = _add(from_start, from_drive)
    return _add(carry.bar, arrays_bar), x_bar


def _start_cotangent(
    states: PhaseSpace, echoes: Echoes, start: PhaseSpace
) -> PhaseSpace:
    r"""$\lambda_q = -\delta p$ and $\lambda_p = -\delta q$ of where the echoes end."""

    def displaced(ends, like):
        spread = echoes.weights.reshape(
            *echoes.weights.shape, *(1,) * (ends.ndim - echoes.weights.ndim)
        )
        return -jnp.sum(spread * ends, 0).astype(like.dtype)

    return PhaseSpace(
        jax.tree.map(displaced, states.momentum, start.position),
        jax.tree.map(displaced, states.position, start.momentum),
    )


def _add(a: Any, b: Any) -> Any:
    return jax.tree.map(jnp.add, a, b)
