"""VTEAM: thresholds, exact rates, bounds, and what pulses make of a cell."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import pnnjax as pnn
from pnnjax.circuits import (
    VTEAM,
    Biolek,
    HardStop,
    IonDrift,
    Pulse,
    PulsedMemristor,
    TunnelJunction,
)

UP, DOWN = Pulse(-0.25, 1e-9), Pulse(0.5, 1e-9)


@eqx.filter_jit
def rates(memristor, state, voltage):
    return memristor.rate(state, voltage)


@eqx.filter_jit
def pulsed(device, state, cell, up, down, key=None):
    return device.pulse(state, cell, up, down, key=key)


def test_no_motion_between_the_thresholds_and_the_exact_rate_beyond():
    voltage = np.linspace(-1, 1, 401)
    state = jnp.full(401, 0.5)
    ours = np.asarray(rates(VTEAM(), state, jnp.asarray(voltage)))
    still = (voltage >= -0.2) & (voltage <= 0.02)
    assert still.sum() > 40 and np.all(ours[still] == 0)
    # Of the part that is on: against the paper's w, and over its range of 3 nm.
    off, on = voltage > 0.02, voltage < -0.2
    np.testing.assert_allclose(
        ours[off], -5e-4 * (voltage[off] / 0.02 - 1) / 3e-9, rtol=1e-12
    )
    np.testing.assert_allclose(
        ours[on], 10.0 * (voltage[on] / -0.2 - 1) ** 3 / 3e-9, rtol=1e-12
    )


def test_constant_pulses_move_the_state_by_their_number():
    """Without a window the motion is uniform, and it ends at the walls."""
    device = PulsedMemristor(VTEAM(), UP, DOWN)
    start = np.asarray([0.1, 0.3, 0.5, 0.7, 0.2])
    state = 50 / (1000 - 950 * start)
    up, down = np.asarray([[1.0, 2, 0, 0, 90], [0.0, 0, 3, 0, 0]])
    arrays = map(jnp.asarray, (state, np.ones(5), up, down))
    after = np.asarray(pulsed(device, *arrays)[0])
    step_up = 10 * 0.25**3 / 3e-9 * 1e-9
    step_down = 5e-4 * 24 / 3e-9 * 1e-9
    moved = start + step_up * up - step_down * down
    resistance = 1000 - 950 * np.clip(moved, 0, 1)
    np.testing.assert_allclose(after, 50 / resistance, rtol=1e-12)
    assert after[4] == device.high == 1 and device.low == 0.05


def test_up_and_down_together_leave_what_is_between():
    """Of a linear device, n pairs move the state by n times the difference."""
    device = PulsedMemristor(VTEAM(), UP, DOWN)
    half, four = jnp.asarray(np.full(5, 50 / 525)), jnp.asarray(np.full(5, 4.0))
    after, _ = pulsed(device, half, jnp.asarray(np.ones(5)), four, four)
    moved = (1000 - 50 / np.asarray(after)) / 950
    step = 4 * (10 * 0.25**3 - 5e-4 * 24) / 3.0
    np.testing.assert_allclose(moved, 0.5 + step, rtol=1e-12)


def test_granularity_is_half_of_a_step_up_and_a_step_down():
    device = PulsedMemristor(VTEAM(), UP, DOWN)
    middle = np.full(5, (1 + device.low) / 2)
    once = np.asarray([1.0, 0, 0, 0, 0])
    arrays = map(jnp.asarray, (middle, np.ones(5), once, once[::-1].copy()))
    steps = np.asarray(pulsed(device, *arrays)[0]) - middle
    assert steps[0] > 0 > steps[4] and np.all(steps[1:4] == 0)
    assert device.granularity == pytest.approx((steps[0] - steps[4]) / 2, rel=1e-6)


@eqx.filter_jit
def there_and_back(memristor, state):
    resistance = memristor.resistance(state)
    return resistance, memristor.state_of(resistance)


@pytest.mark.parametrize("exponential", [False, True])
def test_resistance_and_its_inverse(exponential):
    state = jnp.asarray([0.0, 0.3, 1.0])
    resistance, back = there_and_back(VTEAM(exponential=exponential), state)
    middle = 50 * 20**0.7 if exponential else 50 * 0.3 + 1000 * 0.7
    np.testing.assert_allclose(resistance, [1000, middle, 50], rtol=1e-14)
    np.testing.assert_allclose(back, state, atol=1e-14)


@pytest.mark.slow
def test_variations_have_their_size():
    device = PulsedMemristor(
        VTEAM(), UP, DOWN, cell_variation=0.2, pulse_variation=0.3, steps=1
    )
    state = jnp.full(20_000, 50 / 525, dtype=float)
    cells = device.manufacture(state, key=jax.random.key(1))
    assert cells.mean() == pytest.approx(1, abs=4 * 0.2 / 20_000**0.5)
    assert cells.std() == pytest.approx(0.2, rel=0.03)
    up = jnp.full(20_000, 4.0)
    after, _ = pulsed(device, state, 1 + 0 * cells, up, 0 * up, jax.random.key(2))
    moved = VTEAM().state_of(50 / after) - 0.5
    step = 10 * 0.25**3 / 3
    assert moved.mean() == pytest.approx(4 * step, rel=4 * 0.15 / 20_000**0.5)
    # Four steps that vary independently: half of the relative spread of one.
    assert moved.std() == pytest.approx(0.15 * 4 * step, rel=0.03)
    same, _ = device.rest(state, cells, 1e9, key=jax.random.key(3))
    np.testing.assert_array_equal(same, state)


def test_what_can_not_work_is_refused():
    with pytest.raises(ValueError, match="moves the state by -?0:"):
        PulsedMemristor(VTEAM(), Pulse(-0.1, 1e-9), DOWN)
    with pytest.raises(ValueError, match="with the other sign"):
        PulsedMemristor(VTEAM(), DOWN, UP)
    with pytest.raises(ValueError, match="`on_threshold` must be negative"):
        VTEAM(on_threshold=0.2)
    with pytest.raises(ValueError, match="below `off_resistance`"):
        IonDrift(on_resistance=2e4, window=HardStop())


class Synapses(pnn.AbstractLayer):
    """Two outputs: the sum of what cells conduct, against what half of them would."""

    conductance: jax.Array
    facts = pnn.Facts(linear=True)

    def __call__(self, x, *, key=None):
        middle = 0.5 * (self.conductance.max() + self.conductance.min())
        weight = self.conductance - jax.lax.stop_gradient(middle)
        return jnp.einsum("mn,...n->...m", weight, x)


JUNCTION = TunnelJunction(
    Pulse(48.3e-6, 2e-9),
    Pulse(-49.6e-6, 0.5e-9),
    stability=40.0,
    critical_current=50e-6,
    parallel_resistance=14e3,
    magnetoresistance=1.2,
)
MEMRISTOR = PulsedMemristor(
    VTEAM(window=Biolek()),
    Pulse(-0.21, 2e-8),
    Pulse(0.5, 1e-10),
    cell_variation=0.2,
    pulse_variation=0.3,
)


@pytest.mark.slow
@pytest.mark.parametrize("device", [JUNCTION, MEMRISTOR], ids=["junction", "VTEAM"])
def test_pulses_train_a_classifier(device):
    """Two clouds in 100 dimensions, told apart by cells that only pulses change."""
    random = np.random.default_rng(0)
    label = random.integers(2, size=600)
    center = random.choice([-1.0, 1.0], size=100)
    x = random.normal(size=(600, 100)) + 0.3 * np.outer(2 * label - 1, center)
    x, label = jnp.asarray(x), jnp.asarray(label)
    start = device.low + (device.high - device.low) * random.integers(2, size=(2, 100))
    result = pnn.fit(
        Synapses(jnp.asarray(start, float)),
        pnn.data.Dataset(x[:400], label[:400], x[400:], label[400:], ("0", "1")),
        pnn.objectives.cross_entropy,
        optax.chain(optax.sgd(0.05), pnn.optimizers.pulsed_update(device)),
        epochs=10,
        key=jax.random.key(0),
        metrics={"accuracy": pnn.objectives.accuracy},
        progress=False,
    )
    accuracy = result.history.metrics["accuracy"]
    assert accuracy[-1] > 0.9 and accuracy[0] < accuracy[-1]
