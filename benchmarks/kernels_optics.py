"""Kernels of light: meshes, free space, fibers, slabs, cavities, resonators."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from bench_mesh import BACKWARD, FORWARD
from jax import lax
from kernel_needs import Kernel, Needs, Product

import pnnjax as pnn
from pnnjax.zoo._mnist_waveguide import MnistWaveguide

KEY = jax.random.key(0)


def field(*shape):
    return jax.random.normal(KEY, shape, jnp.complex64)


def gradient(function):
    """Of the detected power, with respect to a layer's parameters and its input."""

    def loss(both):
        y = function(*both)
        return jnp.sum((y.real**2 + y.imag**2) ** 2)

    return lambda layer, x: eqx.filter_grad(loss)((layer, x))


def forward(layer, x):
    return layer(x)


def transform(n: int) -> float:
    return 5 * n * math.log2(n)


def mesh(modes: int, backward: bool, batch: int = 128) -> Kernel:
    # A 2 x 2 complex product in each interferometer, for each example; or, if that is
    # less, for each column of the matrix, and then that matrix.
    crossings = modes * (modes - 1) / 2
    flops = FORWARD + backward * BACKWARD
    passes = 1 + 2 * backward
    if modes < batch:
        products = (Product(batch, modes, modes, 4 * passes),)
    else:
        products = ()
    needs = Needs(
        products=products,
        arithmetic=flops * crossings * min(modes, batch),
        turns=2 * crossings,
        moved=(1 + backward) * (2 * 8 * batch * modes + 2 * 8 * crossings),
        spread=8 * batch * modes,
        steps=modes * (1 + backward),
    )
    make = lambda: (  # noqa: E731
        gradient(forward) if backward else forward,
        (pnn.optics.MZIMesh(modes, key=KEY), field(batch, modes)),
    )
    name = "mesh gradient" if backward else "mesh"
    why = (
        "XLA computes the four parts of the light in loops of their own, each of which "
        "reads all four: 27 of 64 GFLOP/s, with 32 examples in the nearest cache as "
        "with 128; the interferometers' matrices are a tenth to a fifth"
    )
    return Kernel(name, f"{modes} modes, batch {batch}", make, needs, why)


def diffraction(backward: bool, layers: int = 5, n: int = 200, batch: int = 32):
    # Padded to 2n points, rows of zeros not transformed: n + 2n rows there and back.
    passes = layers * (1 + backward)
    pixels = n * n
    needs = Needs(
        transforms=passes * batch * 2 * (n + 2 * n) * transform(2 * n),
        points=2 * n,
        arithmetic=passes * batch * 6 * (pixels + 4 * pixels),
        turns=layers * pixels,
        moved=passes * 2 * 8 * batch * pixels,
        spread=8 * batch * pixels,
        steps=passes,
    )

    def make():
        space = pnn.optics.FreeSpace(0.03, 0.75e-3, 0.4e-3)
        stack = eqx.nn.Sequential(
            [
                pnn.optics.DiffractiveLayer(
                    pnn.optics.PhaseMask.random((n, n), key=own), space
                )
                for own in jax.random.split(KEY, layers)
            ]
        )
        run = lambda stack, x: pnn.respond(stack, x, None)  # noqa: E731
        return gradient(run) if backward else run, (stack, field(batch, n, n))

    name = "diffraction gradient" if backward else "diffraction"
    return Kernel(name, f"{layers} x {n} x {n}, batch {batch}", make, needs)


def fiber(backward: bool, nt: int = 1024, steps: int = 500, batch: int = 16) -> Kernel:
    # There and back in each step, and again twice for the way back: field and error.
    passes = 1 + 2 * backward
    needs = Needs(
        transforms=passes * batch * 2 * (steps + 1) * transform(nt),
        points=nt,
        arithmetic=passes * batch * steps * nt * (6 + 6 + 3),
        turns=(1 + backward) * batch * steps * nt,
        moved=passes * batch * steps * nt * 2 * 8,
        spread=8 * batch * nt,
        steps=steps * (1 + backward),
    )

    def run(x):
        settings = {"dt": 30e-15, "beta2": -21.7e-27, "gamma": 1.3e-3, "steps": steps}
        return pnn.optics.nonlinear_schrodinger(x, 289.5, tolerance=1.0, **settings)

    def make():
        t = jnp.linspace(-15.0, 15.0, nt)
        envelope = jnp.tile(4.0 / jnp.cosh(t), (batch, 1))
        x = lax.complex(envelope, jnp.zeros_like(envelope))
        if not backward:
            return run, (x,)
        return jax.grad(lambda x: jnp.sum(run(x).real ** 4)), (x,)

    name = "fiber gradient" if backward else "fiber"
    return Kernel(name, f"{nt} samples, {steps} steps, batch {batch}", make, needs)


def multimode(groups: int = 8, steps: int = 10, batch: int = 64) -> Kernel:
    # Four stages of Runge and Kutta, each to the nodes of a quadrature and back; the
    # couplings between are one product with a complex matrix.
    modes = pnn.optics.GradedIndexModes(groups)
    count, nodes = modes.quadrature()[0].shape
    needs = Needs(
        products=(
            Product(batch, count, nodes, 2 * 5 * steps),
            Product(batch, nodes, count, 2 * 4 * steps),
            Product(batch, count, count, 4 * steps),
        ),
        arithmetic=steps * batch * (4 * 5 * nodes + 4 * 12 * count),
        moved=steps * 8 * count * nodes * 4,
        spread=4 * count * nodes,
        steps=steps * 5,
    )

    def make():
        layer = pnn.optics.MultimodeFiber(
            modes, 0.01, steps=steps, coupling=1000.0, key=KEY
        )
        return forward, (layer, 20 * field(batch, count))

    size = f"{count} modes, {steps} steps, batch {batch}"
    return Kernel("multimode fiber", size, make, needs)


def slab(backward: bool, beams: int = 49) -> Kernel:
    # There and back in each step, and again twice for the way back: light and error.
    experiment = MnistWaveguide()
    steps, nx, passes = experiment.steps, experiment.samples, 1 + 2 * backward
    needs = Needs(
        transforms=passes * beams * 2 * (steps + 1) * transform(nx),
        points=nx,
        arithmetic=passes * beams * steps * nx * 12,
        turns=steps * nx,
        moved=passes * steps * beams * nx * 2 * 8,
        spread=8 * beams * nx,
        steps=steps * (1 + backward),
    )

    def make():
        model = experiment.ideal(key=KEY)
        x = model.modes(jnp.eye(beams, dtype=jnp.float32))
        return gradient(forward) if backward else forward, (model.slab, x)

    name = "beam propagation gradient" if backward else "beam propagation"
    return Kernel(name, f"{nx} points, {steps} steps, {beams} beams", make, needs)


def cavity(dipoles: int = 74, antennas: int = 8, batch: int = 32) -> Kernel:
    # A factorization of a complex matrix for each example, and the substitutions.
    needs = Needs(
        arithmetic=batch * 8 * (dipoles**3 / 3 + dipoles**2 * antennas),
        moved=batch * 2 * 8 * dipoles**2,
        spread=batch * 8 * dipoles**2,
    )

    def make():
        angle = jnp.arange(dipoles) * 2.4
        radius = jnp.sqrt(jnp.arange(dipoles) + 0.5)
        place = 0.03 * radius * jnp.stack([jnp.cos(angle), jnp.sin(angle)])
        ends = [[[x, 0.05 * k] for k in range(antennas)] for x in (-0.5, 0.5)]
        one = pnn.optics.DipoleCavity(
            jnp.zeros(dipoles),
            *(jax.device_get(jnp.asarray(p, float)) for p in (place.T, *ends)),
            wavelength=0.1,
            loss=0.1,
        )
        layer = pnn.optics.StructuralCavity(one, field(antennas))
        return forward, (layer, jax.random.uniform(KEY, (batch, dipoles)))

    why = (
        "LAPACK's LU and substitutions are 3.3 of 4.2 ms: its LU reaches 16 GFLOP/s on "
        "74 x 74 complex numbers, where vectors reach 64"
    )
    size = f"{dipoles} dipoles, {antennas} antennas, batch {batch}"
    return Kernel("scattering solve", size, make, needs, why)


def resonators(backward: bool, batch: int = 100) -> Kernel:
    # What the inputs' resonators do to the hidden ones, J D J^T with D complex and J
    # real, then elimination of the hidden ones. The reflection's derivatives are outer
    # products of its columns: less than a second solve.
    inputs, hidden, outputs = 128, 60, 10
    needs = Needs(
        products=(Product(hidden * batch, inputs, hidden, 1 + backward),),
        arithmetic=(1 + backward)
        * batch
        * (8 * (hidden**3 / 6 + hidden**2 * outputs) + 4 * inputs * hidden),
        functions=batch * inputs,
        moved=(1 + backward) * batch * 2 * 8 * hidden**2,
        spread=batch * 8 * hidden**2,
    )

    def make():
        sizes = (inputs, hidden, outputs)
        layer = pnn.optics.ResonatorNetwork(sizes, key=KEY, replicas=2)
        model = pnn.Physical(layer, pnn.estimators.ScatteringBackprop())
        run = lambda model, x: model(x)  # noqa: E731
        x = 5 * jax.random.uniform(KEY, (batch, inputs // 2))
        return gradient(run) if backward else run, (model, x)

    name = "resonator network gradient" if backward else "resonator network"
    why = (
        "LAPACK's LU and substitutions are 7.4 of 9.1 ms forwards: it does not use the "
        "matrix's symmetry, half of the work, and its LU reaches 16 GFLOP/s on 60 x 60 "
        "complex numbers, where vectors reach 64"
    )
    size = f"{inputs}-{hidden}-{outputs}, batch {batch}"
    return Kernel(name, size, make, needs, why)


KERNELS = (
    *(mesh(modes, backward) for modes in (64, 128) for backward in (False, True)),
    diffraction(False),
    diffraction(True),
    fiber(False),
    fiber(True),
    multimode(),
    slab(False),
    slab(True),
    cavity(),
    resonators(False),
    resonators(True),
)
