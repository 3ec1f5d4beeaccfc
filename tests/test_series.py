"""Time series: their equations, known solutions, and what is drawn at random."""

import numpy as np
import pytest
from helpers import needs_files

from pnnjax import data
from pnnjax.data import _channel_equalization, _narma10


def test_narma10_is_its_recursion():
    series = data.narma10(200, seed=4)
    u, y = series.inputs[:, 0], np.concatenate([[0.0], series.targets[:, 0]])
    assert series.inputs.shape == series.targets.shape == (200, 1)
    assert np.all((u >= 0) & (u < 0.5))
    assert y[1] == 0.1
    assert y[2] == pytest.approx(0.3 * 0.1 + 0.05 * 0.1 * 0.1 + 0.1)
    for t in (9, 50, 199):
        past = sum(y[t - i] for i in range(10))
        new = 0.3 * y[t] + 0.05 * y[t] * past + 1.5 * u[t - 9] * u[t] + 0.1
        assert y[t + 1] == pytest.approx(new, rel=1e-12)


def test_narma10_runs_away_with_too_much_input_and_is_then_drawn_again(monkeypatch):
    assert len(_narma10.narma10_response([1.0] * 200)) < 200
    assert len(_narma10.narma10_response([0.2] * 200)) == 200
    calls = []

    def twice(inputs):
        calls.append(inputs)
        return inputs[: len(inputs) - (len(calls) < 3)]

    monkeypatch.setattr(_narma10, "narma10_response", twice)
    series = data.narma10(5, seed=1)
    assert len(calls) == 3 and calls[0] != calls[1]
    np.testing.assert_array_equal(series.inputs, series.targets)


def test_the_seed_decides():
    for draw in (data.narma10, data.channel_equalization):
        first, again, other = draw(50, seed=1), draw(50, seed=1), draw(50, seed=2)
        np.testing.assert_array_equal(first.inputs, again.inputs)
        assert np.any(first.inputs != other.inputs)


def test_mackey_glass_rests_at_one_and_oscillates_beyond_its_bifurcation():
    """A deviation obeys d' = -0.4 d(t - tau) - 0.1 d, which turns unstable at
    tau = arccos(-1/4) / sqrt(0.15)."""
    np.testing.assert_array_equal(data.mackey_glass(50, start=1.0), 1.0)
    critical = np.arccos(-0.25) / np.sqrt(0.15)
    assert critical == pytest.approx(4.708, abs=1e-3)
    below = data.mackey_glass(500, delay=4.0, start=1.01, transient=0) - 1
    above = data.mackey_glass(500, delay=6.0, start=1.001, transient=0) - 1
    assert np.ptp(below[-100:]) < 1e-3 * np.ptp(below[:100])
    assert np.ptp(above[-100:]) > 0.2


def test_mackey_glass_without_delay_of_effect_decays_exponentially():
    decayed = data.mackey_glass(30, production=0.0, start=2.0, transient=0)
    np.testing.assert_allclose(decayed, 2 * np.exp(-0.1 * np.arange(30)), rtol=1e-9)


def test_mackey_glass_converges_at_fourth_order():
    fine = data.mackey_glass(120, transient=0, substeps=64)
    errors = [
        np.abs(data.mackey_glass(120, transient=0, substeps=n) - fine).max()
        for n in (2, 4, 8)
    ]
    orders = np.log2(np.divide(errors[:-1], errors[1:]))
    assert np.all(orders > 3.5), errors


def test_mackey_glass_leaves_out_the_transient_and_refuses_odd_delays():
    long = data.mackey_glass(60, transient=0)
    np.testing.assert_array_equal(data.mackey_glass(20, transient=40), long[40:])
    assert 0.2 < long.min() < long.max() < 1.5
    with pytest.raises(ValueError, match=r"17 is, but 17.03 is not"):
        data.mackey_glass(10, delay=17.03)


def test_lorenz_rests_at_its_fixed_points():
    side = np.sqrt(8 / 3 * 27)
    for sign in (1, -1):
        point = (sign * side, sign * side, 27.0)
        still = data.lorenz(50, start=point, transient=0)
        np.testing.assert_allclose(still, np.tile(point, (50, 1)), rtol=1e-6)
    calm = data.lorenz(10, step=0.2, rho=0.5, start=(1.0, 2.0, 3.0), transient=200)
    np.testing.assert_allclose(calm, 0, atol=1e-6)


def test_lorenz_keeps_its_invariant():
    """With beta = 2 sigma, x² - 2 sigma z decays as exp(-2 sigma t) exactly."""
    start, step = (1.0, 2.0, 30.0), 0.01
    x, _, z = data.lorenz(
        60, sigma=4.0, beta=8.0, start=start, step=step, transient=0
    ).T
    value = x**2 - 8 * z
    decay = np.exp(-8 * step * np.arange(60))
    np.testing.assert_allclose(value, (1 - 8 * 30) * decay, rtol=1e-7)


def test_a_channel_echoes_distorts_and_shakes():
    quiet = data.channel_equalization(2000, ratio=np.inf, seed=3)
    sent, heard = quiet.targets[:, 0], quiet.inputs[:, 0]
    np.testing.assert_allclose(
        np.bincount(((sent + 3) / 2).astype(int)) / 2000, 0.25, atol=0.03
    )
    t = 100
    echoes = (
        0.08 * sent[t + 2]
        - 0.12 * sent[t + 1]
        + sent[t]
        + 0.18 * sent[t - 1]
        - 0.1 * sent[t - 2]
        + 0.091 * sent[t - 3]
        - 0.05 * sent[t - 4]
        + 0.04 * sent[t - 5]
        + 0.03 * sent[t - 6]
        + 0.01 * sent[t - 7]
    )
    expected = echoes + 0.036 * echoes**2 - 0.011 * echoes**3
    assert heard[t] == pytest.approx(expected, rel=1e-12)
    assert _channel_equalization.distorted(np.array([2.0])) == pytest.approx(2.056)
    noise = data.channel_equalization(2000, ratio=12.0, seed=3).inputs[:, 0] - heard
    measured = 10 * np.log10(np.mean(heard**2) / np.mean(noise**2))
    assert measured == pytest.approx(12, abs=0.4)


@needs_files
def test_santa_fe_is_the_laser():
    readings = data.santa_fe()
    assert readings.shape == (10093,) and readings.min() >= 0
    np.testing.assert_array_equal(readings[:6], [86, 141, 95, 41, 22, 21])
    np.testing.assert_array_equal(readings, np.round(readings))
    assert readings.max() == 255
