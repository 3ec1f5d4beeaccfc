"""Photodetectors: what they collect, and the noise of the light and of the load."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pnnjax.optics import BalancedDetector, Detector, detector_grid, power_in


def fields(key, shape, dtype=jnp.complex128):
    return jax.random.normal(key, shape, dtype)


@pytest.mark.parametrize("dtype", [jnp.complex64, jnp.complex128])
def test_power_in_regions(dtype, getkey):
    field = fields(getkey(), (2, 3, 20, 30), dtype)
    regions = ((0, 20, 0, 30), (3, 7, 10, 11), (3, 20, 10, 30))
    collect = jax.jit(lambda field: power_in(field, regions))
    powers = collect(field)
    expected = [
        np.sum(abs(np.asarray(field)[..., a:b, c:d]) ** 2, axis=(-1, -2))
        for a, b, c, d in regions
    ]
    assert powers.dtype == field.real.dtype
    assert np.allclose(powers, np.stack(expected, -1), rtol=1e-5)
    assert np.allclose(jax.vmap(collect)(field), powers)
    with pytest.raises(ValueError, match="leaves the plane"):
        power_in(field, ((0, 21, 0, 30),))


def test_gradient_is_the_field_in_the_region(getkey):
    field = fields(getkey(), (8, 9))
    bar = jax.grad(lambda f: power_in(f, ((2, 5, 3, 9),))[0])(field)
    inside = np.zeros((8, 9))
    inside[2:5, 3:9] = 1
    assert np.allclose(bar, 2 * np.conj(field) * inside)


def test_ten_squares_in_rows_of_three_four_and_three():
    regions = detector_grid((200, 200), 10, size=20, spacing=40)
    tops = [y for y, *_ in regions]
    assert [tops.count(y) for y in sorted(set(tops))] == [3, 4, 3]
    pixels = np.zeros((200, 200), int)
    for y, y_end, x, x_end in regions:
        assert (y_end - y, x_end - x) == (20, 20)
        pixels[y:y_end, x:x_end] += 1
    assert pixels.max() == 1 and pixels.sum() == 10 * 400
    for axis in (0, 1):
        assert np.array_equal(pixels, np.flip(pixels, axis))
    for n in (1, 2, 3, 5, 16, 29):
        assert len(detector_grid((200, 200), n, 10, 20)) == n
    with pytest.raises(ValueError, match="overlap"):
        detector_grid((200, 200), 10, size=20, spacing=19)
    with pytest.raises(ValueError, match="leaves the plane"):
        detector_grid((200, 200), 10, size=20, spacing=70)


def test_noise_is_shot_and_thermal(getkey):
    samples, powers = 20_000, np.array([0.0, 1e-6, 1e-3])
    amplitude = jnp.sqrt(jnp.asarray(powers))
    field = jnp.broadcast_to(amplitude.astype(complex), (samples, 1, 3))
    regions = tuple((0, 1, i, i + 1) for i in range(3))
    detector = Detector(
        regions, responsivity=0.8, bandwidth=1e9, temperature=290.0, load=50.0
    )
    current = detector(field)
    assert np.allclose(current, 0.8 * powers, rtol=1e-12)
    noise = np.asarray(detector(field, key=getkey()) - current)
    thermal = 4 * 1.380649e-23 * 290 * 1e9 / 50
    variance = 2 * 1.602176634e-19 * 0.8 * powers * 1e9 + thermal
    assert np.all(abs(noise.mean(0)) < 4 * np.sqrt(variance / samples))
    # The variance of a Gaussian sample's variance is 2 sigma^4 / (n - 1).
    error = np.sqrt(2 / (samples - 1))
    assert np.all(abs(noise.var(0, ddof=1) / variance - 1) < 4 * error)
    assert np.corrcoef(noise.T)[0, 1] < 4 / np.sqrt(samples)


def test_noise_of_a_pair_adds_up(getkey):
    samples = 20_000
    field = jnp.full((samples, 1, 2), 1e-2 + 0j)
    left, right = (Detector(((0, 1, i, i + 1),), bandwidth=1e6) for i in range(2))
    noise = BalancedDetector(left, right)(field, key=getkey())
    single = left(field, key=getkey()) - left(field)
    ratio = float(jnp.var(noise) / jnp.var(single))
    assert ratio == pytest.approx(2, rel=4 * np.sqrt(4 / samples))


def test_balanced_pairs(getkey):
    field = fields(getkey(), (5, 12, 12))
    regions = detector_grid((12, 12), 6, size=2, spacing=4)
    positive, negative = Detector(regions[::2]), Detector(regions[1::2])
    plus, minus = positive(field), negative(field)
    assert np.allclose(BalancedDetector(positive, negative)(field), plus - minus)
    normalized = BalancedDetector(positive, negative, normalized=True)(field)
    assert np.allclose(normalized, (plus - minus) / (plus + minus))
    with pytest.raises(ValueError, match="no pairs"):
        BalancedDetector(positive, Detector(regions))
