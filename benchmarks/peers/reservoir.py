"""NARMA10 by a reservoir of 500 units, alone and 16 at once: us beside reservoirpy.

    pip install reservoirpy==0.4.2
    taskset -c 0 python benchmarks/peers_reservoir.py

Both fit on the same 2000 steps (the states of all of them, then ridge regression but
for the first 100) and are tested on the 1000 steps that follow. They take turns, in one
process, on one core. reservoirpy runs with our settings, the number of couplings
included, and once more with its own connectivity and settings guessed once; without it,
only we run. Drawing the weights is not counted, for either.
"""

import argparse
import importlib.util
import os
import statistics
import time

# One core is what is compared, so no library may start threads of its own.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import equinox as eqx  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

import pnnjax as pnn  # noqa: E402

UNITS, TRAIN, TEST, WASHOUT, MANY = 500, 2000, 1000, 100, 16


def series(seed):
    found = pnn.data.narma10(TRAIN + TEST, seed=seed)
    return found.inputs, found.targets


def network(key):
    return pnn.oscillators.EchoStateNetwork(
        1, UNITS, key=key, spectral_radius=0.95, input_scaling=0.05, bias=0.2
    )


def learn(network, inputs, targets):
    states, state = network.run(inputs, network.rest(inputs))
    readout = pnn.Readout.ridge(states[WASHOUT:], targets[WASHOUT:], 1e-9)
    return readout, state


def answer(network, learned, inputs):
    readout, state = learned
    return readout(network.run(inputs, state)[0])


def error(predicted, targets):
    """In standard deviations of the target."""
    return float(np.sqrt(np.mean((predicted - targets) ** 2)) / np.std(targets))


class Ours:
    """One network, or many in one vmapped call."""

    def __init__(self, count):
        make = eqx.filter_jit(eqx.filter_vmap(network))
        self.networks = make(jax.random.split(jax.random.key(0), count))
        self.learn = eqx.filter_jit(eqx.filter_vmap(learn, in_axes=_AXES))
        self.answer = eqx.filter_jit(
            eqx.filter_vmap(answer, in_axes=(eqx.if_array(0), eqx.if_array(0), None))
        )

    def fit(self, inputs, targets):
        data = jnp.asarray(inputs), jnp.asarray(targets)
        self.learned = jax.block_until_ready(self.learn(self.networks, *data))

    def errors(self, inputs, targets):
        predicted = self.answer(self.networks, self.learned, jnp.asarray(inputs))
        return [error(np.asarray(own), targets) for own in predicted]


_AXES = (eqx.if_array(0), None, None)


class Theirs:
    """Networks of reservoirpy, one after the other."""

    def __init__(self, count, settings, ridge):
        from reservoirpy.mat_gen import uniform
        from reservoirpy.nodes import Reservoir, Ridge

        if "bias" in settings:
            largest = settings["bias"]
            settings = {**settings, "bias": uniform(low=-largest, high=largest)}
        self.networks = [
            Reservoir(UNITS, seed=seed, **settings) >> Ridge(ridge=ridge)
            for seed in range(count)
        ]

    def fit(self, inputs, targets):
        for network in self.networks:
            if network.initialized:
                network.reset()
            network.fit(inputs, targets, warmup=WASHOUT)

    def errors(self, inputs, targets):
        return [error(network.run(inputs), targets) for network in self.networks]


ALIKE = {"input_connectivity": 1.0, "rc_connectivity": 10 / UNITS, "bias": 0.2}
PEERS = {
    "reservoirpy, our settings": ({"sr": 0.95, "input_scaling": 0.05, **ALIKE}, 1e-9),
    "reservoirpy, first guess": ({"sr": 0.9, "input_scaling": 0.2}, 1e-8),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9)
    repeats = parser.parse_args().repeats
    peers = PEERS if importlib.util.find_spec("reservoirpy") else {}
    for count in (1, MANY):
        cases = {"pnnjax": Ours(count)}
        cases |= {name: Theirs(count, *how) for name, how in peers.items()}
        compare(cases, count, repeats)


def compare(cases, count, repeats):
    times, errors = ({name: [] for name in cases} for _ in range(2))
    for repeat in range(repeats + 1):
        inputs, targets = series(repeat)
        for name, case in cases.items():
            begun = time.perf_counter()
            case.fit(inputs[:TRAIN], targets[:TRAIN])
            times[name].append(time.perf_counter() - begun)
            errors[name] += case.errors(inputs[TRAIN:], targets[TRAIN:])
    first = times["pnnjax"][0]
    # The first run compiles, or allocates; it is in no median.
    medians = {name: statistics.median(own[1:]) for name, own in times.items()}
    print(f"\n{count} x {UNITS} units, {TRAIN} steps; ours compiled in {first:.1f} s")
    for name, seconds in medians.items():
        spread = f"{1e3 * min(times[name][1:]):.0f}-{1e3 * max(times[name][1:]):.0f}"
        print(
            f"{name:26} fit {1e3 * seconds:7.0f} ms ({spread})"
            f"  {seconds / medians['pnnjax']:5.2f} x ours"
            f"  NRMSE {np.mean(errors[name]):.3f}"
        )


if __name__ == "__main__":
    main()
