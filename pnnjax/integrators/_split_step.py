"""Split steps: two parts of a motion, each of them followed exactly, in turn."""

import math
from collections.abc import Callable
from typing import TypeVar

import jax
from jax import lax

from ._splitting import symmetric_stages

S = TypeVar("S")
Flow = Callable[[float], Callable[[S], S]]
"""Takes a fraction of a step, which may be negative; gives what happens in it."""

REMEMBERED = 16
"""Steps up to which everything is kept for the gradient."""


def split_step(
    drift: Flow[S], kick: Flow[S], state: S, steps: int, *, order: int = 2
) -> S:
    r"""The symmetric composition of two exact flows, as `symmetric_stages` has it.

    Drifts of neighboring steps are made in one. For the gradient of more than 16
    steps, about $\sqrt{\text{steps}}$ states are kept, and the rest is computed again:
    prime numbers of steps keep them all.

    **Arguments:** `order` of the error in the length of a step: 2 or 4.
    **Raises:** `ValueError` for another order, or no step at all.
    """
    if steps < 1:
        raise ValueError(f"`steps` is {steps}, but it takes at least 1.")
    (_, first), *stages = symmetric_stages(2, order)
    # What ends a step also begins the next one.
    stages[-1] = (0, stages[-1][1] + first)
    flows = [(drift, kick)[part](fraction) for part, fraction in stages]

    def step(state, _):
        for flow in flows:
            state = flow(state)
        return state, None

    return drift(-first)(_repeat(step, drift(first)(state), steps))


def _repeat(step, state, steps):
    inner = _inner(steps)
    if steps <= REMEMBERED or inner == 1:
        return lax.scan(step, state, length=steps)[0]

    @jax.checkpoint
    def block(state, _):
        return lax.scan(step, state, length=inner)

    return lax.scan(block, state, length=steps // inner)[0]


def _inner(steps: int) -> int:
    """The greatest divisor that is not above the square root."""
    return next(n for n in range(math.isqrt(steps), 0, -1) if steps % n == 0)
