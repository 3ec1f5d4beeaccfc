"""Ising problems, simulated annealing and simulated bifurcation."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from scipy import stats

from pnnjax.spins import (
    DenseCouplingMatrix,
    IsingProblem,
    SimulatedAnnealing,
    SimulatedBifurcation,
    SparseCouplingMatrix,
    anneal,
    bifurcation_energy,
    bifurcation_step,
    field_scale,
    ising_energy,
    metropolis,
)
from pnnjax.spins._coupling_matrix import independent_groups
from pnnjax.spins._random_stream import exponential, random_stream


def symmetric(n, seed=0, density=1.0):
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.normal(size=(n, n)), 1) * (rng.random((n, n)) < density)
    return upper + upper.T


def as_edges(couplings):
    edges = np.argwhere(np.triu(couplings) != 0).astype(np.int32)
    return edges, couplings[tuple(edges.T)]


def pair(n, seed=0, density=0.5):
    """One random problem, as a matrix and as edges."""
    couplings = symmetric(n, seed, density)
    field = np.random.default_rng(seed + 1).normal(size=n)
    dense = IsingProblem(couplings, field)
    return dense, IsingProblem.from_edges(n, *as_edges(couplings), field)


def all_spins(n):
    return jnp.array(list(itertools.product((-1.0, 1.0), repeat=n)))


def raises(match):
    return pytest.raises((ValueError, eqx.EquinoxRuntimeError), match=match)


# The energy


def test_energy_of_a_pair_and_of_a_spin_in_a_field():
    couplings, field = jnp.array([[0.0, 2.0], [2.0, 0.0]]), jnp.array([0.5, 0.0])
    spins = jnp.array([[1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])
    expected = jnp.array([-2.5, 1.5, -1.5])
    assert jnp.array_equal(ising_energy(spins, couplings, field), expected)
    assert jnp.array_equal(IsingProblem(couplings, field).energy(spins), expected)


@pytest.mark.parametrize("which", (0, 1), ids=("dense", "sparse"))
def test_a_flip_costs_twice_the_spin_times_its_local_field(which):
    problem = pair(9)[which]
    spins = all_spins(9)[::37]
    flips = 1 - 2 * jnp.eye(9)
    energy = eqx.filter_jit(problem.energy)
    cost = energy(spins[:, None, :] * flips[None]) - energy(spins)[:, None]
    local = 2 * spins * problem.local_field(spins)
    np.testing.assert_allclose(cost, local, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", (jnp.float32, jnp.float64))
def test_edges_and_matrix_are_the_same_problem(dtype):
    dense, sparse = jax.tree.map(
        lambda a: a.astype(dtype) if eqx.is_inexact_array(a) else a,
        pair(12, density=0.25),
    )
    spins = jax.random.rademacher(jax.random.key(1), (2, 3, 12), dtype)
    tolerance = 1e-12 if dtype == jnp.float64 else 1e-5
    assert sparse.energy(spins).dtype == dtype and sparse.size == dense.size == 12
    both = jax.jit(lambda problem: (problem.energy(spins), problem.local_field(spins)))
    for a, b in zip(both(dense), both(sparse), strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=12 * tolerance)
    assert jnp.array_equal(sparse.couplings.matrix(), dense.couplings.matrix())
    np.testing.assert_allclose(field_scale(dense), field_scale(sparse), rtol=tolerance)


@pytest.mark.parametrize("which", (0, 1), ids=("dense", "sparse"))
def test_energy_is_differentiable_in_spins_couplings_and_field(which):
    problem = pair(5)[which]
    spins = jnp.asarray(np.random.default_rng(3).normal(size=5))
    arrays, static = eqx.partition(problem, eqx.is_inexact_array)

    @jax.jit
    def energy(arrays, spins):
        return eqx.combine(arrays, static).energy(spins)

    check_grads(energy, (arrays, spins), order=1)


# Sweeps


def test_members_of_a_group_share_no_edge():
    couplings = symmetric(60, density=0.2)
    couplings[0, 1:] = couplings[1:, 0] = 1.0
    edges, _ = as_edges(couplings)
    groups = independent_groups(60, edges)
    assert sorted(np.concatenate(groups)) == list(range(60))
    for group in groups:
        assert not couplings[np.ix_(group, group)].any()


def test_a_sweep_in_groups_is_one_spin_after_the_other():
    dense, sparse = pair(12, density=0.3)
    order = np.asarray(sparse.couplings.in_groups()[1])
    spins = np.array(all_spins(12)[100:104].T)
    draws = jnp.asarray(np.random.default_rng(0).normal(size=(12, 4)))
    swept = jax.jit(lambda s: sparse.sweep(s, metropolis, draws))(jnp.asarray(spins))
    for i in order:
        field = dense.local_field(jnp.asarray(spins.T)).T[i]
        spins[i] = np.where(2 * spins[i] * field < draws[i], -spins[i], spins[i])
    assert np.array_equal(swept, spins)


@pytest.mark.parametrize("which", (0, 1), ids=("dense", "sparse"))
def test_metropolis_settles_in_the_boltzmann_distribution(which, getkey):
    n, replicas, temperature = 4, 4000, 1.3
    problem = pair(n, seed=2, density=0.7)[which]
    spins = jax.random.rademacher(getkey(), (replicas, n), jnp.float64)
    spins, _ = jax.jit(anneal)(problem, spins, jnp.full(60, temperature), getkey())
    weights = np.exp(-np.asarray(problem.energy(all_spins(n))) / temperature)
    index = np.asarray((spins > 0).astype(int) @ (2 ** jnp.arange(n)[::-1]))
    counts = np.bincount(index, minlength=2**n)
    # The replicas are independent, so that this is the chi-square distribution.
    chance = stats.chisquare(counts, replicas * weights / weights.sum()).pvalue
    assert chance > 6e-5  # Four standard deviations


def test_random_streams_are_exponential_and_independent(getkey):
    first, stream = exponential(random_stream(getkey(), (200, 50)), jnp.dtype(float))
    second, _ = exponential(stream, jnp.dtype(float))
    for draws in (first, second):
        assert stats.kstest(np.ravel(draws), "expon").pvalue > 1e-4
    left, right = np.ravel(first)[:-1], np.ravel(second)[1:]
    for a, b in ((first, second), (left, left[::-1]), (left, right)):
        ranks = stats.spearmanr(np.ravel(a), np.ravel(b)).pvalue
        assert ranks > 1e-4


# Solvers

SOLVERS = {
    "annealing": SimulatedAnnealing(200),
    "ballistic": SimulatedBifurcation(300, 0.3, discrete=False),
    "discrete": SimulatedBifurcation(300, 0.3),
}
each_solver = pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS)


@each_solver
@pytest.mark.parametrize(
    "which",
    [
        pytest.param(0, id="dense"),
        pytest.param(1, id="sparse", marks=pytest.mark.slow),
    ],
)
def test_small_problems_are_solved(solver, which):
    run = eqx.filter_jit(lambda problem, key: solver(problem, key=key, replicas=64))
    edges, _ = as_edges(symmetric(10, density=0.3))
    for seed in range(3):
        problem = pair(10, seed)[0]
        if which:
            # The same edges each time, so that one program does.
            weights = np.random.default_rng(seed).normal(size=len(edges))
            problem = IsingProblem.from_edges(10, edges, weights, problem.field)
        spins = run(problem, jax.random.key(seed))
        assert spins.shape == (64, 10) and bool((jnp.abs(spins) == 1).all())
        found, least = problem.energy(spins).min(), problem.energy(all_spins(10)).min()
        # Ballistic bifurcation hardly depends on its start: it may miss a little.
        ballistic = isinstance(solver, SimulatedBifurcation) and not solver.discrete
        assert (
            least - 1e-9 <= found <= least + (0.05 * abs(least) if ballistic else 1e-9)
        )


@each_solver
def test_a_ferromagnet_aligns_with_its_field(solver):
    n = 16
    field = jnp.full(n, 0.3, jnp.float32)
    problem = IsingProblem(
        jnp.ones((n, n), jnp.float32) - jnp.eye(n, dtype="f4"), field
    )
    spins = solver(problem, key=jax.random.key(0), replicas=32)
    assert spins.dtype == jnp.float32
    energy = problem.energy(spins)
    np.testing.assert_allclose(energy.min(), -n * (n - 1) / 2 - 0.3 * n, rtol=1e-6)
    # Every run ends with all spins on one side.
    assert bool((jnp.abs(spins.sum(1)) == n).all())


@each_solver
def test_the_same_key_gives_the_same_spins(solver):
    # Without a field, the sides of all spins together are by chance.
    problem = IsingProblem(symmetric(24))
    run = eqx.filter_jit(lambda key: solver(problem, key=key, replicas=16))
    a, b, c = (run(jax.random.key(seed)) for seed in (1, 1, 2))
    assert jnp.array_equal(a, b) and not jnp.array_equal(a, c)


def test_annealing_starts_where_it_is_told_and_without_heat_it_descends():
    problem = pair(12)[0]
    start = all_spins(12)[jnp.array([7, 700])]
    cold = SimulatedAnnealing(1, hot=0.0, cold=0.0)
    end = cold(problem, key=jax.random.key(0), replicas=2, start=start)
    assert bool((problem.energy(end) < problem.energy(start)).all())
    assert bool((end * problem.local_field(end) > 0).all())
    again = cold(problem, key=jax.random.key(1), replicas=2, start=end)
    assert jnp.array_equal(again, end)


def test_what_annealing_observes_are_the_spins_of_each_sweep():
    problem = pair(6)[1]
    start = all_spins(6)[:3]
    steps = jnp.linspace(2.0, 0.1, 5)
    end, seen = anneal(problem, start, steps, jax.random.key(0), lambda spins: spins)
    assert seen.shape == (5, 3, 6) and jnp.array_equal(seen[-1], end)


# Bifurcation


def test_bifurcation_is_symplectic_inside_the_walls():
    n, pump, strength = 5, jnp.asarray(0.4), jnp.asarray(0.2)
    problem = pair(n)[0]

    def flow(state):
        return jnp.concatenate(
            bifurcation_step(
                problem, state[:n], state[n:], pump, strength, 0.3, discrete=False
            )
        )

    matrix = jax.jacobian(flow)(jnp.linspace(-0.1, 0.1, 2 * n))
    form = np.kron([[0, 1], [-1, 0]], np.eye(n))
    np.testing.assert_allclose(matrix.T @ form @ matrix, form, atol=1e-12)


def test_bifurcation_keeps_its_energy_to_first_order_in_the_step():
    n, pump, strength = 5, jnp.asarray(0.2), jnp.asarray(0.1)
    problem = IsingProblem(symmetric(n))
    x, y = jnp.full(n, 0.1), jnp.zeros(n)

    def wander(step):
        def forward(state, _):
            x, y = bifurcation_step(problem, *state, pump, strength, step, False)
            return (x, y), bifurcation_energy(problem, x, y, pump, strength)

        energies = jax.lax.scan(forward, (x, y), None, round(200 / step))[1]
        first = bifurcation_energy(problem, x, y, pump, strength)
        return float(jnp.abs(energies - first).max() / first)

    coarse, fine = wander(0.1), wander(0.05)
    assert fine < 0.05
    np.testing.assert_allclose(coarse / fine, 2, rtol=0.1)


def test_oscillators_stop_at_the_walls():
    problem, one = pair(3)[0], jnp.ones(3)
    x, y = bifurcation_step(problem, 0.9 * one, one, 1.0 * one[0], one[0], 1.0, True)
    outside = jnp.abs(x) == 1
    assert bool((jnp.abs(x) <= 1).all()) and bool(outside.any())
    assert not bool(jnp.where(outside, y, 0).any())


# Bad input


def with_entry(i, j, value):
    couplings = symmetric(4)
    couplings[i, j] = value
    return couplings


@pytest.mark.parametrize(
    "couplings, match",
    (
        (with_entry(1, 2, 9.0), r"J\[1, 2\] = 9 differs from its transpose"),
        (with_entry(3, 0, np.nan), r"J\[3, 0\] = nan is not finite"),
        (with_entry(2, 2, 1.0), r"J\[2, 2\] = 1 couples a spin to itself"),
    ),
)
def test_wrong_couplings_are_named(couplings, match):
    with raises(match):
        IsingProblem(couplings)
    with raises("finite and symmetric with an empty diagonal"):
        eqx.filter_jit(lambda j: DenseCouplingMatrix(j).values)(jnp.asarray(couplings))


@pytest.mark.parametrize(
    "edges, weights, match",
    (
        ([[0, 1], [1, 4]], [1.0, 1.0], r"Edge 1, \(1, 4\), leaves the spins 0 to 3"),
        ([[2, 2]], [1.0], r"Edge 0, \(2, 2\), joins a spin to itself"),
        ([[0, 1], [2, 3], [1, 0]], [1.0] * 3, r"Edge 2, \(1, 0\), is there twice"),
        ([[0, 1]], [np.inf], r"Edge 0, \(0, 1\), has the weight inf"),
    ),
)
def test_wrong_edges_are_named(edges, weights, match):
    with raises(match):
        SparseCouplingMatrix(4, np.array(edges), np.array(weights))


def test_wrong_fields_and_starts_are_named():
    with raises("The field of spin 2 is nan"):
        IsingProblem(symmetric(4), np.array([0, 0, np.nan, 0]))
    problem, key = IsingProblem(symmetric(4)), jax.random.key(0)
    with raises(r"`start` has shape \(1, 4\), not \(2, 4\)"):
        SimulatedAnnealing()(problem, key=key, replicas=2, start=jnp.ones((1, 4)))
    with raises("at least one replica"):
        SimulatedBifurcation()(problem, key=key, replicas=0)


@pytest.mark.parametrize(
    "make, match",
    (
        (lambda: SimulatedAnnealing(0), "at least one sweep"),
        (lambda: SimulatedAnnealing(9, hot=-1.0), "`hot` can't be -1"),
        (lambda: SimulatedAnnealing(9, hot=0.1, cold=1.0), "must not be below"),
        (lambda: SimulatedBifurcation(0), "at least one step"),
        (lambda: SimulatedBifurcation(9, 2.5), "`time_step` must be between 0 and 2"),
        (lambda: SimulatedBifurcation(9, strength=-1.0), "`strength` must be positive"),
    ),
)
def test_wrong_settings_are_refused(make, match):
    with raises(match):
        make()
