"""Objectives against their formulas, and where they must not break: in the dark."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.test_util import check_grads

from pnnjax import objectives

LABELS = jnp.array([2, 0, 1], jnp.int32)
POWER_OBJECTIVES = [objectives.PowerSoftmax(), objectives.PowerLikelihood()]
OBJECTIVES = [
    objectives.cross_entropy,
    objectives.mean_squared_error,
    objectives.accuracy,
    *POWER_OBJECTIVES,
]


def test_cross_entropy_of_equal_outputs_is_the_entropy():
    y = jnp.full((3, 8), 0.7, jnp.float64)
    np.testing.assert_allclose(objectives.cross_entropy(y, LABELS), np.log(8))


def test_cross_entropy_agrees_with_one_hot_targets(getkey):
    y = 5 * jax.random.normal(getkey(), (4, 3, 6))
    labels = jax.random.randint(getkey(), (4, 3), 0, 6)
    expected = optax.softmax_cross_entropy(y, jax.nn.one_hot(labels, 6)).mean()
    value = jax.jit(objectives.cross_entropy)(y, labels)
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    # The gradient is (softmax - one-hot) / examples.
    gradient = jax.jit(jax.grad(objectives.cross_entropy))(y, labels)
    softmax = jax.nn.softmax(y)
    np.testing.assert_allclose(
        gradient, (softmax - jax.nn.one_hot(labels, 6)) / 12, atol=1e-14
    )


def test_cross_entropy_survives_large_outputs():
    y = jnp.array([[1e4, -1e4], [-1e4, 1e4]], jnp.float32)
    labels = jnp.array([0, 0])
    assert objectives.cross_entropy(y, labels) == 1e4
    assert jnp.isfinite(jax.jit(jax.grad(objectives.cross_entropy))(y, labels)).all()


def test_power_shares_are_shares(getkey):
    powers = 1e-9 * jax.random.uniform(getkey(), (5, 4), jnp.float32)
    shares = objectives.power_shares(powers)
    np.testing.assert_allclose(jnp.sum(shares, -1), 1, rtol=1e-6)
    np.testing.assert_allclose(
        shares * jnp.sum(powers, -1, keepdims=True), powers, rtol=1e-5
    )
    np.testing.assert_allclose(objectives.power_shares(jnp.zeros((2, 4))), 0.25)


@pytest.mark.parametrize("objective", POWER_OBJECTIVES)
def test_the_brightness_of_the_laser_does_not_matter(objective, getkey):
    powers = jax.random.uniform(getkey(), (3, 5))
    np.testing.assert_allclose(
        objective(1e-6 * powers, LABELS), objective(powers, LABELS), rtol=1e-9
    )


@pytest.mark.parametrize("objective", POWER_OBJECTIVES)
def test_equal_powers_carry_no_information(objective):
    powers = jnp.full((3, 5), 2e-3, jnp.float64)
    np.testing.assert_allclose(objective(powers, LABELS), np.log(5), rtol=1e-12)


def test_power_softmax_at_its_best():
    powers = 3e-3 * jax.nn.one_hot(LABELS, 10)
    best = np.log(1 + 9 * np.exp(-7))
    value = objectives.PowerSoftmax(scale=7.0)(powers, LABELS)
    np.testing.assert_allclose(value, best, rtol=1e-10)


def test_power_likelihood_counts_photons(getkey):
    powers = jax.random.uniform(getkey(), (3, 4))
    p = powers / jnp.sum(powers, -1, keepdims=True)
    almost = objectives.PowerLikelihood(dark=1e-9)(powers, LABELS)
    expected = -np.mean(np.log(p[jnp.arange(3), LABELS]))
    np.testing.assert_allclose(almost, expected, rtol=1e-7)
    # All light on a wrong detector: only dark counts are on the right one.
    wrong = jax.nn.one_hot((LABELS + 1) % 4, 4, dtype=jnp.float64)
    worst = objectives.PowerLikelihood(dark=0.02)(wrong, LABELS)
    np.testing.assert_allclose(worst, -np.log(0.02 / 4), rtol=1e-12)
    below = objectives.PowerLikelihood(dark=0.02)(
        jnp.where(wrong > 0, wrong, -1e-3), LABELS
    )
    np.testing.assert_allclose(below, worst, rtol=1e-12)


@pytest.mark.parametrize("objective", POWER_OBJECTIVES)
@pytest.mark.parametrize("real", [jnp.float32, jnp.float64])
def test_gradients_in_the_dark_are_finite(objective, real):
    powers = jnp.zeros((3, 4), real).at[1, 3].set(1e-6)
    value, gradient = jax.jit(jax.value_and_grad(objective))(powers, LABELS)
    assert jnp.isfinite(value) and jnp.isfinite(gradient).all()
    np.testing.assert_array_equal(gradient[0], 0)

    def of_field(field):
        return objective(field.real**2 + field.imag**2, LABELS)

    field = jnp.zeros((3, 4), jnp.complex64 if real == jnp.float32 else jnp.complex128)
    assert jnp.isfinite(jax.jit(jax.grad(of_field))(field)).all()


def test_power_objectives_refuse_settings_without_sense():
    with pytest.raises(ValueError, match="`scale` must be positive"):
        objectives.PowerSoftmax(scale=0.0)
    for dark in 0.0, 1.0:
        with pytest.raises(ValueError, match="`dark` must be between"):
            objectives.PowerLikelihood(dark=dark)


def test_mean_squared_error_of_labels_targets_and_fields(getkey):
    y = jax.random.normal(getkey(), (3, 4))
    target = jax.nn.one_hot(LABELS, 4)
    expected = np.mean((np.array(y) - np.array(target)) ** 2)
    for t in LABELS, target, target.astype(jnp.int32):
        value = objectives.mean_squared_error(y, t)
        np.testing.assert_allclose(value, expected, rtol=1e-12)
    field = jax.random.normal(getkey(), (3, 4), jnp.complex128)
    value, gradient = jax.jit(jax.value_and_grad(objectives.mean_squared_error))(
        field, 1j * field
    )
    assert value.dtype == jnp.float64
    np.testing.assert_allclose(value, 2 * np.mean(np.abs(field) ** 2), rtol=1e-12)
    # JAX's convention for |z|^2: twice the conjugate.
    np.testing.assert_allclose(gradient, 2 * ((1 - 1j) * field).conj() / 12)
    with pytest.raises(ValueError, match=r"target is of \(3, 5\)"):
        objectives.mean_squared_error(y, jnp.zeros((3, 5)))


def test_accuracy_counts():
    y = jnp.array([[0.1, 0.2, 0.9], [0.5, 0.1, 0.1], [0.7, 0.6, 0.1]], jnp.float32)
    value = objectives.accuracy(y, LABELS)
    assert value.dtype == jnp.float32
    np.testing.assert_allclose(value, 2 / 3, rtol=1e-6)
    assert objectives.accuracy(y[0], LABELS[0]) == 1


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("real", [jnp.float32, jnp.float64])
def test_every_objective_is_a_real_scalar_of_the_same_precision(
    objective, real, getkey
):
    y = jax.random.uniform(getkey(), (3, 4), real)
    for labels in LABELS, LABELS.astype(jnp.int64), LABELS.astype(jnp.uint8):
        shape = jax.eval_shape(objective, y, labels)
        assert shape.shape == () and shape.dtype == real
    one_by_one = jax.jit(jax.vmap(objective))(y, LABELS)
    np.testing.assert_allclose(
        one_by_one.mean(), jax.jit(objective)(y, LABELS), rtol=1e-6
    )


@pytest.mark.parametrize(
    "objective",
    [objectives.cross_entropy, objectives.mean_squared_error, *POWER_OBJECTIVES],
)
def test_gradients(objective, getkey):
    y = 0.1 + jax.random.uniform(getkey(), (3, 4))
    of_outputs = jax.jit(lambda y: objective(jnp.asarray(y), LABELS))
    check_grads(of_outputs, (y,), order=1)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_labels_that_cannot_be_right_are_refused(objective):
    y = jnp.ones((3, 2))
    with pytest.raises(Exception, match="none of the 2 classes"):
        jax.block_until_ready(jax.jit(objective)(y, LABELS))
    with pytest.raises((ValueError, TypeError)):
        objective(y, LABELS[:2])
    with pytest.raises((ValueError, TypeError)):
        objective(y, jnp.ones(3))


@pytest.mark.parametrize(
    "objective", [objectives.cross_entropy, objectives.accuracy, *POWER_OBJECTIVES]
)
def test_fields_must_be_detected_first(objective):
    with pytest.raises(TypeError, match="Detect them first"):
        objective(jnp.ones((3, 4), jnp.complex64), LABELS)
