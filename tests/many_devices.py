"""Trainings on simulated devices, each run in a process of its own by a test.

Called with the name of a function below and its arguments; prints its answer as JSON.
"""

import json
import re
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, PartitionSpec

import pnnjax as pnn
from pnnjax._checkpoint import CheckpointError, on_host, read_checkpoint
from pnnjax._fit import _begun, task_of
from pnnjax._parts import parts_of
from pnnjax._sharding import ShardLarge, placement_of
from pnnjax._step import advance

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

# A function: no array may be made before `jax.distributed.initialize`.
key = jax.random.key
ALL = ShardLarge(least=1)


class Data(NamedTuple):
    train_x: np.ndarray
    train_y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray


def data(shift=0.0):
    """Eight classes, and a test part that no number of devices divides."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(64, 8)) + shift, rng.integers(0, 8, 64)
    return Data(x, y, x[:21], y[:21])


def crossbars():
    """With noise in the cells, for a batch and for each example."""
    crossbar = pnn.circuits.Crossbar(8, 16, key=key(0), use_bias=True)
    noisy = pnn.imperfections.ReadNoise(0.02)(crossbar)
    return eqx.nn.Sequential(
        [
            pnn.Physical(noisy, pnn.estimators.Autodiff()),
            eqx.nn.Lambda(jnp.tanh),
            eqx.nn.Dropout(0.1),
            pnn.circuits.Crossbar(16, 8, key=key(1)),
        ]
    )


def squared(y, targets):
    return jnp.mean((y - targets) ** 2)


def digits():
    from pnnjax.zoo._digits_mesh import DigitsMesh

    experiment = DigitsMesh()
    whole = experiment.data()
    parts = Data(
        whole.train_x[:64].astype(np.complex128),
        whole.train_y[:64],
        whole.test_x[:21].astype(np.complex128),
        whole.test_y[:21],
    )
    model = experiment.model(key=key(2))
    return model, parts, experiment.objective, experiment.optimizer(100)


def evolving():
    from evosax.algorithms import PGPE

    return pnn.optimizers.evolution(PGPE, 8, spread=0.05)


CROSS_ENTROPY = pnn.objectives.cross_entropy
CASES = {
    "crossbars": lambda: (crossbars(), data(), CROSS_ENTROPY, optax.adam(1e-2)),
    "digits-mesh": digits,
    "hopfield": lambda: (
        pnn.Physical(
            pnn.spins.HopfieldNetwork((8, 16, 8), key=key(2)),
            pnn.estimators.EquilibriumPropagation(),
        ),
        data(),
        CROSS_ENTROPY,
        optax.adam(1e-2),
    ),
    "search": lambda: (crossbars(), data(), CROSS_ENTROPY, evolving()),
}


def mesh_of(batch, model):
    devices = np.array(jax.devices()[: batch * model])
    return Mesh(devices.reshape(batch, model), ("batch", "model"))


def train(case, shape, **settings):
    model, parts, objective, optimizer = case
    sharing = {} if shape is None else {"mesh": mesh_of(*shape), "shard": ALL}
    settings = {"epochs": 3, "key": key(3), "progress": False} | settings
    return pnn.fit(
        model, parts, objective, optimizer, batch_size=16, **sharing, **settings
    )


def arrays(out):
    leaves = jax.tree.leaves(eqx.filter(out.model, eqx.is_inexact_array))
    return [np.asarray(on_host(leaf)) for leaf in leaves]


def difference(one, many):
    """The greatest of a parameter, relative to the greatest of its array."""
    return max(
        float(np.max(abs(a - b)) / np.max(abs(a)))
        for a, b in zip(arrays(one), arrays(many), strict=True)
    )


def same_everywhere(name, *shapes):
    case = CASES[name]()
    one = train(case, None)
    answers = {}
    for shape in shapes:
        many = train(case, [int(n) for n in shape.split("x")])
        history = np.max(abs(one.history.loss - many.history.loss))
        answers[shape] = [difference(one, many), float(history)]
    return answers


class Stop(Exception):
    pass


def moved(folder, *shapes):
    """A run on 4 × 2 devices, stopped, goes on with others, and with the same."""
    case, folder = CASES["crossbars"](), Path(folder)
    calls = 0

    def once(y, targets):
        nonlocal calls
        calls += 1
        if calls == 2:
            raise Stop
        return CROSS_ENTROPY(y, targets)

    def loss(y, targets):
        return CROSS_ENTROPY(y, targets)

    settings = {"checkpoint": folder / "run"}
    whole = train(case, (4, 2), metrics={"loss": loss})
    try:
        train(case, (4, 2), metrics={"loss": once}, **settings)
    except Stop:
        pass
    answers = {"stopped at": read_checkpoint(folder / "run").notes["step"]}
    for shape in (*shapes, "4x2"):
        shutil.copy(folder / "run", folder / "copy")
        devices = None if shape == "1" else [int(n) for n in shape.split("x")]
        file = {"checkpoint": folder / "copy", "resume": True}
        out = train(case, devices, metrics={"loss": loss}, **file)
        metrics = np.max(
            abs(out.history.metrics["loss"] - whole.history.metrics["loss"])
        )
        answers[shape] = [difference(whole, out), float(metrics)]
    try:
        train(case, (4, 2), resume=True, epochs=4, metrics={"loss": loss}, **settings)
    except CheckpointError as error:
        answers["refused"] = str(error)
    answers["one device"] = difference(train(case, None), whole)
    return answers


def failures():
    """What is said of devices, and of steps, that can't work."""
    case = CASES["crossbars"]()
    devices = np.array(jax.devices())

    def said(change, optimizer=optax.sgd(0.1)):
        call = {"mesh": mesh_of(4, 2), "batch_size": 16, "shard": None} | change
        try:
            pnn.fit(
                case[0], case[1], CROSS_ENTROPY, optimizer, epochs=1, key=key(3),
                progress=False, **call,
            )  # fmt: skip
        except (ValueError, TypeError, FloatingPointError) as error:
            return f"{type(error).__name__}: {error}"
        return "nothing"

    return {
        "axes": said({"mesh": Mesh(devices, ("data",))}),
        "batch": said({"batch_size": 30}),
        "few": said({"batch_size": 2}),
        "no mesh": said({"mesh": 8}),
        "no spec": said({"shard": lambda name, leaf, mesh: None}),
        "unknown": said({"shard": lambda name, leaf, mesh: PartitionSpec("rows")}),
        "rank": said({"shard": lambda name, leaf, mesh: PartitionSpec(*[None] * 9)}),
        "uneven": said(
            {
                "mesh": Mesh(devices[:3], ("model",)),
                "shard": lambda name, leaf, mesh: PartitionSpec("model"),
            }
        ),
        "not finite": said({}, optax.scale(float("inf"))),
    }


def program(model, shape, size, batch=16):
    """Bytes on each device, and the longest array that devices send each other."""
    x = np.zeros((2 * batch, size), np.float32)
    placement = None
    if shape is not None:
        placement = placement_of(mesh_of(*shape), ShardLarge(2**12), batch)
    task, trained = task_of(
        model, pnn.is_trainable(model),
        parts_of((x, x)), squared, optax.adam(1e-3), key(3), batch, True,
        placement,
    )  # fmt: skip
    task, state = task.placed(), _begun(task, trained)
    stop = jnp.int32(3)
    if placement is not None:
        stop = placement.replicate(stop)
        moment = state.memory[0].mu
        for a, b in zip(jax.tree.leaves(moment), jax.tree.leaves(state.trained)):
            assert a.sharding.is_equivalent_to(b.sharding, a.ndim), "a moment is apart"
    compiled = advance.lower(task, state, stop).compile().compiled
    memory = compiled.memory_analysis()
    kinds = "all-reduce|all-gather|collective-permute|all-to-all|reduce-scatter"
    sent = [
        int(np.prod([int(n) for n in lengths.split(",") if n] or [1]))
        for shapes in re.findall(rf"= (.*?) (?:{kinds})\(", compiled.as_text())
        for lengths in re.findall(r"\w+\[([\d,]*)\]", shapes)
    ]
    return {
        "held": memory.argument_size_in_bytes,
        "scratch": memory.temp_size_in_bytes,
        "sent": max(sent, default=0),
    }


class Power(eqx.Module):
    mesh: pnn.Physical

    def __call__(self, x, *, key=None):
        field = self.mesh(x, key=key)
        return field.real**2 + field.imag**2


def large(kind, size):
    """A layer on one device, and shared by eight."""
    size = int(size)
    if kind == "crossbar":
        layer = pnn.circuits.Crossbar(size, size, key=key(0))
        model = pnn.Physical(layer, pnn.estimators.Autodiff())
    else:
        layer = pnn.optics.MZIMesh(size, key=key(0))
        model = Power(pnn.Physical(layer, pnn.estimators.InSituBackprop()))
    single = jax.tree.map(
        lambda leaf: leaf.astype(jnp.float32) if eqx.is_inexact_array(leaf) else leaf,
        model,
    )
    return [program(single, shape, size) for shape in (None, (1, 8))]


def one_of_two(rank, port, file, change):
    """A process of two, with four devices each."""
    rank = int(rank)
    jax.distributed.initialize(f"localhost:{port}", num_processes=2, process_id=rank)
    shift = float(rank) if change == "data" else 0.0
    model, _, objective, optimizer = CASES["crossbars"]()
    case = model, data(shift), objective, optimizer
    epochs = 100_000 if change == "interrupt" else 3
    settings = {"metrics": {"loss": objective}, "progress": True, "epochs": epochs}
    if change == "interrupt":
        settings["evaluate_every"] = 5
    try:
        out = train(case, (4, 2), checkpoint=file, resume=True, **settings)
    except (ValueError, KeyboardInterrupt) as error:
        return f"{type(error).__name__}: {error}"
    one = train(case, None, **settings | {"progress": False})
    return [difference(one, out), bool(Path(file).exists())]


if __name__ == "__main__":
    function, *arguments = sys.argv[1:]
    print("answer:" + json.dumps(globals()[function](*arguments)), flush=True)
