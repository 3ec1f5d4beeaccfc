"""Tunable dipoles, against closed forms of one and two, and conservation of power."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import hankel1, j0

from pnnjax.optics import (
    DipoleCavity,
    StructuralCavity,
    Walls,
    fence,
    green_function,
    inverse_polarizability,
)
from pnnjax.optics._dipole_cavity import moments

WAVELENGTH = 0.1
K = 2 * np.pi / WAVELENGTH
TRANSMITTERS = np.asarray([[-0.21, 0.03], [-0.2, -0.08]])
RECEIVERS = np.asarray([[0.22, 0.05], [0.24, -0.1], [0.19, -0.02]])
DIPOLES = np.asarray([[0.0, 0.06], [0.03, -0.04], [-0.05, 0.0], [0.07, 0.01]])
WALLS = Walls(
    np.asarray([[0.0, 0.12], [0.02, 0.13], [-0.03, 0.12], [0.0, -0.12]]), -0.3
)
DETUNING = np.asarray([0.1, -0.2, 0.4, 0.0])


def cavity(dipoles=DIPOLES, detuning=DETUNING, **settings):
    ends = TRANSMITTERS, RECEIVERS
    return DipoleCavity(
        jnp.asarray(detuning), dipoles, *ends, wavelength=WAVELENGTH, **settings
    )


def free(at, source):
    return 0.25j * hankel1(0, K * np.linalg.norm(at[:, None] - source, axis=-1))


def coupling(points):
    distance = np.linalg.norm(points[:, None] - points, axis=-1) + np.eye(len(points))
    return np.where(np.eye(len(points)), 0, 0.25j * hankel1(0, K * distance))


@eqx.filter_jit
def matrix_of(layer):
    return layer.transfer(layer.detuning)


def test_one_dipole():
    detuning, at = 0.3, DIPOLES[:1]
    alpha = 1 / (detuning - 0.25j)
    expected = free(RECEIVERS, TRANSMITTERS) + alpha * free(RECEIVERS, at) @ free(
        at, TRANSMITTERS
    )
    layer = cavity(at, np.asarray([detuning]))
    np.testing.assert_allclose(matrix_of(layer), expected, rtol=1e-12)
    x = np.asarray([[0.3, -1.2], [1.0, 0.1]])
    y = eqx.filter_jit(layer)(jnp.asarray(x))
    np.testing.assert_allclose(y, x @ expected.T, rtol=1e-12)


def test_two_dipoles_light_each_other():
    at, detuning = DIPOLES[:2], DETUNING[:2]
    a, b = detuning - 0.25j
    g = free(at[:1], at[1:])[0, 0]
    inverse = np.asarray([[b, g], [g, a]]) / (a * b - g**2)
    expected = free(RECEIVERS, TRANSMITTERS) + free(RECEIVERS, at) @ inverse @ free(
        at, TRANSMITTERS
    )
    np.testing.assert_allclose(matrix_of(cavity(at, detuning)), expected, rtol=1e-12)


@pytest.mark.parametrize("loss", [0.0, 0.07])
def test_optical_theorem_of_one_dipole(loss):
    r"""$\operatorname{Im}\alpha = (\tfrac14 + \gamma)|\alpha|^2$: what it takes."""
    alpha = 1 / np.asarray(inverse_polarizability(jnp.linspace(-1, 1, 9), loss))
    np.testing.assert_allclose(alpha.imag, (0.25 + loss) * np.abs(alpha) ** 2)
    assert alpha.imag.argmax() == 4  # on resonance


@pytest.mark.parametrize("loss", [0.0, 0.07])
def test_power_emitted_is_radiated_or_absorbed(loss):
    """At a source, into all directions, and in the dipoles."""
    source, among = TRANSMITTERS[:1], coupling(DIPOLES)
    field = free(DIPOLES, source)
    inverse = inverse_polarizability(jnp.asarray(DETUNING), loss)
    p = np.asarray(moments(inverse, jnp.asarray(among), jnp.asarray(field)))[:, 0]
    emitted = 0.25 + np.imag(free(source, DIPOLES)[0] @ p)
    angle = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    direction = np.stack([np.cos(angle), np.sin(angle)], 1)
    points, strengths = np.concatenate([source, DIPOLES]), np.append(1, p)
    far = np.exp(-1j * K * direction @ points.T) @ strengths
    radiated = np.mean(np.abs(far) ** 2) / 4
    absorbed = loss * np.sum(np.abs(p) ** 2)
    np.testing.assert_allclose(emitted, radiated + absorbed, rtol=1e-12)
    layer = cavity(loss=loss)
    seen = free(RECEIVERS, source)[:, 0] + free(RECEIVERS, DIPOLES) @ p
    np.testing.assert_allclose(matrix_of(layer)[:, 0], seen, rtol=1e-12)


def test_walls_are_dipoles_that_are_not_tuned():
    every = np.concatenate([DIPOLES, WALLS.positions])
    whole = cavity(every, np.append(DETUNING, np.full(4, WALLS.detuning)))
    np.testing.assert_allclose(
        matrix_of(cavity(walls=WALLS)), matrix_of(whole), rtol=1e-11
    )


def test_reciprocal_with_walls_and_loss():
    settings = {"wavelength": WAVELENGTH, "walls": WALLS, "loss": 0.1}
    detuning = jnp.asarray(DETUNING)
    there = DipoleCavity(detuning, DIPOLES, TRANSMITTERS, RECEIVERS, **settings)
    back = DipoleCavity(detuning, DIPOLES, RECEIVERS, TRANSMITTERS, **settings)
    np.testing.assert_allclose(matrix_of(there), matrix_of(back).T, rtol=1e-12)


def test_greens_function_is_outgoing_and_has_the_bessel_function_in_it():
    distance = np.linspace(0.01, 1, 5)
    at = np.stack([distance, 0 * distance], 1)
    value = green_function(at, np.zeros((1, 2)), WAVELENGTH)[:, 0]
    np.testing.assert_allclose(value.imag, j0(K * distance) / 4, rtol=1e-12)
    far = green_function(np.asarray([[20.0, 0], [20.01, 0]]), at[:1], WAVELENGTH)
    turn = np.angle(far[1, 0] / far[0, 0])
    np.testing.assert_allclose(turn, K * 0.01, rtol=1e-3)


def test_data_in_dipoles_are_multiplied_by_light_that_visits_both():
    """The mixed slope is the product of three paths, one between the two dipoles."""
    drive = np.asarray([0.7 - 0.2j, 0.4j])
    layer = StructuralCavity(cavity(), jnp.asarray(drive), gain=0.5)
    x = np.asarray([0.3, -0.8])
    detuning = DETUNING + 0.5 * np.append(x, [0, 0])
    inverse = np.linalg.inv(np.diag(detuning - 0.25j) - coupling(DIPOLES))
    lit = inverse @ free(DIPOLES, TRANSMITTERS) @ drive
    seen = free(RECEIVERS, DIPOLES) @ inverse

    @jax.jit
    def values(x):
        parts = lambda x: (layer(x).real, layer(x).imag)  # noqa: E731
        batch = jnp.stack([x, -x])[None]
        rows = layer(batch), jax.vmap(layer)(batch)
        return layer(x), rows, jax.jacfwd(jax.jacrev(parts))(x)

    y, rows, (real, imaginary) = values(jnp.asarray(x))
    direct = free(RECEIVERS, TRANSMITTERS) @ drive
    np.testing.assert_allclose(y, direct + seen @ free(DIPOLES, TRANSMITTERS) @ drive)
    mixed = inverse[0, 1] * (seen[:, 0] * lit[1] + seen[:, 1] * lit[0]) * 0.25
    np.testing.assert_allclose(real[:, 0, 1], mixed.real, rtol=1e-10)
    np.testing.assert_allclose(imaginary[:, 0, 1], mixed.imag, rtol=1e-10)
    np.testing.assert_allclose(rows[0][0, 0], y, rtol=1e-12)
    np.testing.assert_allclose(*rows, rtol=1e-12)


def test_fences_are_closed_and_keep_light_inside():
    corners = np.asarray([[0.0, 0.0], [1.0, 0.0], [1.0, 0.5]])
    points, _ = fence(corners, 0.02, WAVELENGTH)
    gaps = np.linalg.norm(points - np.roll(points, -1, 0), axis=1)
    assert gaps.max() <= 0.02 * (1 + 1e-9) and gaps.min() > 0.018
    assert all(np.isclose(points, corner).all(1).any() for corner in corners)
    square = np.asarray([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    inside = np.asarray([[0.013, 0.021]])
    sealed = DipoleCavity(
        jnp.ones(1),
        inside + 0.04,
        inside,
        RECEIVERS,
        wavelength=WAVELENGTH,
        walls=fence(0.15 * square, WAVELENGTH / 10, WAVELENGTH),
    )
    open_air = np.abs(free(RECEIVERS, inside)).max()
    assert np.abs(matrix_of(sealed)).max() < 0.1 * open_air


def test_single_precision_is_kept():
    layer = eqx.tree_at(lambda c: c.detuning, cavity(), jnp.zeros(4, jnp.float32))
    assert layer(jnp.ones((5, 2), jnp.float32)).dtype == jnp.complex64


def test_refuses_what_is_no_cavity():
    with pytest.raises(ValueError, match="at least 0.001 m from each other"):
        cavity(np.concatenate([DIPOLES[:3], DIPOLES[:1]]))
    with pytest.raises(ValueError, match="4 dipoles need as many detunings"):
        cavity(detuning=np.zeros(3))
    with pytest.raises(ValueError, match="negative"):
        cavity(loss=-0.1)
    with pytest.raises(ValueError, match="walls need 0.025 m or less"):
        fence(DIPOLES, 0.03, WAVELENGTH)
    with pytest.raises(ValueError, match="5 inputs need as many dipoles"):
        StructuralCavity(cavity(), jnp.ones(2, complex))(jnp.ones(5))
