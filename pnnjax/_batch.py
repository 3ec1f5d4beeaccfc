"""The batch rule: under `jax.vmap`, custom physics sees the whole batch at once."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_batching import custom_vmap
from jaxtyping import Array, PRNGKeyArray, PyTree

Forward = Callable[[Any, Any, PRNGKeyArray | None], tuple[Any, PyTree[Array]]]
Backward = Callable[
    [Any, Any, PyTree[Array], Any, PRNGKeyArray | None], tuple[PyTree, Any]
]


def physical_vjp(
    forward: Forward, backward: Backward
) -> Callable[[Any, Any, PRNGKeyArray | None], Any]:
    """A function of `(parameters, x, key)` that has its own derivative and batch rule.

    **Arguments:** `forward(parameters, x, key) -> (y, residuals)` and
    `backward(parameters, x, residuals, y_bar, key) -> (parameters_bar, x_bar)`. Both
    take any leading axes as one batch, and `parameters_bar` comes summed over them.
    A `None` in it is a zero. Neither may close over traced arrays.

    **Returns:** the function. Under `jax.vmap`, `forward` and `backward` each run once
    for the whole batch, with the examples' keys folded into one. Where `parameters`
    are batched too, as in a sweep, they run once for each point of the sweep.

    **Raises:** `NotImplementedError` when traced for per-example parameter gradients,
    `vmap(grad(...))`, of parameters that are shared: the batch has one gradient.
    """

    def call(parameters: Any, x: Any, key: PRNGKeyArray | None) -> Any:
        trained, rest = eqx.partition(parameters, eqx.is_inexact_array)
        fixed, static = eqx.partition(rest, eqx.is_array)

        def run_forward(arrays, operands, key):
            (x,) = operands
            return forward(eqx.combine(*arrays, static), x, key)

        def run_backward(arrays, operands, key):
            x, residuals, y_bar = operands
            whole = eqx.combine(*arrays, static)
            bar, x_bar = backward(whole, x, residuals, y_bar, key)
            return filled(bar, arrays[0]), x_bar, jnp.ones((), jnp.float32)

        @jax.custom_vjp
        def run(trained, witness, x, fixed, key):
            del witness
            return _one_batch(run_forward, (trained, fixed), (x,), key)[0]

        def fwd(trained, witness, x, fixed, key):
            del witness
            y, residuals = _one_batch(run_forward, (trained, fixed), (x,), key)
            return y, (trained, x, fixed, key, residuals)

        def bwd(saved, y_bar):
            trained, x, fixed, key, residuals = saved
            operands = (x, residuals, y_bar)
            bar, x_bar, witness = _one_batch(
                run_backward, (trained, fixed), operands, key
            )
            return bar, witness, x_bar, None, None

        run.defvjp(fwd, bwd)
        witness = jnp.zeros((), jnp.float32)
        if jax.tree.leaves(trained):
            trained, witness = _shared(trained, witness)
        return run(trained, witness, x, fixed, key)

    return call


def _one_batch(function, arrays, operands, key):
    """Call `function(arrays, operands, key)`; under `vmap`, hand it the whole batch.

    `operands` is `(x,)` on the way forwards, `(x, residuals, y_bar)` backwards.
    """
    backwards = len(operands) == 3

    @custom_vmap
    def run(arrays, operands, key):
        return function(arrays, operands, key)

    @run.def_vmap
    def rule(size, batched, arrays, operands, key):
        sweep = any(jax.tree.leaves(batched[0]))
        # Several cotangents of one run, as `jax.jacrev` sends them: no batch of x.
        jacobian = not any(jax.tree.leaves((batched[1][:2], batched[2])))
        if sweep or jacobian:
            axes = jax.tree.map(lambda b: 0 if b else None, tuple(batched))
            out = jax.vmap(function, in_axes=axes, axis_size=size)(
                arrays, operands, key
            )
            return out, jax.tree.map(lambda _: True, out)
        if batched[2]:
            key = _fold(key)
        spread = [
            _spread(operand, marks, size)
            for operand, marks in zip(operands, batched[1], strict=True)
        ]
        if not backwards:
            y, residuals = run(arrays, tuple(spread), key)
            marks = jax.tree.map(lambda leaf: _leads(leaf, size), residuals)
            return (y, residuals), (jax.tree.map(lambda _: True, y), marks)
        # Residuals are what the forward run made of the whole batch: left as they are.
        kept = (spread[0], operands[1], spread[2])
        bar, x_bar, witness = run(arrays, kept, key)
        marks = (
            jax.tree.map(lambda _: False, bar),
            jax.tree.map(lambda _: True, x_bar),
            True,
        )
        return (bar, x_bar, jnp.broadcast_to(witness, (size,))), marks

    return run(arrays, operands, key)


@jax.custom_vjp
def _shared(trained, witness):
    """Pass both on; refuse on the way back if each example wants its own gradient.

    The rule above returns one cotangent for the batch. `grad(vmap(f))` adds examples up
    anyway, but `vmap(grad(f))` would silently get the sum in every row. There, and only
    there, the cotangent of `witness` arrives batched while that of `trained` does not.
    """
    return trained, witness


def _shared_fwd(trained, witness):
    return (trained, witness), None


def _shared_bwd(_, bars):
    @custom_vmap
    def check(bar, witness):
        del witness
        return bar

    @check.def_vmap
    def rule(size, batched, bar, witness):
        del size
        if batched[1] and not any(jax.tree.leaves(batched[0])):
            raise NotImplementedError(
                "Per-example parameter gradients, `vmap(grad(loss))`, of a physical "
                "layer whose parameters are shared by the batch: a physical batch has "
                "one gradient. Take `grad` of the mean over `vmap(model)`; or, if each "
                "example's own gradient is wanted, batch the parameters as well "
                "(`jax.tree.map(lambda p: jnp.stack([p] * batch), parameters)`)."
            )
        return check(bar, witness), batched[0]

    return check(*bars), jnp.zeros((), jnp.float32)


_shared.defvjp(_shared_fwd, _shared_bwd)


def filled(bar, trained):
    """The inexact arrays of `bar`, and zeros where it says nothing."""
    return jax.tree.map(
        lambda b, t: jax.tree.map(jnp.zeros_like, t) if b is None else b,
        eqx.filter(bar, eqx.is_inexact_array),
        trained,
        is_leaf=lambda node: node is None,
    )


def _spread(operand, marks, size):
    """Repeat the unbatched leaves along a new leading axis."""
    return jax.tree.map(
        lambda leaf, b: leaf if b else jnp.broadcast_to(leaf, (size, *leaf.shape)),
        operand,
        marks,
    )


def _leads(leaf, size) -> bool:
    return leaf.ndim > 0 and leaf.shape[0] == size


def _fold(keys):
    """One key for a batch of keys, which depends on all of them."""
    bits = keys
    if jnp.issubdtype(keys.dtype, jax.dtypes.prng_key):
        bits = jax.random.key_data(keys)
    return jax.random.fold_in(keys[0], _exclusive_or(bits))


def _exclusive_or(words):
    """Of all, by halves: devices that share them know no such sum."""
    words = words.reshape(-1)
    while len(words) > 1:
        half, rest = len(words) // 2, len(words) % 2
        folded = words[:half] ^ words[half : 2 * half]
        words = jnp.concatenate([folded, words[-1:]]) if rest else folded
        words = lax.optimization_barrier(words)
    return words[0]
