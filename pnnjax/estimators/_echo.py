"""Echoes: a motion run backwards with an error signal, and what that changes."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact, PyTree

from .._motion import AbstractHamiltonianLayer, PhaseSpace


class Echoes(NamedTuple):
    """Several reversed motions, along a leading axis, and how they are compared."""

    strengths: Float[Array, "..."]
    """Of the error signal in each."""
    weights: Float[Array, "..."]
    """Of each echo of each example, in the sum of $\\partial H/\\partial\\theta$."""
    shares: Float[Array, "..."]
    """With which their states are averaged, to find the forward one; sum 1."""


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
    echo, splitting = _Echo(arrays, static, echoes), layer.splitting
    drive, pull_drive = jax.vjp(lambda a, x: echo.layer(a).drive(x), arrays, x)
    start, pull_start = jax.vjp(lambda a, x: echo.layer(a).initial_state(x), arrays, x)

    def until_read(carry, block):
        drives, y_bar, along = block
        carry = echo.read(carry, y_bar, along)
        return jax.lax.scan(echo.step, carry, drives, splitting.every, reverse=True)

    copies = len(echoes.strengths)
    states = jax.tree.map(lambda s: jnp.stack([s] * copies), final.reversed())
    carry, drive_bars = jax.lax.scan(
        until_read,
        _Carry(states, jax.tree.map(jnp.zeros_like, arrays)),
        (splitting.blocks(drive), y_bar, along),
        splitting.blocks_count,
        reverse=True,
    )
    drive_bar = jax.tree.map(lambda d, b: b.reshape(d.shape), drive, drive_bars)
    start_bar = _start_cotangent(carry.states, echoes, start)
    arrays_bar, x_bar = _add(pull_start(start_bar), pull_drive(drive_bar))
    return _add(carry.bar, arrays_bar), x_bar


class _Carry(NamedTuple):
    states: PhaseSpace
    bar: PyTree


class _Echo(NamedTuple):
    """What the echoes pass."""

    arrays: PyTree
    static: PyTree
    echoes: Echoes

    def layer(self, arrays: PyTree) -> AbstractHamiltonianLayer:
        return eqx.combine(arrays, self.static)

    def read(self, carry: _Carry, y_bar: Array, along: Array) -> _Carry:
        """A time of reading: the error signal, and the sensors' own parameters."""

        def pull(state, strength):
            _, pull_back = jax.vjp(
                lambda a, s: self.layer(a).readout(s.reversed()), self.arrays, state
            )
            slope = pull_back(along)[1]
            return state.kicked(slope, strength), pull_back(y_bar)[0]

        states, bars = jax.vmap(pull)(carry.states, self.echoes.strengths)
        bar = jax.tree.map(lambda b: jnp.tensordot(self.echoes.shares, b, 1), bars)
        return _Carry(states, _add(carry.bar, bar))

    def step(self, carry: _Carry, drive: PyTree) -> tuple[_Carry, PyTree]:
        """One step of all echoes, and the cotangent of its drive."""
        layer = self.layer(self.arrays)
        parts = layer.parts()

        def visit(carry, k, drive, duration):
            (states, bar), drive_bar = carry
            if parts[k].energy is not None:

                def energy(arrays, drive):
                    own = self.layer(arrays).parts()[k].energy
                    values = jax.vmap(lambda s: own(s, drive))(states)
                    return duration * jnp.sum(self.echoes.weights * values)

                found = jax.grad(energy, (0, 1))(self.arrays, drive)
                bar, drive_bar = _add(bar, found[0]), _add(drive_bar, found[1])
            flow = parts[k].flow
            states = jax.vmap(lambda s: flow(s, drive, duration))(states)
            return _Carry(states, bar), drive_bar

        empty = carry, jax.tree.map(jnp.zeros_like, drive)
        return layer.splitting.step(visit, len(parts), empty, drive)


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
