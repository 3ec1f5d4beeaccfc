"""Devices in the loop: one call for a batch, retries, ranges, no gradient."""

import math
import time
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pnnjax._estimator import AbstractEstimator, Claim, Exact, PhysicalCost
from pnnjax._frozen import Frozen, is_trainable
from pnnjax._layer import AbstractLayer, Facts
from pnnjax._physical import Physical
from pnnjax.devices import (
    CallbackDevice,
    DeviceError,
    RetryPolicy,
    SimulatedDevice,
    raising_device_errors,
)


class Matrix(AbstractLayer):
    """A trained matrix, then a fixed gain that belongs to the hardware."""

    weight: jax.Array
    gain: Frozen
    facts = Facts(linear=True)

    def __init__(self, weight, gain=1.0):
        self.weight = weight
        self.gain = Frozen(gain * jnp.ones(weight.shape[0]))

    def __call__(self, x, *, key=None):
        gain = self.gain.value.astype(x.dtype)
        y = jnp.einsum("ij,...j->...i", self.weight.astype(x.dtype), x)
        return jnp.broadcast_to(gain, y.shape) * y


def numpy_matrix(parameters, x):
    (weight,) = parameters
    return np.einsum("ij,...j->...i", weight, x)


class Instrument:
    """Plays a list of answers; then behaves."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.shapes = []

    def __call__(self, parameters, x):
        self.shapes.append(x.shape)
        good = numpy_matrix(parameters, x)
        answer = self.answers.pop(0) if self.answers else good
        if isinstance(answer, Exception):
            raise answer
        return answer(good) if callable(answer) else answer


WIDE = (-1e3, 1e3)
QUICK = RetryPolicy(attempts=3, backoff=0.001)


def device_of(run, **settings):
    ranges = {"parameter_range": WIDE, "input_range": WIDE, "output_range": WIDE}
    return CallbackDevice(run, **(ranges | {"retry": QUICK} | settings))


def matrix(key, shape=(3, 4)):
    return Matrix(jax.random.normal(key, shape))


def signal(key, shape=(5, 4)):
    return jax.random.normal(key, shape)


def measured(device, layer, x):
    with raising_device_errors():
        return jax.block_until_ready(eqx.filter_jit(device)(layer, x))


kinds = pytest.mark.parametrize("deterministic", [False, True])


class TestOneCallForABatch:
    @kinds
    def test_eager_jit_and_vmap(self, deterministic, getkey):
        layer, x = matrix(getkey()), signal(getkey())
        run = Instrument()
        device = device_of(run, deterministic=deterministic)
        calls = [
            device,
            eqx.filter_jit(device),
            jax.vmap(lambda layer, x: device(layer, x), (None, 0)),
            eqx.filter_jit(jax.vmap(lambda layer, x: device(layer, x), (None, 0))),
            jax.vmap(eqx.filter_jit(device), (None, 0)),
        ]
        for count, call in enumerate(calls, 1):
            y = jax.block_until_ready(call(layer, x))
            np.testing.assert_allclose(y, layer(x), rtol=1e-13)
            assert run.shapes == [x.shape] * count
        assert device.runs == device.attempts == len(calls)

    @kinds
    def test_nested_vmap_and_unbatched_signal(self, deterministic, getkey):
        layer, x = matrix(getkey()), signal(getkey(), (2, 5, 4))
        run = Instrument()
        device = device_of(run, deterministic=deterministic)
        twice = jax.vmap(jax.vmap(lambda x: device(layer, x)))
        np.testing.assert_allclose(eqx.filter_jit(twice)(x), layer(x), rtol=1e-13)
        assert run.shapes == [x.shape]

    @kinds
    def test_a_sweep_sets_one_point_after_the_other(self, deterministic, getkey):
        weights, x = signal(getkey(), (3, 3, 4)), signal(getkey())
        run = Instrument()
        device = device_of(run, deterministic=deterministic)

        def batch(weight, x):
            return jax.vmap(lambda x: device(Matrix(weight), x))(x)

        shared = eqx.filter_jit(jax.vmap(batch, (0, None)))(weights, x)
        expected = np.einsum("sij,bj->sbi", weights, x)
        np.testing.assert_allclose(shared, expected, rtol=1e-13)
        assert run.shapes == [x.shape] * 3
        own = jnp.stack([x, 2 * x, 3 * x])
        every = eqx.filter_jit(jax.vmap(batch))(weights, own)
        scale = np.asarray([1, 2, 3])[:, None, None]
        np.testing.assert_allclose(every, scale * expected, rtol=1e-13)
        assert run.shapes == [x.shape] * 6

    def test_each_step_of_a_scan_in_order(self, getkey):
        layer, x = matrix(getkey(), (4, 4)), signal(getkey())
        run = Instrument()
        device = device_of(run)

        def step(x, _):
            return device(layer, x) / 4, None

        y, _ = eqx.filter_jit(lambda x: jax.lax.scan(step, x, None, length=6))(x)
        power = np.linalg.matrix_power(np.asarray(layer.weight) / 4, 6)
        np.testing.assert_allclose(y, x @ power.T, rtol=1e-12)
        assert device.runs == 6

    def test_an_unused_run_still_happens(self, getkey):
        """The instrument was set and measured: XLA must not drop that."""
        layer, x = matrix(getkey()), signal(getkey())
        device = device_of(Instrument())

        @eqx.filter_jit
        def step(x):
            device(layer, x)
            device(layer, x)
            return x

        jax.block_until_ready(step(x))
        jax.effects_barrier()
        assert device.runs == 2

    @kinds
    def test_float32_and_complex(self, deterministic, getkey):
        for dtype in (jnp.float32, jnp.complex64, jnp.complex128):
            x = jax.random.normal(getkey(), (5, 4), dtype)
            layer = Matrix(jax.random.normal(getkey(), (3, 4), dtype))
            device = device_of(numpy_matrix, deterministic=deterministic)
            y = eqx.filter_jit(device)(layer, x)
            assert y.dtype == dtype
            np.testing.assert_allclose(y, layer(x), rtol=1e-5)


class TestNoGradient:
    @pytest.mark.parametrize("simulated", [True, False])
    def test_neither_to_the_layer_nor_to_the_signal(self, simulated, getkey):
        layer, x = matrix(getkey()), signal(getkey())
        device = SimulatedDevice(layer) if simulated else device_of(numpy_matrix)

        def loss(operands):
            layer, x = operands
            y = jax.vmap(lambda x: device(layer, x))(x)
            return jnp.sum(y * layer(x))

        grads = eqx.filter_jit(eqx.filter_grad(loss))((layer, x))

        def constant(operands):
            return jnp.sum(device(layer, x) * operands[0](operands[1]))

        expected = eqx.filter_grad(constant)((layer, x))
        pairs = zip(jax.tree.leaves(grads), jax.tree.leaves(expected), strict=True)
        for ours, theirs in pairs:
            np.testing.assert_allclose(ours, theirs, rtol=1e-12)


class TestRetry:
    @pytest.mark.parametrize(
        "bad",
        [
            None,
            np.zeros((2, 2)),
            lambda good: np.where(good == good.max(), np.nan, good),
            lambda good: np.full_like(good, np.inf),
            TimeoutError("the camera sleeps"),
            ConnectionResetError("cable"),
        ],
        ids=["dropped", "shape", "nan", "inf", "timeout", "connection"],
    )
    def test_transient_failures_are_tried_again(self, bad, getkey):
        layer, x = matrix(getkey()), signal(getkey())
        device = device_of(Instrument(bad, bad))
        np.testing.assert_allclose(measured(device, layer, x), layer(x), rtol=1e-13)
        assert (device.runs, device.attempts) == (1, 3)

    @kinds
    def test_gives_up_with_the_run_the_reason_and_the_attempts(
        self, deterministic, getkey
    ):
        layer, x = matrix(getkey()), signal(getkey())
        run = Instrument(lambda good: good, None, None, None)
        device = device_of(run, deterministic=deterministic)
        measured(device, layer, x)
        with pytest.raises(
            DeviceError, match="Run 2 .*Instrument.* 3 attempts"
        ) as info:
            measured(device, layer, x)
        error = info.value
        assert (error.run, error.attempts) == (2, 3)
        assert "None" in error.reason and error.__cause__ is not None
        np.testing.assert_allclose(measured(device, layer, x), layer(x), rtol=1e-13)

    def test_each_failure_says_what_it_was(self, getkey):
        layer, x = matrix(getkey()), signal(getkey())
        once = RetryPolicy(attempts=1)
        for bad, words in [
            (np.zeros((2, 2)), r"shape \(2, 2\), expected \(5, 3\)"),
            (lambda good: np.full_like(good, np.nan), "15 of 15 values are not finite"),
            (TimeoutError("sleeps"), "TimeoutError: sleeps"),
        ]:
            with pytest.raises(DeviceError, match="after 1 attempt: .*" + words):
                measured(device_of(Instrument(bad), retry=once), layer, x)

    def test_a_bug_is_not_tried_again(self, getkey):
        layer, x = matrix(getkey()), signal(getkey())
        device = device_of(Instrument(KeyError("channel")))
        with pytest.raises(DeviceError, match="after 1 attempt: KeyError") as info:
            measured(device, layer, x)
        assert isinstance(info.value.__cause__, KeyError)
        wrong = device_of(lambda parameters, x: 1j * numpy_matrix(parameters, x))
        with pytest.raises(DeviceError, match="complex128, which is no float64"):
            measured(wrong, layer, x)

    def test_time_out_of_a_run_that_hangs(self, getkey):
        layer, x = matrix(getkey()), signal(getkey())
        naps = [0.5, 0.5]

        def sleepy(parameters, x):
            if naps:
                time.sleep(naps.pop())
            return numpy_matrix(parameters, x)

        policy = RetryPolicy(attempts=2, backoff=0.0, timeout=0.05)
        device = device_of(sleepy, retry=policy)
        with pytest.raises(DeviceError, match="2 attempts: .*no answer within 0.05 s"):
            measured(device, layer, x)
        np.testing.assert_allclose(measured(device, layer, x), layer(x), rtol=1e-13)

    def test_waits_longer_each_time(self, monkeypatch):
        waits = []
        monkeypatch.setattr(time, "sleep", waits.append)

        def dead():
            raise OSError("no carrier")

        with pytest.raises(DeviceError):
            RetryPolicy(attempts=4, backoff=0.1)(dead, "laser", 7)
        np.testing.assert_allclose(waits, [0.1, 0.2, 0.4])

    @pytest.mark.parametrize(
        "settings", [{"attempts": 0}, {"backoff": -1.0}, {"timeout": 0.0}]
    )
    def test_refuses_a_policy_without_meaning(self, settings):
        with pytest.raises(ValueError, match=next(iter(settings))):
            RetryPolicy(**settings)


class TestRanges:
    @pytest.mark.parametrize(
        ("what", "tried"), [("parameter", 0), ("input", 0), ("output", 1)]
    )
    def test_out_of_range_is_an_error_before_the_hardware_is_touched(
        self, what, tried, getkey
    ):
        layer, x = matrix(getkey()), signal(getkey())
        run = Instrument()
        device = device_of(run, **{f"{what}_range": (-0.01, 0.01)})
        with pytest.raises(DeviceError, match=f"{what}.* out of range") as info:
            measured(device, layer, x)
        assert info.value.attempts == tried
        assert len(run.shapes) == tried

    def test_ends_are_included_in_the_precision_of_the_signal(self):
        """float32(2 pi) is larger than 2 pi."""
        top = jnp.full((1, 1), 2 * math.pi, jnp.float32)
        device = device_of(numpy_matrix, parameter_range=(0.0, 2 * math.pi))
        assert measured(device, Matrix(top), jnp.ones((1, 1), jnp.float32)).shape

    def test_a_complex_signal_by_its_modulus(self, getkey):
        layer = Matrix(jnp.eye(2, dtype=jnp.complex128))
        x = jnp.asarray([[0.9 + 0.9j, 0.0]])
        device = device_of(numpy_matrix, input_range=(0.0, 1.0))
        with pytest.raises(DeviceError, match="input out of range: 1 of 2 .* 1.27"):
            measured(device, layer, x)

    def test_nan_is_in_no_range(self, getkey):
        device = device_of(numpy_matrix, input_range=(-math.inf, math.inf))
        x = signal(getkey()).at[1, 2].set(jnp.nan)
        with pytest.raises(DeviceError, match="input out of range: 1 of 20 .* nan"):
            measured(device, matrix(getkey()), x)

    def test_empty_ranges_are_refused(self):
        with pytest.raises(ValueError, match="low < high"):
            device_of(numpy_matrix, input_range=(1.0, 0.0))


class TestErrors:
    def test_other_errors_pass_through(self):
        with pytest.raises(ZeroDivisionError), raising_device_errors():
            1 / 0
        direct = DeviceError("laser", 1, 1, "dark")
        with pytest.raises(DeviceError) as info, raising_device_errors():
            raise direct
        assert info.value is direct

    def test_without_the_context_jax_quotes_it(self, getkey):
        device = device_of(Instrument(None), retry=RetryPolicy(attempts=1))
        with pytest.raises(jax.errors.JaxRuntimeError, match="Run 1 of device"):
            jax.block_until_ready(
                eqx.filter_jit(device)(matrix(getkey()), signal(getkey()))
            )

    def test_inside_a_training_step(self, getkey):
        layer, x = matrix(getkey()), signal(getkey())
        run = Instrument(lambda good: good, lambda good: good, None)
        device = device_of(run, retry=RetryPolicy(attempts=1))

        @eqx.filter_jit
        def train(layer):
            def step(weight, _):
                y = jax.vmap(lambda x: device(Matrix(weight), x))(x)
                return weight + 0.01 * jnp.mean(y), None

            return jax.lax.scan(step, layer.weight, None, length=5)[0]

        with pytest.raises(DeviceError) as info, raising_device_errors():
            jax.block_until_ready(train(layer))
        assert info.value.run == 3


class Twin(AbstractEstimator):
    """Values from the device, derivatives from the layer."""

    device: CallbackDevice
    claim: ClassVar[Claim] = Exact()

    def forward(self, layer, x, *, key):
        return self.device(layer, x, key=key), None

    def backward(self, layer, x, residuals, y_bar, *, key):
        _, pullback = eqx.filter_vjp(lambda layer, x: layer(x), layer, x)
        return pullback(y_bar)

    def cost(self, layer, x):
        return PhysicalCost(runs=1)


def test_behind_a_rule_it_is_called_once_for_each_batch(getkey):
    layer, x = matrix(getkey()), signal(getkey())
    run = Instrument()
    model = Physical(layer, Twin(device_of(run)))

    def loss(model, x):
        return jnp.sum(jax.vmap(model)(x) ** 2)

    @eqx.filter_jit
    def train(model):
        trained, rest = eqx.partition(model, is_trainable(model))

        def step(trained, _):
            grads = jax.grad(lambda t: loss(eqx.combine(t, rest), x))(trained)
            return jax.tree.map(lambda p, g: p - 1e-3 * g, trained, grads), grads

        return jax.lax.scan(step, trained, None, length=4)

    with raising_device_errors():
        _, grads = jax.block_until_ready(train(model))
    assert run.shapes == [x.shape] * 4
    expected = eqx.filter_grad(loss)(layer, x)
    np.testing.assert_allclose(grads.layer.weight[0], expected.weight, rtol=1e-12)
