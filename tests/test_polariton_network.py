"""Polariton networks, against the limit cycle of one site, and SciPy."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from pnnjax._motion import PhaseSpace
from pnnjax.integrators import Splitting
from pnnjax.oscillators import PolaritonNetwork, amplitudes
from pnnjax.oscillators._polariton_network import stuart_landau

KEY = jax.random.key(5)


def moved(psi, gain, frequency, saturation, nonlinearity, time):
    """One flow of independent sites, as amplitudes."""
    start = PhaseSpace(*(np.sqrt(2) * jnp.asarray(a) for a in (psi.real, psi.imag)))
    rates = jnp.asarray(gain), jnp.asarray(frequency)
    run = jax.jit(lambda s: stuart_landau(s, *rates, saturation, nonlinearity, time))
    return np.asarray(amplitudes(run(start)))


def test_limit_cycle_has_its_amplitude_and_frequency():
    """|ψ|² = (P - γ)/σ, ω + g|ψ|²; below the threshold it dies at its own rate."""
    psi = np.asarray([0.3 + 0.1j, 2.0 - 1j, 0.2 + 0j])
    gain, frequency = [0.5, 0.5, -0.6], [0.3, -0.2, 0.3]
    late = moved(psi, gain, frequency, 0.25, 1.5, 80.0)
    later = moved(late, gain, frequency, 0.25, 1.5, 0.5)
    np.testing.assert_allclose(np.abs(late[:2]) ** 2, 2.0, rtol=1e-12)
    turned = -np.angle(later / late)[:2] / 0.5
    np.testing.assert_allclose(turned, [0.3 + 3.0, -0.2 + 3.0], rtol=1e-10)
    assert np.log(np.abs(later[2] / late[2])) == pytest.approx(-0.15, rel=1e-6)


def test_at_the_threshold_the_density_falls_as_its_inverse():
    """n = n0/(1 + σ n0 t) where the gain balances the loss, and smoothly around it."""
    psi = np.full(3, 0.8 + 0j)
    end = moved(psi, [0.0, 1e-7, -1e-7], np.zeros(3), 0.5, 0.0, 4.0)
    np.testing.assert_allclose(np.abs(end) ** 2, 0.64 / (1 + 0.64 * 2), rtol=1e-6)


def test_it_follows_the_equation_of_motion():
    layer = PolaritonNetwork(
        3,
        key=KEY,
        bonds=[(0, 1), (1, 2), (2, 0)],
        inputs=[0, 2],
        nonlinearity=0.7,
        saturation=0.4,
        splitting=Splitting(2.0, 2000, readings=2),
    )
    x = np.asarray([[0.5, -1.0], [0.3, 0.8]])
    pump, frequency = np.asarray(layer.pump), np.asarray(layer.frequency)
    coupling = np.zeros((3, 3))
    for (i, j), strength in zip(layer.bonds, layer.coupling):
        coupling[i, j] = coupling[j, i] = strength

    def slope(psi, light):
        n = np.abs(psi) ** 2
        net = 0.5 * (pump - 1.0 - 0.4 * n) - 1j * (frequency + 0.7 * n)
        return net * psi - 1j * coupling @ psi + light

    psi, expected = np.full(3, 0.1 + 0j), []
    for light in x:
        whole = np.asarray([light[0], 0, light[1]])
        rate = lambda t, psi, f=whole: slope(psi, f)  # noqa: E731
        psi = solve_ivp(rate, (0, 1), psi, rtol=1e-10, atol=1e-12).y[:, -1]
        expected.append(np.abs(psi) ** 2)
    np.testing.assert_allclose(
        eqx.filter_jit(layer)(jnp.asarray(x)), expected, atol=2e-6
    )


def test_axes_and_single_precision():
    layer = PolaritonNetwork(2, key=KEY, splitting=Splitting(1.0, 4))
    x = jax.random.normal(KEY, (3, 2, 2))
    y, mapped = eqx.filter_jit(lambda x: (layer(x), jax.vmap(layer)(x)))(x)
    assert y.shape == (3, 2)
    np.testing.assert_allclose(mapped, y, rtol=1e-12)
    assert jax.eval_shape(layer, x.astype(jnp.float32)).dtype == jnp.float32


def test_what_can_not_be_is_refused():
    with pytest.raises(ValueError, match="`saturation` must be positive"):
        PolaritonNetwork(2, key=KEY, saturation=0.0)
    with pytest.raises(ValueError, match="must be .* s or less"):
        PolaritonNetwork(2, key=KEY, coupling=9.0, splitting=Splitting(4.0, 4))
    with pytest.raises(ValueError, match=r"axes \(times, 2\)"):
        PolaritonNetwork(2, key=KEY)(jnp.ones((4, 3)))
