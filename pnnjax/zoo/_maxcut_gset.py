"""MaxCut on the G-set, by three Ising machines."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import jax
import numpy as np
from jaxtyping import Array

from .. import data, plots, spins
from ._experiment import AbstractStudy, Outcome
from ._settings import setting

if TYPE_CHECKING:
    from matplotlib.figure import Figure


Attempt = Callable[[Array], tuple[float, float]]
TRIES = 6  # slow runs in the time of a solver


class Row(NamedTuple):
    """The best cut that one solver found of one graph."""

    graph: str
    nodes: int
    solver: str
    cut: float
    best_known: int | None
    share: float
    """Of the best known cut."""
    seconds: float
    """When it was found, compilation not counted."""
    source: str


class MaxcutGset(AbstractStudy):
    """Who finds the best known cuts, and when?

    Each solver makes a quick run from many starts side by side; unless that finds the
    best known cut, slower ones share the time that is left.
    """

    name = "maxcut-gset"
    summary = "MaxCut on the G-set by simulated annealing and simulated bifurcation"
    reference = (
        "Goto et al., Sci. Adv. 7, eabe7953 (2021), doi:10.1126/sciadv.abe7953; best "
        "known: Benlic, Hao, Eng. Appl. Artif. Intell. 26, 1162 (2013), "
        "doi:10.1016/j.engappai.2012.09.001, and later"
    )
    figure = "share of the best known cut, on the worst graph"
    published = 1.0
    duration = 4500.0
    presets: ClassVar = {"quick": {"graphs": "G1 G11 G14", "seconds": 3.0}}

    graphs: str = setting("", "graphs, such as `G1 G22`; all up to `largest` if empty")
    largest: int = setting(2000, "nodes of the largest graph", low=800)
    seconds: float = setting(60.0, "for each solver and graph, s", low=0.01)
    replicas: int = setting(64, "runs side by side", low=1)
    sweeps: int = setting(1000, "of the quick run", low=1)
    who: str = setting("", "solvers, such as `annealing discrete`; all if empty")

    def solvers(self, sweeps: int) -> dict[str, spins.AbstractIsingSolver]:
        """By name."""
        every = {
            "annealing": spins.SimulatedAnnealing(sweeps),
            "ballistic": spins.SimulatedBifurcation(sweeps, discrete=False),
            "discrete": spins.SimulatedBifurcation(sweeps),
        }
        wanted = self.who.split() or every
        if unknown := set(wanted) - set(every):
            raise ValueError(
                f"There is no solver {', '.join(sorted(unknown))}: `who` names some of "
                f"{', '.join(every)}."
            )
        return {name: every[name] for name in wanted}

    def run(
        self, *, seed: int, checkpoint: Path | None, resume: bool, progress: bool
    ) -> Outcome:
        begin, kinds = time.monotonic(), tuple(self.solvers(1))
        done = _Done(checkpoint, resume)
        for i, name in enumerate(_shown(self.names(), progress)):
            key = jax.random.fold_in(jax.random.key(seed), i)
            for kind, own in zip(kinds, jax.random.split(key, len(kinds)), strict=True):
                if not done.has(name, kind):
                    done.add(self.measure(data.gset(name), kind, own))
        rows = done.rows
        best = {row.graph: 0.0 for row in rows}
        for row in rows:
            best[row.graph] = max(best[row.graph], row.share)
        return Outcome(
            value=min(best.values()),
            seconds=time.monotonic() - begin,
            model=None,
            history=None,
            table={
                field: [getattr(row, field) for row in rows] for field in Row._fields
            },
            pictures={"physics": lambda: self.picture(rows[0].graph, seed)},
        )

    def names(self) -> tuple[str, ...]:
        """The graphs, by name."""
        return tuple(self.graphs.split()) or data.gset_names(self.largest)

    def measure(self, graph: data.Graph, kind: str, key: Array) -> Row:
        """Let one kind of solver look for the best cut while its time lasts."""
        quick = self.prepared(graph, kind, self.sweeps)
        best, spent = quick(key)
        found, known = spent, graph.best_known
        sweeps = int(self.sweeps * (self.seconds - spent) / (TRIES * spent))
        if best != known and sweeps > self.sweeps:
            slow = self.prepared(graph, kind, sweeps)
            for own in jax.random.split(key, TRIES):
                again, more = slow(own)
                spent += more
                if again > best:
                    best, found = again, spent
                if best == known or spent + more > self.seconds:
                    break
        share = best / known if known else 1.0
        return Row(graph.name, graph.n, kind, best, known, share, found, graph.source)

    def prepared(self, graph: data.Graph, kind: str, sweeps: int) -> Attempt:
        """A run, compiled: from a key, the best cut, and how long it took."""
        solver, problem = self.solvers(sweeps)[kind], spins.maxcut_problem(graph)
        solve = jax.jit(lambda p, key: solver(p, key=key, replicas=self.replicas))
        compiled = solve.lower(problem, jax.random.key(0)).compile()

        def attempt(key: Array) -> tuple[float, float]:
            start = time.monotonic()
            cuts = spins.cut_value(graph, compiled(problem, key))
            return float(cuts.max()), time.monotonic() - start

        return attempt

    def picture(self, name: str, seed: int) -> "Figure":
        """A hundred spins of the first graph as they are annealed."""
        graph = data.gset(name)
        problem, solver = spins.maxcut_problem(graph), spins.SimulatedAnnealing(300)
        start_key, key = jax.random.split(jax.random.key(seed))
        start = jax.random.rademacher(start_key, (1, graph.n), problem.field.dtype)
        look = lambda spins: spins[0]  # noqa: E731
        steps = solver.temperatures(problem)
        _, seen = spins.anneal(problem, start, steps, key, look)
        energy = graph.weights.sum() - 2 * spins.cut_value(graph, seen)
        ground = None
        if graph.best_known is not None:
            ground = float(graph.weights.sum() - 2 * graph.best_known)
        return plots.spin_raster(
            np.asarray(seen[:, :100]), np.asarray(energy), ground=ground
        )


class _Done:
    """The rows so far; each is written as it comes, so that a run can go on."""

    def __init__(self, checkpoint: Path | None, resume: bool):
        self.rows: list[Row] = []
        self.file = None
        if checkpoint is None:
            return
        checkpoint.mkdir(exist_ok=True)
        self.file = checkpoint / "rows.jsonl"
        if resume and self.file.exists():
            lines = self.file.read_text().split("\n")[:-1]  # without one cut short
            self.rows = [Row(*json.loads(line)) for line in lines]
        self.file.write_text("".join(json.dumps(row) + "\n" for row in self.rows))

    def has(self, graph: str, solver: str) -> bool:
        return any((row.graph, row.solver) == (graph, solver) for row in self.rows)

    def add(self, row: Row) -> None:
        self.rows.append(row)
        if self.file is not None:
            with open(self.file, "a") as file:
                file.write(json.dumps(row) + "\n")


def _shown(jobs: tuple[str, ...], progress: bool) -> Iterator[str]:
    """The graphs, behind a progress bar."""
    if not progress:
        return iter(jobs)
    from rich.console import Console
    from rich.progress import track

    return iter(track(jobs, "graphs", console=Console(stderr=True)))
