"""Populations that evolve, by the algorithms of `evosax`."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Inexact, Int, PRNGKeyArray, PyTree

from .._search import AbstractSearch, Loss


def evolution(
    strategy: Callable[..., Any],
    population: int,
    *,
    spread: float,  # in the unit of the parameters
    settings: Mapping[str, Any] = {},
) -> "Evolution":
    r"""Minimize by a population, each step one generation: a search for `fit`.

    The algorithm works on the real vector $z = \theta / s$ of all trainable parameters
    (a complex one is two numbers), where $s$ is `spread`: the standard deviation of 1
    with which those of `evosax` begin is then `spread` in the parameters, and so are
    their other lengths. It begins at the model's own parameters. All members see one
    mini-batch, each with noise of its own, in one `jax.vmap` of the loss. The recorded
    loss is the least of the generation.

    An algorithm that has a distribution hands back its mean; one that keeps a
    population, the best of those it keeps, after a first step that evaluates the
    parameters and `population - 1` normal draws around them. Where `fit` projects a
    mean, the distribution goes on from there; members are evaluated as drawn.

    **Arguments:**

    - `strategy`: a class of `evosax.algorithms`, or a function that makes an instance,
        such as `partial(Open_ES, optimizer=optax.adam(0.1))`, called as
        `strategy(population_size=..., solution=...)`. The mutations of `SimpleGA` keep
        their size unless it is given a falling `std_schedule`.
    - `settings`: what to change of the algorithm's `default_params`, by name.

    **Raises:** `TypeError` if `strategy` makes no such algorithm; `ValueError` if it
    can't work with that population, or has no such setting.
    **Source:** Lange, arXiv:2212.04180, for `evosax`.
    """
    if population < 2:
        raise ValueError(f"A population has at least 2 members, not {population}.")
    if not (spread > 0 and math.isfinite(spread)):
        raise ValueError(f"`spread` must be positive and finite, but is {spread}.")
    _check(strategy, population, settings)
    return Evolution(strategy, population, float(spread), dict(settings))


class Generations(NamedTuple):
    """What `evolution` remembers."""

    number: Int[Array, ""]
    """How many there were."""
    state: PyTree[Array]
    """The algorithm's own; without meaning before the first."""


class Evolution(AbstractSearch):
    """What `evolution` makes."""

    strategy: Callable[..., Any] = eqx.field(static=True)
    population: int = eqx.field(static=True)
    spread: float
    settings: Mapping[str, Any]

    def init(self, parameters: PyTree[Array]) -> Generations:
        def begun(parameters: PyTree[Array]) -> Any:
            algorithm = self._algorithm(parameters)
            places = jnp.zeros((self.population, algorithm.size))
            return algorithm.begin(jax.random.key(0), places, places[:, 0])

        # Of the right types only: the first step begins, since it has a key.
        empty = jax.eval_shape(begun, parameters)
        return Generations(jnp.int32(0), jax.tree.map(_zeros, empty))

    def step(
        self,
        loss: Loss,
        memory: PyTree[Array],
        parameters: PyTree[Array],
        *,
        key: PRNGKeyArray,
    ) -> tuple[PyTree[Array], PyTree[Array], Inexact[Array, ""]]:
        begin_key, ask_key, noise_key, tell_key = jax.random.split(key, 4)
        algorithm, first = self._algorithm(parameters), memory.number == 0
        flat = _flat(parameters)

        def model(place: Array) -> PyTree[Array]:
            return _unflat(place * self.spread, parameters)

        def begun(state: Any) -> tuple[Array, Any]:
            drawn = jax.random.normal(begin_key, (self.population, flat.size))
            places = flat[None] / self.spread + drawn.at[0].set(0)
            if not algorithm.has_mean:
                return places, state
            state = algorithm.begin(begin_key, places, jnp.zeros(self.population))
            return algorithm.ask(ask_key, state)

        def gone_on(state: Any) -> tuple[Array, Any]:
            if algorithm.has_mean:
                kept = _flat(model(state.mean)) == flat
                mean = jnp.where(kept, state.mean, flat / self.spread)
                state = state.replace(mean=mean)
            return algorithm.ask(ask_key, state)

        def told(state: Any) -> Any:
            return algorithm.tell(tell_key, places, fitness, state)

        def founded(state: Any) -> Any:
            if algorithm.has_mean:
                return told(state)
            return algorithm.begin(begin_key, places, fitness)

        places, state = lax.cond(first, begun, gone_on, memory.state)
        keys = jax.random.split(noise_key, self.population)
        losses = jax.vmap(lambda place, key: loss(model(place), key))(places, keys)
        fitness = losses.astype(places.dtype)
        state = lax.cond(first, founded, told, state)
        memory = Generations(memory.number + 1, state)
        return model(algorithm.answer(state)), memory, jnp.nanmin(losses)

    def _algorithm(self, parameters: PyTree[Array]) -> "_Algorithm":
        size = jax.eval_shape(_flat, parameters).size
        return _algorithm(self.strategy, self.population, size, self.settings)


class _Algorithm(NamedTuple):
    """One of evosax, which leaves promotions to JAX, on vectors of `size` numbers."""

    instance: Any
    params: Any
    has_mean: bool
    size: int

    def begin(self, key: PRNGKeyArray, places: Array, losses: Array) -> Any:
        with _promoting():
            if self.has_mean:
                state = self.instance.init(key, places[0], self.params)
            else:
                state = self.instance.init(key, places, losses, self.params)
            return jax.tree.map(jnp.asarray, state)

    def ask(self, key: PRNGKeyArray, state: Any) -> tuple[Array, Any]:
        with _promoting():
            places, asked = self.instance.ask(key, state, self.params)
            return places.astype(jnp.zeros(()).dtype), _typed(asked, state)

    def tell(self, key: PRNGKeyArray, places: Array, losses: Array, state: Any) -> Any:
        with _promoting():
            told, _ = self.instance.tell(key, places, losses, state, self.params)
            return _typed(told, state)

    def answer(self, state: Any) -> Float[Array, " size"]:
        with _promoting():
            if self.has_mean:
                return state.mean
            return self.instance.get_best_solution(state)


def _algorithm(
    strategy: Callable[..., Any],
    population: int,
    size: int,
    settings: Mapping[str, Any],
) -> _Algorithm:
    from evosax.algorithms.base import EvolutionaryAlgorithm
    from evosax.algorithms.distribution_based.base import DistributionBasedAlgorithm
    from evosax.algorithms.distribution_based.sv.base import SV_ES

    # Concrete also where a step is compiled, since its methods are compiled with it.
    with jax.ensure_compile_time_eval(), _promoting():
        instance = strategy(population_size=population, solution=jnp.zeros(size))
    with _promoting():
        if isinstance(instance, SV_ES):
            raise TypeError(
                f"`{type(instance).__name__}` has several means, and a model has one "
                "set of parameters: take an algorithm with one, such as `CMA_ES`."
            )
        if not isinstance(instance, EvolutionaryAlgorithm):
            raise TypeError(
                "`strategy` must make an algorithm of `evosax`, such as "
                f"`evosax.algorithms.CMA_ES`, not a {type(instance).__name__}."
            )
        params = _default_params(instance)
        unknown = [name for name in settings if name not in vars(params)]
        if unknown:
            raise ValueError(
                f"`{type(instance).__name__}` has no setting `{unknown[0]}`, but "
                f"{', '.join(sorted(vars(params))) or 'none'}."
            )
        has_mean = isinstance(instance, DistributionBasedAlgorithm)
        return _Algorithm(instance, params.replace(**settings), has_mean, size)


def _default_params(instance: Any) -> Any:
    try:
        return instance.default_params
    except jax.errors.ConcretizationTypeError:
        # Some are whole numbers that the algorithm takes out of JAX.
        with jax.ensure_compile_time_eval():
            return instance.default_params


def _check(
    strategy: Callable[..., Any], population: int, settings: Mapping[str, Any]
) -> None:
    """Try it on some vector, so that what can't work is refused before training."""
    try:
        jax.eval_shape(lambda: _algorithm(strategy, population, 64, settings).params)
    except AssertionError as error:
        raise ValueError(
            f"`strategy` does not take a population of {population}: {error}"
            f"{_suggestion(strategy, population)}"
        ) from error


def _suggestion(strategy: Callable[..., Any], population: int) -> str:
    for size in range(population + 1, population + 5):
        try:
            strategy(population_size=size, solution=jnp.zeros(64))
        except AssertionError:
            continue
        return f" It takes {size}."
    return ""


@contextmanager
def _promoting() -> Iterator[None]:
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


def _typed(tree: PyTree[Array], like: PyTree[Array]) -> PyTree[Array]:
    return jax.tree.map(lambda a, b: jnp.asarray(a).astype(b.dtype), tree, like)


def _zeros(leaf: Any) -> Array:
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jnp.broadcast_to(jax.random.key(0), leaf.shape)
    return jnp.zeros(leaf.shape, leaf.dtype)


def _flat(parameters: PyTree[Array]) -> Float[Array, " size"]:
    """All real and imaginary parts, in JAX's default precision."""
    dtype = jnp.zeros(()).dtype
    parts = []
    for leaf in jax.tree.leaves(parameters):
        pair = [leaf.real, leaf.imag] if jnp.iscomplexobj(leaf) else [leaf]
        parts += [part.ravel().astype(dtype) for part in pair]
    return jnp.concatenate(parts)


def _unflat(flat: Float[Array, " size"], like: PyTree[Array]) -> PyTree[Array]:
    leaves, structure = jax.tree.flatten(like)
    made, start = [], 0
    for leaf in leaves:
        count = leaf.size * (1 + jnp.iscomplexobj(leaf))
        part = flat[start : start + count]
        start += count
        if jnp.iscomplexobj(leaf):
            real, imag = part.reshape(2, *leaf.shape).astype(leaf.real.dtype)
            made.append(lax.complex(real, imag))
        else:
            made.append(part.reshape(leaf.shape).astype(leaf.dtype))
    return jax.tree.unflatten(structure, made)
