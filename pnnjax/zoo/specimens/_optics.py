"""Light: meshes, masks, fibers, resonators, and what light does to itself."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from ... import imperfections, optics
from ._numbers import Specimen, field, tolerance


def mesh(key: PRNGKeyArray) -> Specimen:
    """A rectangular mesh of interferometers, six modes."""
    return optics.MZIMesh(6, key=key), field(key, 5, 6)


def mesh_odd(key: PRNGKeyArray) -> Specimen:
    """A rectangular mesh of five modes, with three columns only."""
    return optics.MZIMesh(5, 3, key=key), field(key, 5, 5)


def mesh_faulty(key: PRNGKeyArray) -> Specimen:
    """A mesh whose splitters are unequal, and whose heaters heat each other."""
    return (
        optics.MZIMesh(4, key=key, splitter_error=0.1, crosstalk=0.02),
        field(key, 9, 4),
    )


def mesh_lossy(key: PRNGKeyArray) -> Specimen:
    """A mesh that loses light in each of its arms."""
    return (
        optics.MZIMesh(4, key=key, loss=0.2),
        field(key, 5, 4),
    )


def mesh_mismatched(key: PRNGKeyArray) -> Specimen:
    """A mesh with hidden errors of its phases."""
    return (
        imperfections.Mismatch(sigma=0.1)(optics.MZIMesh(4, key=key), key=key),
        field(key, 5, 4),
    )


def triangular(key: PRNGKeyArray) -> Specimen:
    """A triangular mesh of interferometers, five modes."""
    return (
        optics.TriangularMesh(5, key=key),
        field(key, 2, 3, 5),
    )


def svd(key: PRNGKeyArray) -> Specimen:
    """Two meshes with attenuators between: any matrix."""
    return optics.SVDMesh(4, 3, key=key), field(key, 5, 4)


def diffractive(key: PRNGKeyArray) -> Specimen:
    """A phase mask of 8 × 8 pixels, and free space."""
    return _diffractive(key), field(key, 3, 8, 8)


def detector(key: PRNGKeyArray) -> Specimen:
    """Four detectors behind 8 × 8 pixels of light."""
    return (
        optics.Detector(optics.detector_grid((8, 8), 4, 2, 3)),
        field(key, 3, 8, 8),
    )


def electro_optic(key: PRNGKeyArray) -> Specimen:
    """Light that modulates itself, by way of a photodiode."""
    return (
        optics.ElectroOpticActivation(4),
        field(key, 5, 4),
    )


def saturable(key: PRNGKeyArray) -> Specimen:
    """An absorber that light bleaches."""
    return optics.SaturableAbsorber(10.0), field(key, 5, 4)


def mod_relu(key: PRNGKeyArray) -> Specimen:
    """Amplitudes above a threshold, which keep their phases."""
    return optics.ModReLU(4), field(key, 5, 4)


def intensity(key: PRNGKeyArray) -> Specimen:
    """A detector for each mode."""
    return optics.Intensity(), field(key, 5, 4)


def nonlinear_fiber(key: PRNGKeyArray) -> Specimen:
    """A pulse in a fiber: dispersion, Kerr and Raman effect."""
    return _nonlinear_fiber(), 0.5 * field(key, 3, 16)


def multimode_fiber(key: PRNGKeyArray) -> Specimen:
    """Three modes of a fiber, which mix and shift each other's phase."""
    return (
        optics.MultimodeFiber(
            optics.GradedIndexModes(2), 1e-3, steps=4, coupling=300.0, key=key
        ),
        200 * field(key, 3, 3),
    )


def second_harmonic(key: PRNGKeyArray) -> Specimen:
    """A shaped pulse that is doubled in frequency: broadband mixing."""
    return (
        optics.SecondHarmonic(3, 4, key=key, samples=1),
        jax.random.normal(key, (3, 3)),
    )


def resonator_network(key: PRNGKeyArray) -> Specimen:
    """Resonators whose detunings take the input; their ports, the output."""
    return (
        resonators_that_differ(key),
        jax.random.normal(key, (3, 2)),
    )


def kerr_network(key: PRNGKeyArray) -> Specimen:
    """Resonators with a Kerr effect, driven by the input."""
    return (
        optics.KerrNetwork((2, 2, 2), key=key, kerr=0.1, rtol=tolerance()),
        0.5 * field(key, 3, 2),
    )


def waveguide(key: PRNGKeyArray) -> Specimen:
    """A slab whose index is programmed, 4 × 4 pixels."""
    return _waveguide(key)


def scattering(key: PRNGKeyArray) -> Specimen:
    """A medium that reflects as well as it transmits."""
    return (
        optics.ScatteringMedium(optics.reflecting_medium(4, 0.5, key=key)),
        field(key, 3, 4),
    )


def dipoles(key: PRNGKeyArray) -> Specimen:
    """Three tunable dipoles between antennas, in a cavity."""
    return _cavity(), field(key, 3, 2)


def dipoles_structural(key: PRNGKeyArray) -> Specimen:
    """The same cavity, with the input in its dipoles."""
    return (
        optics.StructuralCavity(_cavity(), field(key, 2)),
        jax.random.normal(key, (3, 2)),
    )


def rings(key: PRNGKeyArray) -> Specimen:
    """Rings that weigh the powers of three wavelengths."""
    return (
        optics.RingWeightBank(
            jax.random.uniform(key, (2, 3), maxval=50e9),
            spacing=100e9,
            free_spectral_range=1e12,
            finesse=30.0,
        ),
        jax.random.uniform(key, (4, 3)),
    )


def _diffractive(key):
    space = optics.FreeSpace(1e-3, 0.75e-3, 0.4e-3)
    mask = optics.PhaseMask.random((8, 8), key=key)
    return optics.DiffractiveLayer(mask, space)


def _nonlinear_fiber():
    """Dispersion and Kerr effect of light that fills the window, both trained."""
    return optics.NonlinearFiber(
        1.0,
        dt=1.0,
        beta2=jnp.asarray(-0.3),
        gamma=jnp.asarray(0.2),
        steps=6,
        raman=optics.RamanResponse(0.2, 1.0, 3.0),
        tolerance=1.0,
    )


def resonators_that_differ(key):
    """In how fast they decay into their ports and, what no port sees, elsewhere."""
    return optics.ResonatorNetwork(
        (4, 3, 2),
        key=key,
        replicas=2,
        decay=(1.0, 0.6, 1.4),
        loss=(0.3, 0.1, 0.0),
        source=1,
    )


def _waveguide(key):
    """4 x 4 pixels in eight steps, and three beams that overlap."""
    slab = optics.ProgrammableWaveguide(
        1e-3 * jax.random.uniform(key, (4, 4)),
        length=400e-6,
        width=80e-6,
        samples=64,
        steps=8,
        pitch=2e-6,
        wavelength=1.55e-6,
    )
    modes = optics.GaussianModes(np.linspace(-20e-6, 20e-6, 3), 10e-6, 64, 2e-6)
    return slab, modes(field(key, 3, 3))


def _cavity():
    """Three dipoles between two antennas on each side."""
    return optics.DipoleCavity(
        jnp.asarray([0.1, -0.2, 0.4]),
        np.asarray([[0.0, 0.06], [0.03, -0.04], [-0.05, 0.0]]),
        np.asarray([[-0.2, 0.0], [-0.2, 0.05]]),
        np.asarray([[0.2, 0.0], [0.2, 0.05]]),
        wavelength=0.1,
        loss=0.05,
    )
