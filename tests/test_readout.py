"""The readout: ridge regression at once and example by example, and logistic."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge, RidgeCV

import pnnjax as pnn


def correlated(rows, features, outputs=2, spread=2.0, seed=0):
    """Singular values over `2 * spread` decades, an offset, and some noise."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, features)) * np.logspace(-spread, spread, features)
    x = x @ np.linalg.qr(rng.normal(size=(features, features)))[0] + 3.0
    y = np.tanh(x @ rng.normal(size=(features, outputs))) + rng.normal(
        size=(rows, outputs)
    )
    return x, y


def assert_same(readout, reference, rtol=1e-8):
    np.testing.assert_allclose(readout.weight, reference.coef_, rtol=rtol, atol=1e-10)
    np.testing.assert_allclose(readout.bias, reference.intercept_, rtol=rtol)


@pytest.mark.parametrize("shape", [(60, 10), (10, 60)], ids=["tall", "wide"])
def test_ridge_is_that_of_scikit_learn(shape):
    x, y = correlated(*shape)
    reference = Ridge(0.3, solver="svd").fit(x, y)
    assert_same(pnn.Readout.ridge(x, y, 0.3), reference)
    batched = pnn.Readout.ridge(
        x.reshape(2, 5, -1, shape[1]), y.reshape(2, 5, -1, 2), 0.3
    )
    assert_same(batched, reference)
    np.testing.assert_allclose(batched(jnp.asarray(x)), reference.predict(x), rtol=1e-8)


@pytest.mark.parametrize("shape", [(60, 10), (10, 60)], ids=["tall", "wide"])
def test_strength_is_the_one_that_leaving_one_out_chooses(shape):
    x, y = correlated(*shape)
    strengths = [1e-3, 1e-1, 1.0, 10.0, 100.0, 1e4]
    reference = RidgeCV(strengths).fit(x, y)
    assert reference.alpha_ not in (strengths[0], strengths[-1])
    assert_same(pnn.Readout.ridge(x, y, strengths), reference)


def test_recursion_over_all_examples_is_the_ridge_regression():
    x, y = correlated(40, 8)
    first = pnn.Readout.recursive(x[:3], y[:3], 0.3)

    @jax.jit
    def one_by_one(state, x, y):
        return jax.lax.scan(lambda s, row: (s.update(*row), None), state, (x, y))[0]

    last = one_by_one(first, jnp.asarray(x[3:23]), jnp.asarray(y[3:23]))
    readout = last.update(x[23:], y[23:]).readout
    whole = pnn.Readout.ridge(x, y, 0.3)
    np.testing.assert_allclose(readout.weight, whole.weight, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(readout.bias, whole.bias, rtol=1e-8)


@pytest.mark.slow
def test_forgetting_weighs_the_examples_by_their_age():
    x, y = correlated(40, 8)
    memory = pnn.Readout.recursive(x[:25], y[:25], 0.3, forgetting=0.9)
    weights = 0.9 ** np.arange(39, -1, -1)
    reference = Ridge(0.3 * 0.9**40, solver="cholesky").fit(x, y, weights)
    assert_same(memory.update(x[25:], y[25:]).readout, reference, rtol=1e-7)


@pytest.mark.slow
def test_logistic_regression_is_that_of_scikit_learn():
    x, _ = correlated(60, 5, spread=0.5)
    labels = np.digitize(x[:, 0], np.quantile(x[:, 0], [0.3, 0.7]))
    readout = pnn.Readout.logistic(x, np.eye(3)[labels], 0.5, tolerance=1e-10)
    reference = LogisticRegression(C=2.0, tol=1e-10, max_iter=1000).fit(x, labels)
    np.testing.assert_allclose(readout.weight, reference.coef_, atol=1e-5)
    logits = readout(jnp.asarray(x))
    np.testing.assert_allclose(
        jax.nn.softmax(logits), reference.predict_proba(x), atol=1e-6
    )


@pytest.mark.slow
def test_several_systems_at_once_and_each_alone():
    x, y = correlated(60, 10)
    x, y = jnp.asarray(x.reshape(3, 20, 10)), jnp.asarray(y.reshape(3, 20, 2))
    readouts = jax.jit(jax.vmap(lambda x, y: pnn.Readout.ridge(x, y, 0.3)))(x, y)
    for number in range(3):
        alone = pnn.Readout.ridge(x[number], y[number], 0.3)
        np.testing.assert_allclose(readouts.weight[number], alone.weight, rtol=1e-9)


def test_float32_keeps_a_penalty_far_below_its_digits():
    """1e-8 is lost in the rounding of XᵀX, whose trace is 1e5; not in that of X."""
    rng = np.random.default_rng(0)
    x = np.tanh(rng.normal(size=(500, 200)) @ rng.normal(size=(200, 200)))
    x[:, 100:] = x[:, :100] + 1e-3 * x[:, 100:]
    y = x @ rng.normal(size=(200, 1)) + 0.01 * rng.normal(size=(500, 1))
    readout = pnn.Readout.ridge(x.astype(np.float32), y.astype(np.float32))
    exact = pnn.Readout.ridge(x, y)
    assert readout.weight.dtype == jnp.float32
    residual = np.asarray(readout(jnp.asarray(x, jnp.float32))) - y
    best = np.asarray(exact(jnp.asarray(x))) - y
    assert np.std(residual) < 1.001 * np.std(best)


def test_bad_settings_are_refused():
    x, y = correlated(6, 2)
    with pytest.raises(ValueError, match="positive and finite"):
        pnn.Readout.ridge(x, y, 0.0)
    with pytest.raises(ValueError, match="positive and finite"):
        pnn.Readout.ridge(x, y, [])
    # The annotations speak first where they are checked.
    with pytest.raises((ValueError, TypeError), match="targets"):
        pnn.Readout.ridge(x, y[1:])
    with pytest.raises(ValueError, match="0.999"):
        pnn.Readout.recursive(x, y, forgetting=1.5)
