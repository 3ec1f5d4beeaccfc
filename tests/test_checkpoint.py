"""Checkpoints: whole or not at all, bit for bit, and only where they belong."""

import os
import random
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pnnjax import _checkpoint
from pnnjax._checkpoint import (
    Checkpoint,
    CheckpointError,
    digest,
    named_leaves,
    read_checkpoint,
    restore,
    write_checkpoint,
)


@pytest.fixture
def tree(getkey):
    key = getkey()
    return {
        "weights": [jax.random.normal(key, (2, 3)), jnp.asarray(1 + 2j, jnp.complex64)],
        "half": jnp.arange(5, dtype=jnp.bfloat16) / 3,
        "small": jnp.array([-1, 2], jnp.int8),
        "flag": jnp.array(True),
        "key": key,
        "keys": jax.random.split(jax.random.key(1, impl="rbg"), 3),
        "none": None,
        "empty": np.zeros((0, 4)),
        "number": 0.5,
    }


def data_of(leaf):
    is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(leaf) if is_key else leaf)


def test_every_kind_of_array_comes_back_bit_for_bit(tree, tmp_path):
    file = tmp_path / "run"
    write_checkpoint(file, Checkpoint(named_leaves(tree), {"a": 1}, {"step": 7}))
    stored = read_checkpoint(file)
    assert (stored.fingerprint, stored.notes) == ({"a": 1}, {"step": 7})
    back = restore(tree, stored.arrays)
    assert jax.tree.structure(back) == jax.tree.structure(tree)
    assert back["number"] == 0.5
    for name, leaf in named_leaves(tree).items():
        other = named_leaves(back)[name]
        assert (other.dtype, other.shape) == (leaf.dtype, leaf.shape)
        assert data_of(other).tobytes() == data_of(leaf).tobytes()
    assert digest(back) == digest(tree)
    assert digest({**tree, "number": 0.25}) != digest(tree)
    assert digest({**tree, "flag": jnp.array(False)}) != digest(tree)


def test_damage_anywhere_is_noticed(tree, tmp_path):
    file = tmp_path / "run"
    write_checkpoint(file, Checkpoint(named_leaves(tree), {}, {}))
    whole = file.read_bytes()
    rng = random.Random(0)
    at = rng.sample(range(len(whole)), 30)
    for damaged in (b"", b"not a checkpoint", *(whole[:cut] for cut in at)):
        file.write_bytes(damaged)
        with pytest.raises(CheckpointError, match="damaged"):
            read_checkpoint(file)
    weights = data_of(tree["weights"][0]).tobytes()
    changed = weights[:-1] + bytes([weights[-1] ^ 1])
    file.write_bytes(whole.replace(weights, changed))
    with pytest.raises(CheckpointError, match="damaged"):
        read_checkpoint(file)


def test_a_format_of_the_future_is_refused(tree, tmp_path, monkeypatch):
    monkeypatch.setattr(_checkpoint, "FORMAT", _checkpoint.FORMAT + 1)
    write_checkpoint(tmp_path / "run", Checkpoint({}, {}, {}))
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match="format 2.*format 1"):
        read_checkpoint(tmp_path / "run")


def test_a_failing_write_leaves_the_one_before(tree, tmp_path, monkeypatch):
    file = tmp_path / "run"
    write_checkpoint(file, Checkpoint(named_leaves(tree), {}, {"step": 1}))

    def full(handle):
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        write_checkpoint(file, Checkpoint(named_leaves(tree), {}, {"step": 2}))
    assert read_checkpoint(file).notes == {"step": 1}


TRAINING = """
import sys
import equinox as eqx, jax, jax.numpy as jnp, numpy as np, optax
from pnnjax import fit

x = np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32)
model = eqx.nn.Sequential(
    [eqx.nn.MLP(4, 4, 16, 1, key=jax.random.key(0)), eqx.nn.Dropout(0.1)]
)
adam = optax.adam(1e-2)

def objective(y, targets):
    return jnp.mean((y - targets) ** 2)

def train(**saving):
    return fit(
        model, (x, x), objective, adam, epochs=20, batch_size=8,
        key=jax.random.key(1), progress=False, **saving,
    )

out = train(checkpoint=sys.argv[1], checkpoint_every=1, resume=True)
if len(sys.argv) > 2:
    whole = train()
    pairs = zip(jax.tree.leaves(out), jax.tree.leaves(whole))
    arrays = [(np.asarray(a), np.asarray(b)) for a, b in pairs if eqx.is_array(a)]
    print(len(arrays), all(a.tobytes() == b.tobytes() for a, b in arrays))
"""


@pytest.mark.slow
def test_killed_at_a_random_moment_and_resumed_it_has_the_same_bits(tmp_path):
    file = tmp_path / "run"
    command = [sys.executable, "-c", TRAINING, str(file)]
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    killed = subprocess.Popen(command, env=environment)
    while not file.exists() and killed.poll() is None:
        time.sleep(0.001)
    time.sleep(random.Random().uniform(0.0, 0.1))
    killed.kill()
    killed.wait()
    assert read_checkpoint(file).notes["step"] > 0
    done = subprocess.run(
        [*command, "compare"], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["6", "True"]
