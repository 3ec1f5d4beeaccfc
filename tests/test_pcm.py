"""Phase-change memory: published statistics, drift over a year, SET pulses."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pnnjax as pnn
from pnnjax.circuits import (
    PCM,
    PCMPulses,
    pcm_drift_exponent,
    pcm_programming_deviation,
    pcm_read_deviation,
)

CELLS = 100_000
YEAR = 365.25 * 86_400.0
SHARES = (0.05, 0.2, 0.5, 1.0)


@pytest.fixture(scope="module")
def cells():
    """What 100,000 cells of each target do: programmed, after a day, and read then."""
    memory = PCM()
    target = jnp.asarray(SHARES)[:, None] * jnp.full((1, CELLS), memory.maximum)

    @jax.jit
    def lives(write, exponents, noise):
        programmed = memory.program(target, key=write)
        start = memory.drift(target, memory.start, key=exponents)
        day = memory.drift(target, 86_400.0, key=exponents)
        year = memory.drift(target, YEAR, key=exponents)
        undrifted = PCM(drift_scale=0.0)
        read = undrifted.read(target, 86_400.0, key=noise)
        late = memory.read(memory.drift(target, YEAR), YEAR, key=noise)
        return programmed, start, day, year, read, late

    keys = jax.random.split(jax.random.key(5), 3)
    return np.asarray(target), [np.asarray(part) for part in lives(*keys)]


def within(values, mean, deviation):
    """Mean and deviation, within 1 % or four standard errors of them."""
    n = values.size
    assert abs(values.mean() - mean) < max(0.01 * mean, 4 * deviation / math.sqrt(n))
    assert abs(values.std() / deviation - 1) < max(0.01, 4 / math.sqrt(2 * n))


def life(memory, target, key):
    """What is programmed, what is left late, and what a read shows then."""
    return (
        memory.program(target, key=key),
        memory.drift(target, 1e6, key=key),
        memory.read(target, 1e6, key=key),
    )


def folded(mean, spread):
    """The moments of a normal number that has lost its sign."""
    tail = spread * math.sqrt(2 / math.pi) * math.exp(-((mean / spread) ** 2) / 2)
    first = tail + mean * math.erf(mean / spread / math.sqrt(2))
    return first, math.sqrt(mean**2 + spread**2 - first**2)


class TestPublishedLaws:
    def test_polynomials_by_hand(self):
        share = jnp.asarray([0.0, 0.2, 0.5, 0.8, 1.0])
        # -1.1731 g^2 + 1.9650 g + 0.26348, worked out on paper
        by_hand = np.asarray([0.26348, 0.609556, 0.952705, 1.084696, 1.05538])
        deviation = pcm_programming_deviation(share)
        np.testing.assert_allclose(deviation, 1e-6 * by_hand, rtol=1e-9)
        assert pcm_programming_deviation(jnp.asarray(2.0)) == 0

    def test_exponents_by_hand(self):
        share = jnp.asarray([1.0, math.exp(-1), math.exp(-3), math.exp(-6), 0.0])
        mean, spread = pcm_drift_exponent(share)
        np.testing.assert_allclose(mean, [0.049, 0.049, 0.0709, 0.1, 0.1], rtol=1e-9)
        expected = [0.008, 0.008, 0.0316, 0.045, 0.045]
        np.testing.assert_allclose(spread, expected, rtol=1e-9)

    def test_read_noise_by_hand(self):
        # ln((20 + 250e-9) / 500e-9) = ln 4e7 = 17.504390
        root = math.sqrt(17.504390)
        found = pcm_read_deviation(jnp.asarray([1.0, 0.25, 1e-4]), 20.0)
        by_hand = [0.0088 * root, 0.0088 * 2.4622888 * root, 0.2 * root]
        np.testing.assert_allclose(found, by_hand, rtol=1e-6)
        assert pcm_read_deviation(jnp.asarray(0.5), 1e-9) == 0


class TestCells:
    def test_programming_noise(self, cells):
        target, (programmed, *_) = cells
        for share, goal, row in zip(SHARES, target, programmed, strict=True):
            deviation = 1e-6 * (-1.1731 * share**2 + 1.9650 * share + 0.26348)
            if goal[0] > 5 * deviation:
                within(row, goal[0], deviation)
            assert row.min() >= 0

    def test_drift_exponents(self, cells):
        target, (_, start, day, year, *_) = cells
        np.testing.assert_array_equal(start, target)
        for share, *rows in zip(SHARES, target, day, year, strict=True):
            goal, after_day, after_year = rows
            exponents = -np.log(after_day / goal) / math.log(86_400 / 20)
            mean = min(max(-0.0155 * math.log(share) + 0.0244, 0.049), 0.1)
            spread = min(max(-0.0125 * math.log(share) - 0.0059, 0.008), 0.045)
            within(exponents, *folded(mean, spread))
            later = -np.log(after_year / goal) / math.log(YEAR / 20)
            np.testing.assert_allclose(later, exponents, rtol=1e-9, atol=1e-12)

    def test_mean_curve_from_a_second_to_a_year(self):
        memory, conductance = PCM(), jnp.asarray([25e-6, 1.25e-6])
        times = jnp.asarray(np.geomspace(1, YEAR, 30))
        left = np.asarray(jax.vmap(lambda t: memory.drift(conductance, t))(times))
        exponents = np.asarray([0.049, -0.0155 * math.log(0.05) + 0.0244])
        elapsed = np.maximum(np.asarray(times) / 20, 1)[:, None]
        curve = np.asarray(conductance) * elapsed**-exponents
        np.testing.assert_allclose(left, curve, rtol=1e-9)
        # 25 µS lose half in the first year: (1.58e6)^-0.049 = 0.497
        assert left[-1, 0] / 25e-6 == pytest.approx(0.497, abs=1e-3)

    def test_read_noise(self, cells):
        target, (*_, read, late) = cells
        for share, goal, row, last in zip(SHARES, target, read, late, strict=True):
            strength = 0.0088 * share**-0.65
            relative = strength * math.sqrt(math.log((86_400 + 250e-9) / 500e-9))
            if relative < 0.2:
                within(row / goal, 1.0, relative)
                # a year later, the conductance as it was is known to a few percent
                relative = strength * math.sqrt(math.log((YEAR + 250e-9) / 500e-9))
                assert (last / last.mean()).std() == pytest.approx(relative, rel=0.03)

    def test_no_key_is_the_mean_and_scales_turn_noise_off(self):
        memory, g = PCM(), jnp.asarray([1e-6, 2e-5])
        np.testing.assert_array_equal(memory.program(g), g)
        np.testing.assert_array_equal(memory.read(g, 1e5), g)
        quiet = PCM(25e-6, 20.0, 250e-9, 0.0, 0.0, 0.0)
        for left in jax.jit(lambda key: life(quiet, g, key))(jax.random.key(0)):
            np.testing.assert_array_equal(left, g)

    @pytest.mark.slow
    def test_other_maxima_scale(self):
        share = jnp.linspace(0.0, 1.0, 50)

        @jax.jit
        def lives(key):
            maxima = 5e-6, 50e-6
            return [life(PCM(g), g * share, key) for g in maxima]

        for small, large in zip(*lives(jax.random.key(0)), strict=True):
            np.testing.assert_allclose(10 * small, large, rtol=1e-9)

    def test_refusals(self):
        with pytest.raises(ValueError, match="such as 25e-6 S"):
            PCM(maximum=0.0)
        with pytest.raises(ValueError, match="can't be negative"):
            PCM(read_scale=-1.0)


class TestPulses:
    def test_the_mean_is_that_of_pulse_after_pulse(self):
        device = PCMPulses(maximum=20e-6)
        state = jnp.asarray([0.0, 0.1, 0.3])
        cell = device.manufacture(state, key=None)
        g, p = 20 * np.asarray(state), np.asarray(cell.memory)
        none = jnp.zeros(3)
        pulse = jax.jit(lambda n: device.pulse(state, cell, none + n, none, key=None))
        for n in range(1, 8):
            p = p * math.exp(-1 / 2.6)
            g = g + (-0.084 * g + 0.880 + 1.40 * p)
            once, after = pulse(float(n))
            np.testing.assert_allclose(20 * once, g, rtol=1e-9)
            np.testing.assert_allclose(after.memory, p, rtol=1e-9)

    def test_twenty_pulses_after_a_reset(self):
        # 0.88 + 1.40 / e^(1/2.6) after the first, and 9.36 µS after the twentieth
        device = PCMPulses(maximum=20e-6)
        state = jnp.zeros(2)
        cell = device.manufacture(state, key=None)
        np.testing.assert_allclose(cell.memory, 1)
        pulses = jnp.asarray([1.0, 20.0])
        state, _ = device.pulse(state, cell, pulses, 0 * pulses, key=None)
        np.testing.assert_allclose(20 * state, [1.833, 9.36], rtol=1e-3)

    @pytest.mark.slow
    def test_manufactured_cells_remember_the_pulses_that_brought_them_there(self):
        device = PCMPulses()
        state = jnp.zeros(1)
        cell = device.manufacture(state, key=None)
        state, cell = device.pulse(state, cell, state + 5, state, key=None)
        again = device.manufacture(state, key=None)
        np.testing.assert_allclose(again.memory, cell.memory, rtol=1e-2)

    @pytest.mark.slow
    def test_noise_of_one_pulse_and_of_five(self):
        device = PCMPulses(maximum=20e-6)
        state = jnp.full(40_000, 0.2)
        none, cell = jnp.zeros_like(state), device.manufacture(state, key=None)

        @jax.jit
        def pulsed(key):
            one, _ = device.pulse(state, cell, none + 1, none, key=key)
            five, _ = device.pulse(state, cell, none + 5, none, key=key)
            now = state, cell
            for own in jax.random.split(key, 5):
                now = device.pulse(*now, none + 1, none, key=own)
            return one, five, now[0]

        one, five, in_turn = (np.asarray(g) for g in pulsed(jax.random.key(0)))
        memory = float(cell.memory[0]) * math.exp(-1 / 2.6)
        within(20 * one, 4 + 0.880 - 0.336 + 1.40 * memory, 0.624 + 2.15 * memory)
        assert five.mean() == pytest.approx(in_turn.mean(), rel=0.01)
        assert five.std() == pytest.approx(in_turn.std(), rel=0.15)

    def test_down_does_nothing_and_drift_begins_anew(self):
        device = PCMPulses()
        state = jnp.asarray([0.2, 0.5])
        cell = device.manufacture(state, key=None)
        none = jnp.zeros(2)
        same, kept = device.pulse(state, cell, none, none + 3, key=jax.random.key(0))
        np.testing.assert_array_equal(same, state)
        np.testing.assert_array_equal(kept.memory, cell.memory)
        once = device.rest(state, cell, 1000.0, key=None)
        twice = device.rest(*device.rest(state, cell, 400.0, key=None), 600.0, key=None)
        expected = np.asarray(state) * (1 + 1000 / 38.6) ** -0.04
        np.testing.assert_allclose(once[0], expected, rtol=1e-12)
        np.testing.assert_allclose(twice[0], expected, rtol=1e-12)
        after, young = device.pulse(*once, none + 1, none, key=None)
        fresh, _ = device.pulse(state, cell, none + 1, none, key=None)
        np.testing.assert_allclose(after, fresh, rtol=1e-12)
        np.testing.assert_array_equal(young.age, 0)

    def test_granularity_and_refusals(self):
        device = PCMPulses(maximum=10e-6)
        # halfway, at 5 µS, a pulse adds 0.88 - 0.42 = 0.46 µS, and none takes away
        assert device.granularity == pytest.approx(0.46 / 10 / 2)
        with pytest.raises(ValueError, match="20e-6 S or less"):
            PCMPulses(maximum=25e-6)
        with pytest.raises(ValueError, match="parts of `maximum`"):
            PCMPulses(low=0.5, high=0.2)
        with pytest.raises(ValueError, match="such as 12e-6 S"):
            PCMPulses(start=0.0)


def test_drift_curves_are_drawn():
    times = np.geomspace(20, YEAR, 15)
    memory, target = PCM(), jnp.asarray([[5e-6], [25e-6]]) * jnp.ones((1, 30))
    key = jax.random.key(0)
    drift = jax.jit(jax.vmap(lambda t: memory.drift(target, t, key=key)))
    left = drift(jnp.asarray(times))
    fig = pnn.plots.conductance_drift(times, np.asarray(left))
    (ax,) = fig.axes
    assert len(ax.lines) == 2 * 15 + 2 and ax.get_xscale() == "log"
