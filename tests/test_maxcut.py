"""MaxCut, the G-set, the dense Ising problems, and the picture of spins."""

import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import needs_files

from pnnjax import data, plots
from pnnjax.data import read_graph
from pnnjax.spins import (
    AbstractGraph,
    SimulatedAnnealing,
    SimulatedBifurcation,
    cut_value,
    maxcut,
    maxcut_problem,
)


class Graph(NamedTuple):
    n: int
    edges: np.ndarray
    weights: np.ndarray


def ring(n):
    edges = np.array([(i, (i + 1) % n) for i in range(n)])
    return Graph(n, edges, np.ones(n, np.float32))


def random_graph(n, seed):
    rng = np.random.default_rng(seed)
    edges = np.array(
        [e for e in itertools.combinations(range(n), 2) if rng.random() < 0.5]
    )
    return Graph(n, edges, rng.choice([-1.0, 1.0], len(edges)).astype(np.float32))


# MaxCut


@pytest.mark.parametrize("n, largest", ((12, 12), (13, 12)))
def test_an_even_ring_is_cut_everywhere_and_an_odd_one_but_once(n, largest):
    cut = maxcut(ring(n), SimulatedAnnealing(200), key=jax.random.key(0))
    assert float(cut.value) == largest and cut.spins.shape == (n,)
    assert isinstance(ring(n), AbstractGraph)


def test_the_cut_is_half_the_weight_less_half_the_energy():
    graph = random_graph(9, 0)
    spins = jax.random.rademacher(jax.random.key(0), (5, 9), jnp.float32)
    cuts = cut_value(graph, spins)
    for row, cut in zip(np.asarray(spins), cuts, strict=True):
        ends = row[graph.edges]
        assert float(cut) == graph.weights[ends[:, 0] != ends[:, 1]].sum()
    energy = maxcut_problem(graph).energy(spins)
    np.testing.assert_allclose(cuts, (graph.weights.sum() - energy) / 2, rtol=1e-6)


@pytest.mark.parametrize("solver", (SimulatedAnnealing(200), SimulatedBifurcation(400)))
def test_small_graphs_are_cut_as_far_as_they_can_be(solver):
    graph = random_graph(11, 3)
    every = jnp.array(list(itertools.product((-1.0, 1.0), repeat=11)), jnp.float32)
    cut = maxcut(graph, solver, key=jax.random.key(1))
    assert float(cut.value) == float(cut_value(graph, every).max())
    assert float(cut_value(graph, cut.spins)) == float(cut.value)


# The files


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "G0.txt"
        path.write_text(text)
        return path

    return write


def test_a_graph_is_read_as_it_is_written(file):
    graph = read_graph(file("3 2 \n1 2 1\n3 1 -1\n\n"))
    assert graph.n == 3 and graph.name == "G0" and graph.best_known is None
    assert graph.edges.tolist() == [[0, 1], [2, 0]]
    assert graph.weights.tolist() == [1, -1]


@pytest.mark.parametrize(
    "text, match",
    (
        ("3 2\n1 2 1\n", "announces 2 edges, but it ends with edge 1 on line 2"),
        ("3 2\n", "ends with edge 0 on line 1"),
        ("", "line 1: expected 2 whole numbers, found ``"),
        ("3 2\n1 2 1\n1 3", "line 3: expected 3 whole numbers, found `1 3`"),
        ("3 1\n1 2 x\n", "line 2: expected 3 whole numbers"),
        ("3 1\n1 2 1\n2 3 1\n", "line 3: one edge more than the 1 announced"),
        ("3 2\n1 2 1\n3 4 1\n", "line 3: 3 4 are no two of the nodes 1 to 3"),
        ("3 2\n1 2 1\n2 1 1\n", "line 3: the edge 2 1 is on line 2 already"),
    ),
)
def test_a_damaged_graph_is_refused_by_file_and_line(file, text, match):
    path = file(text)
    with pytest.raises(ValueError, match=match) as caught:
        read_graph(path)
    assert str(path) in str(caught.value)


def test_an_unknown_graph_is_answered_with_those_near():
    with pytest.raises(ValueError, match=r"no graph `G82` here. Did you mean G8 "):
        data.gset("G82")


def test_a_missing_file_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PNNJAX_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"gset/G1\.txt"):
        data.gset("G1")
    with pytest.raises(FileNotFoundError, match=r"cim_dense_small\.npz"):
        data.dense_maxcut(50)
    with pytest.raises(ValueError, match="of 50 and of 100 spins, not of 60"):
        data.dense_spin_glass(60)


def test_a_damaged_archive_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PNNJAX_DATA", str(tmp_path))
    (tmp_path / "ising").mkdir()
    (tmp_path / "ising" / "cim_dense_small.npz").write_bytes(b"PK\3\4 cut short")
    with pytest.raises(ValueError, match="is damaged"):
        data.dense_maxcut(50)


@needs_files
def test_the_smallest_graphs_have_800_nodes_and_a_best_known_cut():
    graph = data.gset("G11")
    assert (graph.n, len(graph.edges), graph.best_known) == (800, 1600, 564)
    assert set(np.bincount(graph.edges.ravel())) == {4}
    assert "Benlic" in graph.source
    assert len(data.gset_names()) == 37 and len(data.gset_names(2000)) == 31


@needs_files
@pytest.mark.parametrize("read", (data.dense_maxcut, data.dense_spin_glass))
def test_dense_problems_are_symmetric_and_their_energies_can_be_reached(read):
    from pnnjax.spins import IsingProblem

    couplings, energy = read(50)
    assert couplings.shape == (10, 50, 50) and energy.shape == (10,)
    problem = IsingProblem(couplings[0])
    spins = SimulatedAnnealing(200)(problem, key=jax.random.key(0), replicas=32)
    assert float(problem.energy(spins).min()) == energy[0]


# The picture


@pytest.mark.slow
def test_the_picture_of_spins_shows_sweeps_from_left_to_right(tmp_path):
    from pnnjax.spins import anneal

    problem = maxcut_problem(ring(20))
    start = jax.random.rademacher(jax.random.key(0), (1, 20), jnp.float32)
    steps = jnp.linspace(2.0, 0.1, 30, dtype=jnp.float32)
    look = lambda spins: spins[0]  # noqa: E731
    _, seen = anneal(problem, start, steps, jax.random.key(1), look)
    figure = plots.spin_raster(np.asarray(seen), np.asarray(problem.energy(seen)))
    top, bottom = figure.axes[:2]
    assert np.shape(top.images[0].get_array()) == (20, 30)
    drawn = np.asarray(bottom.lines[0].get_ydata(), float)
    np.testing.assert_allclose(drawn, problem.energy(seen))
    figure.savefig(tmp_path / "spins.png")
    with pytest.raises(ValueError, match="30 sweeps"):
        plots.spin_raster(np.asarray(seen), np.zeros(7, np.float32))
    with pytest.raises(ValueError, match="-1 and 1"):
        plots.spin_raster(np.zeros((3, 4)), np.zeros(3))
