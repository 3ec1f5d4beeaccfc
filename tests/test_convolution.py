"""Feature maps coupled by convolution and pooling."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal
from jax.test_util import check_grads

import pnnjax as pnn
from pnnjax.spins import _convolve, _pooling

AveragePool, ConvolutionalCoupling = (
    pnn.spins.AveragePool,
    pnn.spins.ConvolutionalCoupling,
)
MaxPool, SoftmaxPool = pnn.spins.MaxPool, pnn.spins.SoftmaxPool

POOLS = {
    "max": MaxPool(2),
    "max-3": MaxPool(3),
    "average": AveragePool(2),
    "none": AveragePool(1),
    "softmax": SoftmaxPool(2, 3.0),
}
KEY = jax.random.key(0)
BELOW = (7, 6, 2)


def coupling(pool, padding=1):
    random = ConvolutionalCoupling.random(
        BELOW, 4, 3, key=KEY, padding=padding, pool=pool, gain=2.0
    )
    bias = jax.random.normal(KEY, random.bias.shape)
    return ConvolutionalCoupling(random.kernel, bias, BELOW, padding=padding, pool=pool)


def states(layer, *batch, dtype=jnp.float64):
    keys = jax.random.split(KEY, 2)
    return tuple(
        jax.random.normal(key, (*batch, *shape), dtype)
        for key, shape in zip(keys, (layer.below, layer.above), strict=True)
    )


# The convolution


@pytest.mark.parametrize("padding", [0, 1, 2])
def test_convolution_is_the_textbook_sum(padding):
    maps = jax.random.normal(KEY, (2, 5, 6, 3))
    kernel = jax.random.normal(KEY, (3, 4, 3, 2))
    result = _convolve.convolve(maps, kernel, padding)
    framed = np.pad(maps, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    for n, channel in itertools.product(range(2), range(2)):
        expected = sum(
            scipy.signal.correlate(
                framed[n, :, :, k], np.asarray(kernel)[:, :, k, channel], mode="valid"
            )
            for k in range(3)
        )
        np.testing.assert_allclose(result[n, :, :, channel], expected, atol=1e-12)


@pytest.mark.parametrize("padding", [0, 1, 2])
def test_the_transposed_convolution_is_the_adjoint(padding):
    maps = jax.random.normal(KEY, (2, 5, 6, 3))
    kernel = jax.random.normal(KEY, (3, 4, 3, 2))
    above = _convolve.convolve(maps, kernel, padding)
    other = jax.random.normal(jax.random.key(1), above.shape)
    back = _convolve.convolve_transposed(other, kernel, padding)
    assert back.shape == maps.shape
    np.testing.assert_allclose(jnp.vdot(other, above), jnp.vdot(back, maps), rtol=1e-12)


# Pooling


def test_pooling_of_one_window():
    maps = jnp.asarray([[1.0, 4.0], [2.0, 3.0]])[..., None]
    assert MaxPool(2)(maps).item() == 4
    assert AveragePool(2)(maps).item() == 2.5
    weights = np.exp([1, 4, 2, 3]) / np.exp([1, 4, 2, 3]).sum()
    np.testing.assert_allclose(SoftmaxPool(2)(maps), weights @ [1, 4, 2, 3])


def test_softmax_pooling_lies_between_mean_and_maximum():
    maps = jax.random.normal(KEY, (4, 6, 6, 3))
    np.testing.assert_allclose(SoftmaxPool(2, 0.0)(maps), AveragePool(2)(maps))
    np.testing.assert_allclose(SoftmaxPool(2, 1e6)(maps), MaxPool(2)(maps))


@pytest.mark.slow
def test_rows_that_fill_no_window_are_left_out():
    maps = jax.random.normal(KEY, (2, 7, 5, 3))
    for pool in POOLS.values():
        rows, columns = 7 // pool.window * pool.window, 5 // pool.window * pool.window
        pooled = pool(maps)
        assert pooled.shape == (2, 7 // pool.window, 5 // pool.window, 3)
        np.testing.assert_array_equal(pooled, pool(maps[:, :rows, :columns]))
        back = pool.transpose(maps, jnp.ones_like(pooled))
        assert back.shape == maps.shape
        assert not back[:, rows:].any() and not back[:, :, columns:].any()


def test_of_equal_values_the_first_takes_the_force():
    maps = jnp.zeros((2, 2, 1))
    force = MaxPool(2).transpose(maps, jnp.full((1, 1, 1), 3.0))
    np.testing.assert_array_equal(force[..., 0], [[3, 0], [0, 0]])
    slope = jax.grad(lambda m: MaxPool(2)(m).sum())(maps)
    np.testing.assert_array_equal(slope[..., 0], [[1, 0], [0, 0]])


# The coupling


@pytest.mark.parametrize(
    ("name", "padding"), [("max", 0), ("max", 2), *((name, 1) for name in POOLS)]
)
def test_drives_are_the_derivatives_of_the_interaction(name, padding):
    layer = coupling(POOLS[name], padding)
    below, above = states(layer, 3)

    @jax.jit
    def both(layer, below, above):
        slopes = jax.grad(lambda b, a: layer.interaction(b, a).sum(), (0, 1))
        drives = layer.drive_below(below, above), layer.drive_above(below)
        return slopes(below, above), drives

    slopes, drives = both(layer, below, above)
    for slope, drive in zip(slopes, drives, strict=True):
        np.testing.assert_allclose(slope, drive, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", POOLS)
def test_interaction_is_that_of_its_formula(name):
    layer = coupling(POOLS[name])
    below, above = states(layer, 3)
    maps = (
        POOLS[name](_convolve.convolve(below, layer.kernel, 1))
        + layer.bias[(None,) * 3]
    )
    assert maps.shape == (3, *layer.above)
    np.testing.assert_allclose(
        layer.interaction(below, above), jnp.sum(maps * above, (1, 2, 3)), rtol=1e-12
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["max", pytest.param("softmax", marks=pytest.mark.slow)]
)
def test_any_leading_axes(name):
    layer = coupling(POOLS[name])
    below, above = states(layer, 2, 3)
    whole = layer.drive_below(below, above), layer.drive_above(below)
    alone = layer.drive_below(below[1, 2], above[1, 2]), layer.drive_above(below[1, 2])
    mapped = (
        jax.vmap(layer.drive_below)(below, above),
        jax.vmap(layer.drive_above)(below),
    )
    for a, b, c in zip(whole, alone, mapped, strict=True):
        np.testing.assert_allclose(a[1, 2], b, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(a, c, rtol=1e-12, atol=1e-12)
    assert layer.interaction(below, above).shape == (2, 3)
    assert layer.interaction(below[0, 0], above[0, 0]).shape == ()


@pytest.mark.parametrize("name", ["max", "average", "softmax"])
def test_single_precision_stays_single(name):
    layer = jax.tree.map(
        lambda a: a.astype(jnp.float32) if isinstance(a, jax.Array) else a,
        coupling(POOLS[name]),
    )
    below, above = states(layer, 3, dtype=jnp.float32)
    for y in (
        layer.interaction(below, above),
        layer.drive_above(below),
        layer.drive_below(below, above),
    ):
        assert y.dtype == jnp.float32


@pytest.mark.parametrize("name", ["average", "softmax"])
def test_the_drives_are_analytic(name):
    """Cauchy and Riemann: a step along i changes the drive by i times the slope."""
    layer = coupling(POOLS[name])
    below, above = states(layer, 2)
    step = jax.random.normal(jax.random.key(3), below.shape)
    epsilon = 1e-6

    def drives(below):
        return layer.drive_below(below, above.astype(below.dtype)), layer.drive_above(
            below
        )

    _, slopes = jax.jvp(drives, (below,), (step,))
    moved = drives(jax.lax.complex(below, epsilon * step))
    for slope, drive, still in zip(slopes, moved, drives(below), strict=True):
        assert drive.dtype == jnp.complex128
        np.testing.assert_allclose(drive.imag / epsilon, slope, atol=1e-9)
        np.testing.assert_allclose(drive.real, still, atol=1e-9)


def test_the_kernel_gradient_is_that_of_finite_differences():
    layer = coupling(MaxPool(2))
    below, above = states(layer, 2)

    def energy(kernel):
        moved = ConvolutionalCoupling(
            kernel, layer.bias, BELOW, padding=1, pool=MaxPool(2)
        )
        return moved.interaction(below, above).sum()

    check_grads(
        lambda k: energy(jnp.asarray(k)), (layer.kernel,), 1, modes=["rev"], eps=1e-6
    )


def test_bad_shapes_are_refused_by_name():
    kernel, bias = jnp.zeros((3, 3, 2, 4)), jnp.zeros(4)
    with pytest.raises(ValueError, match="2 channels below.*height, width"):
        ConvolutionalCoupling(kernel, bias, (7, 6, 3))
    with pytest.raises(ValueError, match="from 0 to 2.*not 3"):
        ConvolutionalCoupling(kernel, bias, BELOW, padding=3)
    with pytest.raises(ValueError, match="Nothing remains of maps of 3 x 3"):
        ConvolutionalCoupling(kernel, bias, (3, 3, 2))
    with pytest.raises(ValueError, match="at least one row"):
        MaxPool(0)
    layer = coupling(MaxPool(2))
    with pytest.raises(ValueError, match=r"shape \(7, 6, 2\).*\(3, 2, 7, 6\)"):
        layer.drive_above(jnp.zeros((3, 2, 7, 6)))
    with pytest.raises(TypeError, match="`SoftmaxPool` or `AveragePool`"):
        MaxPool(2)(jnp.zeros((2, 2, 1), complex))


def test_pooling_says_whether_it_is_analytic():
    kinds = _pooling.AbstractPooling.__subclasses__()
    assert {kind for kind in kinds if not kind.holomorphic} == {MaxPool}
