"""One training step on crossbars of soft-bounds cells: us beside aihwkit.

    pip install aihwkit==1.1.0 torch==2.10.0
    python benchmarks/peers/crossbar.py

784-256-10 with sigmoids, a batch of 64 that is there already, single precision: the
read, the transposed read, and an update by pulses. Both have cells that differ (30 % in
the step, 1 % in up against down, 30 % in the bounds) and noise from pulse to pulse
(30 %). aihwkit sends pulse trains for one example after the other, 31 slots each; we
draw how often they meet in the batch. Both read ideally but where it says "converters":
aihwkit's default of 7 bits in and 9 out, with noise, which we do not have in this
comparison.

Tiki-Taka is its preset for ReRAM (Gong et al. (2018), doi:10.1038/s41467-018-04485-1):
one column of the fast array is moved to the slow one after every batch.
"""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from side_by_side import Here, begin, contest, finish, installed, versions

import pnnjax as pnn

SIZES, BATCH, STEPS, RATE = (784, 256, 10), 64, 20, 0.1
BASELINE = {"step": 0.002, "low": -0.6, "high": 0.6}
RERAM = {"step": 0.002, "low": -1.0, "high": 1.0}


def batch():
    rng = np.random.default_rng(0)
    x = rng.random((BATCH, SIZES[0]), dtype=np.float32)
    return x, rng.integers(0, SIZES[-1], BATCH)


def network(key):
    """Each weight is one cell against a reference, as aihwkit has it."""
    one, two = jax.random.split(key)
    first, second = (
        pnn.Physical(
            pnn.circuits.Crossbar(
                inputs,
                outputs,
                key=own,
                encoding=pnn.circuits.Referenced(),
                weight_range=1.0,
                use_bias=True,
                counting=True,
            ),
            pnn.estimators.TransposedRead(),
        )
        for inputs, outputs, own in zip(SIZES, SIZES[1:], (one, two), strict=False)
    )
    return eqx.nn.Sequential([first, eqx.nn.Lambda(jax.nn.sigmoid), second])


def cells(step, low, high, **varied):
    """Of weights from -1 to 1, as states from 0 to 1."""
    return pnn.circuits.SoftBounds(
        step / 2,
        low=0.5 + low / 2,
        high=0.5 + high / 2,
        variation=pnn.circuits.Variation(**varied),
    )


def optimizers():
    reram = cells(**RERAM, cycle=0.0, floor=3.75, write=56.0)
    taken = {
        "soft bounds": pnn.optimizers.pulsed_update(cells(**BASELINE)),
        "Tiki-Taka": pnn.optimizers.tiki_taka(reram, reram, rate=RATE),
    }
    return {
        # A state is half a weight, so its change is a quarter of the gradient's.
        name: optax.chain(
            optax.sgd(RATE),
            optax.masked(optax.scale(0.25), pnn.circuits.is_conductance),
            optax.masked(pulsed, pnn.circuits.is_conductance),
        )
        for name, pulsed in taken.items()
    }


def loss(trained, fixed, x, y):
    predicted = jax.vmap(eqx.combine(trained, fixed))(x)
    labels = jax.nn.one_hot(y, SIZES[-1], dtype=predicted.dtype)
    return optax.softmax_cross_entropy(predicted, labels).mean()


class Ours:
    """Some steps in one compiled call, as `fit` makes them; and each part alone."""

    def __init__(self, optimizer):
        x, y = map(jnp.asarray, batch())
        model = network(jax.random.key(0))
        self.trained, fixed = eqx.partition(model, pnn.is_trainable(model))
        self.memory = optimizer.init(self.trained)

        def step(carry, _):
            trained, memory = carry
            value, bar = jax.value_and_grad(loss)(trained, fixed, x, y)
            updates, memory = optimizer.update(bar, memory, trained)
            return (optax.apply_updates(trained, updates), memory), value

        @functools.partial(jax.jit, donate_argnums=(0, 1))
        def train(trained, memory):
            return jax.lax.scan(step, (trained, memory), None, length=STEPS)

        @jax.jit
        def forward(trained):
            return loss(trained, fixed, x, y)

        @jax.jit
        def gradient(trained):
            return jax.grad(loss)(trained, fixed, x, y)

        self.train = train
        self.parts = {"forward": forward, "forward and gradient": gradient}

    def run(self):
        (self.trained, self.memory), losses = self.train(self.trained, self.memory)
        return jax.block_until_ready(losses)

    def run_part(self, name):
        for _ in range(STEPS):
            jax.block_until_ready(self.parts[name](self.trained))


class Theirs:
    """aihwkit."""

    def __init__(self, config):
        import torch
        from aihwkit.nn import AnalogLinear
        from aihwkit.optim import AnalogSGD

        torch.set_num_threads(1)
        torch.manual_seed(0)
        x, y = batch()
        self.x, self.y = torch.from_numpy(x), torch.from_numpy(y)
        self.model = torch.nn.Sequential(
            AnalogLinear(SIZES[0], SIZES[1], rpu_config=config),
            torch.nn.Sigmoid(),
            AnalogLinear(SIZES[1], SIZES[2], rpu_config=config),
        )
        self.optimizer = AnalogSGD(self.model.parameters(), lr=RATE)
        self.optimizer.regroup_param_groups(self.model)
        self.objective = torch.nn.CrossEntropyLoss()

    def run(self):
        for _ in range(STEPS):
            self.optimizer.zero_grad()
            value = self.objective(self.model(self.x), self.y)
            value.backward()
            self.optimizer.step()
        return value.item()


def configurations():
    from aihwkit.simulator.configs import SingleRPUConfig, SoftBoundsDevice
    from aihwkit.simulator.presets import TikiTakaReRamSBPreset

    bounds = {"w_min": BASELINE["low"], "w_max": BASELINE["high"]}
    found = {}
    for ideal in (True, False):
        device = SoftBoundsDevice(dw_min=BASELINE["step"], **bounds)
        single, tiki_taka = SingleRPUConfig(device=device), TikiTakaReRamSBPreset()
        for config in (single, tiki_taka):
            config.forward.is_perfect = config.backward.is_perfect = ideal
        kind = "" if ideal else ", converters"
        found["soft bounds" + kind] = single
        found["Tiki-Taka" + kind] = tiki_taka
    return found


def main():
    options = begin(__doc__)
    theirs = {}
    if installed("aihwkit", "pip install aihwkit==1.1.0 torch==2.10.0"):
        theirs = configurations()
    rows = []
    for name, optimizer in optimizers().items():
        ours = Ours(optimizer)
        cases = {"pnnjax": Here(ours.run, weighed=False)}
        for kind, config in theirs.items():
            if kind.startswith(name):
                suffix = kind.removeprefix(name)
                cases[f"aihwkit{suffix}"] = Here(Theirs(config).run)
        for part in ours.parts if name == "soft bounds" else ():
            run = functools.partial(ours.run_part, part)
            cases[f"pnnjax, {part} alone"] = Here(run, weighed=False)
        what = f"784-256-10, batch 64, a step, {name}"
        rows += contest(what, cases, options.rounds, per=STEPS)
    finish(rows, options, versions("pnnjax", "jax", "aihwkit", "torch"))


if __name__ == "__main__":
    main()
