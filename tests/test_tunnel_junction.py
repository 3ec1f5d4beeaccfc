"""Magnetic tunnel junction: Néel and Brown's law, switching by chance, two states."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pnnjax import circuits, plots
from pnnjax.circuits import Pulse, TunnelJunction

JUNCTIONS = 20_000


def junction(**settings):
    """40 kT and 50 µA: pulses that switch it in 4 and in 1.3 ns on average."""
    numbers = {
        "stability": 40.0,
        "critical_current": 50e-6,
        "parallel_resistance": 14e3,
        "magnetoresistance": 1.2,
    }
    up, down = Pulse(48.3e-6, 2e-9), Pulse(-49.6e-6, 0.5e-9)
    return TunnelJunction(up, down, **(numbers | settings))


@eqx.filter_jit
def pulsed(device, state, cell, up, down, key=None):
    return device.pulse(state, cell, up, down, key=key)[0]


@eqx.filter_jit
def rested(device, state, seconds):
    return device.rest(state, jnp.ones_like(state), seconds, key=jax.random.key(5))[0]


def parallel(state):
    """Which share of the junctions is in the parallel state."""
    values = np.unique(np.asarray(state))
    assert set(values) <= {np.float64(1 / 2.2), 1.0}
    return float(np.mean(np.asarray(state) == 1))


def probabilities():
    """That one pulse switches, by hand."""
    return [
        1 - np.exp(-time / 1e-9 * np.exp(-40 * (1 - current / 50)))
        for time, current in ((2e-9, 48.3), (0.5e-9, 49.6))
    ]


def within_four_errors(seen, expected):
    return abs(seen - expected) < 4 * (expected * (1 - expected) / JUNCTIONS) ** 0.5


def test_rate_and_probability():
    @jax.jit
    def law(current):
        rate = circuits.switching_rate(current, 40.0, 50e-6)
        return rate, circuits.switching_probability(1 / rate, rate)

    rate, chance = law(jnp.asarray([0.0, 25e-6, 50e-6, 80e-6]))
    expected = [1e9 * np.exp(-40), 1e9 * np.exp(-20), 1e9, 1e9]
    np.testing.assert_allclose(rate, expected, rtol=1e-12)
    # After its mean time a junction has switched with probability 1 - 1/e.
    np.testing.assert_allclose(chance, 1 - np.exp(-1), rtol=1e-12)


def test_magnetoresistance_is_that_of_its_definition():
    device = junction()
    low, high = jnp.asarray(device.high), jnp.asarray(device.low)
    antiparallel, aligned = device.resistance(high), device.resistance(low)
    assert aligned == 14e3
    assert (antiparallel - aligned) / aligned == pytest.approx(1.2, rel=1e-14)


@pytest.mark.parametrize("number", [1.0, 3.0])
def test_switching_statistics(number):
    """Each of n pulses fails alike: all do with the n-th power of that chance."""
    device, (rise, fall) = junction(), probabilities()
    low, high = jnp.full(JUNCTIONS, device.low), jnp.full(JUNCTIONS, device.high)
    one, none = jnp.full(JUNCTIONS, number), jnp.zeros(JUNCTIONS)
    cell, keys = jnp.ones(JUNCTIONS), jax.random.split(jax.random.key(0))
    up = parallel(pulsed(device, low, cell, one, none, keys[0]))
    down = parallel(pulsed(device, high, cell, none, one, keys[1]))
    assert within_four_errors(up, 1 - (1 - rise) ** number)
    assert within_four_errors(down, (1 - fall) ** number)


def test_without_a_key_the_mean():
    device, (rise, fall) = junction(), probabilities()
    gap = device.high - device.low
    state = jnp.asarray([device.low, device.high, (device.low + 1) / 2])
    cell = jnp.ones(3)
    up = pulsed(device, state, cell, jnp.ones(3), jnp.zeros(3)) - state
    np.testing.assert_allclose(up, gap * rise * np.asarray([1, 0, 0.5]), atol=1e-12)
    expected = gap * (rise + fall) / 4
    assert device.granularity == pytest.approx(expected, rel=1e-6)
    still = pulsed(device, state, cell, jnp.zeros(3), jnp.zeros(3))
    np.testing.assert_array_equal(still, state)


@pytest.mark.slow
def test_many_pulses_of_both_kinds_settle_at_their_balance():
    device, chances = junction(), probabilities()
    rise, fall = -np.log1p(-np.asarray(chances))
    start = jnp.full(JUNCTIONS, device.low)
    many = jnp.full(JUNCTIONS, 60.0)
    after = pulsed(device, start, 1 + 0 * start, many, many, jax.random.key(3))
    assert within_four_errors(parallel(after), rise / (rise + fall))


def test_heat_alone_flips_it_in_the_end():
    """After ln 2 / 2 of its mean time, a quarter has flipped an odd number of times."""
    device = junction(stability=20.0)
    start = jnp.full(JUNCTIONS, device.high)
    after = rested(device, start, 1e-9 * np.exp(20) * np.log(2) / 2)
    assert within_four_errors(parallel(after), 0.75)
    np.testing.assert_array_equal(rested(junction(), start, 1.0), start)


@pytest.mark.slow
def test_junctions_differ_in_their_critical_current():
    device = junction(cell_variation=0.05)
    cells = device.manufacture(jnp.ones(JUNCTIONS), key=jax.random.key(7))
    assert cells.std() == pytest.approx(0.05, rel=0.03)
    np.testing.assert_array_equal(device.manufacture(jnp.ones(3), key=None), 1)


def test_what_can_not_work_is_refused():
    with pytest.raises(ValueError, match="`up` must last a time and carry a current"):
        TunnelJunction(
            Pulse(60e-6, 1e-9),
            Pulse(-10e-6, 1e-9),
            stability=40.0,
            critical_current=50e-6,
            parallel_resistance=1e4,
            magnetoresistance=1.0,
        )
    with pytest.raises(ValueError, match="`magnetoresistance` must be positive"):
        junction(magnetoresistance=-0.1)


def test_the_picture_shows_law_and_counts():
    durations = np.geomspace(1e-10, 1e-7, 7)
    expected = {"48 µA": 1 - np.exp(-durations / 5e-9)}
    figure = plots.switching(durations, expected, {"48 µA": np.full(7, 0.5)}, 100)
    (ax,) = figure.axes
    np.testing.assert_allclose(ax.lines[0].get_ydata(), expected["48 µA"])
    with pytest.raises(ValueError, match="between 0 and 1"):
        plots.switching(durations, {"a": durations - 1}, {}, 100)
