"""Pulsed memory cells against their laws, one pulse after the other."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pnnjax as pnn
from pnnjax.circuits import (
    IDENTICAL,
    ConstantStep,
    ExponentialStep,
    LinearStep,
    PowerStep,
    SoftBounds,
    Variation,
)

# The ReRAM of aihwkit's presets, a fit to Gong et al. (2018): 0.00135 up, and 26 %
# less down.
RERAM = {
    "asymmetry": 0.149,
    "slope": -0.5,
    "offset": -0.5,
    "exponent_up": 5.0,
    "exponent_down": 5.0,
    "amplitude_up": -1.18445,
    "amplitude_down": -0.081404,
}


def linear(w, b, slopes):
    """The laws, written as aihwkit's documentation has them: factors up and down."""
    return 1 - slopes[0] * w / b, 1 + slopes[1] * w / b


def exponential(w, b, a, offset, amplitudes, exponents):
    z = a * w / b + offset
    up = 1 - amplitudes[0] * np.exp(exponents[0] * z)
    down = 1 - amplitudes[1] * np.exp(-exponents[1] * z)
    return np.maximum(up, 0), np.maximum(down, 0)


def power(w, b, exponents):
    left = (b - w) / (2 * b)
    return left ** exponents[0], (1 - left) ** exponents[1]


# Devices, and the laws of their steps: bounds are -b and b.
CASES = {
    "constant": (
        ConstantStep(0.003, -0.6, 0.6, 0.1, variation=IDENTICAL),
        lambda w: (1 + 0 * w, 1 + 0 * w),
    ),
    "linear": (
        LinearStep(0.005, -1.0, 1.0, 0.2, 0.3, 0.7, 0.0, variation=IDENTICAL),
        lambda w: linear(w, 1.0, (0.3, 0.7)),
    ),
    "soft bounds": (
        SoftBounds(0.004, -0.6, 0.6, -0.2, variation=IDENTICAL),
        lambda w: linear(w, 0.6, (1.0, 1.0)),
    ),
    "CMOS": (
        ExponentialStep(0.002, -0.6, 0.6, variation=IDENTICAL),
        lambda w: exponential(
            w, 0.6, 0.244, 0.2425, (0.00081, 0.36833), (12.44625, 12.78785)
        ),
    ),
    "ReRAM": (
        ExponentialStep(0.00117, -1.0, 1.0, variation=IDENTICAL, **RERAM),
        lambda w: exponential(w, 1.0, -0.5, -0.5, (-1.18445, -0.081404), (5.0, 5.0)),
    ),
    "power": (
        PowerStep(0.02, -1.0, 1.0, 0.0, 2.0, 0.7, 0.0, variation=IDENTICAL),
        lambda w: power(w, 1.0, (2.0, 0.7)),
    ),
    "power of one": (
        PowerStep(0.02, -1.0, 1.0, 0.3, 1.0, 1.0, 0.0, variation=IDENTICAL),
        lambda w: power(w, 1.0, (1.0, 1.0)),
    ),
}
COUNTS = np.asarray([0, 1, 2, 31, 400])
STARTS = np.linspace(-0.98, 0.98, 5)


@pytest.fixture(scope="module")
def pulsed():
    """All devices at once: from every place, by every number of pulses."""

    @eqx.filter_jit
    def run(up, down):
        ends = {}
        for name, (device, _) in CASES.items():
            states = jnp.broadcast_to(device.high * STARTS, up.shape)
            states = states.astype(up.dtype)
            cell = device.manufacture(states, key=None)
            ends[name] = device.pulse(states, cell, up, down, key=None)[0]
        return ends

    return run


def one_by_one(device, law, order):
    """States after each pulse of an order of ones (up) and zeros (down)."""
    w = np.broadcast_to(device.high * STARTS, np.shape(order[0] + STARTS))
    course = [w]
    up, down = (device.step * (1 + s * device.asymmetry) for s in (1, -1))
    for is_up in order:
        rise, fall = law(w)
        w = np.clip(w + np.where(is_up, up * rise, -down * fall), -device.high, None)
        w = np.minimum(w, device.high)
        course.append(w)
    return np.stack(course)


@pytest.mark.parametrize("direction", (1, 0), ids=("up", "down"))
def test_equal_pulses_lead_where_one_after_the_other_does(pulsed, direction):
    counts = np.broadcast_to(COUNTS[:, None], (5, 5))
    up, down = jnp.asarray(counts * direction), jnp.asarray(counts * (1 - direction))
    exact = pulsed(up.astype(jnp.float64), down.astype(jnp.float64))
    for name, (device, law) in CASES.items():
        course = one_by_one(device, law, np.full(400, direction))
        expected = course[COUNTS]
        # Issue 6 asks for 1e-5; of the linear laws, the closed form is exact.
        tolerance = 1e-5 if isinstance(device, ExponentialStep | PowerStep) else 1e-12
        scale = device.high - device.low
        np.testing.assert_allclose(
            exact[name] / scale, expected / scale, rtol=0, atol=tolerance, err_msg=name
        )
        assert (exact[name][0] == device.high * STARTS).all()


@pytest.mark.slow
def test_pulses_in_single_precision_lead_there_too(pulsed):
    counts = np.broadcast_to(COUNTS[:, None], (5, 5)).astype(np.float32)
    ends = pulsed(jnp.asarray(counts), jnp.zeros((5, 5), jnp.float32))
    for name, (device, law) in CASES.items():
        expected = one_by_one(device, law, np.ones(400))[COUNTS]
        assert ends[name].dtype == jnp.float32
        np.testing.assert_allclose(ends[name], expected, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_mixed_pulses_lead_where_random_orders_do_on_average(pulsed):
    # 40 up and 30 down move a cell by up to a tenth of its range and back. An order
    # and its reverse are off to opposite sides, so that few of them give the mean.
    ups, downs, orders = 40, 30, 100
    rng = np.random.default_rng(0)
    order = np.repeat([1, 0], [ups, downs])
    shuffled = rng.permuted(np.tile(order, (orders, 1)), axis=1).T[:, :, None]
    shuffled = np.concatenate([shuffled, shuffled[::-1]], axis=1)
    ends = pulsed(jnp.full((5, 5), float(ups)), jnp.full((5, 5), float(downs)))
    for name, (device, law) in CASES.items():
        scale, inside = device.high - device.low, slice(1, -1)
        last = one_by_one(device, law, shuffled)[-1]
        error = np.abs(ends[name][0] - last.mean(0))[inside] / scale
        assert error.max() < 3e-4, (name, error)


@pytest.mark.slow
def test_many_mixed_pulses_lead_to_the_symmetry_point(pulsed):
    ends = pulsed(jnp.full((5, 5), 3000.0), jnp.full((5, 5), 3000.0))
    names, state = ("soft bounds", "ReRAM", "power"), jnp.zeros(())

    @jax.jit
    def points():
        devices = [CASES[name][0] for name in names]
        cells = [device.manufacture(state, key=None) for device in devices]
        find = pnn.optimizers.symmetry_point
        return [find(d, state, cell) for d, cell in zip(devices, cells, strict=True)]

    for name, found in zip(names, points(), strict=True):
        device, law = CASES[name]
        grid = np.linspace(-device.high, device.high, 100001)[1:-1]
        rise, fall = law(grid)
        imbalance = (1 + device.asymmetry) * rise - (1 - device.asymmetry) * fall
        expected = grid[np.abs(imbalance).argmin()]
        np.testing.assert_allclose(ends[name], expected, atol=0.02 * device.high)
        np.testing.assert_allclose(found, expected, atol=2e-3 * device.high)


def test_noise_of_pulses_adds_up_and_cells_differ_as_they_are_said_to():
    vary = Variation(step=0.1, asymmetry=0.05, bounds=0.1, cycle=0.3, write=2.0)
    device = ConstantStep(1e-3, variation=vary)
    middle = jnp.full(40_000, 0.5)

    @jax.jit
    def run(key):
        cell = device.manufacture(middle, key=key)
        up = jnp.full(40_000, 16.0)
        state, after = device.pulse(middle, cell, up, 0.0 * up, key=key)
        rested = device.pulse(state, after, 0.0 * up, 0.0 * up, key=key)
        return cell, state, after, rested

    cell, state, after, (again, same) = jax.tree.map(np.asarray, run(jax.random.key(1)))
    # Deviations of 40000 numbers are known to 1.4 % at four standard errors.
    steps = (cell.up + cell.down) / 2e-3
    np.testing.assert_allclose(np.std(steps), 0.1, rtol=0.015)
    tilt = (cell.up - cell.down) / 2e-3
    np.testing.assert_allclose(np.std(tilt), 0.05, rtol=0.015)
    np.testing.assert_allclose(np.std(cell.high), 0.05, rtol=0.015)
    np.testing.assert_allclose(np.std(after.excess), 2e-3, rtol=0.015)
    noise = (state - after.excess - 0.5 - 16 * cell.up) / cell.up
    np.testing.assert_allclose(np.std(noise), 0.3 * 4.0, rtol=0.015)
    assert abs(np.mean(noise)) < 4 * 1.2 / 200
    # What no pulse reaches stays as it was written.
    assert (again == state).all() and (same.excess == after.excess).all()


def test_resting_cells_decay_and_diffuse():
    leaky = SoftBounds(0.01, lifetime=2.0, diffusion=0.01, variation=IDENTICAL)
    state = jnp.full(40_000, 0.8)

    @jax.jit
    def run(key):
        cell = leaky.manufacture(state, key=None)
        mean, _ = leaky.rest(state, cell, 3.0, key=None)
        return mean, leaky.rest(state, cell, 4.0, key=key)[0]

    mean, spread = run(jax.random.key(0))
    np.testing.assert_allclose(mean, 0.5 + 0.3 * np.exp(-1.5), rtol=1e-12)
    np.testing.assert_allclose(np.std(spread), 0.02, rtol=0.015)


def test_granularity_is_the_mean_step_in_the_middle():
    for device, law in CASES.values():
        up, down = law(np.asarray(0.0))
        sides = (1 + device.asymmetry) * up + (1 - device.asymmetry) * down
        np.testing.assert_allclose(device.granularity, device.step * sides / 2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SoftBounds(0.6), "less than half"),
        (lambda: ConstantStep(0.1, low=1.0), "must rise"),
        (lambda: LinearStep(0.1, asymmetry=1.0), "between -1 and 1"),
        (lambda: ExponentialStep(0.01, slope=0.0), "take `ConstantStep`"),
        (lambda: ExponentialStep(0.01, amplitude_up=1.0, amplitude_down=30.0), "No"),
        (lambda: PowerStep(0.01, exponent_up=0.0), "Exponents"),
    ],
)
def test_what_no_cell_can_be_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_cells_under_pulses_are_drawn():
    device = SoftBounds(0.02, low=-1.0, high=1.0, asymmetry=0.2)
    fig = pnn.plots.pulse_response(device, 40, key=jax.random.key(0), cells=3)
    left, right = fig.axes
    assert len(left.lines) == 4 and len(right.lines) == 3
    mean = left.lines[-1].get_ydata()
    assert len(mean) == 161 and mean[0] == -1.0
    # Forty steps up of the mean cell, then forty down.
    top = 1 - 2 * (1 - 0.02 * 1.2) ** 40
    np.testing.assert_allclose(mean[40], top, rtol=1e-6)
    np.testing.assert_allclose(mean[80], (1 - 0.02 * 0.8) ** 40 * (1 + top) - 1)
    with pytest.raises(ValueError, match="a cell and a sweep"):
        pnn.plots.pulse_response(device, 40, key=jax.random.key(0), cells=0)
