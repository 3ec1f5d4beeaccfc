"""Twins: hidden numbers found again, drift that is noticed and repaired."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import pnnjax as pnn
from pnnjax import devices, plots
from pnnjax.devices import (
    CallbackDevice,
    DeviceError,
    Limits,
    Probes,
    RecordedDevice,
    SimulatedDevice,
    _calibration,
)
from pnnjax.imperfections import Crosstalk, Mismatch

NOISE = 0.002


RANGE = 2.0


class Hardware:
    """A crossbar whose cells conduct 0.2 of themselves more or less than they should.

    They change at one run, and it may fail at another.
    """

    def __init__(self, drifts_at=None, fails_at=None):
        self.runs, self.drifts_at, self.fails_at = 0, drifts_at, fails_at
        self.random = np.random.default_rng(0)
        self.cells = self.random.normal(size=(2, 2, 3, 4))

    def hidden(self):
        late = self.drifts_at is not None and self.runs > self.drifts_at
        return self.cells[int(late)]

    def __call__(self, parameters, x):
        if self.runs == self.fails_at:
            raise KeyError("the shutter is stuck")
        self.runs += 1
        y = x @ matrix(parameters[0], self.hidden()).T
        return y + NOISE * self.random.normal(size=y.shape)


def matrix(states, hidden):
    """Of pairs of cells, with what they hide."""
    plus, minus = states * (1 + 0.2 * hidden)
    return RANGE * (plus - minus)


def callback(run):
    return CallbackDevice(
        run, parameter_range=(0.0, 1.0), input_range=(-1.0, 1.0), output_range=(-9, 9)
    )


def crossbar():
    layer = pnn.circuits.Crossbar(4, 3, key=jax.random.key(0), weight_range=RANGE)
    return nominal(Mismatch(0.2, True), layer)


def nominal(flaw, layer):
    """What the maker says: the layer that the device is, without its flaws."""
    twin = flaw(layer, key=jax.random.key(9))
    flat = jax.tree.map(jnp.zeros_like, twin.hidden)
    return eqx.tree_at(lambda t: t.hidden, twin, flat)


def hidden(twin):
    return twin.hidden


def spread(device, settings=32, inputs=8):
    return devices.sobol_probes(
        device, crossbar(), jnp.zeros(4), settings=settings, inputs=inputs
    )


def fitted(device, twin, key):
    return devices.fit_twin(
        device, twin, hidden, spread(device), key=key, progress=False
    )


@pytest.fixture(scope="module")
def crossbar_fit():
    hardware = Hardware()
    return hardware, fitted(callback(hardware), crossbar(), jax.random.key(2))


def test_hidden_numbers_are_found(crossbar_fit):
    hardware, fit = crossbar_fit
    # Their scatter by the noise: 192 readings, in which the two cells of a pair, of the
    # same input, are told apart by their settings' variance of 1/12.
    scatter = NOISE / (0.2 * RANGE) / (192 / 12 / 3) ** 0.5
    found, expected = fit.twin.layer.hidden.value[0], hardware.hidden()
    assert np.std(expected) > 0.5
    np.testing.assert_allclose(found, expected, atol=5 * scatter)
    # The parameters that are set stay as they were.
    states = crossbar().layer.conductance
    np.testing.assert_array_equal(fit.twin.layer.layer.conductance, states)


def test_what_was_held_out_is_missed_by_the_noise_alone(crossbar_fit):
    _, fit = crossbar_fit
    _, answers = fit.held_out_probes()
    assert fit.held_out == len(answers) == 8
    noise = NOISE / np.sqrt(np.mean(answers**2))
    assert fit.errors.unfitted > 20 * noise
    # 192 readings scatter by 5 %; eight unknowns for each output add 2 %.
    assert fit.errors.fitted == fit.errors.physics
    assert fit.errors.fitted == pytest.approx(1.02 * noise, rel=0.2)


def test_physics_aware_gradients_align_with_the_device(crossbar_fit):
    hardware, fit = crossbar_fit
    twin, device = crossbar(), callback(hardware)
    x = np.random.default_rng(1).uniform(-1, 1, (6, 4))
    y_bar = np.random.default_rng(2).normal(size=(6, 3))

    @eqx.filter_jit
    @eqx.filter_grad
    def gradient(model):
        return jnp.sum(jnp.asarray(y_bar) * model(jnp.asarray(x)))

    products = RANGE * np.einsum("bj,bi->ji", y_bar, x)
    exact = np.stack([products, -products]) * (1 + 0.2 * hardware.hidden())
    rule = pnn.estimators.PhysicsAware(device)
    before, after = (
        pnn.cosine_similarity(
            gradient(pnn.Physical(t, rule)).layer.layer.layer.conductance,
            jnp.asarray(exact),
        )
        for t in (devices.Twin(twin), fit.twin)
    )
    assert 1 - after < 1e-5 < 1e-3 < 1 - before


def test_a_picture_of_the_twin(crossbar_fit):
    _, fit = crossbar_fit
    probes, answers = fit.held_out_probes()
    guesses = {
        "fitted": _calibration.predictions(fit.twin, probes),
        "nominal": _calibration.predictions(crossbar(), probes),
    }
    figure = plots.twin_error(answers, guesses, "output")
    (legend,) = figure.legends
    errors = fit.errors.fitted, fit.errors.unfitted
    shown = [f"{n}: {100 * e:.2g} %" for n, e in zip(guesses, errors, strict=True)]
    assert [text.get_text() for text in legend.get_texts()] == shown
    with pytest.raises(ValueError, match="no guesses"):
        plots.twin_error(answers, {})


class Noisy(devices.AbstractDevice):
    """A chip with noise on what is read of it."""

    device: SimulatedDevice
    limits: ClassVar[Limits] = Limits((-np.pi, np.pi), (0.0, 1.0))

    def __call__(self, layer, x, *, key=None):
        y = self.device(layer, x)
        return y + NOISE * jax.random.normal(key, y.shape, y.dtype)


@pytest.mark.slow
def test_hidden_phases_and_crosstalk_of_a_mesh_are_found():
    keys = jax.random.split(jax.random.key(0), 3)
    mesh, flaw = pnn.optics.MZIMesh(4, key=keys[0]), Mismatch(0.1)
    device = Noisy(SimulatedDevice(mesh, [flaw, Crosstalk(0.03)], key=keys[1]))
    twin = Crosstalk(0.0)(nominal(flaw, mesh))
    probes = devices.sobol_probes(
        device, twin, jnp.zeros(4, complex), settings=32, inputs=4
    )

    def unknown(twin):
        return twin.layer.hidden, twin.imperfection

    fit = devices.fit_twin(device, twin, unknown, probes, key=keys[2], progress=False)
    _, answers = fit.held_out_probes()
    noise = NOISE / np.sqrt(np.mean(np.abs(answers) ** 2))
    # The fit adds a tenth: 21 unknowns for 768 numbers, and what is not yet settled.
    assert fit.errors.unfitted > 0.2 and fit.errors.fitted < 1.3 * noise
    chip = device.device.chip.value
    for found, hidden in zip(
        fit.twin.layer.layer.hidden.value, chip.layer.hidden.value
    ):
        # Every other column has a slot less, of which nothing shows.
        real = mesh.occupied if found.ndim == 2 else np.ones(4, bool)
        assert 0.1 * np.abs(found - hidden)[real].max() < 0.01  # rad, of 0.1
    strength = fit.twin.layer.imperfection.value.strength
    assert isinstance(strength, float) and strength == pytest.approx(0.03, abs=5e-4)


def test_drift_is_noticed_and_repaired(crossbar_fit):
    """A training of five segments, after the third of which the device changes."""
    hardware, fit = crossbar_fit
    device, begun, trained = callback(hardware), hardware.runs, []

    def train(model, key):
        """Stands for a call of `pnn.fit`: the device ages while it trains."""
        trained.append(key)
        if len(trained) == 3:
            hardware.drifts_at = hardware.runs
        better = eqx.tree_at(
            lambda m: m.layer.layer.layer.conductance,
            model,
            replace_fn=lambda g: g + 0.01,
        )
        return pnn.FitResult(better, pnn.History.empty(np.dtype(float), {}))

    done = devices.train_with_twin(
        pnn.Physical(fit.twin, pnn.estimators.PhysicsAware(device)),
        device,
        fit,
        train,
        lambda twin, key: fitted(device, twin, key),
        twin_of=lambda model: model.layer,
        segments=5,
        threshold=0.05,
        key=jax.random.key(1),
    )
    assert done.refitted == [3] and len(done.results) == 5
    assert done.errors[3] > 0.2 and max(done.errors[:3] + done.errors[4:]) < 0.01
    # Eight held-out runs before each segment, and all of the 32 to fit again.
    assert hardware.runs == begun + 5 * 8 + 32
    np.testing.assert_allclose(
        done.model.layer.layer.hidden.value[0], hardware.hidden(), atol=0.03
    )
    # What training reached is not lost.
    reached = (
        done.model.layer.layer.layer.conductance - fit.twin.layer.layer.conductance
    )
    np.testing.assert_allclose(reached, 0.05, rtol=1e-12)
    line = plots.twin_drift(done.errors, done.refitted, 0.05).axes[0].lines[0]
    np.testing.assert_allclose(line.get_ydata()[3], 100 * done.errors[3])


def test_a_calibration_that_failed_repeats_no_run(tmp_path):
    hardware = Hardware(fails_at=5)
    device, path = callback(hardware), tmp_path / "runs"
    probes, key = spread(device, 8, 2), jax.random.key(2)
    recorded = RecordedDevice(device, path)
    with pytest.raises(DeviceError, match="the shutter is stuck"):
        devices.measure_probes(recorded, crossbar(), probes, key=key, progress=False)
    recorded.close()
    hardware.fails_at = None
    again = RecordedDevice(device, path)
    answers = devices.measure_probes(again, crossbar(), probes, key=key, progress=False)
    again.close()
    assert hardware.runs == 8 and again.replayed == 5
    weights = [matrix(states, hardware.hidden()) for states in probes.settings[0]]
    expected = np.einsum("smn,sin->sim", np.stack(weights), probes.inputs)
    np.testing.assert_allclose(answers, expected, atol=5 * NOISE)


def test_probes_fill_their_ranges():
    device, twin = callback(Hardware()), crossbar()
    probes = devices.latin_hypercube_probes(
        device, twin, np.zeros(4, np.complex64), settings=10, inputs=3
    )
    # One number in each tenth of the range, for each of the cells.
    states = np.sort(probes.settings[0].reshape(10, 24), axis=0)
    np.testing.assert_array_equal(np.floor(10 * states).T, [np.arange(10)] * 24)
    assert probes.inputs.dtype == np.complex64 and probes.inputs.shape == (10, 3, 4)
    assert np.abs(probes.inputs).max() <= 1
    sobol = spread(device, 6, 2)
    assert np.abs(sobol.inputs).max() <= 1 and sobol.settings[0].shape == (6, 2, 3, 4)
    part = sobol.part(slice(4, None))
    assert len(part.inputs) == len(part.settings[0]) == 2


def test_what_can_not_work_is_refused():
    device, twin, key = callback(Hardware()), crossbar(), jax.random.key(3)
    with pytest.raises(ValueError, match="`parameter_range` must be"):
        spread(SimulatedDevice(twin))
    probes = spread(device, 2, 1)
    for where, words in [
        (lambda t: t.layer.conductance, "not in `Frozen`"),
        (lambda t: [], "picks no number"),
    ]:
        with pytest.raises(ValueError, match=words):
            devices.fit_twin(device, twin, where, probes, key=key, progress=False)
    with pytest.raises(ValueError, match="`held_out` must be from 1 to 1"):
        devices.fit_twin(device, twin, hidden, probes, key=key, held_out=2)
    wrong = Probes([np.zeros((2, 3, 3))], probes.inputs)
    with pytest.raises(ValueError, match=r"shapes \[\(2, 3, 4\)\], the settings of"):
        devices.measure_probes(device, twin, wrong, key=key)
    with pytest.raises(ValueError, match="at least 1 input"):
        spread(device, 1)


@pytest.mark.slow
def test_a_network_learns_what_physics_leaves():
    """Amplifiers that saturate, of which the model knows nothing."""
    hardware = Hardware()
    device = callback(lambda parameters, x: np.tanh(hardware(parameters, x)))
    key, probes = jax.random.key(4), spread(device, 256)

    def fit_to(probes, twin):
        settings = {"network": 16, "progress": False, "key": key}
        return devices.fit_twin(device, twin, hidden, probes, **settings)

    fit = fit_to(probes, crossbar())
    assert fit.twin.residual is not None
    assert fit.errors.unfitted > fit.errors.physics > 3 * fit.errors.fitted
    again = fit_to(probes, fit.twin)
    assert again.errors.unfitted == pytest.approx(fit.errors.fitted, rel=0.1)
    assert again.errors.fitted < 1.1 * fit.errors.fitted
    few = fit_to(spread(device, 16, 2), crossbar())
    assert few.twin.residual is None
    assert few.errors.fitted == few.errors.physics


@pytest.mark.slow
def test_training_with_a_watched_twin_by_fit():
    """`fit` in segments, on a device that drifts while the second one trains."""
    hardware = Hardware(drifts_at=32 + 8 + 80 + 8 + 40)
    device, key = callback(hardware), jax.random.key(6)
    goal = jnp.asarray([[0.5, -1.0, 0.2, 0.1], [1.0, 0.0, 0.3, -0.4], [0.0] * 4])
    x = jax.random.uniform(key, (64, 4), minval=-1.0)

    def train(model, key):
        return pnn.fit(
            model,
            (x, x @ goal.T),
            pnn.objectives.mean_squared_error,
            optax.adam(0.02),
            epochs=40,
            key=key,
            progress=False,
        )

    fit = fitted(device, crossbar(), key)
    done = devices.train_with_twin(
        pnn.Physical(fit.twin, pnn.estimators.PhysicsAware(device)),
        device,
        fit,
        train,
        lambda twin, key: fitted(device, twin, key),
        twin_of=lambda model: model.layer,
        segments=6,
        threshold=0.05,
        key=key,
    )
    assert done.refitted == [2]
    states = np.asarray(done.model.layer.layer.layer.conductance)
    np.testing.assert_allclose(matrix(states, hardware.hidden()), goal, atol=0.02)
