"""Modulated resonators, against closed forms and against integration in time."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.special import jv

from pnnjax.waves import TimeFloquet, floquet_scattering

HARMONICS = 8
ORDERS = np.arange(-HARMONICS, HARMONICS + 1)


@eqx.filter_jit
def scattered(*arguments):
    return floquet_scattering(*arguments)


def chain(depth, absorption=0.0, frequency=0.9, probe=1.0, seed=3):
    """Three resonators with two tones each, in units of their emission rate."""
    rng = np.random.default_rng(seed)
    modulation = rng.normal(size=(3, 2)) + 1j * rng.normal(size=(3, 2))
    incident = probe * (ORDERS == 0).astype(complex)
    return [
        jnp.asarray(value)
        for value in (
            incident,
            rng.normal(size=3),
            depth * modulation,
            rng.uniform(0.5, 1.5, 3),
            absorption * rng.uniform(0.5, 1.5, 3),
            np.asarray([0.0, 1.3, 2.1]),
            7.0 + 0.1 * ORDERS,
            frequency,
        )
    ]


def single(depth, detuning=0.4, emission=1.0, absorption=0.2, frequency=0.9):
    """One resonator, modulated by a cosine."""
    incident = jnp.asarray((ORDERS == 0).astype(complex))
    numbers = [[detuning], [[depth + 0j]], [emission], [absorption], [0.0]]
    arrays = [jnp.asarray(n) for n in numbers]
    return [incident, *arrays, jnp.asarray(7.0 + 0.1 * ORDERS), jnp.asarray(frequency)]


def power(field):
    return np.sum(np.abs(np.asarray(field)) ** 2, -1)


def test_without_modulation_one_harmonic_scatters_as_a_static_resonator():
    reflected, transmitted, stored = scattered(*single(0.0))
    static = 0.5 / (0.5 + 0.1 + 0.4j)
    np.testing.assert_allclose(reflected, -static * (ORDERS == 0), atol=1e-14)
    np.testing.assert_allclose(transmitted, (1 - static) * (ORDERS == 0), atol=1e-14)


def test_without_modulation_chain_is_a_product_of_transfer_matrices():
    """Fields to the right of a resonator from those to the left, one by one."""
    arguments = chain(0.0)
    reflected, transmitted, _ = scattered(*arguments)
    _, detuning, _, emission, _, position, wavenumber, _ = map(np.asarray, arguments)
    total, k = np.eye(2), wavenumber[HARMONICS]
    for delta, gamma, z in zip(detuning, emission, position):
        r = -(gamma / 2) / (gamma / 2 + 1j * delta)
        t = 1 + r
        local = np.asarray([[t * t - r * r, r], [-r, 1]]) / t
        shift = np.diag(np.exp([1j * k * z, -1j * k * z]))
        total = shift.conj() @ local @ shift @ total
    back = -total[1, 0] / total[1, 1]
    on = total[0, 0] + total[0, 1] * back
    np.testing.assert_allclose(reflected[HARMONICS], back, rtol=1e-12)
    np.testing.assert_allclose(transmitted[HARMONICS], on, rtol=1e-12)
    assert power(np.delete(np.asarray(transmitted), HARMONICS)) < 1e-28


def test_modulated_resonator_is_the_sum_over_bessel_functions():
    """Exact: the modulation is a phase, whose sidebands the resonator answers to."""
    depth, frequency = 1.3, 0.9
    stored = np.asarray(scattered(*single(depth, frequency=frequency))[2])[0]
    n = np.arange(-40, 41)
    index = depth / frequency
    response = 1j * np.sqrt(0.5) / (0.5 + 0.1 + 1j * (0.4 + n * frequency))
    exact = [np.sum(jv(n, index) * jv(n + m, index) * response) for m in ORDERS]
    inner = np.abs(ORDERS) <= 3
    np.testing.assert_allclose(stored[inner], np.asarray(exact)[inner], atol=1e-8)


def test_modulated_resonator_follows_its_equation_of_motion():
    depth, frequency = 1.3, 0.9
    stored = np.asarray(scattered(*single(depth, frequency=frequency))[2])[0]

    def motion(t, a):
        resonance = 0.4 + depth * np.cos(frequency * t)
        return (-1j * resonance - 0.6) * a + 1j * np.sqrt(0.5)

    begun, period = 40.0, 2 * np.pi / frequency
    times = begun + period * np.arange(64) / 64
    run = solve_ivp(motion, (0, times[-1]), [0j], t_eval=times, rtol=1e-10, atol=1e-12)
    series = stored @ np.exp(-1j * frequency * ORDERS[:, None] * times)
    # What the ninth harmonic would add: the modulation index is 1.4.
    np.testing.assert_allclose(series, run.y[0], atol=1e-6)


def test_weak_modulation_makes_sidebands_in_proportion():
    """First order: half the depth times the response there and at the probe."""
    depth = 1e-4
    stored = np.asarray(scattered(*single(depth))[2])[0]
    for m in (-1, 1):
        response = 1 / (0.6 + 1j * (0.4 - 0.9 * m))
        first = -0.5j * depth * response * stored[HARMONICS]
        np.testing.assert_allclose(stored[HARMONICS + m], first, rtol=1e-6)


@pytest.mark.parametrize("depth", [0.3, 2.0])
def test_harmonics_share_the_incident_power(depth):
    reflected, transmitted, _ = scattered(*chain(depth))
    assert power(reflected) + power(transmitted) == pytest.approx(1, abs=1e-12)
    aside = power(np.delete(np.asarray(transmitted), HARMONICS))
    assert aside > 0.01


def test_absorbed_power_is_what_the_stored_energy_loses():
    arguments = chain(0.7, absorption=0.4)
    reflected, transmitted, stored = scattered(*arguments)
    lost = np.sum(np.asarray(arguments[4]) * power(stored))
    balance = power(reflected) + power(transmitted) + lost
    assert balance == pytest.approx(1, abs=1e-12)


def test_linear_in_the_probe_and_not_in_the_modulation():
    base, strong, deep = (
        np.asarray(scattered(*chain(depth, probe=probe))[1])
        for depth, probe in ((0.6, 1.0), (0.6, 2.5), (1.2, 1.0))
    )
    np.testing.assert_allclose(strong, 2.5 * base, rtol=1e-12)
    sideband = HARMONICS + 1
    assert abs(deep[sideband] / base[sideband]) < 1.6


def test_truncation_converges():
    """Each further harmonic is a higher Bessel function of the modulation index."""
    whole = np.asarray(scattered(*chain(0.5))[1])[HARMONICS - 2 : HARMONICS + 3]
    errors = []
    for kept in (3, 5):
        arguments = chain(0.5)
        inner = slice(HARMONICS - kept, HARMONICS + kept + 1)
        arguments[0], arguments[6] = arguments[0][inner], arguments[6][inner]
        part = np.asarray(scattered(*arguments)[1])[kept - 2 : kept + 3]
        errors.append(np.abs(part - whole).max())
    assert errors[0] < 0.05 and errors[1] < errors[0] / 5


@eqx.filter_jit
def response(layer, x):
    return layer(x)


def test_layer_is_the_function_of_its_features():
    """Feature (j, l) drives resonator j at tone l, on top of its offset."""
    layer = TimeFloquet(3, key=jax.random.key(1), tones=2, harmonics=HARMONICS)
    offset = 0.3 * layer.depth * jax.random.normal(jax.random.key(2), (2, 3, 2))
    layer = eqx.tree_at(lambda f: f.offset, layer, offset)
    x = jnp.linspace(-0.5, 0.6, 6)
    modulation = jax.lax.complex(layer.depth * x.reshape(3, 2) + offset[0], offset[1])
    reflected, transmitted, _ = scattered(
        jnp.asarray((ORDERS == 0).astype(complex)),
        layer.detuning,
        modulation,
        layer.emission.value,
        jnp.zeros(3),
        layer.position.value,
        layer.wavenumber
        + jnp.asarray(ORDERS.astype(float)) * (layer.frequency / layer.speed),
        jnp.asarray(layer.frequency),
    )
    y = response(layer, x)
    np.testing.assert_allclose(y, np.r_[reflected, transmitted], rtol=1e-9, atol=1e-12)
    assert power(y) == pytest.approx(1, abs=1e-12)
    small = jax.tree.map(
        lambda leaf: leaf.astype(jnp.float32) if eqx.is_inexact_array(leaf) else leaf,
        layer,
    )
    single_precision = response(small, x.astype(jnp.float32))
    assert single_precision.dtype == jnp.complex64
    np.testing.assert_allclose(single_precision, y, atol=1e-3)
    with pytest.raises(Exception, match="`harmonics=16`"):
        response(layer, 20 * x)


def test_bad_settings_are_refused():
    key = jax.random.key(0)
    for settings, match in [
        ({"tones": 3, "harmonics": 2}, "3 tones"),
        ({"frequency": 0.0}, "frequency"),
        ({"absorption": -1.0}, "absorption"),
        ({"tones": 0}, "tones"),
    ]:
        with pytest.raises(ValueError, match=match):
            TimeFloquet(2, key=key, **settings)
    with pytest.raises(ValueError, match="take 4 features"):
        TimeFloquet(2, key=key, tones=2)(jnp.ones(3))
    wrong = single(0.1)
    wrong[0], wrong[6] = wrong[0][1:], wrong[6][1:]
    with pytest.raises(ValueError, match="odd number"):
        floquet_scattering(*wrong)
