"""Recorded runs: killed at any moment, nothing is lost and no run is made twice."""

import os
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import pnnjax as pnn
from pnnjax._layer import AbstractLayer, Facts
from pnnjax.devices import (
    AbstractNamedRun,
    CallbackDevice,
    DeviceError,
    JournalError,
    Limits,
    OnceRun,
    RecordedDevice,
    RetryPolicy,
    SimulatedDevice,
    raising_device_errors,
)
from pnnjax.devices._journal import Journal
from pnnjax.devices._recorded import _Tape

ANSWER = jax.ShapeDtypeStruct((2,), np.dtype(float))
STEPS = 5
EVERY = 2
"""Steps between checkpoints."""


class Killed(BaseException):
    """As the process is, so that nothing may clean up."""


@pytest.fixture
def unsynced(monkeypatch):
    """Without waiting for the disk: it is only a process that dies here."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


class Hardware(AbstractNamedRun):
    """Noise that goes on from run to run: one more or less would show for ever."""

    def __init__(self):
        self.random = np.random.default_rng(11)

    def __call__(self, parameters, x, request):
        y = x @ parameters[0].T
        return y + self.random.normal(size=y.shape).astype(y.dtype)


def train(path, checkpoint, once, moment):
    """A training by hand, two runs a step: `moment()` may kill it at any point."""
    journal = Journal(path, write=True)
    tape = _Tape(journal, recording=True)

    def run(theta, x):
        moment()
        known, y, name = tape.ask(ANSWER, [theta], x, None)
        if known:
            return y
        moment()
        measured = once([theta], x, "-".join(map(str, name)))
        moment()
        tape.keep(measured)
        moment()
        return measured

    try:
        step, theta = checkpoint[0]
        while step < STEPS:
            x = np.asarray([1.0, step])
            y = run(theta, x)
            theta = theta - 0.1 * np.outer(run(theta, y), x)
            step += 1
            if step % EVERY == 0:
                checkpoint[0] = (step, theta)
    finally:
        journal.close()
    return theta


def sessions(path, kill_at):
    """Killed at the moments `kill_at`, counted through all sessions, and resumed."""
    once, checkpoint, count = OnceRun(Hardware()), [(0, np.eye(2))], 0

    def moment():
        nonlocal count
        count += 1
        if count in kill_at:
            raise Killed

    while True:
        try:
            return train(path, checkpoint, once, moment), once.made, count
        except Killed:
            pass


def test_killed_at_any_moment_nothing_is_lost_and_no_run_is_made_twice(
    tmp_path, unsynced
):
    expected, made, moments = sessions(tmp_path / "unkilled", ())
    assert made == 2 * STEPS and moments == 4 * made
    for first in range(1, moments + 1):
        # And once more, soon after: while what was recorded is replayed, or later.
        second = first + 1 + 5 * first % 17
        theta, count, _ = sessions(tmp_path / f"{first}", (first, second))
        np.testing.assert_array_equal(theta, expected)
        assert count == made


def test_a_record_that_is_cut_short_is_dropped_wherever_it_was_cut(tmp_path):
    path = tmp_path / "runs"
    journal = Journal(path, write=True)
    sizes = []
    for number in range(3):
        journal.append({"input": f"{number}"}, np.arange(2.0) + number)
        sizes.append(path.stat().st_size)
    journal.close()
    whole = path.read_bytes()
    torn = [whole[:size] for size in range(sizes[1], sizes[2])]
    # After a power cut, the end may be zeros that were never written.
    torn += [
        whole[:size] + bytes(sizes[2] - size) for size in (sizes[1], sizes[2] - 32)
    ]
    for content in torn:
        path.write_bytes(content)
        assert len(Journal(path, write=False).entries) == 2
    for content in torn[::50]:
        path.write_bytes(content)
        journal = Journal(path, write=True)
        journal.append({"input": "2"}, np.arange(2.0) + 2)
        journal.close()
        assert path.read_bytes() == whole


def test_a_record_that_is_damaged_is_an_error(tmp_path):
    path = tmp_path / "runs"
    journal = Journal(path, write=True, limits=Limits(batch_limit=4))
    for number in range(2):
        journal.append({"input": f"{number}"}, np.arange(2.0) + number)
    journal.close()
    whole = path.read_bytes()
    for place in range(0, len(whole), 3):
        damaged = bytearray(whole)
        damaged[place] ^= 0x10
        path.write_bytes(damaged)
        with pytest.raises(JournalError, match="is damaged after run|no record"):
            Journal(path, write=False)
    path.write_bytes(whole[:20])
    with pytest.raises(JournalError, match="lost its beginning"):
        Journal(path, write=True)
    path.write_bytes(whole)
    journal = Journal(path, write=False)
    np.testing.assert_array_equal(journal.answer(1), [1.0, 2.0])
    assert journal.limits == Limits(batch_limit=4)


def test_one_process_writes_at_a_time(tmp_path):
    device = RecordedDevice(chip(OnceRun(Hardware())), tmp_path / "runs")
    with pytest.raises(JournalError, match="is being written already"):
        RecordedDevice(chip(OnceRun(Hardware())), tmp_path / "runs")
    device.close()
    RecordedDevice(chip(OnceRun(Hardware())), tmp_path / "runs").close()
    with pytest.raises(FileNotFoundError):
        RecordedDevice(None, tmp_path / "none")


class Matrix(AbstractLayer):
    weight: jax.Array
    facts = Facts(linear=True)

    def __call__(self, x, *, key=None):
        return jnp.einsum("ij,...j->...i", self.weight, x)


WIDE = (-100.0, 100.0)


def chip(run, **settings):
    ranges = {"parameter_range": WIDE, "input_range": WIDE, "output_range": WIDE}
    return CallbackDevice(run, **ranges, retry=RetryPolicy(1), **settings)


def layer():
    return Matrix(jnp.eye(3, 4))


def measure(device, *keys, x=jnp.ones((5, 4))):
    """One call for each key, each with parameters of its own."""

    @eqx.filter_jit
    def one(step, x, key):
        weight = Matrix(step + jnp.eye(3, 4))
        return jax.vmap(lambda x, k: device(weight, x, key=k))(
            x, jax.random.split(key, len(x))
        )

    with raising_device_errors():
        return [
            np.asarray(one(1.0 * step, x, jax.random.key(key)))
            for step, key in enumerate(keys)
        ]


def test_a_batch_is_recorded_in_pieces_and_replayed_without_hardware(tmp_path):
    once = OnceRun(Hardware())
    device = RecordedDevice(chip(once, batch_limit=2), tmp_path / "runs")
    assert device.limits.batch_limit == 2
    measured = measure(device, 1, 2, 3)
    assert once.made == device.runs == 9
    device.close()
    replay = RecordedDevice(None, tmp_path / "runs")
    assert replay.limits == device.limits
    np.testing.assert_array_equal(measure(replay, 1, 2, 3), measured)
    assert (replay.runs, replay.replayed, once.made) == (9, 9, 9)


def test_a_simulated_device_is_recorded_with_its_noise(tmp_path):
    noisy = SimulatedDevice(layer(), [pnn.imperfections.ReadNoise(jnp.asarray(0.1))])
    device = RecordedDevice(noisy, tmp_path / "runs")
    measured = measure(device, 1, 2)
    device.close()
    replay = RecordedDevice(None, tmp_path / "runs")
    np.testing.assert_array_equal(measure(replay, 1, 2), measured)
    assert not np.allclose(measured[0], layer()(jnp.ones((5, 4))))


def tape_of(path, *asked, recording=True):
    """A record of these parameters, opened anew."""
    tape = _Tape(Journal(path, write=True), True)
    for parameter in asked:
        tape.ask(ANSWER, [np.asarray(parameter)], np.ones(1), None)
        tape.keep(np.full(2, float(len(tape.journal.entries))))
    tape.journal.close()
    return _Tape(Journal(path, write=recording), recording)


def asks(tape, parameter):
    known, y, _ = tape.ask(ANSWER, [np.asarray(parameter)], np.ones(1), None)
    return float(y[0]) if known else None


def test_where_a_program_goes_on(tmp_path):
    # Four times the same in a step, to be averaged: from the first of them on.
    tape = tape_of(tmp_path / "1", 0.0, 1.0, 1.0, 1.0, 2.0)
    assert [asks(tape, p) for p in (1.0, 1.0, 1.0, 2.0, 3.0)] == [1, 2, 3, 4, None]
    # It was there, and is asked for again in another step: that is a new run.
    tape = tape_of(tmp_path / "2", 0.0, 1.0)
    assert [asks(tape, p) for p in (0.0, 1.0)] == [0, 1]
    assert asks(tape, 0.0) is None
    # That was not answered; so the program may have gone back, as after `rewind`.
    assert asks(tape, 0.0) == 0
    tape.rewind()
    assert asks(tape, 1.0) == 1
    # The same in two steps: which of them can't be told.
    tape = tape_of(tmp_path / "3", 0.0, 1.0, 0.0)
    with pytest.raises(DeviceError, match=r"as runs \[1, 3\], so .*Give .* a `key`"):
        asks(tape, 0.0)
    # A replay without hardware begins at the beginning.
    tape = tape_of(tmp_path / "4", 0.0, 1.0, 0.0, recording=False)
    assert [asks(tape, p) for p in (0.0, 1.0, 0.0)] == [0, 1, 2]
    with pytest.raises(DeviceError, match="Run 4 .*the record ends after 3 runs"):
        asks(tape, 0.0)
    tape = tape_of(tmp_path / "5", 0.0, 1.0, recording=False)
    with pytest.raises(DeviceError, match="not in .*its run 1 in `parameter 0`"):
        asks(tape, 7.0)
    assert asks(tape, 0.0) == 0
    with pytest.raises(DeviceError, match="differs from run 2 .*in `parameter 0`"):
        asks(tape, 5.0)
    other = jax.ShapeDtypeStruct((3,), np.dtype(float))
    with pytest.raises(
        DeviceError, match=r"run 2 .* is float64\[2\], but float64\[3\]"
    ):
        tape.ask(other, [np.asarray(1.0)], np.ones(1), None)


class Breaking(AbstractNamedRun):
    """Fails once, at a given call."""

    def __init__(self, run, at):
        self.run = run
        self.left = at

    def __call__(self, parameters, x, request):
        self.left -= 1
        if self.left == 0:
            raise KeyError("a driver's bug")
        return self.run(parameters, x, request)


def fitted(device, folder: Path | None, resume=False):
    x = np.random.default_rng(0).normal(size=(24, 4))
    return pnn.fit(
        pnn.Physical(layer(), pnn.estimators.PhysicsAware(device)),
        pnn.data.Dataset(x, x[:, :3], x[:4], x[:4, :3], ()),
        lambda y, target: jnp.mean((y - target) ** 2),
        optax.adam(0.01),
        epochs=2,
        batch_size=4,
        metrics={"mean": lambda y, target: jnp.mean(y)},
        key=jax.random.key(1),
        checkpoint=folder and folder / "checkpoint",
        checkpoint_every=folder and 5,
        resume=resume,
        steps_per_call=1,
        progress=False,
    )


@pytest.mark.slow
def test_fit_goes_on_from_its_checkpoint_with_the_same_numbers(tmp_path):
    unfailing = OnceRun(Hardware())
    expected = fitted(chip(unfailing), None)
    once = OnceRun(Hardware())
    device = RecordedDevice(chip(Breaking(once, 10)), tmp_path / "runs")
    with pytest.raises(DeviceError, match="a driver's bug"):
        fitted(device, tmp_path)
    device.close()
    assert (once.made, unfailing.made) == (9, 14)
    device = RecordedDevice(chip(once), tmp_path / "runs")
    result = fitted(device, tmp_path, resume=True)
    assert once.made == 14
    weight, same = result.model.layer.weight, expected.model.layer.weight
    np.testing.assert_array_equal(weight, same)
    np.testing.assert_array_equal(result.history.loss, expected.history.loss)
    assert result.history.metrics["mean"][-1] == expected.history.metrics["mean"][-1]
    device.close()
    # The record alone is enough for all of it, whatever happened on the way.
    again = fitted(RecordedDevice(None, tmp_path / "runs"), None)
    assert once.made == 14
    np.testing.assert_array_equal(again.history.loss, expected.history.loss)
