"""Every fault of a device: tried again, flagged or refused, and never counted twice."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pnnjax._layer import AbstractLayer, Facts
from pnnjax.devices import (
    AbstractNamedRun,
    CallbackDevice,
    DeviceError,
    Fault,
    FaultyRun,
    Frame,
    Limits,
    OnceRun,
    RetryPolicy,
    SimulatedDevice,
    SteadyRun,
    raising_device_errors,
)
from pnnjax.devices._whole_batch import cut


class Matrix(AbstractLayer):
    weight: jax.Array
    facts = Facts(linear=True)

    def __call__(self, x, *, key=None):
        return jnp.einsum("ij,...j->...i", self.weight, x)


class Hardware(AbstractNamedRun):
    """A noisy matrix: each run draws new noise, so that one run more or less shows."""

    def __init__(self, noise=0.1):
        self.random = np.random.default_rng(7)
        self.noise = noise
        self.asked = []

    def __call__(self, parameters, x, request):
        self.asked.append((x.shape, request))
        y = np.einsum("ij,...j->...i", parameters[0], x)
        return y + self.noise * self.random.normal(size=y.shape)


WIDE = (-100.0, 100.0)
QUICK = RetryPolicy(attempts=8, backoff=0.0)


def device_of(run, **settings):
    ranges = {"parameter_range": WIDE, "input_range": WIDE, "output_range": WIDE}
    return CallbackDevice(run, **(ranges | {"retry": QUICK} | settings))


@pytest.fixture
def layer(getkey):
    return Matrix(jax.random.normal(getkey(), (3, 4)))


def ask(device, layer, *batches):
    run = eqx.filter_jit(device) if batches[1:] else device
    with raising_device_errors():
        return [np.asarray(jax.block_until_ready(run(layer, x))) for x in batches]


def batches(count, shape=(5, 4)):
    keys = jax.random.split(jax.random.key(3), count)
    return [jax.random.normal(key, shape) for key in keys]


class TestFaults:
    def test_a_faulty_link_gives_what_a_good_one_gives(self, layer):
        sent = batches(30)
        expected = ask(device_of(Hardware()), layer, *sent)
        once = OnceRun(Hardware())
        faulty = FaultyRun(once, rate=0.5, seed=1)
        device = device_of(faulty)
        np.testing.assert_array_equal(ask(device, layer, *sent), expected)
        assert once.made == device.runs == 30
        failed = [fault for run in device.log for fault in run.faults]
        assert len(failed) == sum(faulty.counts.values()) == device.attempts - 30
        counted = {kind.value: number for kind, number in faulty.counts.items()}
        assert {kind: failed.count(kind) for kind in set(failed)} == counted
        assert set(faulty.counts) == set(Fault)

    @pytest.mark.parametrize("kind", Fault)
    def test_each_kind_is_named_when_the_policy_gives_up(self, kind, layer):
        run = FaultyRun(Hardware(), rate=1.0, seed=0, kinds=(kind,))
        device = device_of(run, retry=RetryPolicy(attempts=2, backoff=0.0))
        words = {
            Fault.TIME_OUT: "TimeoutError: no frame",
            # Before the first frame, there is none to come again.
            Fault.DUPLICATED: "dropped frame",
            Fault.DROPPED: "dropped frame",
            Fault.NOT_FINITE: "1 of 15 values are not finite",
            Fault.CONNECTION: "ConnectionResetError",
        }
        with pytest.raises(DeviceError, match=f"2 attempts: .*{words[kind]}"):
            ask(device, layer, *batches(1))
        (logged,) = device.log
        assert not logged.good and len(logged.faults) == 2

    def test_a_frame_that_comes_twice_is_no_answer(self, layer):
        answers = [Frame(np.ones((5, 3)), 4), Frame(np.ones((5, 3)), 4), None]
        answers.append(Frame(np.zeros((5, 3)), 9))  # Those between were lost.
        device = device_of(lambda parameters, x: answers.pop(0))
        first, second = ask(device, layer, *batches(2))
        assert first.all() and not second.any()
        assert device.log[1].faults == ("duplicated", "dropped")

    @pytest.mark.parametrize("settings", [{"rate": 1.5}, {"rate": 0.1, "kinds": ()}])
    def test_settings_without_meaning_are_refused(self, settings):
        with pytest.raises(ValueError, match=list(settings)[-1]):
            FaultyRun(Hardware(), seed=0, **settings)
        with pytest.raises(ValueError, match="kept"):
            OnceRun(Hardware(), kept=0)


class TestOnce:
    def test_a_run_is_made_once_by_its_name(self):
        run = OnceRun(Hardware(), kept=2)
        first, again, other = (run([np.eye(2)], np.ones(2), name) for name in "aab")
        np.testing.assert_array_equal(first, again)
        assert not np.array_equal(first, other)
        run([np.eye(2)], np.ones(2), "c")  # Now "a" is not kept any more.
        assert not np.array_equal(run([np.eye(2)], np.ones(2), "a"), first)
        assert run.made == 4

    def test_it_outlives_its_process_with_a_file(self, tmp_path):
        first = OnceRun(Hardware(), path=tmp_path / "frames")
        frame = first([np.eye(2)], np.ones(2), "a")
        first.close()
        second = OnceRun(Hardware(), path=tmp_path / "frames")
        np.testing.assert_array_equal(second([], np.ones(2), "a"), frame)
        second([np.eye(2)], np.ones(2), "b")
        assert second.made == 2
        second.close()

    def test_a_frame_of_no_use_is_made_again(self):
        run = OnceRun(lambda parameters, x: np.full(2, np.nan))
        for made in (1, 2):
            run([], np.ones(2), "a")
            assert run.made == made


class TestSaturation:
    def test_says_what_to_turn_down_and_is_not_tried_again(self):
        settings = {"output_range": (0.0, 1.0), "saturates": True}
        device = device_of(
            lambda parameters, x: np.clip(x @ parameters[0].T, 0, 1), **settings
        )
        dark, bright = jnp.zeros((2, 3)), jnp.full((2, 3), 2.0)
        (y,) = ask(device, Matrix(jnp.eye(3)), dark)
        assert not y.any()  # No light is a reading, too.
        with pytest.raises(DeviceError, match="after 1 attempt: .*6 of 6 .*Turn down"):
            ask(device, Matrix(jnp.eye(3)), bright)
        assert device.log[1].faults == ("detector saturated",)

    def test_a_detector_that_saturates_has_an_end(self):
        with pytest.raises(ValueError, match="finite and not zero"):
            Limits(output_range=(0.0, np.inf), saturates=True)


class Creep:
    """A gain that rises with each run, and settles after some of them."""

    def __init__(self, settled):
        self.runs = 0
        self.settled = settled

    def __call__(self, parameters, x):
        self.runs += 1
        return (1 + 0.1 * min(self.runs, self.settled)) * (x @ parameters[0].T)


class TestDrift:
    def test_what_drifted_is_measured_again_until_it_has_settled(self, layer):
        creep = Creep(settled=5)
        reference = np.ones((1, 4))
        device = device_of(SteadyRun(creep, reference=reference, tolerance=0.01))
        (x,) = batches(1)
        (y,) = ask(device, layer, x)
        np.testing.assert_allclose(y, 1.5 * layer(x), rtol=1e-12)
        # Three runs of hardware each: 1 to 3 and 4 to 6 drift, 7 to 9 do not.
        assert creep.runs == 9
        assert device.log[0].faults == ("drift", "drift")

    def test_a_device_that_never_settles_is_an_error(self, layer):
        steady = SteadyRun(Creep(1000), reference=np.ones((1, 4)), tolerance=0.01)
        with pytest.raises(DeviceError, match="8 attempts: drift: the reference chang"):
            ask(device_of(steady), layer, *batches(1))
        with pytest.raises(ValueError, match="tolerance"):
            SteadyRun(Creep(1), reference=np.ones((1, 4)), tolerance=0.0)

    def test_a_lost_reference_is_tried_again_by_the_same_name(self, layer):
        once = OnceRun(Hardware(0.0))
        faulty = FaultyRun(once, rate=0.5, seed=4, kinds=(Fault.DROPPED,))
        steady = SteadyRun(faulty, reference=np.ones((1, 4)), tolerance=0.01)
        sent = batches(5)
        retry = RetryPolicy(attempts=30, backoff=0.0)
        measured = ask(device_of(steady, retry=retry), layer, *sent)
        np.testing.assert_allclose(measured, [layer(x) for x in sent], rtol=1e-12)
        assert once.made == 15 and faulty.counts[Fault.DROPPED] > 0


class TestLimits:
    def test_a_large_batch_is_cut_and_each_piece_tried_by_itself(self, layer):
        hardware = Hardware(0.0)
        once = OnceRun(hardware)
        faulty = FaultyRun(once, rate=0.4, seed=2)
        device = device_of(faulty, batch_limit=4)
        (x,) = batches(1, (2, 5, 4))
        (y,) = ask(device, layer, x)
        np.testing.assert_allclose(y, layer(x), rtol=1e-12)
        assert [shape for shape, _ in hardware.asked] == [(4, 4), (4, 4), (2, 4)]
        assert once.made == device.runs == 3 < device.attempts
        # A batch that fits comes as it is.
        ask(device, layer, x[:, :2])
        assert hardware.asked[-1][0] == (2, 2, 4)

    def test_names_stay_the_same_only_where_the_run_does(self, layer):
        hardware = Hardware()
        device = device_of(hardware, batch_limit=3)
        (x,) = batches(1)
        name = jnp.asarray([1, 2, 77], jnp.uint32)
        for request in (name, name, None, None):
            jax.block_until_ready(device(layer, x, request=request))
        names = [request for _, request in hardware.asked]
        assert names[:2] == names[2:4] == ["0000000100000002-77.0", names[1]]
        assert len(set(names[4:])) == 4

    def test_what_one_example_is(self, layer):
        limits = Limits(batch_limit=2, example_ndim=2)
        assert [p.x_shape for p in cut(limits, (3, 8, 8), (3, 10))] == [
            (2, 8, 8),
            (1, 8, 8),
        ]
        assert cut(limits, (8, 8), (10,))[0].x_shape == (8, 8)
        with pytest.raises(ValueError, match="has no such batch.*`example_ndim`"):
            cut(Limits(batch_limit=2), (8, 8), (10,))
        with pytest.raises(ValueError, match="less than one example"):
            cut(limits, (8,), (8,))

    def test_every_device_declares_them(self, layer):
        assert SimulatedDevice(layer).limits == Limits()
        device = device_of(Hardware(), latency=0.01, batch_limit=8)
        assert (device.limits.latency, device.limits.batch_limit) == (0.01, 8)
        with pytest.raises(ValueError, match="takes 0.5 s, but `retry` waits only 0.1"):
            device_of(Hardware(), latency=0.5, retry=RetryPolicy(timeout=0.1))

    @pytest.mark.parametrize(
        "settings",
        [
            {"input_range": (1.0, 1.0)},
            {"batch_limit": 0},
            {"latency": -1.0},
            {"latency": np.inf},
            {"example_ndim": -1},
        ],
    )
    def test_limits_without_meaning_are_refused(self, settings):
        with pytest.raises(ValueError, match=next(iter(settings))):
            Limits(**settings)
