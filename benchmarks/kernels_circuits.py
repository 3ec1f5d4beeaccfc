"""Kernels of currents: crossbars, their lines, pulses and noise, resistor networks."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from kernel_needs import Kernel, Needs, Product

import pnnjax as pnn

KEY = jax.random.key(0)
BATCH, INPUTS, HIDDEN, OUTPUTS = 64, 784, 256, 10
CELLS = INPUTS * HIDDEN


def forward(layer, x):
    return layer(x)


def gradient(layer, x):
    def loss(both):
        layer, x = both
        return jnp.sum(layer(x) ** 2)

    return eqx.filter_grad(loss)((layer, x))


def crossbar(backward: bool) -> Kernel:
    # The difference of two cells is one weight: one product, and two on the way back.
    needs = Needs(
        products=(Product(BATCH, INPUTS, HIDDEN, 1 + 2 * backward),),
        arithmetic=CELLS * (2 + backward),
        moved=4 * (2 * CELLS * (1 + backward) + BATCH * (INPUTS + HIDDEN)),
        spread=4 * 2 * CELLS,
    )

    def make():
        layer = pnn.circuits.Crossbar(INPUTS, HIDDEN, key=KEY)
        x = jax.random.uniform(KEY, (BATCH, INPUTS))
        if not backward:
            return forward, (layer, x)
        return gradient, (pnn.Physical(layer, pnn.estimators.TransposedRead()), x)

    name = "crossbar, transposed read" if backward else "crossbar"
    return Kernel(name, f"{INPUTS}-{HIDDEN}, batch {BATCH}", make, needs)


def lines(batch: int, size: int = 256, rounds: int = 5) -> Kernel:
    # Two ladders in each of the steps of conjugate gradients (`rounds`, in single
    # precision), 4 operations a node and way, and 10 for the steps' own vectors; or, if
    # that is less, as many of them as the array has rows, and then its matrix.
    nodes = size * size
    solves = min(batch, size)
    needs = Needs(
        products=(Product(batch, size, size),) if batch >= size else (),
        arithmetic=solves * rounds * nodes * (2 * 8 + 2 * 2 + 10),
        moved=solves * rounds * 4 * nodes * 12,
        spread=4 * nodes * 6,
        steps=rounds * 4 * size,
    )

    def make():
        g = np.random.default_rng(0).uniform(1e-6, 1e-4, (size, size))
        read = lambda g, x: pnn.circuits.column_currents(  # noqa: E731
            g, x, pnn.circuits.LineResistance(1.0, 1.0)
        )
        return read, (jnp.asarray(g, jnp.float32), jnp.ones((batch, size)))

    return Kernel("resistive lines", f"{size} x {size}, batch {batch}", make, needs)


def resistive(trained: bool, hidden: int = 512, steps: int = 4) -> Kernel:
    # The inputs' currents once, as the two sources of an input have opposite voltages,
    # and in each step what passes between the layers; the cotangent twice.
    steps_of_all = steps * (1 + 2 * trained)
    needs = Needs(
        products=(
            Product(BATCH, INPUTS, hidden, 1 + 2 * trained),
            Product(BATCH, hidden, OUTPUTS, 2 * steps_of_all + 2 * trained),
        ),
        arithmetic=2 * INPUTS * hidden * 2 + steps_of_all * BATCH * hidden * 6,
        moved=4 * (2 * INPUTS * hidden * (1 + trained) + BATCH * (INPUTS + hidden)),
        spread=4 * 2 * INPUTS * hidden,
        steps=2 * steps * (1 + trained),
    )

    def make():
        network = pnn.circuits.DeepResistiveNetwork(
            (INPUTS, hidden, OUTPUTS),
            key=KEY,
            input_gain=3000.0,
            relaxation=pnn.integrators.FixedSteps(steps, steps),
        )
        x = jax.random.uniform(KEY, (BATCH, INPUTS))
        if not trained:
            return forward, (network, x)
        rule = pnn.estimators.EquilibriumPropagation(3.0)
        return gradient, (pnn.Physical(network, rule), x)

    name = "deep resistive network EP" if trained else "deep resistive network"
    size = f"(2 x {INPUTS})-{hidden}-{OUTPUTS}, batch {BATCH}"
    return Kernel(name, size, make, needs)


def resistors(diodes: int, nodes: int = 64, batch: int = 64, rounds: int = 8) -> Kernel:
    # One Cholesky factorization for all examples, or, with diodes, one for each of them
    # in each of some `rounds` of Newton's method.
    free = nodes - 8
    factored = batch * rounds if diodes else 1
    solved = batch * (rounds if diodes else 1)
    needs = Needs(
        arithmetic=factored * free**3 / 3 + solved * 2 * free**2,
        functions=batch * rounds * diodes,
        moved=factored * 2 * 4 * free**2,
        spread=4 * free**2 * (batch if diodes else 1),
        steps=rounds if diodes else 1,
    )

    def make():
        random = np.random.default_rng(0)
        pairs = {tuple(sorted(random.choice(nodes, 2, False))) for _ in range(600)}
        edges = [(int(a), int(b)) for a, b in sorted(pairs)]
        edges += [(n, n + 1) for n in range(nodes - 1) if (n, n + 1) not in pairs]
        soft = {"saturation_current": 1e-3, "ideality": 2.0}
        layer = pnn.circuits.ResistorNetwork(
            nodes,
            edges,
            jnp.asarray(random.uniform(0.5, 1.5, len(edges)), jnp.float32),
            inputs=range(7),
            fixed={7: 0.0},
            outputs=range(nodes - 10, nodes),
            diodes=[
                pnn.circuits.ExponentialDiode(20 + k, 7, **soft) for k in range(diodes)
            ],
        )
        return forward, (layer, jax.random.uniform(KEY, (batch, 7)))

    name = "resistor network, Newton" if diodes else "resistor network"
    return Kernel(name, f"{nodes} nodes, {diodes} diodes, batch {batch}", make, needs)


def pulsed(tiki_taka: bool) -> Kernel:
    # Two Poisson numbers a cell at a uniform one each, the noise of the pulses, and
    # some 20 operations for what they do; the wanted changes, states, their traffic.
    needs = Needs(
        arithmetic=CELLS * 20,
        functions=CELLS * 4,
        words=CELLS * 3,
        moved=4 * CELLS * (3 + 2 + 2 + 2 * tiki_taka),
        spread=4 * CELLS * 5,
    )

    def make():
        varied = pnn.circuits.Variation(cycle=0.0, floor=3.75, write=56.0)
        plain = pnn.circuits.SoftBounds(0.001, low=0.2, high=0.8)
        if tiki_taka:
            cells = pnn.circuits.SoftBounds(0.001, low=0.0, high=1.0, variation=varied)
            update = pnn.optimizers.tiki_taka(cells, cells, rate=0.1)
        else:
            update = pnn.optimizers.pulsed_update(plain)
        layer = pnn.circuits.Crossbar(
            INPUTS,
            HIDDEN,
            key=KEY,
            encoding=pnn.circuits.Referenced(),
            weight_range=1.0,
            counting=True,
        )
        trained, _ = eqx.partition(layer, pnn.is_trainable(layer))
        bar = jax.tree.map(
            lambda a: jnp.abs(0.01 * jax.random.normal(KEY, a.shape)), trained
        )
        masked = optax.masked(update, pnn.circuits.is_conductance)
        return masked.update, (bar, masked.init(trained), trained)

    name = "Tiki-Taka" if tiki_taka else "pulsed update"
    return Kernel(name, f"{CELLS} cells", make, needs)


def weight_noise() -> Kernel:
    # A normal number a weight, and the products of the step.
    needs = Needs(
        products=(Product(BATCH, INPUTS, HIDDEN, 2),),
        arithmetic=CELLS * 10,
        functions=CELLS,
        words=CELLS,
        moved=4 * CELLS * 4,
        spread=4 * CELLS * 3,
    )

    def make():
        encoding = pnn.circuits.Referenced()
        layer = pnn.circuits.Crossbar(INPUTS, HIDDEN, key=KEY, encoding=encoding)
        noisy = pnn.imperfections.ReadNoise(0.05)(layer)

        def run(layer, x):
            return eqx.filter_grad(lambda layer: jnp.sum(layer(x, key=KEY) ** 2))(layer)

        return run, (noisy, jax.random.uniform(KEY, (BATCH, INPUTS)))

    return Kernel("weight noise", f"{INPUTS}-{HIDDEN}, batch {BATCH}", make, needs)


def phase_change(cells: int = 200_000) -> Kernel:
    # Programmed, drifted and read: a normal number each; a root, two logarithms, three
    # exponential functions and a power in all.
    needs = Needs(
        arithmetic=cells * 60,
        functions=cells * (3 + 8),
        words=cells * 3,
        moved=4 * cells * 2 * 3,
        spread=4 * cells * 2,
    )

    def run(target, key):
        memory, keys = pnn.circuits.PCM(), jax.random.split(key, 3)
        left = memory.drift(memory.program(target, key=keys[0]), 1e6, key=keys[1])
        return memory.read(left, 1e6, key=keys[2])

    def make():
        return run, (25e-6 * jax.random.uniform(KEY, (cells,)), KEY)

    return Kernel("PCM program, drift, read", f"{cells} cells", make, needs)


KERNELS = (
    crossbar(False),
    crossbar(True),
    lines(1),
    lines(64),
    resistive(False),
    resistive(True),
    resistors(0),
    resistors(16),
    pulsed(False),
    pulsed(True),
    weight_noise(),
    phase_change(),
)
