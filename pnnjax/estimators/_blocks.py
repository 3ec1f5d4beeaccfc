"""A stack of layers as blocks: a layer that is trained, and what follows it."""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Inexact, PRNGKeyArray, PyTree

from .._estimator import PhysicalCost
from .._frozen import is_trainable
from .._layer import respond
from .._physical import Physical, innermost

Slope = Callable[[Inexact[Array, "..."]], Inexact[Array, "..."]]
"""What takes the place of the activations' derivative, element by element."""


class Stage(NamedTuple):
    """One layer, and the key of its noise."""

    layer: Any
    key: PRNGKeyArray | None

    def __call__(self, x: Array) -> Array:
        return respond(self.layer, x, self.key)


class Block(NamedTuple):
    """A layer with trainable parameters, and those without that come after it."""

    trained: Stage
    after: tuple[Stage, ...]


class Signal(NamedTuple):
    """What is measured at the trained layer of a block."""

    x: Inexact[Array, "..."]
    response: Inexact[Array, "..."]


def blocks_of(
    stack: eqx.nn.Sequential, key: PRNGKeyArray | None
) -> tuple[tuple[Stage, ...], list[Block]]:
    """What comes before the first trained layer, and the blocks.

    **Raises:** `ValueError` if nothing in the stack is trained.
    """
    stages = list(_stages(stack, key))
    starts = [i for i, stage in enumerate(stages) if is_trained(stage.layer)]
    if not starts:
        raise ValueError(
            "No layer of this stack has trainable parameters: see `is_trainable`."
        )
    ends = [*starts[1:], len(stages)]
    blocks = [
        Block(stages[start], tuple(stages[start + 1 : end]))
        for start, end in zip(starts, ends, strict=True)
    ]
    return tuple(stages[: starts[0]]), blocks


def run_blocks(
    stack: eqx.nn.Sequential, x: Inexact[Array, "..."], key: PRNGKeyArray | None
) -> tuple[Inexact[Array, "..."], tuple[Signal, ...]]:
    """What `respond` gives, and the signals at the trained layers on the way."""
    before, blocks = blocks_of(stack, key)
    x, signals = _through(before, x), []
    for block in blocks:
        response = block.trained(x)
        signals.append(Signal(x, response))
        x = _through(block.after, response)
    return x, tuple(signals)


def receivers(
    blocks: list[Block], x: Any, signals: tuple[Signal, ...], slope: Slope | None
) -> list[Any]:
    """Signals to whose shapes errors are sent: `x`, then one of each hidden block.

    Arrays, or their shapes. A block's is its output; with a `slope`, which needs no
    activation, what its trained layer makes.
    """
    hidden = [
        this.response if slope is not None and block.after else following.x
        for block, this, following in zip(blocks, signals, signals[1:])
    ]
    return [x, *hidden]


def delta(
    block: Block,
    signal: Signal,
    error: Inexact[Array, "..."],
    slope: Slope | None,
) -> Inexact[Array, "..."]:
    """The error at the trained layer's output: `error`, back through the activations.

    **Raises:** `TypeError` if they can't be differentiated, `ValueError` if there is a
    `slope`, but `error` has another shape.
    """
    if not block.after:
        return error
    if slope is None:
        try:
            _, pullback = jax.vjp(lambda a: _through(block.after, a), signal.response)
        except TypeError as reason:
            raise TypeError(
                f"What follows `{_name(block)}` in this stack has no derivative "
                f"({reason}) Give a `slope`, which takes its place."
            ) from reason
        return pullback(error)[0]
    if error.shape != signal.response.shape:
        raise ValueError(
            f"The `slope` takes the place of what follows `{_name(block)}`, but that "
            f"turns the shape {signal.response.shape} into {error.shape}: end the "
            "stack with a trained layer, and put what follows it behind the stack."
        )
    return error * slope(signal.response).astype(error.dtype)


def local_cotangent(
    block: Block, signal: Signal, delta: Inexact[Array, "..."]
) -> PyTree[Array]:
    """Of the trained layer's parameters, by its own rule.

    **Raises:** `TypeError` if it can't be differentiated.
    """
    layer, key = block.trained
    trained, rest = eqx.partition(layer, is_trainable(layer))
    try:
        _, pullback = jax.vjp(
            lambda t: respond(eqx.combine(t, rest), signal.x, key), trained
        )
    except TypeError as reason:
        raise TypeError(
            f"`{_name(block)}` has trainable parameters, but no derivative by them "
            f"({reason}) If it is not to be trained, wrap it in `Frozen`."
        ) from reason
    return pullback(delta)[0]


def rebuilt(stack: eqx.nn.Sequential, bars: list[PyTree]) -> PyTree:
    """The blocks' cotangents, in their order, at their places in the stack."""
    return _placed(stack, iter(bars))


def block_cost(stack: eqx.nn.Sequential, x: Any) -> PhysicalCost:
    """Of one run with all signals measured, and of each layer's own rule."""
    y, signals = eqx.filter_eval_shape(run_blocks, stack, x, None)
    _, blocks = blocks_of(stack, None)
    runs, relaxations, measurements, flops = 1, 0, real_size(y), 0
    for block, signal in zip(blocks, signals, strict=True):
        layer = block.trained.layer
        measurements += real_size(signal.x) + real_size(signal.response)
        if isinstance(layer, Physical):
            one = jax.ShapeDtypeStruct(signal.x.shape, signal.x.dtype)
            own = layer.estimator.cost(innermost(layer.layer), one)
            # The stack's run is each layer's forward run.
            runs += max(own.runs - 1, 0)
            relaxations += own.relaxations
            measurements += own.measurements
            flops += own.flops
        else:
            trained = eqx.filter(layer, is_trainable(layer))
            flops += 2 * sum(map(real_size, jax.tree.leaves(trained)))
    return PhysicalCost(runs, relaxations, measurements, flops)


def real_size(signal: Any) -> int:
    """How many real numbers it is."""
    return signal.size * (1 + jnp.issubdtype(signal.dtype, jnp.complexfloating))


def example_size(signal: Any, batch_ndim: int) -> int:
    """How many elements one example has."""
    return math.prod(signal.shape[batch_ndim:])


def is_trained(layer: Any) -> bool:
    """Whether it has trainable parameters."""
    return any(jax.tree.leaves(is_trainable(layer)))


def _stages(stack: eqx.nn.Sequential, key: PRNGKeyArray | None) -> Iterator[Stage]:
    """Inner stacks laid flat, with the keys that `respond` gives their layers."""
    count = len(stack.layers)
    keys = [None] * count if key is None else jax.random.split(key, count)
    for layer, own in zip(stack.layers, keys, strict=True):
        if isinstance(layer, eqx.nn.Sequential):
            yield from _stages(layer, own)
        else:
            yield Stage(layer, own)


def _placed(layer: Any, bars: Iterator[PyTree]) -> PyTree:
    if isinstance(layer, eqx.nn.Sequential):
        inner: list[Any] = [_placed(one, bars) for one in layer.layers]
        return eqx.nn.Sequential(inner)
    return next(bars) if is_trained(layer) else None


def _through(stages: tuple[Stage, ...], x: Array) -> Array:
    for stage in stages:
        x = stage(x)
    return x


def _name(block: Block) -> str:
    return type(block.trained.layer).__name__
