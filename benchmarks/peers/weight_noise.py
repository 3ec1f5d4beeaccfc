"""Training with noise on the weights, 784-256-10, batch 64: us beside aihwkit.

    pip install aihwkit torch==2.10.0
    taskset -c 0 python benchmarks/peers_weight_noise.py

Sigmoid units, float32, plain SGD. Each step draws new Gaussian noise of deviation 0.1
times the range for every weight, in each of the two layers; the gradient is that at the
noisy weights. Both run in turn, in one process, on one thread each. Without aihwkit,
ours run alone.
"""

import os
import statistics
import time

# One core is what is compared, so no library may start threads of its own.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"

import equinox as eqx  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import optax  # noqa: E402

import pnnjax as pnn  # noqa: E402

SIZES, BATCH, SIGMA, RATE = (784, 256, 10), 64, 0.1, 0.01
ROUNDS, STEPS = 30, 10


def batch():
    """As much ink as in digits: aihwkit repeats reads that exceed its range."""
    random = np.random.default_rng(0)
    inked = random.random((BATCH, SIZES[0])) < 0.19
    x = np.where(inked, random.random((BATCH, SIZES[0])), 0).astype(np.float32)
    return x, random.integers(0, SIZES[-1], BATCH)


def ours(encoding, sigma):
    """Steps of the network, compiled, as `pnn.fit` makes them: many to a call."""
    keys = jax.random.split(jax.random.key(0), 2)
    network = eqx.nn.Sequential(
        [
            pnn.circuits.Crossbar(784, 256, key=keys[0], encoding=encoding),
            eqx.nn.Lambda(jax.nn.sigmoid),
            pnn.circuits.Crossbar(256, 10, key=keys[1], encoding=encoding),
        ]
    )
    if sigma > 0:
        network = pnn.imperfections.ReadNoise(sigma)(network)
    model = pnn.Physical(network, pnn.estimators.Autodiff())
    optimizer = optax.sgd(RATE)
    trained, fixed = eqx.partition(model, pnn.is_trainable(model))
    x, labels = (jnp.asarray(part) for part in batch())

    def loss(trained, key):
        return pnn.objectives.cross_entropy(
            eqx.combine(trained, fixed)(x, key=key), labels
        )

    @jax.jit
    def steps(state, key):
        def step(state, key):
            trained, inner = state
            updates, inner = optimizer.update(jax.grad(loss)(trained, key), inner)
            return (optax.apply_updates(trained, updates), inner), None

        return jax.lax.scan(step, state, jax.random.split(key, STEPS))[0]

    state, key = [(trained, optimizer.init(trained))], jax.random.key(1)

    def run():
        state[0] = jax.block_until_ready(steps(state[0], key))

    return run


def theirs(noisy):
    import torch
    from aihwkit.nn import AnalogLinear, AnalogSequential
    from aihwkit.optim import AnalogSGD
    from aihwkit.simulator.configs import InferenceRPUConfig
    from aihwkit.simulator.configs.utils import WeightModifierType

    torch.set_num_threads(1)
    config = InferenceRPUConfig()
    if noisy:
        config.modifier.type = WeightModifierType.ADD_NORMAL
        config.modifier.std_dev = SIGMA
    model = AnalogSequential(
        AnalogLinear(784, 256, bias=False, rpu_config=config),
        torch.nn.Sigmoid(),
        AnalogLinear(256, 10, bias=False, rpu_config=config),
    )
    optimizer = AnalogSGD(model.parameters(), lr=RATE)
    optimizer.regroup_param_groups(model)
    x, labels = (torch.from_numpy(part) for part in batch())

    def run():
        for _ in range(STEPS):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x), labels).backward()
            optimizer.step()

    return run


def main():
    pair, single = pnn.circuits.DifferentialPair(), pnn.circuits.Referenced()
    # The weight is twice a state of one cell, or the difference of two cells'.
    runs = {
        "pnnjax, one cell a weight": ours(single, SIGMA / 2),
        "pnnjax, two cells a weight": ours(pair, SIGMA / 2**0.5),
        "pnnjax, no noise": ours(single, 0.0),
    }
    try:
        runs["aihwkit, ADD_NORMAL"] = theirs(True)
        runs["aihwkit, no noise"] = theirs(False)
    except ImportError as missing:
        print(f"without aihwkit: {missing}")
    times = {name: [] for name in runs}
    for run in runs.values():
        run()
    for _ in range(ROUNDS):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            times[name].append((time.perf_counter() - start) / STEPS)
    for name, own in times.items():
        middle, least = 1e3 * statistics.median(own), 1e3 * min(own)
        print(f"{name:28} {middle:.2f} ms a step (least {least:.2f})")
    peer = times.get("aihwkit, ADD_NORMAL")
    if peer:
        for name in list(runs)[:2]:
            ratios = [b / a for a, b in zip(times[name], peer, strict=True)]
            low, middle, high = np.percentile(ratios, [10, 50, 90])
            print(f"{name}: {middle:.1f} times as fast ({low:.1f} to {high:.1f})")


if __name__ == "__main__":
    main()
