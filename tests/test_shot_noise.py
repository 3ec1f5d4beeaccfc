"""Shot noise, against the statistics of photons."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pnnjax._layer import AbstractLayer, Facts
from pnnjax.imperfections import ShotNoise, shot_noise

N = 8


class Identity(AbstractLayer):
    facts = Facts(linear=True, lossless=True)

    def __call__(self, x, *, key=None):
        return x


@pytest.mark.parametrize("photons", [0.5, 30.0, 3e3, 1e6])
def test_variance_is_the_mean_number_of_photons(photons, getkey):
    n = 20_000
    power = photons * jnp.ones(n) / 1e9
    counted = eqx.filter_jit(shot_noise)(power, 1e9, getkey()) * 1e9
    assert abs(np.mean(counted) - photons) < 4 * math.sqrt(photons / n)
    # The fourth central moment of a Poisson distribution is N + 3 N^2.
    error = math.sqrt((photons + 2 * photons**2) / n)
    assert abs(np.var(counted) - photons) < 4 * error
    if photons < 1e4:
        np.testing.assert_allclose(counted, np.round(counted), atol=1e-6)


def test_photons_of_a_microwatt():
    """1 uW at 1550 nm for 1 ns: 1e-15 J over 0.79990 eV (1.28158e-19 J)."""
    noise = ShotNoise(1.55e-6, 1e-9, 0.8)
    photons = 1e-6 * noise.photons_per_watt
    np.testing.assert_allclose(photons, 0.8 * 1e-15 / 1.28158e-19, rtol=1e-5)


def test_layer_detects_only_with_a_key(getkey):
    counting = ShotNoise(1.55e-6, 1e-9)(Identity())
    power = 1e-6 * jnp.ones((3, N))
    np.testing.assert_array_equal(counting(power), power)
    detect = eqx.filter_jit(counting)
    noisy = np.asarray(detect(power, key=getkey()))
    assert np.all(noisy != power)
    assert np.all(np.abs(noisy / 1e-6 - 1) < 6 / math.sqrt(7802))
    single = detect(power.astype(jnp.float32), key=getkey())
    assert single.dtype == jnp.float32
    assert np.all(np.abs(np.asarray(single) / 1e-6 - 1) < 6 / math.sqrt(7802))


def test_gradient_is_that_without_noise(getkey):
    counting, key = ShotNoise(1.55e-6, 1e-9)(Identity()), getkey()
    total = jax.jit(jax.grad(lambda p: jnp.sum(counting(p, key=key))))
    gradient = total(1e-6 * jnp.ones(3))
    np.testing.assert_array_equal(gradient, 1)


def test_refuses_fields_and_negative_powers(getkey):
    counting = ShotNoise(1.55e-6, 1e-9)(Identity())
    with pytest.raises(TypeError, match="Intensity"):
        counting(jax.random.normal(getkey(), (N,), jnp.complex128))
    with pytest.raises(Exception, match="powers >= 0"):
        jax.block_until_ready(counting(-jnp.ones(3), key=getkey()))
