"""Cosines and sines by arithmetic, beside those of NumPy in double precision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from pnnjax._fast_angles import angle_of, cos_sin

pair = jax.jit(cos_sin)


@pytest.mark.parametrize("most", [0.8, 30.0, 1.2e4])
def test_single_precision_is_right_to_rounding(most):
    random = np.random.default_rng(0).uniform(-most, most, 65_536)
    angle = random.astype(np.float32)
    cosine, sine = map(np.asarray, pair(jnp.asarray(angle)))
    exact = angle.astype(float)
    assert cosine.dtype == sine.dtype == np.float32
    assert np.abs(cosine - np.cos(exact)).max() < 1.3e-7
    assert np.abs(sine - np.sin(exact)).max() < 1.3e-7


def test_quarter_turns_keep_their_digits():
    # Near a zero, the error stays relative to what is left.
    angle = (np.arange(-7999, 8001) * (np.pi / 2)).astype(np.float32)
    cosine, sine = map(np.asarray, pair(jnp.asarray(angle)))
    exact = angle.astype(float)
    least = np.where(np.arange(-7999, 8001) % 2, cosine, sine)
    right = np.where(np.arange(-7999, 8001) % 2, np.cos(exact), np.sin(exact))
    assert np.abs(least - right).max() < 1e-9


def test_large_angles_are_rounded_once_more():
    angle = np.linspace(-1e6, 1e6, 65_536).astype(np.float32)
    cosine, sine = map(np.asarray, pair(jnp.asarray(angle)))
    exact, rounding = angle.astype(float), np.spacing(np.float32(1e6))
    assert np.abs(cosine - np.cos(exact)).max() < rounding
    assert np.abs(sine - np.sin(exact)).max() < rounding


def test_what_is_no_angle():
    angle = jnp.asarray([0, -1e-30, 1e-30, np.inf, np.nan], jnp.float32)
    found = np.asarray(pair(angle))
    np.testing.assert_array_equal(found[0, :3], 1)
    np.testing.assert_array_equal(found[1, :3], np.float32([0, -1e-30, 1e-30]))
    assert np.isnan(found[:, 3:]).all()


def test_other_types_are_those_of_jax():
    for angle in (jnp.asarray(0.7), jnp.asarray(0.7 + 0.2j)):
        cosine, sine = cos_sin(angle)
        assert cosine.dtype == angle.dtype
        assert cosine == jnp.cos(angle) and sine == jnp.sin(angle)


def test_derivatives():
    angle = jnp.asarray([0.3, -2.0, 9.0], jnp.float32)
    check_grads(jax.vmap(cos_sin), (angle,), 2, atol=2e-2, rtol=2e-2, eps=1e-2)
    turned = jax.vmap(jax.grad(lambda a: cos_sin(a)[0]))(angle)
    np.testing.assert_allclose(turned, -np.sin(angle), atol=3e-7)


def test_angles_of_all_sizes_are_right_to_rounding():
    random = np.random.default_rng(1)
    size = 10.0 ** random.uniform(-15, 15, 65_536)
    across, up = (size * random.normal(size=(2, len(size)))).astype(np.float32)
    found = np.asarray(jax.jit(angle_of)(jnp.asarray(across), jnp.asarray(up)))
    exact = np.arctan2(up.astype(float), across.astype(float))
    assert found.dtype == np.float32
    assert np.abs(found - exact).max() < 3e-7
    # Near zero, the error stays relative to what is left.
    np.testing.assert_allclose(found, exact, rtol=2e-7)


def test_angles_of_the_axes():
    across, up = jnp.asarray([[0, 1, 0, -1, 0], [0, 0, 2, 0, -3]], jnp.float32)
    right = np.float32([0, 0, np.pi / 2, np.pi, -np.pi / 2])
    np.testing.assert_array_equal(angle_of(across, up), right)
    wide = across.astype(jnp.float64), up.astype(jnp.float64)
    assert angle_of(*wide).dtype == jnp.float64


def test_derivatives_of_an_angle():
    both = jnp.asarray([[0.3, -2.0], [-1.1, 0.4]], jnp.float32)
    check_grads(jax.vmap(angle_of), tuple(both), 2, atol=2e-2, rtol=2e-2, eps=1e-2)
