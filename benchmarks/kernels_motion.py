"""Kernels of things that move: waves, pendula, lattices, oscillators, reservoirs."""

import equinox as eqx
import jax
import jax.numpy as jnp
from bench_wave import BATCH as WAVES, FIELD_BYTES, FIELDS, STEPS as WAVE_STEPS, plate
from kernel_needs import Kernel, Needs, Product

import pnnjax as pnn
from pnnjax.zoo._vowel_stno import MHZ, VowelSTNO

KEY = jax.random.key(0)


def forward(layer, x):
    return layer(x)


def gradient(layer, x):
    """Of a sum of squares, with respect to the layer and its input."""

    def loss(both):
        layer, x = both
        return jnp.sum(pnn.respond(layer, x, None) ** 2)

    return eqx.filter_grad(loss)((layer, x))


def named(name: str, backward: bool) -> tuple:
    return (f"{name} gradient", gradient) if backward else (name, forward)


def wave(backward: bool) -> Kernel:
    # Nine operations in a cell; backwards, once more with the fields' own error, and
    # the product of the two for the speed. The fields are as `bench_wave` counts them.
    name, run = named("FDTD", backward)
    cells, fields = FIELD_BYTES / 4, FIELDS["gradient" if backward else "forward"]
    needs = Needs(
        arithmetic=WAVE_STEPS * cells * 9 * (1 + 3 * backward),
        moved=WAVE_STEPS * fields * FIELD_BYTES,
        spread=3 * FIELD_BYTES,
        steps=WAVE_STEPS * (1 + 2 * backward),
    )

    def make():
        return run, (plate(), 0.1 * jax.random.normal(KEY, (WAVES, WAVE_STEPS)))

    why = (
        "five fields are moved where three would do: a step's new field is copied once "
        "more, to put zeros around it"
    )
    if backward:
        why = (
            "a fifth is the first run; all is run again from every twentieth step, to "
            "have its fields, which takes as long as the way back"
        )
    size = f"150 x 100 cells, {WAVE_STEPS} steps, batch 6"
    return Kernel(name, size, make, needs, why)


def pendula(backward: bool, n: int = 196, steps: int = 10, batch: int = 128) -> Kernel:
    # A product with the stiffness and a sine in each step; two more products and a
    # cosine on the way back, and the stiffness is a cotangent of n x n numbers.
    name, run = named("pendula", backward)
    needs = Needs(
        products=(Product(batch, n, n, steps * (1 + 2 * backward)),),
        arithmetic=steps * batch * n * 6 * (1 + 2 * backward),
        turns=steps * batch * n,
        moved=steps * (1 + 2 * backward) * (4 * batch * n * 4 + 4 * n * n),
        spread=4 * (2 * batch * n + n * n),
        steps=steps * (1 + backward),
    )

    def make():
        splitting = pnn.integrators.Splitting(0.5, steps)
        layer = pnn.waves.CanonicalPendula(n, key=KEY, splitting=splitting)
        return run, (layer, 0.5 * jax.random.normal(KEY, (batch, n)))

    return Kernel(name, f"{n}, {steps} steps, batch {batch}", make, needs)


def lattice(echo: bool, dimension: int = 7, steps: int = 10, batch: int = 64) -> Kernel:
    # A step turns each pair of each color once, but the last part, each site, twice
    # half: 6 operations for one of two quadratures of a pair, 8 for a site's turn. An
    # echo is one more run back, the perturbed one another.
    sites, bonds = 2**dimension, dimension * 2 ** (dimension - 1)
    runs = 1 + 2 * echo
    needs = Needs(
        arithmetic=runs * steps * batch * (2 * bonds * 12 + sites * 12),
        turns=runs * steps * batch * sites,
        moved=runs * steps * batch * sites * 2 * 8,
        spread=batch * sites * 8,
        steps=runs * steps * 2 * (dimension + 1),
    )

    def make():
        layer = pnn.oscillators.NonlinearLattice(
            sites,
            key=KEY,
            bonds=pnn.oscillators.hypercube_bonds(dimension),
            inputs=range(64),
            outputs=range(sites - 40, sites),
            coupling=0.0,
            disorder=0.3,
            splitting=pnn.integrators.Splitting(3.0, steps),
        )
        x = 0.2 * jax.random.normal(KEY, (batch, 64))
        if not echo:
            return forward, (layer, x)
        return gradient, (pnn.Physical(layer, pnn.estimators.HamiltonianEcho(0.1)), x)

    name = "lattice echo" if echo else "lattice"
    why = (
        "each color is a pass of its own over states of 64 kB, where the bound is that "
        "of arithmetic: without the passes, the lattice takes a third. Four tenths of "
        "the echo's time are the forces on the couplings, color by color"
    )
    size = f"{sites} modes, {steps} steps, batch {batch}"
    return Kernel(name, size, make, needs, why)


def polaritons(backward: bool, sites: int = 64, steps: int = 200, batch: int = 64):
    # Two quadratures: gain and Kerr turn of each site take a logarithm, a root, a
    # cosine and a sine; every bond of a chain turns its pair.
    name, run = named("polaritons", backward)
    passes = 1 + 2 * backward
    needs = Needs(
        arithmetic=passes * steps * batch * sites * (20 + 2 * 12),
        functions=passes * steps * batch * sites * 2,
        turns=(1 + backward) * steps * batch * sites,
        moved=passes * steps * batch * sites * 2 * 8,
        spread=batch * sites * 8,
        steps=(1 + backward) * steps * 5,
    )

    def make():
        layer = pnn.oscillators.PolaritonNetwork(
            sites, key=KEY, splitting=pnn.integrators.Splitting(10.0, steps)
        )
        return run, (layer, 0.1 * jax.random.normal(KEY, (batch, 10, sites)))

    why = (
        "exchange is eight passes a step over 32 kB: without it, the run takes four "
        "tenths. Cosine and sine are found twice, once for each quadrature. The way "
        "back does every step again: half the time of keeping all that is in it"
    )
    size = f"chain of {sites}, {steps} steps, batch {batch}"
    return Kernel(name, size, make, needs, why)


def kuramoto(trained: bool, batch: int = 32, free: int = 15, nudged: int = 6) -> Kernel:
    # The two quadratures of a group meet the next one's through their couplings; each
    # oscillator turns by an angle that takes an arc tangent, a root and a sine.
    inputs, hidden, outputs = 64, 100, 10
    runs = free + trained * 2 * nudged
    rows = 2 * batch
    products = (
        Product(rows, inputs, hidden, 1 + trained),
        Product(rows, hidden, outputs, 2 * runs),
    )
    needs = Needs(
        products=products,
        arithmetic=runs * batch * (hidden + outputs) * 20,
        functions=runs * batch * (hidden + outputs) * 4,
        turns=runs * batch * (hidden + outputs) + batch * inputs,
        moved=runs * batch * (hidden + outputs) * 4 * 2 * 3,
        spread=4 * (hidden * outputs + 3 * batch * hidden),
        steps=(free + trained * nudged) * 2,
    )

    def make():
        layer = pnn.oscillators.Kuramoto(
            (inputs, hidden, outputs),
            key=KEY,
            relaxation=pnn.integrators.FixedSteps(free, nudged),
        )
        x = jax.random.uniform(KEY, (batch, inputs), maxval=1.5)
        if not trained:
            return forward, (layer, x)
        rule = pnn.estimators.EquilibriumPropagation(0.2)
        return gradient, (pnn.Physical(layer, rule), x)

    name = "Kuramoto EP" if trained else "Kuramoto"
    why = (
        "all cosines and sines are found twice in a step, which takes 16 of its 50 us; "
        "the rest is some 15 programs of 1 to 5 us"
    )
    size = f"{inputs}-{hidden}-{outputs}, batch {batch}"
    return Kernel(name, size, make, needs, why)


def oscillators(n: int = 4, steps: int = 900, batch: int = 105) -> Kernel:
    # Two free flows a step (a power, a root, a turn), two complex products with the
    # couplings, the microwaves' phasors, and normal numbers for the noise.
    needs = Needs(
        arithmetic=steps * batch * (2 * 8 * n * n + n * (2 * 20 + 2 * 8 + 8)),
        functions=steps * batch * n * 8,
        turns=steps * batch * (2 * n + 2 * 2),
        words=steps * batch * 2 * n,
        moved=steps * batch * n * 3 * 2 * 8,
        spread=batch * n * 3 * 8,
        steps=steps * 5,
    )

    def make():
        experiment = VowelSTNO()
        network = experiment.network(jnp.asarray([330.0, 340.0, 370.0, 380.0]))
        x = MHZ * (330 + 50 * jax.random.uniform(KEY, (batch, 2)))
        return (lambda layer, x: layer(x, key=KEY)), (network, x)

    why = "a step is some 20 small programs on 420 numbers: 11 to 15 us in all"
    size = f"{n}, {steps} steps, batch {batch}"
    return Kernel("spin-torque oscillators", size, make, needs, why)


def echo_state(units: int = 500, degree: int = 10, steps: int = 2000) -> Kernel:
    needs = Needs(
        arithmetic=steps * units * (2 * degree + 6),
        functions=steps * units,
        moved=steps * 4 * units * (degree + 3),
        spread=4 * units * degree,
        steps=steps * 2,
    )

    def make():
        layer = pnn.oscillators.EchoStateNetwork(
            1, units, key=KEY, spectral_radius=0.95, bias=0.2, degree=degree
        )
        return forward, (layer, jax.random.uniform(KEY, (steps, 1)))

    return Kernel("echo state", f"{units} units, {steps} steps", make, needs)


def delay(nodes: int = 400, steps: int = 200, batch: int = 100) -> Kernel:
    # The drive jumps from node to node: a sine at the start and one at the end of each,
    # and the filter's recurrence from node to node.
    needs = Needs(
        arithmetic=steps * batch * nodes * 8,
        turns=steps * batch * nodes,
        moved=steps * batch * nodes * 4 * 3,
        spread=batch * nodes * 4 * 3,
        steps=steps * 3,
    )

    def make():
        reservoir = pnn.oscillators.DelayReservoir(
            pnn.oscillators.IkedaNode(),
            pnn.oscillators.binary_mask(nodes, key=KEY),
            delay=nodes * 50e-9,
            response=pnn.oscillators.LowPass(0.25e-6),
        )
        return forward, (reservoir, jax.random.normal(KEY, (batch, steps, 1)))

    why = (
        "a third goes to the outputs, 32 MB: set to zero, written step by step, and "
        "brought into order; the recurrence is products with triangles of 20 numbers"
    )
    size = f"{nodes} nodes, {steps} steps, batch {batch}"
    return Kernel("delay loop", size, make, needs, why)


def quantum(backward: bool, qubits: int = 10, layers: int = 4, batch: int = 64):
    # A turn about y, 8 operations for two amplitudes' real numbers, and about z, a
    # complex product; encoding turns about y alone. The way back does all twice.
    name, run = named("quantum circuit", backward)
    passes, amplitudes = 1 + 2 * backward, 2**qubits
    needs = Needs(
        arithmetic=passes * batch * qubits * amplitudes * (layers * (6 + 6) + 6),
        moved=passes * batch * (layers + 1) * amplitudes * 2 * 8,
        spread=batch * amplitudes * 8,
        steps=(1 + backward) * (layers + 1) * qubits,
    )

    def make():
        layer = pnn.quantum.VariationalCircuit(qubits, layers, key=KEY)
        return run, (layer, jax.random.normal(KEY, (batch, qubits)))

    why = (
        "five qubits are turned by one product with a matrix of 64 real rows: four "
        "times the arithmetic of one qubit after the other, in a third of the time (a "
        "tenth for the gradient), as that takes 2.4 ns for an amplitude and a turn"
    )
    size = f"{qubits} qubits, {layers} layers, batch {batch}"
    return Kernel(name, size, make, needs, why)


KERNELS = (
    wave(False),
    wave(True),
    pendula(False),
    pendula(True),
    lattice(False),
    lattice(True),
    polaritons(False),
    polaritons(True),
    kuramoto(False),
    kuramoto(True),
    oscillators(),
    echo_state(),
    delay(),
    quantum(False),
    quantum(True),
)
