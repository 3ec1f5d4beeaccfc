"""Probabilistic bits: Boltzmann's distribution, and the junction that makes them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pnnjax.spins import IdealBit, IsingProblem, ProbabilisticBits, TunnelJunction


def junction(interval=1e-6, **changes):
    settings = {
        "barrier": 5.0,
        "critical_current": 2e-6,
        "resistances": (5e3, 1e4),
        "interval": interval,
        "balance": 4e-6,
    }
    return TunnelJunction(**(settings | changes))


def glass(n, seed, field=0.3):
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.normal(size=(n, n)), 1)
    return IsingProblem(upper + upper.T, field * rng.normal(size=n))


def configurations(n):
    return 2.0 * (np.arange(2**n)[:, None] >> np.arange(n)[::-1] & 1) - 1


def boltzmann(problem, beta):
    energy = np.asarray(problem.energy(jnp.asarray(configurations(problem.size))))
    weight = np.exp(-beta * (energy - energy.min()))
    return weight / weight.sum()


def chi_square(spins, expected):
    """Per degree of freedom, of how often each configuration is seen."""
    n = spins.shape[1]
    index = (np.asarray(spins) > 0) @ (1 << np.arange(n)[::-1])
    seen = np.bincount(index, minlength=2**n)
    mean = len(spins) * expected
    return float(np.sum((seen - mean) ** 2 / mean) / (2**n - 1))


RING = IsingProblem.from_edges(
    5,
    np.array([[0, 1], [1, 2], [2, 3], [3, 4], [4, 0]]),
    np.array([1.0, -0.6, 0.8, 0.5, -1.0]),
    np.array([0.2, 0.0, -0.3, 0.1, 0.0]),
)


@pytest.mark.parametrize(
    ("problem", "bit"),
    [
        (glass(5, 1), IdealBit()),
        (RING, IdealBit()),
        # Read before it forgets: e^5 ns is 148 ns.
        (glass(5, 2), junction(100e-9)),
    ],
    ids=["dense", "ring", "junction"],
)
def test_configurations_follow_boltzmann(problem, bit):
    beta, replicas = 0.5, 20_000
    machine = ProbabilisticBits(beta, beta, 40, bit)
    run = eqx.filter_jit(machine)
    spins = run(problem, key=jax.random.key(0), replicas=replicas)
    # The mean of chi^2 over 31 degrees is 1, its standard deviation 0.25.
    assert chi_square(spins, boltzmann(problem, beta)) < 2


def test_the_distribution_stays_what_it_is():
    # One sweep of exact samples: no burn-in hides a wrong transition.
    problem, beta = glass(4, 3), 0.8
    expected = boltzmann(problem, beta)
    drawn = jax.random.choice(jax.random.key(1), 16, (40_000,), p=jnp.asarray(expected))
    start = jnp.asarray(configurations(4))[drawn]
    for bit in (IdealBit(), junction(50e-9)):
        machine = ProbabilisticBits(beta, beta, 1, bit)
        after = machine(problem, key=jax.random.key(2), replicas=40_000, start=start)
        # 15 degrees of freedom: 1 +- 0.37.
        assert chi_square(after, expected) < 2.2


def test_annealing_reaches_the_ground_states_of_spin_glasses():
    run = eqx.filter_jit(ProbabilisticBits(0.05, 3.0, 150))
    for seed in range(3):
        problem = glass(16, seed)
        spins = run(problem, key=jax.random.key(seed), replicas=32)
        best = float(problem.energy(spins).min())
        exact = float(problem.energy(jnp.asarray(configurations(16))).min())
        assert best == pytest.approx(exact, abs=1e-9)


def test_the_resistance_averages_to_a_sigmoid_of_the_current():
    device, current = junction(), jnp.asarray([2e-6, 3.4e-6, 4e-6, 4.6e-6, 6e-6])
    parallel, antiparallel = device.dwell_times(current)
    np.testing.assert_allclose(parallel[2], 1e-9 * np.exp(5))
    np.testing.assert_allclose(antiparallel[2], parallel[2])
    share = antiparallel / (parallel + antiparallel)
    tilt = 5 * (np.asarray(current) - 4e-6) / 2e-6
    np.testing.assert_allclose(share, 1 / (1 + np.exp(-2 * tilt)), rtol=1e-12)
    # Read often: each of the four million readings is in one of the two states.
    spins = jnp.ones((200_000, 5))
    read = device.read(spins, current[None], key=jax.random.key(3))
    mean = np.asarray(device.resistance(read)).mean(axis=0)
    settled = np.asarray(device.resistance(2 * share - 1))
    error = 2.5e3 * np.sqrt(4 * share * (1 - share) / len(spins))
    assert np.all(np.abs(mean - settled) < 5 * error + 1e-2)
    np.testing.assert_allclose(device.resistance(jnp.asarray([-1.0, 1.0])), (5e3, 1e4))


@pytest.mark.slow
def test_a_junction_forgets_as_a_random_telegraph():
    device = junction(interval=60e-9)
    current = jnp.full((100_000,), 4.3e-6)
    parallel, antiparallel = (float(time[0]) for time in device.dwell_times(current))
    kept = np.exp(-60e-9 * (1 / parallel + 1 / antiparallel))
    settled = (antiparallel - parallel) / (antiparallel + parallel)
    for key, spin in zip(jax.random.split(jax.random.key(4)), (-1.0, 1.0)):
        read = device.read(jnp.full((100_000,), spin), current, key=key)
        expected = settled + (spin - settled) * kept
        assert float(read.mean()) == pytest.approx(expected, abs=5 / np.sqrt(1e5))
    # Two readings of 60 ns are one of 120 ns.
    drive, once = jnp.asarray([0.75]), jnp.asarray([1.0])
    twice = device.average(drive, device.average(drive, once))
    longer = junction(interval=120e-9).average(drive, once)
    np.testing.assert_allclose(twice, longer, rtol=1e-12)


def test_the_drive_saturates_at_the_critical_current():
    device = junction(interval=1.0)
    average = device.average(jnp.asarray([5.0, 50.0]), jnp.asarray([1.0, 1.0]))
    np.testing.assert_allclose(average, np.tanh(5))


def test_precision_and_reproducibility():
    couplings = np.array([[0, 1], [1, 0]], np.float32)
    machine, key = ProbabilisticBits(1.0, 1.0, 3, junction()), jax.random.key(5)
    once = machine(IsingProblem(couplings), key=key, replicas=4)
    assert once.dtype == np.float32 and np.all(np.abs(once) == 1)
    again = machine(IsingProblem(couplings), key=key, replicas=4)
    np.testing.assert_array_equal(once, again)


def test_bad_input():
    for name in ("barrier", "critical_current", "interval", "attempt_time"):
        with pytest.raises(ValueError, match=name):
            junction(**{"interval": 1e-6, name: 0.0})
    with pytest.raises(ValueError, match="antiparallel"):
        junction(resistances=(1e4, 5e3))
    with pytest.raises(ValueError, match="can't be < 0"):
        ProbabilisticBits(-1.0, 1.0, 3)
    with pytest.raises(ValueError, match="at least once"):
        ProbabilisticBits(1.0, 1.0, 0)
    with pytest.raises(ValueError, match="replica"):
        ProbabilisticBits(1.0, 1.0, 1)(RING, key=jax.random.key(0), replicas=0)
