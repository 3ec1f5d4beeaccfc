"""Random media, against the statistics of speckle and of random matrices."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.stats

import pnnjax as pnn
from pnnjax.optics import (
    ScatteringMedium,
    StreamedScatteringMedium,
    diffusive_medium,
    gaussian_medium,
    reflecting_medium,
    speckle_contrast,
)


@pytest.fixture(scope="module")
def gaussian():
    """600 outputs, 200 inputs, 40 % of the light."""
    return np.asarray(gaussian_medium(600, 200, 0.4, key=jax.random.key(1)))


def test_speckle_is_exponential_with_contrast_one_and_uncorrelated(gaussian):
    fields = gaussian / np.sqrt(0.4 / 600)
    intensity = np.abs(fields) ** 2
    n = intensity.size
    assert abs(intensity.mean() - 1) < 4 / np.sqrt(n)
    # The contrast of n exponential numbers has a standard deviation of 1 / sqrt(n).
    contrast = float(speckle_contrast(jnp.asarray(intensity)))
    assert abs(contrast - 1) < 4 / np.sqrt(n)
    assert scipy.stats.kstest(intensity.ravel(), "expon").pvalue > 1e-3
    assert scipy.stats.kstest(np.abs(fields).ravel(), "rayleigh", (0, 0.5**0.5))[1]
    phase = np.angle(fields).ravel() / (2 * np.pi) + 0.5
    assert scipy.stats.kstest(phase, "uniform").pvalue > 1e-3
    mixed = fields.conj().T @ fields / 600 - np.eye(200)
    off = mixed[~np.eye(200, dtype=bool)]
    assert abs(np.mean(np.abs(off) ** 2) * 600 - 1) < 0.03  # as independent ones


def test_squared_singular_values_follow_marchenko_and_pastur(gaussian):
    r"""$p(s) = \sqrt{(s_+ - s)(s - s_-)} / 2\pi c s$, $s_\pm = (1 \pm \sqrt c)^2$."""
    values = np.linalg.svd(gaussian, compute_uv=False) ** 2 / 0.4
    ratio = 200 / 600
    low, high = (1 - ratio**0.5) ** 2, (1 + ratio**0.5) ** 2

    def density(s):
        return np.sqrt((high - s) * (s - low)) / (2 * np.pi * ratio * s)

    points = np.linspace(low, high, 9)[1:-1]
    share = [scipy.integrate.quad(density, low, p)[0] for p in points]
    found = [np.mean(values < p) for p in points]
    np.testing.assert_allclose(found, share, atol=0.01)
    assert low * 0.95 < values.min() and values.max() < high * 1.05


def test_transmitted_power_is_the_transmittance_on_average(gaussian):
    layer = ScatteringMedium(jnp.asarray(gaussian))
    x = np.random.default_rng(0).normal(size=(50, 200))
    y = np.asarray(eqx.filter_jit(layer)(jnp.asarray(x)))
    np.testing.assert_allclose(y, x @ gaussian.T, rtol=1e-12)
    ratio = np.sum(np.abs(y) ** 2, -1) / np.sum(x**2, -1)
    assert abs(ratio.mean() / 0.4 - 1) < 4 / np.sqrt(50 * 600)


@pytest.mark.parametrize("transmittance", [0.05, 0.3])
def test_diffusive_media_have_open_and_closed_channels(transmittance):
    r"""Mean $T$; mean square $2T/3$ in the bimodal density: shot noise a third."""
    matrix = diffusive_medium(200, transmittance, key=jax.random.key(2))
    values = np.linalg.svd(np.asarray(matrix), compute_uv=False) ** 2
    assert values.max() <= 1 + 1e-12
    np.testing.assert_allclose(values.mean(), transmittance, rtol=2e-3)
    if transmittance < 0.1:
        np.testing.assert_allclose((values**2).mean(), 2 * transmittance / 3, rtol=2e-3)
        assert values[0] > 0.99 and values[len(values) // 2] < 1e-7
    power = np.abs(np.asarray(matrix)) ** 2
    assert abs(power.std() / power.mean() - 1) < 0.05


def test_reflecting_media_are_symmetric_and_send_twice_as_much_straight_back():
    r"""$\langle|r_{aa}|^2\rangle = 2R/(N + 1)$, elsewhere half of it."""
    matrix = np.asarray(reflecting_medium(300, 0.8, key=jax.random.key(3)))
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-14)
    np.testing.assert_allclose(matrix @ matrix.conj().T, 0.8 * np.eye(300), atol=1e-13)
    power = np.abs(matrix) ** 2 * 301 / 0.8
    assert abs(np.diag(power).mean() - 2) < 4 * 2 / np.sqrt(300)
    assert abs(power[np.triu_indices(300, 1)].mean() - 1) < 0.01


def test_streamed_media_are_the_same_each_time_forwards_and_backwards():
    layer = StreamedScatteringMedium(24, 0.5, key=jax.random.key(4), block=8)
    x = np.random.default_rng(1).normal(size=(2, 7, 5))
    x[0, :5] = np.eye(5)

    @jax.jit
    @partial(jax.grad, has_aux=True)
    def slope_and_fields(x):
        y = layer(x)
        return jnp.sum(y.real**2 + y.imag**2), y

    slope, y = map(np.asarray, slope_and_fields(jnp.asarray(x)))
    matrix = y[0, :5].T
    np.testing.assert_allclose(y, x @ matrix.T, rtol=1e-12)
    np.testing.assert_allclose(slope, 2 * np.real(y @ matrix.conj()), rtol=1e-12)
    assert abs(np.mean(np.abs(matrix) ** 2) * 24 / 0.5 - 1) < 4 / np.sqrt(120)


def test_nothing_is_trained_and_precision_is_kept():
    layer = ScatteringMedium(jnp.ones((3, 2), complex))
    assert not any(jax.tree.leaves(pnn.is_trainable(layer)))
    assert layer(jnp.ones((4, 2), jnp.float32)).dtype == jnp.complex64


def test_refuses_what_is_no_passive_medium():
    key = jax.random.key(0)
    for transmittance in (0.0, 1.5):
        with pytest.raises(ValueError, match="at most 1"):
            gaussian_medium(3, 3, transmittance, key=key)
    with pytest.raises(ValueError, match="8 does"):
        StreamedScatteringMedium(24, key=key, block=7)


def test_picture_of_speckle(tmp_path):
    field = np.asarray(gaussian_medium(64, 48, 1.0, key=jax.random.key(5)))
    fig = pnn.plots.speckle(field)
    fig.savefig(tmp_path / "speckle.png")
    counted, theory = fig.axes[1].lines
    x, y = counted.get_data()
    np.testing.assert_allclose(y[:4], np.exp(-x[:4]), rtol=0.3)
    np.testing.assert_allclose(theory.get_ydata(), np.exp(-theory.get_xdata()))
