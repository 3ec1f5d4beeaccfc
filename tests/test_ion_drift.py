"""Linear ion drift: the closed form in charge and flux, windows, fingerprints."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pnnjax import circuits, plots
from pnnjax.circuits import (
    VTEAM,
    Biolek,
    HardStop,
    IonDrift,
    Joglekar,
    Prodromakis,
    Pulse,
    PulsedMemristor,
    Sine,
    Triangle,
)

WINDOWS = [HardStop(), Joglekar(2.0), Biolek(2.0)]
STATE = 0.2


class Any(circuits.AbstractMemristor):
    """Ion drift with one of `WINDOWS`, or a VTEAM: they share a compiled program."""

    index: jax.Array
    on_resistance: float = 100.0
    off_resistance: float = 16e3

    def rate(self, state, voltage):
        kinds = [*(IonDrift(window=window) for window in WINDOWS), VTEAM()]
        return jnp.stack([kind.rate(state, voltage) for kind in kinds])[self.index]

    def resistance(self, state):
        kinds = [*([IonDrift()] * 3), VTEAM()]
        return jnp.stack([kind.resistance(state) for kind in kinds])[self.index]

    def state_of(self, resistance):
        raise NotImplementedError


class Wave(eqx.Module):
    """A sine, or a triangle."""

    amplitude: jax.Array
    frequency: jax.Array
    straight: jax.Array

    def __call__(self, time):
        numbers = self.amplitude, self.frequency
        return jnp.where(self.straight, Triangle(*numbers)(time), Sine(*numbers)(time))


@jax.jit
def driven(index, wave):
    def one(pair):
        index, wave = pair
        times = jnp.linspace(0, 1, 401) / wave.frequency
        return circuits.hysteresis(Any(index), wave, times, state=STATE, tolerance=1e-9)

    return jax.lax.map(one, (index, wave))


@pytest.fixture(scope="module")
def courses():
    """A period: slow and fast with each window, and one that meets the walls."""
    index = jnp.asarray([*range(4), *range(4), 0])
    frequency = jnp.asarray([1.5] * 3 + [2e6] + [5.0] * 3 + [2e7] + [1.0])
    amplitude = jnp.asarray([1.0] * 3 + [0.3] + [1.0] * 3 + [0.3] + [5.0])
    paths = driven(index, Wave(amplitude, frequency, amplitude > 1))
    rows = [jax.tree.map(lambda leaf: np.asarray(leaf[i]), paths) for i in range(9)]
    return {"slow": rows[:4], "fast": rows[4:8], "walls": rows[8]}


def charge(flux, memristor, state):
    r"""The root of $\phi = M_0 q - k\,\Delta R\,q^2 / 2$ that is zero with the flux."""
    m = memristor
    k = m.mobility * m.on_resistance / m.thickness**2
    slope = k * (m.off_resistance - m.on_resistance)
    start = m.on_resistance * state + m.off_resistance * (1 - state)
    return (start - np.sqrt(start**2 - 2 * slope * flux)) / slope, k


@pytest.mark.parametrize(("name", "frequency"), [("slow", 1.5), ("fast", 5.0)])
def test_without_a_window_the_state_is_the_charge(courses, name, frequency):
    course, memristor = courses[name][0], IonDrift()
    angle = 2 * np.pi * frequency * np.asarray(course.time)
    flux = (1 - np.cos(angle)) / (2 * np.pi * frequency)
    passed, k = charge(flux, memristor, STATE)
    state = STATE + k * passed
    assert state.max() < 1  # No wall is met.
    np.testing.assert_allclose(course.state, state, atol=1e-7)
    resistance = memristor.off_resistance + state * (
        memristor.on_resistance - memristor.off_resistance
    )
    np.testing.assert_allclose(
        course.current, np.sin(angle) / resistance, atol=1e-6 * 1e-4
    )


def area(course):
    """Of the lobe of positive voltages: the integral of i dv around it."""
    half = np.asarray(course.time) <= course.time[-1] / 2 + 1e-12
    return abs(np.trapezoid(course.current[half], course.voltage[half]))


@pytest.mark.parametrize("which", range(4))
def test_fingerprints_of_a_memristor(courses, which):
    """Pinched at the origin, and the more of a plain resistor the faster."""
    slow, fast = courses["slow"][which], courses["fast"][which]
    for course in (slow, fast):
        middle = len(course.time) // 2
        assert course.voltage[0] == course.voltage[middle] == course.voltage[-1] == 0
        assert course.current[0] == course.current[middle] == course.current[-1] == 0
        assert 0 <= course.state.min() and course.state.max() <= 1
    assert area(slow) > 3 * area(fast) > 0


def test_windows_at_their_ends_and_in_the_middle():
    @jax.jit
    def values():
        ends, up = jnp.asarray([0.0, 0.5, 1.0]), jnp.asarray([True] * 3)
        windows = [HardStop(), Joglekar(3.0), Biolek(3.0), Prodromakis(3.0, 2.0)]
        return [[window(ends, way) for way in (up, ~up)] for window in windows]

    middle, height = 1 - 0.5**6, 2 * (1 - 0.75**3)
    expected = [
        [[1, 1, 0], [0, 1, 1]],
        [[0, 1, 0], [0, 1, 0]],
        [[1, middle, 0], [0, middle, 1]],
        [[0, height, 0], [0, height, 0]],
    ]
    np.testing.assert_allclose(values(), expected, atol=1e-15)
    with pytest.raises(ValueError, match="at least 1"):
        Joglekar(0.5)
    with pytest.raises(ValueError, match="must be positive"):
        Prodromakis(1.0, 0.0)


def test_walls_hold_and_let_go(courses):
    """5 V, up and down in straight lines: to the wall, where it stays, and back."""
    course = courses["walls"]
    assert course.state.max() == pytest.approx(1, abs=1e-8) and course.state[-1] < 0.05
    on = 1 - course.state < 1e-8
    assert on.sum() > 50
    np.testing.assert_allclose(course.current[on], course.voltage[on] / 100, rtol=1e-5)
    assert course.voltage[200] == course.voltage[-1] == 0
    assert course.voltage[100] == 5 and course.voltage[300] == -5


def test_pulses_of_one_kind_are_one_long_pulse():
    device = PulsedMemristor(IonDrift(), Pulse(1.0, 1e-3), Pulse(-1.0, 1e-3), steps=8)
    state, number = np.asarray([0.01, 0.02, 0.04]), np.asarray([10.0, 3.0, 0.0])
    pulsed = eqx.filter_jit(lambda *arrays: device.pulse(*arrays, key=None)[0])
    arrays = map(jnp.asarray, (state, np.ones(3), number, np.zeros(3)))
    after = np.asarray(pulsed(*arrays))
    start = (16e3 - 100 / state) / (16e3 - 100)
    passed, k = charge(number * 1e-3, device.memristor, start)
    expected = 100 / (16e3 - (16e3 - 100) * (start + k * passed))
    np.testing.assert_allclose(after, expected, rtol=1e-8)
    assert after[2] == state[2] and np.all(after[:2] > state[:2])


@pytest.mark.slow
def test_single_precision_stays_single():
    course = circuits.hysteresis(
        IonDrift(),
        Sine(1.0, 5.0),
        jnp.linspace(0, 0.2, 21, dtype=jnp.float32),
        state=0.2,
        tolerance=1e-4,
    )
    assert {leaf.dtype for leaf in course} == {jnp.dtype("float32")}


@pytest.mark.slow
def test_a_gradient_of_the_mobility():
    """More current flows back when ions move faster; against a finite difference."""
    times = jnp.linspace(0, 0.2, 41)

    @jax.jit
    def final(mobility):
        memristor = IonDrift(mobility=1e-14 * mobility, window=Joglekar())
        return circuits.hysteresis(
            memristor, Sine(1.0, 5.0), times, state=STATE, tolerance=1e-10
        ).state[20]

    value, slope = jax.jit(jax.value_and_grad(final))(1.0)
    assert STATE < value < 1
    difference = (final(1.0 + 1e-4) - final(1.0 - 1e-4)) / 2e-4
    np.testing.assert_allclose(slope, difference, rtol=1e-5)


def test_the_picture_shows_the_loops(courses):
    loops = {"1.5 Hz": courses["slow"][0], "5 Hz": courses["fast"][0]}
    figure = plots.hysteresis(
        {name: (c.voltage, c.current) for name, c in loops.items()}
    )
    (ax,) = figure.axes
    for line, course in zip(ax.lines, loops.values(), strict=False):
        np.testing.assert_allclose(line.get_xdata(), course.voltage)
    with pytest.raises(ValueError, match="no loops"):
        plots.hysteresis({})
