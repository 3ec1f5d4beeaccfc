"""One generation of a population: `fit` with `evolution` beside evosax's own loop.

    pip install evosax==0.3.2
    python benchmarks/peers/evolution.py --dimension 200 --population 32

The same algorithm, population and loss (a quadratic in as many dimensions). evosax's
loop is `ask`, the loss under `vmap`, and `tell` in one `lax.scan`; ours is all that
`fit` does, with its checks for numbers that are not finite.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from evosax import algorithms
from evosax.algorithms.distribution_based.base import DistributionBasedAlgorithm
from side_by_side import Here, begin, contest, finish, versions

from pnnjax._step import State, Task, advance
from pnnjax.optimizers import evolution

NAMES = ("CMA_ES", "Open_ES", "PGPE", "PSO", "DifferentialEvolution", "SimpleGA")


class Point(eqx.Module):
    """A model that answers with its parameters."""

    place: jax.Array

    def __call__(self, x):
        return self.place + x


def squares(y, targets):
    return jnp.mean(jnp.sum((y - targets) ** 2, -1))


def ours(name: str, dimension: int, population: int, steps: int) -> Here:
    """Generations in the steady state of `fit`."""
    search = evolution(getattr(algorithms, name), population, spread=1.0)
    point, keys = Point(jnp.zeros(dimension)), jax.random.split(jax.random.key(0))
    task = Task(
        x=jnp.zeros((1, dimension)),
        y=jnp.ones((1, dimension)),
        fixed=eqx.filter(point, eqx.is_array, inverse=True),
        order_key=keys[0],
        noise_key=None,
        search_key=keys[1],
        objective=squares,
        optimizer=search,
        batch_size=1,
        loss_dtype=jnp.zeros(()).dtype,
    )
    state = State(jnp.int32(0), point, search.init(point))
    stop = jnp.int32(steps)
    return Here(lambda: jax.block_until_ready(advance(task, state, stop)), False)


def theirs(name: str, dimension: int, population: int, steps: int) -> Here:
    """Generations of evosax's documented loop."""
    strategy = getattr(algorithms, name)(
        population_size=population, solution=jnp.zeros(dimension)
    )
    params, key = strategy.default_params, jax.random.key(0)

    def loss(place):
        return jnp.sum((place - 1) ** 2)

    if isinstance(strategy, DistributionBasedAlgorithm):
        start = strategy.init(key, jnp.zeros(dimension), params)
    else:
        places = jax.random.normal(key, (population, dimension))
        start = strategy.init(key, places, jax.vmap(loss)(places), params)

    @jax.jit
    def loop(state):
        def generation(state, key):
            ask_key, tell_key = jax.random.split(key)
            places, state = strategy.ask(ask_key, state, params)
            state, _ = strategy.tell(
                tell_key, places, jax.vmap(loss)(places), state, params
            )
            return state, None

        return jax.lax.scan(generation, state, jax.random.split(key, steps))[0]

    return Here(lambda: jax.block_until_ready(loop(start)), False)


def main():
    def add(parser):
        parser.add_argument("--dimension", type=int, default=200)
        parser.add_argument("--population", type=int, default=32)
        parser.add_argument("--steps", type=int, default=100, help="generations a call")

    options = begin(__doc__, add)
    rows, sizes = [], (options.dimension, options.population)
    for name in NAMES[:2] if options.quick else NAMES:
        case = name, *sizes, options.steps
        rows += contest(
            f"{name}, {sizes[0]} dimensions, population {sizes[1]}, a generation",
            {"pnnjax": ours(*case), "evosax": theirs(*case)},
            options.rounds,
            per=options.steps,
        )
    finish(rows, options, versions("pnnjax", "jax", "evosax"))


if __name__ == "__main__":
    main()
