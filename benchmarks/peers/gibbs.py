"""Gibbs sampling of Ising spins, 64 chains of 200 sweeps: us beside thrml.

    pip install thrml==0.1.4
    python benchmarks/peers/gibbs.py

`ProbabilisticBits` at one temperature, and thrml's `IsingSamplingProgram`, on the same
graphs: a 32 x 32 torus, whose spins move in two groups, and a random graph of 800 spins
and 19176 edges as G1 is, whose spins move in about 20. Both groups are greedily found;
thrml's by us. A 4 x 4 torus in a random field says whether the samples are right: all
its 65536 configurations are summed up.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
from side_by_side import Here, Row, begin, contest, finish, installed, versions

from pnnjax import spins

CHAINS, SWEEPS = 64, 200
INSTALL = "pip install thrml==0.1.4"


def torus(side: int, scale: float = 1.0):
    """Pairs of neighbors, and couplings that are Gaussian."""
    cells = np.arange(side**2).reshape(side, side)
    around = [np.stack([cells, np.roll(cells, 1, axis)], -1) for axis in (0, 1)]
    edges = np.concatenate([own.reshape(-1, 2) for own in around])
    weights = scale * np.random.default_rng(0).standard_normal(len(edges))
    return side**2, edges, weights.astype(np.float32)


def random_graph(n: int = 800, count: int = 19176):
    rng = np.random.default_rng(0)
    pairs = np.stack(np.triu_indices(n, 1), -1)
    edges = rng.permutation(pairs)[:count]
    return n, edges, np.full(count, -0.1, np.float32)


def groups_of(n: int, edges: np.ndarray) -> list[list[int]]:
    """Spins that are not coupled, those with most neighbors first."""
    neighbors = [set() for _ in range(n)]
    for i, j in edges.tolist():
        neighbors[i].add(j)
        neighbors[j].add(i)
    color = {}
    for i in sorted(range(n), key=lambda i: -len(neighbors[i])):
        taken = {color.get(j) for j in neighbors[i]}
        color[i] = next(c for c in itertools.count() if c not in taken)
    return [
        [i for i in range(n) if color[i] == own]
        for own in range(1 + max(color.values()))
    ]


class Ours:
    """Chains from random starts; `draw` is a seed's last configurations."""

    def __init__(self, n, edges, weights, field, chains, sweeps):
        bits = spins.ProbabilisticBits(1.0, 1.0, sweeps)

        @jax.jit
        def sample(weights, field, key):
            problem = spins.IsingProblem.from_edges(n, edges, weights, field)
            return bits(problem, key=key, replicas=chains)

        given = jnp.asarray(weights), jnp.asarray(field)
        self.draw = lambda seed: sample(*given, jax.random.key(seed))


class Theirs:
    """thrml."""

    def __init__(self, n, edges, weights, field, chains, sweeps):
        from thrml import Block, SamplingSchedule, SpinNode, sample_states
        from thrml.models import IsingEBM, IsingSamplingProgram, hinton_init

        nodes = [SpinNode() for _ in range(n)]
        pairs = [(nodes[i], nodes[j]) for i, j in edges.tolist()]
        given = jnp.asarray(field), jnp.asarray(weights), jnp.float32(1)
        model = IsingEBM(nodes, pairs, *given)
        blocks = [Block([nodes[i] for i in own]) for own in groups_of(n, edges)]
        program = IsingSamplingProgram(model, blocks, clamped_blocks=[])
        schedule = SamplingSchedule(sweeps - 1, 1, 1)

        @jax.jit
        def sample(key):
            start, key = jax.random.split(key)
            begin = hinton_init(start, model, blocks, (chains,))
            keys = jax.random.split(key, chains)
            return jax.vmap(
                lambda own, state: sample_states(
                    own, program, schedule, state, [], [Block(nodes)]
                )
            )(keys, begin)

        def draw(seed):
            (states,) = sample(jax.random.key(seed))
            return states[:, 0]

        self.draw = draw


def speed(what, graph, options) -> list[Row]:
    n, edges, weights = graph
    field = np.zeros(n, np.float32)
    cases = {}
    for name, kind in samplers().items():
        draw = kind(n, edges, weights, field, CHAINS, SWEEPS).draw
        cases[name] = Here(lambda draw=draw: jax.block_until_ready(draw(0)), False)
    updates = n * CHAINS * SWEEPS
    rows = contest(what, cases, options.rounds)
    rates = [(updates / row.ours, updates / row.theirs) for row in rows]
    return [
        row._replace(note=f"{ours:.1e} and {theirs:.1e} spins a second")
        for row, (ours, theirs) in zip(rows, rates, strict=True)
    ]


def correctness(options) -> list[Row]:
    """The mean energy of many chains beside that of the Boltzmann distribution."""
    (n, edges, weights), chains = torus(4, 0.5), 4096
    field = 0.3 * np.random.default_rng(1).standard_normal(n).astype(np.float32)
    every = np.array(list(itertools.product((-1.0, 1.0), repeat=n)))

    def energy(states):
        pairs = states[:, edges[:, 0]] * states[:, edges[:, 1]]
        return -pairs @ weights - states @ field

    levels = energy(every)
    shares = np.exp(levels.min() - levels)
    exact = np.sum(shares * levels) / np.sum(shares)
    draws = {
        name: kind(n, edges, weights, field, chains, 100).draw
        for name, kind in samplers().items()
    }
    cases = {
        name: Here(lambda draw=draw: jax.block_until_ready(draw(0)), False)
        for name, draw in draws.items()
    }
    what = f"Gibbs sampling, 4 x 4 torus, {chains} chains of 100 sweeps"
    rows = contest(what, cases, options.rounds)
    found = {}
    for name, draw in draws.items():
        states = np.asarray(draw(1)).astype(float)
        found[name] = energy(states if states.min() < 0 else 2 * states - 1)
        off = (found[name].mean() - exact) / found[name].std() * chains**0.5
        assert abs(off) < 5, f"{name}: off by {off:.1f} standard errors"
    us = found["pnnjax"].mean()
    return [
        row._replace(
            note=f"mean energy {us:.3f} and {found[row.peer].mean():.3f}, exactly "
            f"{exact:.3f} ± {found[row.peer].std() / chains**0.5:.3f}"
        )
        for row in rows
    ]


def samplers():
    return {
        "pnnjax": Ours,
        **({"thrml": Theirs} if installed("thrml", INSTALL) else {}),
    }


def main():
    options = begin(__doc__)
    rows = correctness(options)
    side = 16 if options.quick else 32
    rows += speed(f"Gibbs sampling, {side} x {side} torus", torus(side), options)
    if not options.quick:
        rows += speed("Gibbs sampling, 800 spins, 19176 edges", random_graph(), options)
    finish(rows, options, versions("pnnjax", "jax", "thrml"))


if __name__ == "__main__":
    main()
