"""What a gradient costs: on hardware, as a rule counts it, and in simulation, timed."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray, PyTree

from .._estimator import AbstractEstimator, PhysicalCost
from .._frozen import is_trainable
from .._layer import AbstractWrapper, respond
from ._measure_gradient import quiet
from ._measure_program import FAST_TO_RUN, compiled, median_seconds

BATCH = 64
"""Examples of which a gradient is timed."""


class Speed(NamedTuple):
    """Of one gradient of a batch, simulated."""

    seconds: float
    """The median."""
    compile_seconds: float
    bytes: int
    """Scratch memory, beyond inputs and outputs."""


def physical_cost(rule: AbstractEstimator, layer: Any, x: Array) -> PhysicalCost:
    """Of one gradient of one example; `x`: examples along one leading axis."""
    bare = layer.realize(None) if isinstance(layer, AbstractWrapper) else layer
    return rule.cost(layer if rule.sets_hardware else bare, x[0])


def speed(layer: Any, rule: AbstractEstimator, x: Array, *, key: PRNGKeyArray) -> Speed:
    """Time one gradient, of the parameters and of the input, of `BATCH` examples.

    `x` are examples along one leading axis, which are repeated; the program is
    compiled to run fast.
    """
    batch = x[jnp.arange(BATCH) % len(x)]
    y = eqx.filter_eval_shape(respond, layer, batch, None)
    args = quiet(layer, rule), batch, jnp.ones(y.shape, y.dtype), key
    program = compiled(_cotangents, args, FAST_TO_RUN)
    return Speed(median_seconds(program, args), program.seconds, program.scratch)


def _cotangents(model: Any, x: Array, y_bar: Array, key: PRNGKeyArray) -> PyTree:
    trained, rest = eqx.partition(model, is_trainable(model))
    _, pullback = jax.vjp(
        lambda trained, x: respond(eqx.combine(trained, rest), x, key), trained, x
    )
    return pullback(y_bar)
