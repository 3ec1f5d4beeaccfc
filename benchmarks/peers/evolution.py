"""How long one generation takes: `fit` with `evolution` beside evosax's own loop.

    python benchmarks/peers_evolution.py --dimension 200 --population 32

The same algorithm, population and loss (a quadratic in as many dimensions). evosax's
loop is `ask`, the loss under `vmap`, and `tell` in one `lax.scan`; ours is all that
`fit` does, with its checks for numbers that are not finite. The two take turns; times
are medians over the turns, compilation not counted.
"""

import argparse
import importlib.metadata
import os
import statistics
import time
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from evosax import algorithms
from evosax.algorithms.distribution_based.base import DistributionBasedAlgorithm

import pnnjax as pnn
from pnnjax.optimizers import evolution

NAMES = ("CMA_ES", "Open_ES", "PGPE", "PSO", "DifferentialEvolution", "SimpleGA")


class Point(eqx.Module):
    """A model that answers with its parameters."""

    place: jax.Array

    def __call__(self, x):
        return self.place + x


def squares(y, targets):
    return jnp.mean(jnp.sum((y - targets) ** 2, -1))


def ours(name: str, dimension: int, population: int, steps: int) -> Callable[[], float]:
    """Seconds of a generation in the steady state of `fit`."""
    from pnnjax._fit import _prepare
    from pnnjax._parts import parts_of
    from pnnjax._step import advance

    search = evolution(getattr(algorithms, name), population, spread=1.0)
    data = parts_of((jnp.zeros((1, dimension)), jnp.ones((1, dimension))))
    model, key = Point(jnp.zeros(dimension)), jax.random.key(0)
    task, state = _prepare(model, data, squares, search, key, 1, False)

    def run() -> float:
        begun = time.perf_counter()
        jax.block_until_ready(advance(task, state, jnp.int32(steps)))
        return (time.perf_counter() - begun) / steps

    return run


def theirs(
    name: str, dimension: int, population: int, steps: int
) -> Callable[[], float]:
    """Seconds of a generation of evosax's documented loop."""
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

    def run() -> float:
        begun = time.perf_counter()
        jax.block_until_ready(loop(start))
        return (time.perf_counter() - begun) / steps

    return run


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dimension", type=int, default=200)
    parser.add_argument("--population", type=int, default=32)
    parser.add_argument("--steps", type=int, default=100, help="generations a turn")
    parser.add_argument("--turns", type=int, default=9)
    options = parser.parse_args()
    for name in ("pnnjax", "jax", "evosax"):
        print(f"{name} {importlib.metadata.version(name)}", end="  ")
    print(f"load {os.getloadavg()[0]:.1f}; floats are {jnp.zeros(()).dtype}")
    print(f"{pnn.fit.__name__}: {options}")
    print(f"{'algorithm':24} {'fit':>10} {'evosax':>10}   ratio")
    for name in NAMES:
        arguments = name, options.dimension, options.population, options.steps
        runs = ours(*arguments), theirs(*arguments)
        for run in runs:
            run()  # Compiles
        times = [[run() for run in runs] for _ in range(options.turns)]
        mine, other = (statistics.median(column) for column in zip(*times, strict=True))
        ratio = statistics.median(a / b for a, b in times)
        print(f"{name:24} {mine * 1e6:8.1f}us {other * 1e6:8.1f}us   {ratio:.2f}")


if __name__ == "__main__":
    main()
