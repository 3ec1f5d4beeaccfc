"""Kernels of spins: Hopfield networks, and machines that look for ground states."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from kernel_needs import Kernel, Needs, Product

import pnnjax as pnn

KEY = jax.random.key(0)
SPINS, EDGES, REPLICAS, SWEEPS = 800, 19176, 64, 100


def hopfield(
    trained: bool, batch: int = 64, free: int = 20, nudged: int = 10
) -> Kernel:
    # The inputs' pull once; in each step, the hidden layer's on the last one and back.
    # The contrast of the two nudged states with the inputs is the couplings' cotangent.
    inputs, hidden, outputs = 784, 512, 10
    runs = free + trained * 2 * nudged
    needs = Needs(
        products=(
            Product(batch, inputs, hidden, 1 + 2 * trained),
            Product(batch, hidden, outputs, 2 * runs),
        ),
        arithmetic=runs * batch * (hidden + outputs) * 4,
        moved=4 * inputs * hidden * (1 + 2 * trained)
        + runs * 4 * (2 * hidden * outputs + 4 * batch * hidden),
        spread=4 * inputs * hidden,
        steps=2 * (free + trained * nudged),
    )

    def make():
        layer = pnn.spins.HopfieldNetwork((inputs, hidden, outputs), key=KEY)
        x = jax.random.uniform(KEY, (batch, inputs))
        if not trained:
            return (lambda layer, x: layer(x)), (layer, x)

        def loss(both):
            layer, x = both
            return jnp.sum(layer(x) ** 2)

        model = pnn.Physical(layer, pnn.estimators.EquilibriumPropagation(0.5))
        return (lambda model, x: eqx.filter_grad(loss)((model, x))), (model, x)

    name = "Hopfield EP" if trained else "Hopfield"
    return Kernel(name, f"{inputs}-{hidden}-{outputs}, batch {batch}", make, needs)


def solver(name: str, solver, work: dict, why: str = "") -> Kernel:
    # A neighbor's spin is added up for each end of an edge, in each sweep and replica.
    visits = SWEEPS * REPLICAS
    needs = Needs(
        arithmetic=visits * (2 * EDGES * 2 + SPINS * 10),
        moved=SWEEPS * (2 * EDGES * (4 * REPLICAS + 8) + 4 * SPINS * REPLICAS * 6),
        spread=4 * SPINS * REPLICAS * 3,
        steps=SWEEPS * 2,
        **{kind: visits * SPINS * each for kind, each in work.items()},
    )

    def make():
        random = np.random.default_rng(0)
        pairs = np.stack(np.triu_indices(SPINS, 1), -1)
        edges = random.choice(pairs, EDGES, replace=False).astype(np.int32)
        weights = np.full(EDGES, -1.0, np.float32)
        problem = pnn.spins.IsingProblem.from_edges(SPINS, edges, weights)
        run = lambda problem, key: solver(  # noqa: E731
            problem, key=key, replicas=REPLICAS
        )
        return run, (problem, KEY)

    size = f"as G1, {SWEEPS} sweeps, {REPLICAS} replicas"
    return Kernel(name, size, make, needs, why)


KERNELS = (
    hopfield(False),
    hopfield(True),
    solver(
        "annealing",
        pnn.spins.SimulatedAnnealing(SWEEPS - 10),
        {"functions": 1, "words": 1},
    ),
    solver(
        "bifurcation",
        pnn.spins.SimulatedBifurcation(SWEEPS),
        {},
        "the fields of the spins alone take six tenths of it, in some 900 turns of "
        "small loops a step; the rest is 3 ns a spin",
    ),
    solver(
        "p-bits",
        pnn.spins.ProbabilisticBits(0.1, 2.0, SWEEPS),
        {"functions": 1, "words": 1},
    ),
)
