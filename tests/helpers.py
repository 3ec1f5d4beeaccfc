"""The registries: a new layer or estimator adds one line, and every claim is tested."""

import os
import warnings
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pnnjax as pnn

needs_files = pytest.mark.skipif(
    not os.environ.get("PNNJAX_DATA"),
    reason="the environment variable PNNJAX_DATA names no folder of data",
)


class Matrix(pnn.AbstractLayer):
    """A complex matrix: linear, and nothing else is known of it."""

    weight: jax.Array
    facts: ClassVar[pnn.Facts] = pnn.Facts(linear=True)

    def __call__(self, x, *, key=None):
        y = jnp.einsum("mn,...n->...m", self.weight, x)
        if key is None:
            return y
        return y + 0.1 * normal(key, y)


class Tanh(pnn.AbstractLayer):
    """A real nonlinear layer."""

    weight: jax.Array
    facts: ClassVar[pnn.Facts] = pnn.Facts()

    def __call__(self, x, *, key=None):
        return jnp.tanh(jnp.einsum("mn,...n->...m", self.weight, x))


class NextLabel(pnn.objectives.AbstractWrongLabels):
    """The label after the right one, so that gradients can be found by hand."""

    def __call__(self, labels, classes, scores, keys):
        return (labels + 1) % classes


def linear(inputs, outputs, key):
    """Without a bias."""
    return eqx.nn.Linear(inputs, outputs, use_bias=False, key=key)


def normal(key, like):
    """Standard normal numbers of the shape and dtype of `like`, complex ones too."""
    return jax.random.normal(key, like.shape, like.dtype)


def field(key, *shape):
    """A random complex field."""
    return jax.random.normal(key, shape, complex)


def diffractive(key):
    space = pnn.optics.FreeSpace(1e-3, 0.75e-3, 0.4e-3)
    mask = pnn.optics.PhaseMask.random((8, 8), key=key)
    return pnn.optics.DiffractiveLayer(mask, space)


def nonlinear_fiber():
    """Dispersion and Kerr effect of light that fills the window, both trained."""
    return pnn.optics.NonlinearFiber(
        1.0,
        dt=1.0,
        beta2=jnp.asarray(-0.3),
        gamma=jnp.asarray(0.2),
        steps=3,
        raman=pnn.optics.RamanResponse(0.2, 1.0, 3.0),
        tolerance=1.0,
    )


SETTLED = pnn.integrators.UntilSettled(1e-13, 1e-13)


def maps(key):
    """3 x 3 pixels to two feature maps, pooled smoothly, to two units."""
    lower, upper = jax.random.split(key)
    pool = pnn.spins.SoftmaxPool(2)
    coupling = pnn.spins.ConvolutionalCoupling.random(
        (3, 3, 1), 2, 2, key=lower, pool=pool
    )
    return coupling, pnn.spins.DenseCoupling.random(coupling.above, 2, key=upper)


def resistors():
    """Six nodes with two soft junctions."""
    edges = [(0, 3), (1, 3), (1, 4), (2, 4), (3, 5), (4, 5), (2, 5), (0, 4)]
    soft = {"saturation_current": 0.1, "ideality": 20.0}
    return pnn.circuits.ResistorNetwork(
        6,
        edges,
        jnp.linspace(0.5, 1.5, 8),
        inputs=[0, 1],
        fixed={2: 0.0},
        outputs=[4, (3, 5)],
        diodes=[
            pnn.circuits.ExponentialDiode(3, 2, **soft),
            pnn.circuits.ExponentialDiode(4, 5, **soft),
        ],
    )


def resonators_that_differ(key):
    """In how fast they decay into their ports and, what no port sees, elsewhere."""
    return pnn.optics.ResonatorNetwork(
        (4, 3, 2),
        key=key,
        replicas=2,
        decay=(1.0, 0.6, 1.4),
        loss=(0.3, 0.1, 0.0),
        source=1,
    )


def truss():
    return pnn.waves.ElasticNetwork(
        np.asarray([[0.0, 0.0], [1.0, 0.0], [0.4, 0.8], [1.5, 0.9]]),
        [(0, 1), (0, 2), (1, 2), (1, 3), (2, 3)],
        fixed=[0, (1, 1)],
        forced=[(3, 1)],
        moved=[(1, 0)],
        outputs=[(3, 0), (2, 1)],
        stiffness=2.0,
    )


def waveguide(key):
    """4 x 4 pixels in eight steps, and three beams that overlap."""
    slab = pnn.optics.ProgrammableWaveguide(
        1e-3 * jax.random.uniform(key, (4, 4)),
        length=400e-6,
        width=80e-6,
        samples=64,
        steps=8,
        pitch=2e-6,
        wavelength=1.55e-6,
    )
    modes = pnn.optics.GaussianModes(np.linspace(-20e-6, 20e-6, 3), 10e-6, 64, 2e-6)
    return slab, modes(field(key, 3, 3))


def cavity():
    """Three dipoles between two antennas on each side."""
    return pnn.optics.DipoleCavity(
        jnp.asarray([0.1, -0.2, 0.4]),
        np.asarray([[0.0, 0.06], [0.03, -0.04], [-0.05, 0.0]]),
        np.asarray([[-0.2, 0.0], [-0.2, 0.05]]),
        np.asarray([[0.2, 0.0], [0.2, 0.05]]),
        wavelength=0.1,
        loss=0.05,
    )


def stack(key):
    """Two linear layers, with a nonlinearity between."""
    lower, upper = jax.random.split(key)
    return eqx.nn.Sequential(
        [
            eqx.nn.Linear(4, 6, key=lower),
            eqx.nn.Lambda(jnp.tanh),
            eqx.nn.Linear(6, 3, key=upper),
        ]
    )


def wave_plate():
    return pnn.waves.WaveEquation2D(
        (10, 12),
        pitch=1.0,
        step=0.6,
        speeds=(1.0, 0.6),
        sources=((5, 2),),
        probes=((3, 6), (6, 6)),
        damping=pnn.waves.absorbing_profile((10, 12), 2, 0.5),
        sharpness=5.0,
        saturable=(0.2, 0.5),
    )


def twin(key):
    """Physics, and a network whose weights are not zero."""
    layer, spread = Tanh(jax.random.normal(key, (3, 4))), np.linspace(-1, 1, 32)
    probes = pnn.devices.Probes(
        [spread[:24].reshape(2, 3, 4)], spread[:16].reshape(2, 2, 4)
    )
    said = spread[:12].reshape(2, 2, 3)
    twin = pnn.devices.Twin(layer).with_network(probes, said, said, width=2, key=key)
    return eqx.tree_at(
        lambda t: t.residual,
        twin,
        replace_fn=lambda node: jax.tree.map(
            lambda leaf: leaf + 0.3 if eqx.is_inexact_array(leaf) else leaf, node
        ),
    )


LAYERS = {
    "matrix": lambda key: (Matrix(field(key, 3, 4)), field(key, 5, 4)),
    "tanh": lambda key: (
        Tanh(jax.random.normal(key, (3, 4))),
        jax.random.normal(key, (5, 4)),
    ),
    "foreign": lambda key: (
        eqx.nn.MLP(4, 3, 8, 1, key=key),
        jax.random.normal(key, (5, 4)),
    ),
    "stack": lambda key: (stack(key), jax.random.normal(key, (5, 4))),
    "mesh": lambda key: (pnn.optics.MZIMesh(6, key=key), field(key, 5, 6)),
    "mesh-odd": lambda key: (pnn.optics.MZIMesh(5, 3, key=key), field(key, 5, 5)),
    "mesh-faulty": lambda key: (
        pnn.optics.MZIMesh(4, key=key, splitter_error=0.1, crosstalk=0.02),
        field(key, 9, 4),
    ),
    "mesh-lossy": lambda key: (
        pnn.optics.MZIMesh(4, key=key, loss=0.2),
        field(key, 5, 4),
    ),
    "mesh-mismatched": lambda key: (
        pnn.imperfections.Mismatch(0.1)(pnn.optics.MZIMesh(4, key=key), key=key),
        field(key, 5, 4),
    ),
    "triangular": lambda key: (
        pnn.optics.TriangularMesh(5, key=key),
        field(key, 2, 3, 5),
    ),
    "svd": lambda key: (pnn.optics.SVDMesh(4, 3, key=key), field(key, 5, 4)),
    "diffractive": lambda key: (diffractive(key), field(key, 3, 8, 8)),
    "detector": lambda key: (
        pnn.optics.Detector(pnn.optics.detector_grid((8, 8), 4, 2, 3)),
        field(key, 3, 8, 8),
    ),
    "electro-optic": lambda key: (
        pnn.optics.ElectroOpticActivation(4),
        field(key, 5, 4),
    ),
    "saturable": lambda key: (pnn.optics.SaturableAbsorber(10.0), field(key, 5, 4)),
    "mod-relu": lambda key: (pnn.optics.ModReLU(4), field(key, 5, 4)),
    "intensity": lambda key: (pnn.optics.Intensity(), field(key, 5, 4)),
    "nonlinear-fiber": lambda key: (nonlinear_fiber(), 0.5 * field(key, 3, 16)),
    "multimode-fiber": lambda key: (
        pnn.optics.MultimodeFiber(
            pnn.optics.GradedIndexModes(2), 1e-3, steps=2, coupling=300.0, key=key
        ),
        300 * field(key, 3, 3),
    ),
    "second-harmonic": lambda key: (
        pnn.optics.SecondHarmonic(3, 4, key=key, samples=1),
        jax.random.normal(key, (3, 3)),
    ),
    "hopfield": lambda key: (
        pnn.spins.HopfieldNetwork(
            (3, 3, 2), key=key, activation=pnn.spins.Sigmoid(), relaxation=SETTLED
        ),
        jax.random.uniform(key, (3, 3)),
    ),
    "hopfield-maps": lambda key: (
        pnn.spins.HopfieldNetwork(
            maps(key), activation=pnn.spins.Sigmoid(), relaxation=SETTLED
        ),
        jax.random.uniform(key, (3, 3, 3, 1)),
    ),
    "hopfield-full": lambda key: (
        pnn.spins.FullyConnectedHopfield.random(
            3, 5, 2, key=key, activation=pnn.spins.Tanh(), relaxation=SETTLED
        ),
        jax.random.normal(key, (3, 3)),
    ),
    "hopfield-asymmetric": lambda key: (
        pnn.spins.AsymmetricNetwork(
            (3, 3, 2), key=key, activation=pnn.spins.Tanh(), relaxation=SETTLED
        ),
        jax.random.normal(key, (3, 3)),
    ),
    "springs": lambda key: (truss(), 0.1 * jax.random.normal(key, (3, 2))),
    "pendula": lambda key: (
        pnn.waves.CoupledPendula(4, key=key, inputs=3, outputs=2, steps=2),
        jax.random.normal(key, (3, 3)),
    ),
    "pendula-canonical": lambda key: (
        pnn.waves.CanonicalPendula(
            4, key=key, inputs=3, outputs=2, splitting=pnn.integrators.Splitting(1.0, 4)
        ),
        jax.random.normal(key, (3, 3)),
    ),
    "time-floquet": lambda key: (
        pnn.waves.TimeFloquet(2, key=key, harmonics=2, depth=1e5),
        jax.random.normal(key, (3, 2)),
    ),
    "membranes": lambda key: (
        pnn.waves.Membranes(3, 4, 2, key=key),
        jax.random.normal(key, (3, 4)),
    ),
    "kuramoto": lambda key: (
        pnn.oscillators.Kuramoto(
            (3, 4, 2),
            key=key,
            scale=0.5,
            relaxation=SETTLED,
        ),
        jax.random.normal(key, (3, 3)),
    ),
    "lattice": lambda key: (
        pnn.oscillators.NonlinearLattice(
            3, key=key, splitting=pnn.integrators.Splitting(1.0, 4)
        ),
        jax.random.normal(key, (3, 3)),
    ),
    "duffing": lambda key: (
        pnn.oscillators.DuffingLattice(
            2, key=key, splitting=pnn.integrators.Splitting(1.0, 4, readings=2)
        ),
        jax.random.normal(key, (3, 2, 2)),
    ),
    "delay-reservoir": lambda key: (
        pnn.oscillators.DelayReservoir(
            pnn.oscillators.IkedaNode(0.9),
            pnn.oscillators.uniform_mask(3, 2, key=key),
            delay=1e-6,
            response=pnn.oscillators.LowPass(0.3e-6),
            train_mask=True,
        ),
        jax.random.normal(key, (3, 4, 2)),
    ),
    "polaritons": lambda key: (
        pnn.oscillators.PolaritonNetwork(
            2, key=key, splitting=pnn.integrators.Splitting(1.0, 4)
        ),
        jax.random.normal(key, (3, 2, 2)),
    ),
    "spin-torque": lambda key: (
        pnn.oscillators.SpinTorqueOscillators(
            jnp.asarray([1.5, 2.5]),
            jnp.asarray([1.0, 1.3]),
            damping=0.5,
            nonlinear_damping=0.5,
            shift=1.0,
            force=0.3,
            step=0.3,
            settle=4,
            measure=4,
            coupling=0.1 * field(key, 2, 2),
        ),
        1.0 + jax.random.uniform(key, (3, 2)),
    ),
    "spin-torque-reservoir": lambda key: (
        pnn.oscillators.SpinTorqueReservoir(
            0.2 * jax.random.normal(key, (3, 1)),
            0.5,
            damping=0.5,
            nonlinear_damping=0.5,
        ),
        jax.random.normal(key, (3, 2, 1)),
    ),
    "wave": lambda key: (wave_plate(), jax.random.normal(key, (3, 8))),
    "resistors": lambda key: (resistors(), jax.random.normal(key, (3, 2))),
    "echo-state": lambda key: (
        pnn.oscillators.EchoStateNetwork(2, 5, key=key, leak=0.7, bias=0.2, degree=2),
        jax.random.normal(key, (3, 4, 2)),
    ),
    "rc": lambda key: (
        pnn.circuits.RCNetwork(
            [(0, 1), (1, 2), (2, None)],
            jnp.asarray([0.5, 1.0, 1.5]),
            jnp.asarray([1.0, 2.0, 1.5]),
            inputs=[0, 1],
            outputs=[2, (0, 1)],
            step=0.3,
        ),
        jax.random.normal(key, (3, 6, 2)),
    ),
    "resonator-network": lambda key: (
        resonators_that_differ(key),
        jax.random.normal(key, (3, 2)),
    ),
    "kerr-network": lambda key: (
        pnn.optics.KerrNetwork((2, 2, 2), key=key, kerr=0.1, rtol=1e-12),
        0.5 * field(key, 3, 2),
    ),
    "deep-resistive": lambda key: (
        pnn.circuits.DeepResistiveNetwork(
            (2, 3, 2), key=key, gain=2.0, relaxation=SETTLED
        ),
        jax.random.normal(key, (3, 2)),
    ),
    "crossbar": lambda key: (
        pnn.circuits.Crossbar(4, 3, key=key, use_bias=True),
        jax.random.normal(key, (2, 3, 4)),
    ),
    "crossbar-lines": lambda key: (
        pnn.circuits.Crossbar(
            4, 3, key=key, wires=pnn.circuits.LineResistance(800.0, 500.0)
        ),
        jax.random.normal(key, (3, 4)),
    ),
    "waveguide": lambda key: waveguide(key),
    "scattering": lambda key: (
        pnn.optics.ScatteringMedium(pnn.optics.reflecting_medium(4, 0.5, key=key)),
        field(key, 3, 4),
    ),
    "dipoles": lambda key: (cavity(), field(key, 3, 2)),
    "dipoles-structural": lambda key: (
        pnn.optics.StructuralCavity(cavity(), field(key, 2)),
        jax.random.normal(key, (3, 2)),
    ),
    "twin": lambda key: (twin(key), jax.random.normal(key, (3, 4))),
    "quantum": lambda key: (
        pnn.quantum.VariationalCircuit(3, 2, key=key),
        jax.random.normal(key, (3, 3)),
    ),
    "rings": lambda key: (
        pnn.optics.RingWeightBank(
            jax.random.uniform(key, (2, 3), maxval=50e9),
            spacing=100e9,
            free_spectral_range=1e12,
            finesse=30.0,
        ),
        jax.random.uniform(key, (4, 3)),
    ),
}

ESTIMATORS = {
    "autodiff": lambda layer: pnn.estimators.Autodiff(),
    "physics-aware": lambda layer: pnn.estimators.PhysicsAware(the_layer_itself),
    "in-situ": lambda layer: pnn.estimators.InSituBackprop(),
    "in-situ-toggled": lambda layer: pnn.estimators.InSituBackprop(toggled=True),
    "fully-forward": lambda layer: pnn.estimators.FullyForward(),
    "optical-backprop": lambda layer: pnn.estimators.OpticalBackprop(),
    "scattering": lambda layer: pnn.estimators.ScatteringBackprop(),
    "scattering-nonlinear": lambda layer: pnn.estimators.NonlinearScatteringBackprop(
        1e-4
    ),
    "implicit": lambda layer: pnn.estimators.ImplicitDifferentiation(),
    "ep": lambda layer: pnn.estimators.EquilibriumPropagation(0.05),
    "ep-one-sided": lambda layer: pnn.estimators.EquilibriumPropagation(0.05, False),
    "ep-random-sign": lambda layer: pnn.estimators.RandomSignEP(0.05),
    "ep-holomorphic": lambda layer: pnn.estimators.HolomorphicEP(0.2, 4),
    "ep-vector-field": lambda layer: pnn.estimators.VectorFieldEP(0.05),
    "frequency": lambda layer: pnn.estimators.FrequencyPropagation(0.05),
    "coupled": lambda layer: pnn.estimators.CoupledLearning(1e-4),
    "transposed-read": lambda layer: pnn.estimators.TransposedRead(),
    "same-device": lambda layer: pnn.estimators.SameDeviceAdjoint(),
    "echo": lambda layer: pnn.estimators.HamiltonianEcho(0.02),
    "echo-one-sided": lambda layer: pnn.estimators.HamiltonianEcho(0.02, False),
    "contrastive-hebbian": lambda layer: pnn.estimators.ContrastiveHebbian(),
    "feedback-alignment": lambda layer: pnn.estimators.FeedbackAlignment(
        pnn.estimators.RandomFeedback(key=jax.random.key(0))
    ),
    "direct-feedback": lambda layer: pnn.estimators.DirectFeedbackAlignment(
        pnn.estimators.RandomFeedback(key=jax.random.key(0))
    ),
    "finite-difference": lambda layer: pnn.estimators.FiniteDifference(
        0.01, scales=pnn.estimators.typical_sizes
    ),
    "spsa": lambda layer: pnn.estimators.SPSA(
        1e-4, scales=pnn.estimators.typical_sizes
    ),
    "multiplexed": lambda layer: pnn.estimators.MultiplexedGradientDescent(
        pnn.estimators.WalshCode(), 0.01, scales=pnn.estimators.typical_sizes
    ),
    "parameter-shift": lambda layer: pnn.estimators.ParameterShift(),
}


def the_layer_itself(layer, x, *, key=None):
    """A device that is just like its model."""
    return jax.lax.stop_gradient(pnn.respond(layer, x, key))


def outcome(layer: Any, estimator: pnn.AbstractEstimator) -> str:
    """Does the estimator take the layer: "accepted", "biased" or "refused"?"""
    with warnings.catch_warnings():
        warnings.simplefilter("error", pnn.GradientBiasWarning)
        try:
            pnn.Physical(layer, estimator)
        except pnn.GradientBiasWarning:
            return "biased"
        except TypeError:
            return "refused"
    return "accepted"


def pairs(wanted: str) -> list[tuple[str, str]]:
    """The (layer, estimator) names with that outcome."""
    key = jax.random.key(0)
    layers = {name: make(key)[0] for name, make in LAYERS.items()}
    return [
        (layer, estimator)
        for layer in LAYERS
        for estimator in ESTIMATORS
        if outcome(layers[layer], ESTIMATORS[estimator](layers[layer])) == wanted
    ]
