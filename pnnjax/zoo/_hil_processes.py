"""The two processes of `hil-demo`: one has the chip, the other trains with it."""

import json
import os
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from .. import circuits, data, estimators, imperfections, objectives
from .._fit import fit
from .._frozen import is_trainable
from .._physical import Physical
from ..devices import (
    AbstractNamedRun,
    FaultyRun,
    Limits,
    OnceRun,
    RecordedDevice,
    RemoteDevice,
    RetryPolicy,
    SimulatedDevice,
    raising_device_errors,
    serve,
)

PIXELS = 64
CLASSES = 10
TOKEN = "PNNJAX_DEVICE_TOKEN"
REPORT = "bench.json"
RUNS = "runs"
CHECKPOINT = "checkpoint"
SCALE = 4.0
"""Of the softmax over the outputs."""
RETRY = RetryPolicy(attempts=12, backoff=0.01, timeout=1.0)
HANG = 1.2
"""How long the bench is silent where a frame is lost (s): more than is waited for."""


class Job(NamedTuple):
    """What both processes are told."""

    seed: int
    hidden: int
    mismatch: float  # parts of the maximum conductance
    noise: float  # parts of the maximum conductance
    fault_rate: float
    images: int
    epochs: int
    batch_size: int
    learning_rate: float
    checkpoint_every: int  # steps


class Chip:
    """Two crossbars of which nobody knows how they differ from their model.

    Each run draws new noise from a source that goes on: one run more or less, and all
    that follow are other numbers.
    """

    def __init__(self, job: Job):
        self.made = 0
        hidden, self._noise = jax.random.split(jax.random.key(job.seed + 1))
        model = network(job)
        device = SimulatedDevice(
            model,
            [
                imperfections.Mismatch(sigma=job.mismatch),
                imperfections.ReadNoise(sigma=job.noise),
            ],
            key=hidden,
        )
        own, rest = eqx.partition(model, is_trainable(model))
        structure = jax.tree.structure(own)

        def respond(parameters: list, x: Any, key: Any) -> Any:
            layer = eqx.combine(jax.tree.unflatten(structure, parameters), rest)
            return device(layer, x, key=key)

        self._respond = jax.jit(respond)
        sizes = [np.zeros(p.shape, p.dtype) for p in jax.tree.leaves(own)]
        dark = np.zeros((job.batch_size, PIXELS), np.float32)
        jax.block_until_ready(self._respond(sizes, dark, self._noise))

    def __call__(self, parameters: list[np.ndarray], x: np.ndarray) -> np.ndarray:
        key = jax.random.fold_in(self._noise, self.made)
        self.made += 1
        return np.asarray(self._respond(parameters, x, key))


class Watched(AbstractNamedRun):
    """Writes down each call, and tells the parent how many runs the chip has made."""

    def __init__(self, run: FaultyRun, chip: Chip):
        self.calls: list[tuple[str, float, float, str]] = []
        self._run = run
        self._chip = chip

    def __call__(
        self, parameters: list[np.ndarray], x: np.ndarray, request: str
    ) -> Any:
        before, began = self._run.counts.copy(), time.time()
        try:
            return self._run(parameters, x, request)
        finally:
            new = [kind.value for kind in self._run.counts - before]
            fault = new[0] if new else ""
            self.calls.append((request, began, time.time() - began, fault))
            print(self._chip.made, flush=True)


def network(job: Job) -> eqx.nn.Sequential:
    """The model of the chip, untrained: amplifiers that saturate between crossbars."""
    first, second = jax.random.split(jax.random.key(job.seed))
    return eqx.nn.Sequential(
        [
            circuits.Crossbar(PIXELS, job.hidden, key=first),
            eqx.nn.Lambda(jnp.tanh),
            circuits.Crossbar(job.hidden, CLASSES, key=second),
        ]
    )


def digits(job: Job) -> data.Dataset:
    """As voltages, from 0 to 1."""
    found = data.digits()

    def flat(images: np.ndarray) -> np.ndarray:
        return images.reshape(len(images), PIXELS).astype(np.float32)

    return found._replace(
        train_x=flat(found.train_x[: job.images]),
        train_y=found.train_y[: job.images],
        test_x=flat(found.test_x[: job.images]),
        test_y=found.test_y[: job.images],
    )


def hold_bench(folder: Path, job: Job) -> None:
    """Serve the chip until standard input ends, as it does when the parent does."""
    chip = Chip(job)
    faulty = FaultyRun(OnceRun(chip), rate=job.fault_rate, seed=job.seed, hang=HANG)
    watched = Watched(faulty, chip)
    limits = Limits(
        parameter_range=(0.0, 1.0), input_range=(0.0, 1.0), batch_limit=job.batch_size
    )
    with serve(watched, token=os.environ[TOKEN], limits=limits) as server:
        print(server.address, flush=True)
        _wait_for_parent()
    report = {"made": chip.made, "calls": watched.calls}
    (folder / REPORT).write_text(json.dumps(report))


def train(folder: Path, job: Job, address: str) -> None:
    """Train from where the checkpoint and the record of runs are, to the end."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    remote = RemoteDevice(address, retry=RETRY)
    device = RecordedDevice(remote, folder / RUNS)
    loaded = digits(job)
    steps = job.epochs * (len(loaded.train_x) // job.batch_size)
    with raising_device_errors():
        fit(
            Physical(network(job), estimators.PhysicsAware(device)),
            loaded,
            _loss,
            optax.adam(optax.cosine_decay_schedule(job.learning_rate, steps)),
            epochs=job.epochs,
            batch_size=job.batch_size,
            metrics={"accuracy": objectives.accuracy},
            key=jax.random.key(job.seed),
            checkpoint=folder / CHECKPOINT,
            checkpoint_every=job.checkpoint_every,
            resume=True,
            steps_per_call=1,
            progress=False,
        )
    device.close()
    remote.close()


def main(arguments: list[str]) -> None:
    """`bench FOLDER JOB` or `train FOLDER JOB ADDRESS`."""
    role, folder, text, *rest = arguments
    settings: Mapping[str, Any] = json.loads(text)
    job = Job(**settings)
    if role == "bench":
        hold_bench(Path(folder), job)
    else:
        train(Path(folder), job, *rest)


def _loss(outputs: Any, labels: Any) -> Any:
    return objectives.cross_entropy(SCALE * outputs, labels)


def _end_with_parent() -> None:
    _wait_for_parent()
    os._exit(1)


def _wait_for_parent() -> None:
    # Unbuffered: at the end of the process, no lock of Python's is held.
    while os.read(0, 1024):
        pass


if __name__ == "__main__":
    main(sys.argv[1:])
