"""Equilibrium propagation, 784-512-10, batch 64, 20 free and 10 nudged steps, float32.

Pin it to one core for the single-threaded figure: `taskset -c 0 pytest ...`.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest
from jax import lax
from roofline import compile_for, measure

from pnnjax import Physical
from pnnjax.estimators import Autodiff, EquilibriumPropagation
from pnnjax.spins import HopfieldNetwork

BATCH, SIZES = 64, (784, 512, 10)
FREE, NUDGED = 20, 10

RULES = {
    "forward": None,
    "centered": EquilibriumPropagation(0.5, centered=True),
    "one-sided": EquilibriumPropagation(0.5, centered=False),
    "autodiff": Autodiff(),
}


def forward(network, x, y):
    del y
    return network(x)


def gradient(model, x, y):
    def loss(model):
        return jnp.mean(jnp.sum((jax.vmap(model)(x) - y) ** 2, -1)) / 2

    return eqx.filter_value_and_grad(loss)(model)


def products(network, x, y):
    """The matrix products of a centered gradient, with nothing between them."""
    first, last = (coupling.weight for coupling in network.couplings)

    def steps(hidden, output, length):
        def step(state, _):
            hidden = state[1] @ last.T
            return (hidden, hidden @ last), None

        return lax.scan(step, (hidden, output), None, length=length)[0]

    hidden, output = steps(x @ first, y, FREE)
    both = steps(*(jnp.concatenate([s, -s]) for s in (hidden, output)), NUDGED)
    contrast = both[0][:BATCH] - both[0][BATCH:]
    return x.T @ contrast, both[0].T @ both[1]


@pytest.mark.parametrize("rule", RULES)
def test_hopfield(benchmark, rule):
    network = HopfieldNetwork(SIZES, key=jax.random.key(0))
    x = jax.random.uniform(jax.random.key(1), (BATCH, SIZES[0]))
    y = jax.nn.one_hot(jnp.arange(BATCH) % SIZES[-1], SIZES[-1])
    function, model = forward, network
    if RULES[rule] is not None:
        function, model = gradient, Physical(network, RULES[rule])
    alone = measure(products, network, x, y)
    cost = measure(function, model, x, y)
    again = measure(products, network, x, y)
    run, _ = compile_for(function, model, x, y)

    benchmark(lambda: jax.block_until_ready(run()))
    scale = (alone["run_seconds"] + again["run_seconds"]) / 2
    benchmark.extra_info |= {
        "compile_seconds": cost["compile_seconds"],
        "temp_bytes": cost["temp_bytes"],
        "products_seconds": scale,
        "ratio_to_products_of_centered": cost["run_seconds"] / scale,
    }
