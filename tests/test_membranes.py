"""Membranes and ports, against passivity and closed forms."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pnnjax.waves import Membranes, membrane_scattering, membrane_velocities

FREQUENCIES = np.linspace(0.6, 1.6, 7)


@eqx.filter_jit
def scattering(*arguments):
    return membrane_scattering(*map(jnp.asarray, arguments))


@eqx.filter_jit
def heard(layer, x):
    return layer(x), layer.velocities(x)


def membranes(damping):
    rng = np.random.default_rng(0)
    coupling = 0.4 * rng.normal(size=(3, 5))
    return rng.uniform(0.7, 1.5, 5), damping * rng.uniform(0.5, 1.5, 5), coupling


def test_reciprocal_and_unitary_without_damping():
    s = np.asarray(scattering(FREQUENCIES, *membranes(0.0)))
    np.testing.assert_allclose(s, s.mT, atol=1e-13)
    identity = np.broadcast_to(np.eye(3), s.shape)
    np.testing.assert_allclose(s.conj().mT @ s, identity, atol=1e-12)


def test_heat_is_what_damping_takes_from_the_motion():
    resonance, damping, coupling = membranes(0.1)
    s = np.asarray(scattering(FREQUENCIES, resonance, damping, coupling))
    np.testing.assert_allclose(s, s.mT, atol=1e-13)
    outgoing = np.sum(np.abs(s[:, :, 0]) ** 2, -1)
    velocities = jax.jit(membrane_velocities)(
        jnp.ones(7, complex),
        jnp.asarray(FREQUENCIES),
        jnp.broadcast_to(jnp.asarray(resonance) ** 2, (7, 5)),
        jnp.asarray(damping),
        jnp.asarray(coupling),
    )
    heat = np.sum(damping * np.abs(velocities) ** 2, -1)
    np.testing.assert_allclose(1 - outgoing, heat, rtol=1e-11)
    assert (heat > 0.01).all()


def test_single_membrane_is_a_lorentzian():
    resonance, damping, coupling = 1.1, 0.03, 0.3
    s = scattering(FREQUENCIES, [resonance], [damping], [[coupling]])
    half = coupling**2 + damping
    off = FREQUENCIES - resonance**2 / FREQUENCIES
    exact = 4 * coupling**4 / (half**2 + off**2)
    np.testing.assert_allclose(np.abs(1 - s[:, 0, 0]) ** 2, exact, rtol=1e-12)


def test_critically_damped_membrane_takes_all_sound():
    s = scattering([1.1], [1.1], [0.09], [[0.3]])
    np.testing.assert_allclose(s, 0, atol=1e-15)


def test_linear_set_is_a_matrix_on_powers():
    layer = Membranes(4, 6, 2, key=jax.random.key(0))
    x = np.random.default_rng(1).normal(size=(5, 6))
    y, _ = heard(layer, jnp.asarray(x))
    s = scattering(
        layer.frequency.value,
        layer.resonance,
        layer.damping.value,
        layer.coupling.value,
    )
    matrix = np.abs(np.asarray(s)[:, 1:, 0]) ** 2
    np.testing.assert_allclose(y, x**2 @ matrix, rtol=1e-10)
    assert (y.sum(-1) < (x**2).sum(-1)).all()


def hard(tones, **settings):
    """One membrane, stiffened by its swing; frequencies of order 1."""
    layer = Membranes(
        1, tones, 1, key=jax.random.key(2), band=(0.9, 1.2), damping=0.2, **settings
    )
    return eqx.tree_at(
        lambda m: (m.resonance, m.coupling.value),
        layer,
        (jnp.ones(1), jnp.full((2, 1), 0.2)),
    )


def test_hardening_membrane_swings_as_a_duffing_oscillator():
    """The amplitude is the root of the cubic equation of harmonic balance."""
    layer = hard(3, hardening=0.4, iterations=60)
    gamma = float(layer.damping.value[0]) + 2 * 0.04
    for tone, omega in enumerate((0.9, 1.05, 1.2)):
        loud = 0.7
        _, velocity = heard(layer, loud * jnp.eye(3)[tone])
        measured = np.sqrt(2) * np.abs(velocity[tone, 0]) / omega
        force = np.sqrt(2) * 2 * 0.2 * loud * omega / omega
        shift, beta = 1 - omega**2, 0.4
        cubic = [
            9 / 16 * beta**2,
            1.5 * beta * shift,
            shift**2 + (omega * gamma) ** 2,
            -(force**2),
        ]
        roots = np.roots(cubic)
        real = np.sqrt(roots[np.abs(roots.imag) < 1e-9].real)
        assert len(real) == 1
        assert measured == pytest.approx(real[0], rel=1e-5)


def test_hardening_mixes_tones():
    """What one tone does depends on how loud another one is."""
    soft, stiff = hard(3), hard(3, hardening=0.4, iterations=60)
    low, both = jnp.asarray([0.5, 0, 0]), jnp.asarray([0.5, 0, 0.6])
    for layer, mixed in ((soft, False), (stiff, True)):
        (_, alone), (_, together) = heard(layer, low), heard(layer, both)
        change = abs(together[0, 0] / alone[0, 0] - 1)
        assert bool(change > 0.01) is mixed


def test_bad_input_is_refused():
    key = jax.random.key(0)
    with pytest.raises(ValueError, match="tones"):
        Membranes(2, 0, 1, key=key)
    with pytest.raises(ValueError, match="band"):
        Membranes(2, 3, 1, key=key, band=(2.0, 1.0))
    with pytest.raises(ValueError, match="damping"):
        Membranes(2, 3, 1, key=key, damping=-1.0)
    with pytest.raises(ValueError, match="3 tones"):
        Membranes(2, 3, 1, key=key)(jnp.ones(2))
    with pytest.raises(Exception, match="`iterations=8`"):
        heard(hard(3, hardening=0.4, iterations=2), jnp.asarray([0, 0, 3.0]))
