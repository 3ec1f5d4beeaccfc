"""NARMA10 by a reservoir of 500 units, alone and 16 at once: us beside reservoirpy.

    pip install reservoirpy==0.4.2
    python benchmarks/peers/reservoir.py

Both fit on the same 2000 steps (the states of all of them, then ridge regression but
for the first 100), which is what is timed, and are tested on the 1000 steps that
follow: the errors beside the times are root mean squares in standard deviations of the
target. reservoirpy runs with our settings, the number of couplings included, and once
more with its own connectivity and settings guessed once. Drawing the weights is not
counted, for either. Every call has a series of its own, the same for all.
"""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from side_by_side import Here, Row, begin, contest, finish, installed, versions

import pnnjax as pnn

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


def compare(count: int, rounds: int) -> list[Row]:
    networks = {"pnnjax": Ours(count)}
    if installed("reservoirpy", "pip install reservoirpy==0.4.2"):
        networks |= {name: Theirs(count, *how) for name, how in PEERS.items()}
    cases = {name: turns(network) for name, network in networks.items()}
    what = f"NARMA10, {count} x {UNITS} units, fit of {TRAIN} steps"
    rows = contest(what, cases, rounds, calls=1)
    inputs, targets = series(1000)
    errors = {}
    for name, network in networks.items():
        network.fit(inputs[:TRAIN], targets[:TRAIN])
        errors[name] = np.mean(network.errors(inputs[TRAIN:], targets[TRAIN:]))
    return [
        row._replace(
            note=f"errors {errors['pnnjax']:.3f} and {errors[row.peer]:.3f} of a series"
        )
        for row in rows
    ]


def turns(network: Ours | Theirs) -> Here:
    every = [series(seed) for seed in range(8)]
    data = itertools.cycle(every)

    def run():
        inputs, targets = next(data)
        network.fit(inputs[:TRAIN], targets[:TRAIN])

    return Here(run, weighed=isinstance(network, Theirs))


def main():
    options = begin(__doc__)
    counts = (1,) if options.quick else (1, MANY)
    rows = [row for count in counts for row in compare(count, options.rounds)]
    finish(rows, options, versions("pnnjax", "jax", "reservoirpy", "numpy"))


if __name__ == "__main__":
    main()
