"""What all rules that only perturb a layer and watch the cost have in common."""

import abc
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Inexact, Int, PRNGKeyArray, PyTree

from .._estimator import AbstractEstimator, PhysicalCost
from .._frozen import is_trainable
from .._layer import output_size, respond
from ._codes import AbstractCode
from ._knobs import Scales, counted, moved, turned_back


class Knobs(NamedTuple):
    """What is perturbed: a `number` of real numbers of each of `systems` alike."""

    systems: int
    number: int
    dtype: Any
    cost: Callable[[Float[Array, "systems count"], Any], Float[Array, " systems"]]
    """By how much each system's cost changes when its knobs are turned so far; a key
    draws the noise of that run.
    """


class AbstractPerturbation(AbstractEstimator):
    r"""Runs of a perturbed layer, and nothing else: it may be a black box.

    The cost is $C = \operatorname{Re}\sum \bar y\,y$, whose slope is the cotangent. All
    examples share one perturbation of the parameters, while each has its own of the
    input, in runs of their own: the noise of one is not that of the other. With a key,
    every run draws new noise, as hardware does, also the two of a pair. Of a complex
    number, the real and the imaginary part are perturbed.

    A perturbation is the amplitude times a typical size, which `scales` knows. With
    `inputs=False` the input is left alone, which saves its runs, and its cotangent is
    NaN.
    """

    scales: eqx.AbstractVar[Scales]
    inputs: eqx.AbstractVar[bool]
    at_once: eqx.AbstractVar[int]
    """How many runs are made in one vectorized call; they are kept in memory."""

    @abc.abstractmethod
    def slopes(
        self, knobs: Knobs, layer: Any, *, of_inputs: bool, key: PRNGKeyArray | None
    ) -> Float[Array, "systems count"]:
        """What each knob does to the cost of its system, by unit of turning."""

    @abc.abstractmethod
    def steps(self, count: int) -> int:
        """How many runs the slopes of so many knobs take."""

    def forward(
        self, layer: Any, x: Inexact[Array, "..."], *, key: PRNGKeyArray | None
    ) -> tuple[Inexact[Array, "..."], PyTree[Array]]:
        y = respond(layer, x, key)
        return y, y

    def backward(
        self,
        layer: Any,
        x: Inexact[Array, "..."],
        residuals: PyTree[Array],
        y_bar: Inexact[Array, "..."],
        *,
        key: PRNGKeyArray | None,
    ) -> tuple[PyTree, Inexact[Array, "..."]]:
        own, other = (None, None) if key is None else jax.random.split(key)
        trained, rest = eqx.partition(layer, is_trainable(layer))

        def changed(y: Array, systems: int) -> Array:
            # The resting output is taken off first: small numbers add up exactly.
            change = (y_bar * (y - residuals)).real
            return change.reshape(systems, -1).sum(-1)

        def of_layer(turn: Array, key: PRNGKeyArray | None) -> Array:
            layer = eqx.combine(moved(trained, turn[0], self.scales), rest)
            return changed(respond(layer, x, key), 1)

        def of_x(turn: Array, key: PRNGKeyArray | None) -> Array:
            return changed(respond(layer, moved(x, turn, self.scales), key), len(turn))

        dtype, layer_bar = y_bar.real.dtype, trained
        if number := counted(trained):
            knobs = Knobs(1, number, dtype, of_layer)
            slopes = self.slopes(knobs, layer, of_inputs=False, key=own)
            layer_bar = turned_back(trained, slopes[0], self.scales)
        if not self.inputs:
            return layer_bar, jnp.full_like(x, jnp.nan)
        systems = examples(layer, x)
        knobs = Knobs(systems, counted(x) // systems, dtype, of_x)
        slopes = self.slopes(knobs, layer, of_inputs=True, key=other)
        return layer_bar, turned_back(x, slopes, self.scales)

    def cost(self, layer: Any, x: Any) -> PhysicalCost:
        trained = eqx.filter(layer, is_trainable(layer))
        numbers = [counted(trained), counted(x) if self.inputs else 0]
        runs = 1 + sum(self.steps(number) for number in numbers if number)
        read = output_size(layer, x)
        spent = sum(2 * number * self.steps(number) for number in numbers if number)
        return PhysicalCost(runs, 0, runs * read, 2 * runs * read + spent)


def demodulated(
    knobs: Knobs,
    code: AbstractCode,
    amplitude: Float[Array, ""],
    *,
    periods: int,
    noise: float,
    at_once: int,
    key: PRNGKeyArray | None,
) -> Float[Array, "systems count"]:
    r"""The slopes $\sum_t C(t)\,c_i(t) / (A \sum_t c_i^2)$ under amplitude $A$."""
    times = jnp.arange(periods * code.steps(knobs.number))
    # Only a random code looks at its key, and then there is one.
    keys = (jax.random.key(0), None) if key is None else jax.random.split(key)
    modulation = Modulation(code, amplitude, noise, at_once)
    total, _ = listened(knobs, modulation, times, keys[0], keys[1])
    return total / (len(times) * code.power(knobs.number))


class Modulation(NamedTuple):
    """How knobs are moved, and their cost is read."""

    code: AbstractCode
    amplitude: Float[Array, ""]
    noise: float
    """The deviation of each reading of a cost, drawn with a key."""
    at_once: int


def listened(
    knobs: Knobs,
    modulation: Modulation,
    times: Int[Array, " times"],
    code_key: PRNGKeyArray,
    key: PRNGKeyArray | None,
) -> tuple[Float[Array, "systems count"], Float[Array, "times systems"]]:
    r"""Run through `times`: $\sum_t C(t)\,c_i(t) / A$, and the costs $C$.

    `code_key` is that of the code, the same at all times; `key` that of the runs.
    """
    shape, dtype = (knobs.systems, knobs.number), knobs.dtype
    amplitude = modulation.amplitude.astype(dtype)

    def signal(time: Array) -> Array:
        return modulation.code.at(time, shape, key=code_key).astype(dtype)

    def run(time: Array, signal: Array) -> Array:
        if key is None:
            return knobs.cost(amplitude * signal, None)
        own, reading = jax.random.split(jax.random.fold_in(key, time))
        cost = knobs.cost(amplitude * signal, own)
        error = jax.random.normal(reading, cost.shape, cost.dtype)
        return cost + modulation.noise * error

    def add(total: Array, cost: Array, signal: Array) -> Array:
        return total + cost[:, None].astype(dtype) * signal

    def step(total: Array, time: Array) -> tuple[Array, Array]:
        now = signal(time)
        cost = run(time, now)
        return add(total, cost, now), cost

    def add_again(total: Array, one: tuple) -> tuple[Array, None]:
        cost, time = one
        return add(total, cost, signal(time)), None

    zeros = jnp.zeros(shape, dtype)
    if modulation.at_once > 1:
        several = lambda time: run(time, signal(time))  # noqa: E731
        costs = lax.map(several, times, batch_size=modulation.at_once)
        total, _ = lax.scan(add_again, zeros, (costs, times))
    else:
        total, costs = lax.scan(step, zeros, times)
    return total / amplitude, costs


def needs_key(key: PRNGKeyArray | None, estimator: AbstractEstimator) -> PRNGKeyArray:
    """The key, or a `ValueError` that says what it is for."""
    if key is None:
        name = type(estimator).__name__
        raise ValueError(
            f"`{name}` draws the directions of its perturbations: give a key, as in "
            "`model(x, key=key)`, or as `fit` does with `noisy=True`."
        )
    return key


def examples(layer: Any, x: Inexact[Array, "..."]) -> int:
    """How many examples `x` surely is: those along leading axes without which the layer
    makes of what remains the same, but for these axes.
    """
    axes, y = 0, eqx.filter_eval_shape(respond, layer, x, None)
    while axes < min(x.ndim, len(y.shape)) and x.shape[axes] == y.shape[axes]:
        row = jax.ShapeDtypeStruct(x.shape[axes + 1 :], x.dtype)
        if _response(layer, row) != (y.shape[axes + 1 :], y.dtype):
            break
        axes += 1
    return math.prod(x.shape[:axes])


def _response(layer: Any, x: jax.ShapeDtypeStruct) -> Any:
    try:
        y = eqx.filter_eval_shape(respond, layer, x, None)
    # What a layer raises for an input with an axis too few is its own affair.
    except Exception:
        return None
    return y.shape, y.dtype
