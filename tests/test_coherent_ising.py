"""The coherent Ising machine: its oscillators alone, in pairs, and on spin glasses."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pnnjax.spins import CoherentIsing, IsingProblem
from pnnjax.spins._coherent_ising import amplitude_control


def glass(n, seed, field=0.0):
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.normal(size=(n, n)), 1)
    return IsingProblem(upper + upper.T, field * rng.normal(size=n))


def ground_state_energy(problem):
    n = problem.size
    spins = 1.0 - 2 * (np.arange(2**n)[:, None] >> np.arange(n) & 1)
    return float(problem.energy(jnp.asarray(spins)).min())


def alone(step):
    """The amplitude at t = 4 of a pumped oscillator without couplings."""
    x = gain = jnp.asarray([0.1])
    for _ in range(round(4 / step)):
        x, gain = amplitude_control(
            x, gain, 0 * x, pump=2.0, rate=0.0, target=1.0, step=step
        )
    return float(x[0])


def test_an_oscillator_alone_saturates_as_the_logistic_law_says():
    # x' = x - x^3 is the logistic law in x^2.
    exact = np.sqrt(1 / (1 + (1 / 0.1**2 - 1) * np.exp(-2 * 4.0)))
    errors = [abs(alone(step) - exact) for step in (0.05, 0.025)]
    assert errors[1] < 0.02
    # First order; the next one is seen at these steps.
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.1)


def test_gains_bring_all_amplitudes_to_the_target():
    # A chain without frustration: the couplings differ, the amplitudes must not.
    couplings = np.diag([1.0, 0.3, 2.0, 0.7], 1)
    problem = IsingProblem(couplings + couplings.T)
    machine = CoherentIsing(4000, target=0.6)
    end = machine.run(problem, key=jax.random.key(0), replicas=3)
    np.testing.assert_allclose(end.amplitude[:, :-1] ** 2, 0.6, rtol=1e-6)
    np.testing.assert_allclose(end.energy, -4.0)


def test_two_spins_settle_where_loss_equals_gain():
    problem = IsingProblem(np.array([[0.0, 5.0], [5.0, 0.0]]))
    machine = CoherentIsing(4000, pump=0.3, coupling=0.5, target=0.8)
    end = machine.run(problem, key=jax.random.key(1))
    # 0 = (p - 1 - a) x + eps e x, as the typical field is the coupling.
    gain = np.exp(end.log_gain[0, :2])
    np.testing.assert_allclose(gain, (1 - 0.3 + 0.8) / 0.5, rtol=1e-6)


@pytest.mark.parametrize("field", [0.0, 0.5])
def test_ground_states_of_spin_glasses(field):
    run = eqx.filter_jit(CoherentIsing(1000))
    for seed in range(3):
        problem = glass(16, seed, field)
        spins = run(problem, key=jax.random.key(seed), replicas=24)
        assert spins.shape == (24, 16) and np.all(np.abs(spins) == 1)
        best = float(problem.energy(spins).min())
        assert best == pytest.approx(ground_state_energy(problem), abs=1e-9)


def test_what_is_reported_is_the_best_on_the_way():
    problem = glass(12, 5, 0.3)
    end = CoherentIsing(300).run(problem, key=jax.random.key(2), replicas=8)
    np.testing.assert_allclose(end.energy, problem.energy(end.best))
    shorter = CoherentIsing(100).run(problem, key=jax.random.key(2), replicas=8)
    assert np.all(end.energy <= shorter.energy)


def test_the_scale_of_the_couplings_does_not_matter():
    problem = glass(10, 7, 1.0)
    larger = IsingProblem(64 * problem.couplings.matrix(), 64 * problem.field)
    machine, key = CoherentIsing(200), jax.random.key(3)
    same = machine(problem, key=key, replicas=5), machine(larger, key=key, replicas=5)
    np.testing.assert_array_equal(*same)


def test_spins_alone_follow_their_fields():
    field = np.array([1.0, -0.5, 2.0])
    problem = IsingProblem(np.zeros((3, 3)), field)
    spins = CoherentIsing(500)(problem, key=jax.random.key(4), replicas=6)
    np.testing.assert_array_equal(spins, np.tile(np.sign(field), (6, 1)))


@pytest.mark.slow
def test_sparse_problems_single_precision_and_a_start():
    edges = np.array([[0, 1], [1, 2], [2, 3], [3, 0]])
    problem = IsingProblem.from_edges(4, edges, -np.ones(4, np.float32))
    start = jnp.ones((2, 4), jnp.float32)
    spins = CoherentIsing(500)(problem, key=jax.random.key(5), replicas=2, start=start)
    assert spins.dtype == np.float32
    np.testing.assert_allclose(problem.energy(spins), -4)


def test_bad_input():
    with pytest.raises(ValueError, match="coupling"):
        CoherentIsing(coupling=0.0)
    with pytest.raises(ValueError, match="rate"):
        CoherentIsing(rate=-1.0)
    with pytest.raises(ValueError, match="target"):
        CoherentIsing(target=0.0)
    with pytest.raises(ValueError, match="step"):
        CoherentIsing(step=0.0)
    with pytest.raises(ValueError, match="at least one step"):
        CoherentIsing(0)
    with pytest.raises(ValueError, match="Gains begin at 1"):
        CoherentIsing(largest_gain=0.5)
    with pytest.raises(ValueError, match="shape"):
        CoherentIsing(1)(glass(3, 0), key=jax.random.key(0), start=jnp.ones((1, 4)))
