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

WHY_NEWTON = (
    "a round takes 170 us to solve for the step, half of it 64 factorizations and "
    "substitutions of 16 x 16 numbers by LAPACK, and 50 us to find its length"
)
WHY_LINEAR = (
    "58 of 131 us are LAPACK's factorization and substitutions with their copies, 25 "
    "the matrix put together from 2,500 numbers one by one, 12 the call"
)
WHY_PULSES = (
    "an inversion takes 4.2 ns a cell, its operations alone 2.3; a normal number 1.7, "
    "a word and a function 1.1"
)
WHY_DEEP = (
    "the large product alone takes 0.65 of 1.6 ms; the difference of the cells, their "
    "sums and the check that none is negative 0.15 to 0.25 each, readings of 3.2 MB"
)
WHY_PCM = (
    "a logarithm takes 0.9 ns where the bound has 0.7, a normal number 1.7 where it "
    "has 1.1; the mean exponent is found thrice, and twice taken back, for the read"
)


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
    # precision), and three times more to begin and to end: 4 operations a node and way,
    # over six arrays; and 10 for the steps' own vectors, twelve arrays; or, if that is
    # less, as many of them as the array has rows, and then its matrix.
    nodes = size * size
    solves = min(batch, size)
    needs = Needs(
        products=(Product(batch, size, size),) if batch >= size else (),
        arithmetic=solves * nodes * ((rounds + 3) * (2 * 8 + 2 * 2) + rounds * 10),
        moved=solves * nodes * 4 * ((rounds + 3) * 12 + rounds * 12),
        spread=4 * nodes * 12,
    )

    def make():
        g = np.random.default_rng(0).uniform(1e-6, 1e-4, (size, size))
        read = lambda g, x: pnn.circuits.column_currents(  # noqa: E731
            g, x, pnn.circuits.LineResistance(1.0, 1.0)
        )
        return read, (jnp.asarray(g, jnp.float32), jnp.ones((batch, size)))

    why = (
        "an example takes as long in a batch as alone; 16 ladders of 61 us and as many "
        "transpositions of 22 us are half of it, sums and products of vectors that the "
        "cache no longer holds the rest; two at a time take 1.2 times as long, 16 three"
    )
    size_of = f"{size} x {size}, batch {batch}"
    return Kernel("resistive lines", size_of, make, needs, why)


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
    return Kernel(name, size, make, needs, WHY_DEEP)


def resistors(diodes: int, nodes: int = 64, batch: int = 64, rounds: int = 11):
    # One Cholesky factorization for all examples, of the nodes without diodes; with
    # diodes, one for each example of the nodes at them in each of the `rounds` that
    # Newton's method takes here, and some six trials of how long a step may be.
    inner = nodes - 8 - diodes
    each = batch * rounds if diodes else 0
    needs = Needs(
        arithmetic=inner**3 / 3
        + (batch + diodes) * 2 * inner**2
        + each * (diodes**3 / 3 + 2 * diodes**2),
        functions=each * diodes * (1 + 6),
        moved=2 * 4 * inner**2 + each * 2 * 4 * diodes**2,
        spread=4 * (inner**2 + batch * diodes**2),
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
    why = WHY_NEWTON if diodes else WHY_LINEAR
    size = f"{nodes} nodes, {diodes} diodes, batch {batch}"
    return Kernel(name, size, make, needs, why)


def pulsed(tiki_taka: bool) -> Kernel:
    # Two Poisson numbers a cell. With means as here both ways are gone: the 17 terms of
    # the inversion, 6 operations each, at a uniform number and an exponential function;
    # and the quantile's expansion, some 20 at a normal number and a root. Then the
    # noise of the pulses, at one or two normal numbers, two roots or quotients, and
    # some 20 operations for what they do; wanted changes, states, their traffic.
    normals = 3 + tiki_taka
    needs = Needs(
        arithmetic=CELLS * (2 * (17 * 6 + 20) + 20),
        functions=CELLS * (2 * 2 + 2 + normals),
        words=CELLS * (2 + normals),
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

        def run(*arguments):
            # What stays as it is would be copied to be returned.
            given = set(map(id, jax.tree.leaves(arguments)))
            after = jax.tree.leaves(masked.update(*arguments))
            return [leaf for leaf in after if id(leaf) not in given]

        return run, (bar, masked.init(trained), trained)

    name = "Tiki-Taka" if tiki_taka else "pulsed update"
    return Kernel(name, f"{CELLS} cells", make, needs, WHY_PULSES)


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

    name = "PCM program, drift, read"
    return Kernel(name, f"{cells} cells", make, needs, WHY_PCM)


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
