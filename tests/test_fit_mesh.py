"""Training on several devices and hosts: the numbers of one device, a share of memory.

Devices are simulated, in processes of their own: see `many_devices.py`.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import Mesh, PartitionSpec

from pnnjax import fit
from pnnjax._batch import _exclusive_or
from pnnjax._sharding import ShardLarge

SCRIPT = Path(__file__).with_name("many_devices.py")


def start(devices, *arguments):
    flags = (
        f"--xla_force_host_platform_device_count={devices} "
        "--xla_backend_optimization_level=0"
    )
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), *map(str, arguments)],
        env=os.environ
        | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def answers(*processes):
    """What each said, and its standard error; none is left running."""
    found = []
    for process in processes:
        try:
            found.append(process.communicate(timeout=240))
        except subprocess.TimeoutExpired:
            process.kill()
            found.append(process.communicate())
    for process, (_, error) in zip(processes, found):
        assert process.returncode == 0, error[-4000:]
    return [(spoken(out), error) for out, error in found]


def spoken(out):
    """Its answer; what libraries print may stand on either side of it."""
    return json.JSONDecoder().raw_decode(out.split("answer:")[1].lstrip())[0]


def ask(devices, *arguments):
    return answers(start(devices, *arguments))[0][0]


def test_eight_devices_find_what_one_finds_and_hand_it_on(tmp_path):
    """In double precision, with noise: what differs is the order of sums."""
    found = ask(8, "moved", tmp_path, "1")
    assert found["one device"] < 1e-12
    assert found["stopped at"] == 8
    assert max(found["1"]) < 1e-12
    assert found["4x2"] == [0.0, 0.0]
    assert "epochs: 3 in the checkpoint, 4 now" in found["refused"]


@pytest.mark.slow
def test_a_run_moves_to_fewer_devices_and_to_others(tmp_path):
    found = ask(8, "moved", tmp_path, "1x4", "2x2", "8x1", "1")
    for shape in ("1x4", "2x2", "8x1", "1"):
        assert max(found[shape]) < 1e-12


@pytest.mark.slow
def test_devices_and_steps_that_can_not_work_are_named():
    said = ask(8, "failures")
    for name, message in {
        "axes": "ValueError: The axes of `mesh` are 'data'; they must be \"batch\"",
        "batch": "`batch_size` is 30, which 4 devices can't share evenly: make it 28",
        "few": "`batch_size` is 2, which 4 devices can't share evenly: make it 4",
        "no mesh": "TypeError: `mesh` must be a `jax.sharding.Mesh`, not int",
        "no spec": "TypeError: `shard` must return a `jax.sharding.PartitionSpec`",
        "unknown": "the mesh has no axis 'rows', only 'batch', 'model'",
        "rank": "that is more axes than the array has",
        "uneven": "can't be cut into 3 equal parts",
        "not finite": "NonFiniteError: Step 1 is not finite",
    }.items():
        assert message in said[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["crossbars", "digits-mesh", "hopfield", "search"])
def test_any_share_of_any_training_has_the_numbers_of_one_device(name):
    found = ask(8, "same_everywhere", name, "8x1", "1x8", "4x2")
    assert list(found) == ["8x1", "1x8", "4x2"]
    for differences in found.values():
        assert max(differences) < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("kind, size", [("crossbar", 1024), ("mesh", 256)])
def test_eight_devices_hold_an_eighth_each_and_never_the_whole(kind, size):
    one, eight = ask(8, "large", kind, size)
    # The data, here two batches, are on every device.
    data = 2 * 32 * size * 4
    assert eight["held"] - data < 1.1 * (one["held"] - data) / 8
    assert eight["scratch"] < one["scratch"] / 5
    # No device is sent as much as its own share: signals at most, of the batch.
    assert eight["sent"] <= 16 * size * 1.1


@pytest.mark.slow
def test_two_hosts_train_together_and_go_on_together(tmp_path):
    file = tmp_path / "run"
    for steps in ("step 12/12", ""):  # The second time, nothing is left to do.
        found, errors = zip(*answers(*pair(file, "nothing")))
        assert all(there and differs < 1e-12 for differs, there in found)
        assert steps in errors[0] and "step" not in errors[1]


@pytest.mark.slow
def test_two_hosts_with_other_data_are_told_so(tmp_path):
    for said, _ in answers(*pair(tmp_path / "run", "data")):
        assert said.startswith("ValueError: The 2 processes must call `fit` with the")
        assert said.endswith("but these differ: data.")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_interrupting_one_of_two_hosts_stops_and_saves_both(tmp_path):
    file = tmp_path / "run"
    first, second = pair(file, "interrupt")
    for line in first.stderr:
        if line.startswith("step"):
            break
    time.sleep(1)
    second.send_signal(signal.SIGINT)
    for said, _ in answers(first, second):
        assert said.startswith("KeyboardInterrupt: Stopped after step")
        assert f"`{file}` holds it" in said
    assert file.exists()


def pair(file, change):
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    return [start(4, "one_of_two", rank, port, file, change) for rank in (0, 1)]


def test_a_mesh_of_one_device_changes_nothing(getkey):
    x = np.random.default_rng(0).normal(size=(16, 3))
    model, key, sgd = eqx.nn.Linear(3, 3, key=getkey()), getkey(), optax.sgd(0.1)

    def squared(y, targets):
        return jnp.mean((y - targets) ** 2)

    def train(**on):
        settings = {"epochs": 2, "batch_size": 8, "key": key, "progress": False}
        return fit(model, (x, x), squared, sgd, **settings, **on)

    mesh = Mesh(np.array(jax.devices()[:1]), ("model",))
    one, same = train(), train(mesh=mesh)
    np.testing.assert_array_equal(one.model.weight, same.model.weight)
    with pytest.raises(ValueError, match="`shard` needs devices"):
        train(shard=ShardLarge())


def test_large_arrays_are_cut_where_they_are_long():
    devices = np.array(jax.devices() * 12).reshape(3, 4)
    mesh = Mesh(devices, ("batch", "model"))

    def cut(*shape, least=1):
        leaf = jax.ShapeDtypeStruct(shape, jnp.float32)
        return ShardLarge(least)("name", leaf, mesh)

    assert cut(2, 64, 48) == PartitionSpec(None, None, "model")
    assert cut(64, 32) == PartitionSpec(None, "model")
    assert cut(64, 28) == cut(64, 33) == PartitionSpec("model")
    assert cut(63, 33) == cut() == cut(64, 32, least=64 * 32 * 4 + 1) == PartitionSpec()


def test_the_exclusive_or_of_keys_is_that_of_their_words():
    words = np.random.default_rng(0).integers(0, 2**32, (13, 2), np.uint32)
    expected = np.bitwise_xor.reduce(words, axis=None)
    assert _exclusive_or(jnp.asarray(words)) == expected
