"""The training and test parts of the data: checked, and put on the device."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ._checkpoint import describe
from ._objective import AbstractLocalObjective, Objective, apply, loss_of
from ._step import example_keys


class Parts(NamedTuple):
    """Arrays on the device. A test part that is not there has no examples."""

    train_x: Array
    train_y: Array
    test_x: Array
    test_y: Array


def parts_of(data: Any) -> Parts:
    """The parts of `(x, y)` or of a `Dataset`.

    **Raises:** `ValueError` if lengths or shapes disagree, or a value is not finite;
    `TypeError` if it is neither.
    """
    if not isinstance(data, tuple):
        raise TypeError(
            f"`data` must be `(x, y)` or a `Dataset`, not {type(data).__name__}."
        )
    if type(data) is tuple:
        if len(data) != 2:
            raise ValueError(f"`data` must be `(x, y)`, but has {len(data)} members.")
        x, y = _pair("training", *data)
        return Parts(x, y, x[:0], y[:0])
    named: Any = data
    train = _pair("training", named.train_x, named.train_y)
    test = _pair("test", named.test_x, named.test_y)
    if train[0].shape[1:] != test[0].shape[1:]:
        raise ValueError(
            f"A training example has shape {train[0].shape[1:]}, but a test example "
            f"{test[0].shape[1:]}."
        )
    return Parts(*train, *test)


def loss_dtype(
    model: Any,
    x: Array,
    y: Array,
    objective: Objective | AbstractLocalObjective,
    key: Any,
) -> np.dtype:
    """The type of the loss of one batch, found without computing it.

    **Raises:** `TypeError` if the model takes no key; `ValueError` if the objective
    does not take its output, or is not a real scalar. An error of the model's own says
    what it was called with.
    """

    if isinstance(objective, AbstractLocalObjective):
        keys = example_keys(key, jnp.int32(0), len(x))
        return _scalar_dtype(
            eqx.filter_eval_shape(loss_of, objective, model, x, y, keys)
        )

    def call(model: Any, x: Array, key: Any) -> Any:
        return apply(model, x, example_keys(key, jnp.int32(0), len(x)))

    try:
        out = eqx.filter_eval_shape(call, model, x, key)
    except TypeError as error:
        if "unexpected keyword argument 'key'" in str(error):
            raise TypeError(
                "The model, or a layer of it, takes no `key`: write it as "
                "`__call__(self, x, *, key=None)`, or train with `noisy=False`."
            ) from error
        _note_call(error, x)
        raise
    except Exception as error:
        _note_call(error, x)
        raise
    _check_broadcast(out, y)
    try:
        loss = eqx.filter_eval_shape(objective, out, y)
    except Exception as error:
        raise ValueError(
            f"The objective can't compare the model's output, {_shapes(out)}, with the "
            f"targets, {_shapes(y)}: {error}"
        ) from error
    return _scalar_dtype(loss)


def _scalar_dtype(loss: Any) -> np.dtype:
    described = _shapes(loss)
    if not eqx.is_inexact_array(jnp.zeros((), getattr(loss, "dtype", bool))):
        raise ValueError(f"The objective must be a real scalar, not {described}.")
    if loss.shape or jnp.issubdtype(loss.dtype, jnp.complexfloating):
        raise ValueError(
            f"The objective must be a real scalar, not {described}: take its mean."
        )
    return np.dtype(loss.dtype)


def _pair(part: str, x: Any, y: Any) -> tuple[Array, Array]:
    pair = jnp.asarray(x), jnp.asarray(y)
    for name, array in zip(("inputs", "targets"), pair):
        if array.ndim == 0 or len(array) == 0:
            raise ValueError(f"The {part} part has no {name}.")
        if jnp.issubdtype(array.dtype, jnp.inexact):
            # On the host, where nothing needs to be compiled for it.
            bad = np.count_nonzero(~np.isfinite(np.asarray(array)))
            if bad:
                raise ValueError(
                    f"The {part} part's {name} hold {bad} values that are NaN or "
                    f"infinite, of {array.size}."
                )
    if len(pair[0]) != len(pair[1]):
        raise ValueError(
            f"The {part} part has {len(pair[0])} inputs, but {len(pair[1])} targets."
        )
    return pair


def _check_broadcast(out: Any, y: Array) -> None:
    if not isinstance(out, jax.ShapeDtypeStruct):
        return
    shapes = out.shape, y.shape
    if jnp.issubdtype(y.dtype, jnp.inexact) and (
        (*shapes[0], 1) == shapes[1] or shapes[0] == (*shapes[1], 1)
    ):
        raise ValueError(
            f"The model's output has shape {shapes[0]}, but the targets {shapes[1]}: "
            "their difference would broadcast to every pair of examples. Drop the axis "
            "of length one."
        )


def _note_call(error: Exception, x: Array) -> None:
    error.add_note(
        f"This happened while calling the model on each example of {describe(x)}."
    )


def _shapes(tree: Any) -> str:
    leaves = jax.tree.leaves(tree)
    arrays = [leaf for leaf in leaves if isinstance(leaf, jax.ShapeDtypeStruct | Array)]
    return ", ".join(describe(leaf) for leaf in arrays) or repr(tree)
