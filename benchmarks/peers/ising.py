"""Cuts of a G-set graph: us beside dwave-samplers and simulated-bifurcation.

    pip install dwave-samplers==1.8.0 simulated-bifurcation==2.0.0 torch==2.13.0
    python benchmarks/peers/ising.py --graph G1

The same work first: so many runs of so many sweeps or steps, with the cuts that they
find on average and at best. Each solver has its own schedule of temperatures or pump.
Then until the best known cut is found, each solver again and again from new random
numbers, a seed a round; one that has not found it after `--limit` seconds took forever.
There the solvers run in the sizes that suit each, and its time varies as luck does.
`PNNJAX_DATA` names a folder with the graph, else it is downloaded.
"""

import itertools
import time
from collections.abc import Callable

import jax
import numpy as np
from side_by_side import (
    Here,
    Row,
    Unsolved,
    begin,
    contest,
    finish,
    installed,
    versions,
)

from pnnjax import data, spins

Cuts = Callable[[int], np.ndarray]
"""The cuts of all runs, by seed."""

DWAVE = "pip install dwave-samplers==1.8.0"
BIFURCATION = "pip install simulated-bifurcation==2.0.0 torch==2.13.0"


def ours(graph: data.Graph, solver: spins.AbstractIsingSolver, runs: int) -> Cuts:
    problem = spins.maxcut_problem(graph)

    @jax.jit
    def cuts(key):
        return spins.cut_value(graph, solver(problem, key=key, replicas=runs))

    return lambda seed: np.asarray(cuts(jax.random.key(seed)))


def dwave(graph: data.Graph, runs: int, sweeps: int) -> Cuts:
    """`SimulatedAnnealingSampler` of dwave-samplers (C++), with its own schedule."""
    import dimod
    from dwave.samplers import SimulatedAnnealingSampler

    weights = zip(graph.edges.tolist(), graph.weights.tolist(), strict=True)
    model = dimod.BinaryQuadraticModel.from_ising(
        {}, {(i, j): w for (i, j), w in weights}
    )
    sampler, total = SimulatedAnnealingSampler(), float(graph.weights.sum())

    def cuts(seed: int) -> np.ndarray:
        answer = sampler.sample(model, num_reads=runs, num_sweeps=sweeps, seed=seed)
        return (total - answer.record.energy) / 2

    return cuts


def bifurcation(graph: data.Graph, mode: str, agents: int, steps: int) -> Cuts:
    """`minimize` of simulated-bifurcation (PyTorch), without its early stop."""
    import simulated_bifurcation
    import torch

    torch.set_num_threads(1)
    matrix = np.zeros((graph.n, graph.n), np.float32)
    matrix[tuple(graph.edges.T)] = graph.weights
    form, total = torch.tensor((matrix + matrix.T) / 2), float(graph.weights.sum())

    def cuts(seed: int) -> np.ndarray:
        torch.manual_seed(seed)
        _, values = simulated_bifurcation.minimize(
            form,
            domain="spin",
            agents=agents,
            max_steps=steps,
            mode=mode,
            best_only=False,
            early_stopping=False,
            verbose=False,
        )
        return (total - values.numpy()) / 2

    return cuts


def same_work(what: str, solvers: dict[str, Cuts], rounds: int) -> list[Row]:
    """Times, with the quality of what they bought."""
    found = {name: [] for name in solvers}

    def case(name, cuts):
        seeds = itertools.count(1)
        weighed = not name.startswith("pnnjax")
        return Here(lambda: found[name].append(cuts(next(seeds))), weighed)

    cases = {name: case(name, cuts) for name, cuts in solvers.items()}
    rows = contest(what, cases, rounds, calls=1)
    means = {name: np.mean(own) for name, own in found.items()}
    bests = {name: np.max(own) for name, own in found.items()}
    return [
        row._replace(
            note=f"mean cuts {means['pnnjax']:.0f} and {means[row.peer]:.0f}, "
            f"best {bests['pnnjax']:.0f} and {bests[row.peer]:.0f}"
        )
        for row in rows
    ]


def until_found(
    solvers: dict[str, Cuts], target: float, limit: float
) -> dict[str, Here]:
    """Each call has a seed of its own."""

    def case(cuts):
        seeds = itertools.count(1)

        def run():
            seed, begun = 1000 * next(seeds), time.perf_counter()
            for attempt in itertools.count():
                if cuts(seed + attempt).max() >= target:
                    return
                if time.perf_counter() - begun > limit:
                    raise Unsolved

        return Here(run)

    return {name: case(cuts) for name, cuts in solvers.items()}


def main():
    def add(parser):
        parser.add_argument("--graph", default="G1")
        parser.add_argument("--target", type=float, help="a cut, else the best known")
        parser.add_argument("--limit", type=float, default=20.0, help="s for a search")

    options = begin(__doc__, add)
    graph, rounds = data.gset(options.graph), options.rounds
    target = options.target or graph.best_known
    has = installed("dwave", DWAVE), installed("simulated_bifurcation", BIFURCATION)
    runs = 16 if options.quick else 64
    steps = 200 if options.quick else 1000
    anneal = {"pnnjax": ours(graph, spins.SimulatedAnnealing(300), runs)}
    if has[0]:
        anneal["dwave-samplers"] = dwave(graph, runs, 300)
    what = f"{graph.name}, {runs} annealing runs of 300 sweeps"
    rows = same_work(what, anneal, rounds)
    for mode in "ballistic", "discrete":
        solver = spins.SimulatedBifurcation(steps, discrete=mode == "discrete")
        pair = {"pnnjax": ours(graph, solver, 128)}
        if has[1]:
            pair["simulated-bifurcation"] = bifurcation(graph, mode, 128, steps)
        what = f"{graph.name}, {mode} bifurcation, 128 runs of {steps} steps"
        rows += same_work(what, pair, rounds)
    if not options.quick:
        solvers = {"pnnjax, annealing": anneal["pnnjax"]}
        if has[0]:
            solvers["dwave-samplers, 20 x 300"] = dwave(graph, 20, 300)
            solvers["dwave-samplers, 20 x 1000"] = dwave(graph, 20, 1000)
        if has[1]:
            peer = bifurcation(graph, "ballistic", 128, 1000)
            solvers["simulated-bifurcation, ballistic"] = peer
        cases = until_found(solvers, target, options.limit)
        found = contest(
            f"{graph.name}, until a cut of {target:g}", cases, rounds, calls=1
        )
        rows += [row._replace(memory=(None, None)) for row in found]
    names = "pnnjax", "jax", "dwave-samplers", "simulated-bifurcation", "torch"
    finish(rows, options, versions(*names))


if __name__ == "__main__":
    main()
