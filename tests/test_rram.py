"""Resistive memory: published deviations, and relaxation in time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pnnjax.circuits import RRAM, MultilevelRRAM, rram_relaxed_deviation

CELLS, DAY = 50_000, 86_400.0


@pytest.fixture(scope="module")
def cells():
    """Programmed to 20 µS (Wan) and 100 µS (Milo); left for a day; read."""

    @jax.jit
    def lives(write, age, noise):
        wan, milo = RRAM(read_noise=0.01), MultilevelRRAM()
        target = jnp.full(CELLS, 20e-6)
        day, two = wan.drift(target, DAY, key=age), wan.drift(target, 2 * DAY, key=age)
        return (
            wan.program(target, key=write),
            day,
            two,
            wan.drift(target, 1.0, key=age),
            wan.read(target, DAY, key=noise),
            milo.program(5 * target, key=write),
            milo.drift(5 * target, 1e9, key=age),
        )

    keys = jax.random.split(jax.random.key(1), 3)
    return [1e6 * np.asarray(part) for part in lives(*keys)]


def within(values, mean, deviation):
    """Within four standard errors."""
    assert abs(values.mean() - mean) < 4 * deviation / np.sqrt(values.size)
    assert values.std() == pytest.approx(deviation, rel=4 / np.sqrt(2 * values.size))


def test_polynomials_by_hand():
    share, first = jnp.asarray([0.0, 0.5, 1.0]), 0.348
    # -16.815 / 16 + 45.393 / 8 - 43.853 / 4 + 16.030 / 2 + 0.348 at one half
    by_hand = [first, 2.0229375, 1.103]
    found = rram_relaxed_deviation(share, 1.0)
    np.testing.assert_allclose(1e6 * found, by_hand, rtol=1e-9)
    at_zero = [rram_relaxed_deviation(jnp.zeros(1), t) for t in (DAY, 2 * DAY, 1e9)]
    np.testing.assert_allclose(1e6 * np.ravel(at_zero), [0.701, 0.782, 0.782])
    # halfway in the logarithm of time, the variance is halfway
    middle = rram_relaxed_deviation(jnp.zeros(()), DAY**0.5)
    assert 1e6 * middle == pytest.approx(np.sqrt((0.348**2 + 0.701**2) / 2))


def test_the_fits_of_two_simulators_agree_where_both_hold():
    # CrossSim: a cubic in µS, of the same figure at 1 s
    g = np.linspace(5, 35, 20)
    cubic = 1.536e-4 * g**3 - 1.167e-2 * g**2 + 2.374e-1 * g + 1.053
    quartic = 1e6 * rram_relaxed_deviation(jnp.asarray(g / 40), 1.0)
    assert np.abs(quartic / cubic - 1).max() < 0.25


def test_programming_and_relaxation(cells):
    programmed, day, two, second, *_ = cells
    at = [1e6 * float(rram_relaxed_deviation(jnp.asarray(0.5), t)) for t in (1.0, DAY)]
    within(programmed, 20, at[0])
    within(day, 20, np.sqrt(at[1] ** 2 - at[0] ** 2))
    np.testing.assert_array_equal(second, np.full(CELLS, 20e-6) * 1e6)
    # the same key is the same cells, which go on the way they went
    assert np.corrcoef(day, two)[0, 1] > 0.999


def test_reads_and_the_multilevel_cell(cells):
    *_, read, milo, later = cells
    within(read, 20, 0.4)
    within(milo, 100, 4.782321 - 0.9107)
    np.testing.assert_allclose(later, 100)


def test_no_key_is_the_mean_and_refusals():
    g = jnp.asarray([0.0, 3e-5])
    for memory in (RRAM(read_noise=0.1), MultilevelRRAM(read_noise=0.1)):
        np.testing.assert_array_equal(memory.program(g), g)
        np.testing.assert_array_equal(memory.drift(g, 1e4), g)
        np.testing.assert_array_equal(memory.read(g, 1e4), g)
    with pytest.raises(ValueError, match="such as 40e-6 S"):
        RRAM(maximum=-1.0)
    with pytest.raises(ValueError, match="not negative"):
        MultilevelRRAM(read_noise=-0.1)
