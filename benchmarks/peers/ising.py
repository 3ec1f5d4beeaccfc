"""How long until the best known cut of a G-set graph: us beside our peers.

    pip install torch dwave-samplers simulated-bifurcation
    PNNJAX_DATA=folder python benchmarks/peers_ising.py --graph G1

Every solver is run again and again, each time from new random numbers, until it has
found the target or its time is up. The solvers take turns, a seed at a time. Wall and
processor time are medians over the seeds, those that fail counting as infinite;
compilation is not counted. Peers that are not installed are left out.
"""

import argparse
import importlib.metadata
import importlib.util
import math
import os
import statistics
import time
from collections.abc import Callable

import equinox as eqx
import jax
import numpy as np

from pnnjax import data, spins


def ours(
    graph: data.Graph, solver: spins.AbstractIsingSolver
) -> Callable[[int], float]:
    """The best cut of 64 runs, by seed."""
    problem = spins.maxcut_problem(graph)

    @eqx.filter_jit
    def best(problem, key):
        found = solver(problem, key=key, replicas=64)
        return spins.cut_value(graph, found).max()

    return lambda seed: float(best(problem, jax.random.key(seed)))


def dwave(graph: data.Graph, reads: int, sweeps: int) -> Callable[[int], float]:
    """`SimulatedAnnealingSampler` of dwave-samplers (C++), with its own schedule."""
    from dwave.samplers import SimulatedAnnealingSampler

    couplings = {
        (int(i), int(j)): float(w)
        for (i, j), w in zip(graph.edges, graph.weights, strict=True)
    }
    sampler, total = SimulatedAnnealingSampler(), float(graph.weights.sum())

    def best(seed: int) -> float:
        answer = sampler.sample_ising(
            {}, couplings, num_reads=reads, num_sweeps=sweeps, seed=seed
        )
        return (total - float(answer.first.energy)) / 2

    return best


def bifurcation(graph: data.Graph, mode: str, steps: int) -> Callable[[int], float]:
    """`minimize` of simulated-bifurcation (PyTorch), 128 agents."""
    import simulated_bifurcation
    import torch

    matrix = np.zeros((graph.n, graph.n), np.float32)
    matrix[tuple(graph.edges.T)] = graph.weights
    form = torch.tensor((matrix + matrix.T) / 2)
    total = float(graph.weights.sum())

    def best(seed: int) -> float:
        torch.manual_seed(seed)
        _, value = simulated_bifurcation.minimize(
            form, domain="spin", agents=128, max_steps=steps, mode=mode, verbose=False
        )
        return (total - float(value)) / 2

    return best


def until(
    best: Callable[[int], float], target: float, seed: int, limit: float
) -> tuple[float, float, float]:
    """Wall and processor time until the target is found, and the best cut by then."""
    wall, cpu, cut, attempt = time.perf_counter(), time.process_time(), -math.inf, 0
    while cut < target:
        if time.perf_counter() - wall > limit:
            return math.inf, math.inf, cut
        cut = max(cut, best(1000 * seed + attempt))
        attempt += 1
    return time.perf_counter() - wall, time.process_time() - cpu, cut


def solvers(graph: data.Graph) -> dict[str, Callable[[int], float]]:
    """Those that are installed, by name."""
    cases = {
        "pnnjax, annealing, 64 x 300": ours(graph, spins.SimulatedAnnealing(300)),
        "pnnjax, annealing, 64 x 1000": ours(graph, spins.SimulatedAnnealing(1000)),
        "pnnjax, discrete bifurcation, 64 x 4000": ours(
            graph, spins.SimulatedBifurcation(4000)
        ),
    }
    if importlib.util.find_spec("dwave"):
        cases["dwave-samplers, annealing, 20 x 300"] = dwave(graph, 20, 300)
        cases["dwave-samplers, annealing, 20 x 1000"] = dwave(graph, 20, 1000)
    if importlib.util.find_spec("simulated_bifurcation"):
        cases["simulated-bifurcation, ballistic"] = bifurcation(
            graph, "ballistic", 1000
        )
        cases["simulated-bifurcation, discrete"] = bifurcation(graph, "discrete", 4000)
    return cases


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--graph", default="G1")
    parser.add_argument("--target", type=float, help="a cut; the best known without it")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--limit", type=float, default=60.0, help="s for each attempt")
    options = parser.parse_args()
    graph = data.gset(options.graph)
    target = options.target or graph.best_known
    for name in ("pnnjax", "jax", "dwave-samplers", "simulated-bifurcation", "torch"):
        try:
            print(f"{name} {importlib.metadata.version(name)}", end="  ")
        except importlib.metadata.PackageNotFoundError:
            print(f"({name} is not installed)", end="  ")
    load = os.getloadavg()[0]
    print(f"\n{graph.name}, cut {target:g}; the machine's load is {load:.1f}")
    cases = solvers(graph)
    for best in cases.values():
        best(0)  # Compiles
    results = {name: [] for name in cases}
    for seed in range(1, options.seeds + 1):
        for name, best in cases.items():
            results[name].append(until(best, target, seed, options.limit))
    print(f"{'solver':42} {'wall':>8} {'CPU':>8}   found   best")
    for name, values in results.items():
        wall, cpu = (statistics.median(v[i] for v in values) for i in (0, 1))
        found = sum(math.isfinite(v[0]) for v in values)
        best = max(v[2] for v in values)
        print(f"{name:42} {wall:7.2f}s {cpu:7.2f}s   {found}/{len(values)}   {best:g}")


if __name__ == "__main__":
    main()
