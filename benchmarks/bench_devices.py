"""A training step on one device and on two simulated ones: what sharing costs.

Simulated devices divide the cores of one machine, and one device uses them all: no gain
is to be expected, and what a step takes longer is the price of the partitioned program.
Needs a process of its own, since devices are made before JAX starts:

    python benchmarks/bench_devices.py
"""

import os

DEVICES = 2
os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={DEVICES}"

import statistics  # noqa: E402
import time  # noqa: E402
from functools import partial  # noqa: E402
from typing import Any  # noqa: E402

import equinox as eqx  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import optax  # noqa: E402
from jax.sharding import Mesh  # noqa: E402

import pnnjax as pnn  # noqa: E402
from pnnjax._fit import _begun, task_of  # noqa: E402
from pnnjax._parts import parts_of  # noqa: E402
from pnnjax._sharding import ShardLarge, placement_of  # noqa: E402
from pnnjax._step import advance  # noqa: E402

ROUNDS, STEPS = 7, 50
SHAPES = {"one device": None, "2 x 1": (2, 1), "1 x 2": (1, 2)}


def crossbars(*sizes: int) -> Any:
    keys = jax.random.split(jax.random.key(0), len(sizes) - 1)
    layers: list[Any] = []
    for inputs, outputs, key in zip(sizes, sizes[1:], keys):
        crossbar = pnn.circuits.Crossbar(inputs, outputs, key=key, use_bias=True)
        layers += [
            pnn.Physical(crossbar, pnn.estimators.Autodiff()),
            eqx.nn.Lambda(jnp.tanh),
        ]
    return eqx.nn.Sequential(layers[:-1])


CASES = {
    "digits size: 64-64-10, batch 64": (crossbars(64, 64, 10), 64, 64),
    "MNIST size: 784-512-10, batch 256": (crossbars(784, 512, 10), 784, 256),
    "large: 2048-2048-10, batch 256": (crossbars(2048, 2048, 10), 2048, 256),
}


def stepper(model: Any, size: int, batch: int, shape: tuple[int, int] | None) -> Any:
    """Makes `STEPS` steps, and says how long one took and how long compiling."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4 * batch, size)).astype(np.float32)
    y = rng.integers(0, 10, 4 * batch)
    placement = None
    if shape is not None:
        mesh = Mesh(np.array(jax.devices()).reshape(shape), ("batch", "model"))
        placement = placement_of(mesh, ShardLarge(2**14), batch)
    task, trained = task_of(
        model, pnn.is_trainable(model),
        parts_of((x, y)), pnn.objectives.cross_entropy, optax.adam(1e-3),
        jax.random.key(1), batch, True, placement,
    )  # fmt: skip
    task, state = task.placed(), _begun(task, trained)

    def until(step: int) -> Any:
        stop = jnp.asarray(step, jnp.int32)
        return stop if placement is None else placement.replicate(stop)

    begun = time.perf_counter()
    jax.block_until_ready(advance(task, state, until(0)))
    seconds = time.perf_counter() - begun

    def run(stop: Any) -> float:
        begun = time.perf_counter()
        jax.block_until_ready(advance(task, state, stop))
        return (time.perf_counter() - begun) / STEPS

    return partial(run, until(STEPS)), seconds


def main() -> None:
    """Interleaved: one run of each in turn, and the medians of all rounds."""
    for name, (model, size, batch) in CASES.items():
        made = {
            key: stepper(model, size, batch, shape) for key, shape in SHAPES.items()
        }
        times: dict[str, list[float]] = {key: [] for key in SHAPES}
        for _ in range(ROUNDS):
            for key, (run, _) in made.items():
                times[key].append(run())
        print(name)
        for key, found in times.items():
            ratios = [t / one for t, one in zip(found, times["one device"])]
            print(
                f"  {key:10s}  {1e3 * statistics.median(found):8.3f} ms a step, "
                f"{statistics.median(ratios):5.2f} times one device "
                f"({min(ratios):.2f} to {max(ratios):.2f}), "
                f"compiled in {made[key][1]:.1f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
