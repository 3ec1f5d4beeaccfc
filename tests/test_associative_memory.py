"""Associative memories: capacity, the cavity's couplings, and what is recalled."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pnnjax import plots
from pnnjax.spins import (
    AssociativeMemory,
    CavityAssociativeMemory,
    EncodedMemory,
    IsingProblem,
    capacity_curve,
    confocal_couplings,
    corrupt,
    critical_load,
    hebbian,
    mean_field_overlap,
    overlap,
    pseudo_inverse,
    steepest_descent,
    zero_temperature,
)

RECALLS = (zero_temperature, steepest_descent)


def random_patterns(p, n, seed=0):
    return jax.random.rademacher(jax.random.key(seed), (p, n), float)


def glass(n, seed):
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.normal(size=(n, n)), 1)
    return IsingProblem(upper + upper.T, rng.normal(size=n))


# Hopfield's memory


def test_the_critical_load_is_the_published_one():
    # Amit, Gutfreund & Sompolinsky (1985): 0.138, with an overlap of 0.97.
    assert critical_load() == pytest.approx(0.138, abs=5e-4)
    assert mean_field_overlap(0.9999 * critical_load()) == pytest.approx(0.97, abs=5e-3)
    assert mean_field_overlap(1.0001 * critical_load()) == 0


@pytest.mark.parametrize("load", [0.01, 0.05, 0.1, 0.135])
def test_the_overlap_solves_the_mean_field_equations(load):
    m = mean_field_overlap(load)
    # r and C of the paper, iterated to their fixed point at this m.
    r = 1.0
    for _ in range(2000):
        c = math.sqrt(2 / (math.pi * load * r)) * math.exp(-(m**2) / (2 * load * r))
        r = 1 / (1 - c) ** 2
    assert math.erf(m / math.sqrt(2 * load * r)) == pytest.approx(m, abs=1e-9)


@pytest.mark.slow
def test_patterns_at_low_load_are_fixed_points_and_attract():
    patterns = random_patterns(6, 200)
    cues = corrupt(patterns, 0.2, key=jax.random.key(1))
    for recall in RECALLS:
        memory = AssociativeMemory(hebbian(patterns), recall)
        np.testing.assert_array_equal(memory(patterns), patterns)
        np.testing.assert_array_equal(memory(cues), patterns)
        np.testing.assert_array_equal(memory(-cues), -patterns)


@pytest.mark.slow
@pytest.mark.parametrize("recall", RECALLS)
def test_the_memory_is_lost_above_the_critical_load(recall):
    loads = np.array([0.08, 0.12, 0.25])
    key = jax.random.key(2)
    found = capacity_curve(500, loads, key=key, probes=24, recall=recall)
    held, nearly, lost = np.asarray(found.mean(axis=1))
    assert held == pytest.approx(mean_field_overlap(0.08), abs=0.005)
    assert nearly > 0.95 and lost < 0.6


@pytest.mark.slow
@pytest.mark.parametrize("recall", RECALLS)
def test_spins_rest_in_minima_below_where_they_began(recall):
    problem = glass(40, 3)
    start = random_patterns(12, 40, seed=4).reshape(3, 4, 40)
    rest = recall(problem, start)
    assert np.all(rest * problem.local_field(rest) >= 0)
    assert np.all(problem.energy(rest) <= problem.energy(start))
    np.testing.assert_array_equal(recall(problem, rest), rest)
    alone = jnp.stack([jnp.stack([recall(problem, s) for s in row]) for row in start])
    np.testing.assert_array_equal(alone, rest)


def test_the_steepest_way_is_not_the_first_one():
    # Both spins want to flip, and either one satisfies the other: 1 gains more.
    couplings = np.array([[0.0, -1.0], [-1.0, 0.0]])
    problem = IsingProblem(couplings, np.array([0.1, -0.1]))
    up = jnp.ones(2)
    np.testing.assert_array_equal(zero_temperature(problem, up), [-1, 1])
    np.testing.assert_array_equal(steepest_descent(problem, up), [1, -1])


def test_projection_holds_correlated_patterns():
    patterns = random_patterns(10, 64, seed=5)
    patterns = patterns.at[:, :24].set(1.0)
    hebb = AssociativeMemory(hebbian(patterns))
    projection = AssociativeMemory(pseudo_inverse(patterns))
    assert np.any(hebb(patterns) != patterns)
    np.testing.assert_array_equal(projection(patterns), patterns)


def test_cues_have_the_errors_that_were_asked_for():
    patterns = random_patterns(5, 30)
    cues = corrupt(patterns, 0.2, key=jax.random.key(6))
    np.testing.assert_allclose(overlap(cues, patterns), 1 - 2 * 0.2)
    assert len(np.unique(np.asarray(cues * patterns), axis=0)) == 5


def test_bad_input_to_a_memory():
    memory = AssociativeMemory(hebbian(random_patterns(2, 10)))
    with pytest.raises(ValueError, match=r"10 spins can't have shape \(9,\)"):
        memory(jnp.ones(9))
    with pytest.raises(Exception, match=r"\+1 or -1"):
        memory(jnp.zeros(10))
    with pytest.raises(ValueError, match="transpose"):
        AssociativeMemory(jnp.triu(jnp.ones((3, 3)), 1))
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        corrupt(jnp.ones(4), 1.5, key=jax.random.key(0))
    with pytest.raises(ValueError, match="can't be asked for"):
        capacity_curve(100, np.array([0.1]), key=jax.random.key(0), probes=11)
    with pytest.raises(ValueError, match="positive"):
        mean_field_overlap(0.0)


# The cavity


def hermite_gauss(order, x, waist):
    """The amplitude of a transverse mode on a line, up to a factor."""
    coefficients = np.zeros(order + 1)
    coefficients[order] = 1
    hermite = np.polynomial.hermite.hermval(math.sqrt(2) * x / waist, coefficients)
    return hermite * np.exp(-((x / waist) ** 2))


@pytest.mark.parametrize("order", range(5))
def test_modes_of_the_cavity_are_the_modes_of_the_couplings(order):
    # Light goes by the Fourier transform: even modes return as (-1)^(order / 2) of
    # themselves, and odd ones, which are off resonance, not at all.
    waist = 35e-6
    x = np.linspace(-6, 6, 481) * waist
    couplings = confocal_couplings(jnp.stack([x, 0 * x], axis=1), waist)
    diagonal = np.cos(2 * (x / waist) ** 2)
    kernel = np.asarray(couplings) + np.diag(diagonal)
    mode = hermite_gauss(order, x, waist)
    image = kernel @ mode * (x[1] - x[0]) / (math.sqrt(math.pi) * waist)
    eigenvalue = (-1) ** (order // 2) if order % 2 == 0 else 0
    np.testing.assert_allclose(image, eigenvalue * mode, atol=1e-9 * abs(mode).max())


def test_the_mean_coupling_falls_with_the_width():
    for width in (0.2, 0.5, 1.5):
        cavity = CavityAssociativeMemory.random(
            700, width * 1e-5, 1e-5, key=jax.random.key(7)
        )
        couplings = np.asarray(cavity.problem.couplings.matrix())
        mean = couplings.sum() / (700 * 699)
        # About 700 independent places.
        assert mean == pytest.approx(1 / (1 + 4 * width**4), abs=3 / math.sqrt(700))
    assert np.all(np.abs(couplings) <= 1) and np.all(np.diag(couplings) == 0)


@pytest.mark.slow
def test_near_the_axis_the_cavity_is_a_ferromagnet():
    cavity = CavityAssociativeMemory.random(50, 1e-6, 1e-5, key=jax.random.key(8))
    pattern = jnp.ones(50)
    cues = corrupt(jnp.stack([pattern] * 4), 0.4, key=jax.random.key(9))
    np.testing.assert_array_equal(cavity(cues), np.ones((4, 50)))
    with pytest.raises(ValueError, match="1 pairs of minima, not 3"):
        cavity.attractors(3, key=jax.random.key(10))


@pytest.mark.slow
def test_far_from_it_many_minima_are_memories():
    key = jax.random.key(11)
    cavity = CavityAssociativeMemory.random(48, 4e-5, 1e-5, key=key)
    memories = cavity.attractors(8, key=jax.random.key(12))
    np.testing.assert_array_equal(cavity(memories), memories)
    assert np.abs(np.asarray(memories @ memories.T) / 48 - np.eye(8)).max() < 0.999
    field = cavity.problem.local_field(memories)
    assert np.all(memories * field > 0)


@pytest.mark.slow
def test_steepest_descent_finds_minima_from_farther_away():
    # Marsh et al. (2021). The minima are those that the other dynamics finds.
    cavity = CavityAssociativeMemory.random(
        64, 1.5e-5, 1e-5, key=jax.random.key(18), recall=zero_temperature
    )
    found = cavity.attractors(8, key=jax.random.key(19))
    minima = jnp.repeat(found, 40, axis=0)
    cues = corrupt(minima, 0.1, key=jax.random.key(20))
    steepest, in_turn = (
        float(jnp.mean(jnp.all(recall(cavity.problem, cues) == minima, axis=1)))
        for recall in (steepest_descent, zero_temperature)
    )
    assert steepest > in_turn + 0.1


@pytest.mark.slow
def test_other_patterns_are_encoded_in_its_minima():
    cavity = CavityAssociativeMemory.random(64, 2e-5, 1e-5, key=jax.random.key(13))
    patterns = random_patterns(4, 100, seed=14)
    attractors = cavity.attractors(4, key=jax.random.key(15))
    memory = EncodedMemory(cavity, patterns, attractors)
    np.testing.assert_array_equal(memory.encode(patterns), attractors)
    np.testing.assert_array_equal(memory(patterns), patterns)
    cues = corrupt(patterns, 0.1, key=jax.random.key(16))
    np.testing.assert_array_equal(memory(cues), patterns)


def test_bad_input_to_a_cavity():
    with pytest.raises(ValueError, match="waist"):
        confocal_couplings(jnp.ones((3, 2)), 0.0)
    cavity = CavityAssociativeMemory.random(10, 2e-5, 1e-5, key=jax.random.key(17))
    rows = random_patterns(3, 10)
    # By shape, where types are checked.
    with pytest.raises(Exception, match="attractors"):
        EncodedMemory(cavity, rows, rows[:2])
    with pytest.raises(ValueError, match="patterns are linearly dependent"):
        EncodedMemory(cavity, rows.at[1].set(-rows[0]), rows)


# Pictures


def test_pictures(tmp_path):
    images = np.sign(np.random.default_rng(0).normal(size=(4, 5, 5)))
    drawn = plots.recall(images, -images, {"one": images, "other": -images})
    drawn.savefig(tmp_path / "recall.png")
    loads = np.array([0.1, 0.14, 0.2])
    curve = plots.capacity(
        loads,
        {"one": np.array([[1.0, 0.9, 0.3], [1.0, 0.8, 0.4]])},
        theory=(loads, np.array([1.0, 0.0, 0.0])),
        critical=0.138,
    )
    curve.savefig(tmp_path / "capacity.png")
    # By shape, where types are checked.
    with pytest.raises(Exception, match="cue"):
        plots.recall(images, images[:2], {"one": images})
    with pytest.raises(ValueError, match="nothing to draw"):
        plots.recall(images, images, {})
    with pytest.raises(ValueError, match="no results"):
        plots.capacity(loads, {}, theory=(loads, loads), critical=0.138)
    with pytest.raises(Exception, match="overlaps|runs, 3"):
        wrong = {"one": np.ones((1, 2))}
        plots.capacity(loads, wrong, theory=(loads, loads), critical=0.138)
