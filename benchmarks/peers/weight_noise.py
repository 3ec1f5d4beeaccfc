"""Training with noise on the weights, 784-256-10, batch 64: us beside aihwkit.

    pip install aihwkit==1.1.0 torch==2.10.0
    python benchmarks/peers/weight_noise.py

Sigmoid units, float32, plain SGD. Each step draws new Gaussian noise of deviation 0.1
times the range for every weight, in each of the two layers; the gradient is that at the
noisy weights. aihwkit has its default converters, ours has none.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from side_by_side import Here, begin, contest, finish, installed, versions

import pnnjax as pnn

SIZES, BATCH, SIGMA, RATE = (784, 256, 10), 64, 0.1, 0.01
STEPS = 10


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
    options = begin(__doc__)
    pair, single = pnn.circuits.DifferentialPair(), pnn.circuits.Referenced()
    # The weight is twice a state of one cell, or the difference of two cells'.
    noisy = {
        "pnnjax": ours(single, SIGMA / 2),
        "pnnjax, two cells a weight": ours(pair, SIGMA / 2**0.5),
    }
    quiet = {"pnnjax": ours(single, 0.0)}
    if installed("aihwkit", "pip install aihwkit==1.1.0 torch==2.10.0"):
        noisy["aihwkit, ADD_NORMAL"] = theirs(True)
        quiet["aihwkit"] = theirs(False)
    rows = []
    for kind, runs in {"new noise": noisy, "no noise": quiet}.items():
        cases = {
            name: Here(run, weighed=name.startswith("aihwkit"))
            for name, run in runs.items()
        }
        what = f"784-256-10, batch 64, a step, {kind} on every weight"
        rows += contest(what, cases, options.rounds, per=STEPS)
    finish(rows, options, versions("pnnjax", "jax", "aihwkit", "torch"))


if __name__ == "__main__":
    main()
