"""Backpropagation by a read from the other side."""

import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pnnjax as pnn
from pnnjax.circuits import Crossbar, LineResistance, Referenced
from pnnjax.estimators import TransposedRead


def test_counts_what_meets_at_each_cell(getkey):
    rng, rule = np.random.default_rng(0), TransposedRead()
    x, y_bar = rng.normal(size=(2, 5, 4)), rng.normal(size=(2, 5, 3))

    @eqx.filter_jit
    def back(key, x, y_bar):
        layer = Crossbar(4, 3, key=key, encoding=Referenced(), counting=True)
        return layer, layer.weight, *rule.backward(layer, x, None, y_bar, key=None)

    layer, weight, bar, x_bar = back(getkey(), jnp.asarray(x), jnp.asarray(y_bar))
    net = np.einsum("bto,bti->oi", y_bar, x)
    all_of_it = np.einsum("bto,bti->oi", np.abs(y_bar), np.abs(x))
    factor = 2 * layer.weight_range
    np.testing.assert_allclose(bar.conductance[0], factor * net)
    np.testing.assert_allclose(bar.traffic[0], factor * all_of_it)
    np.testing.assert_allclose(x_bar, y_bar @ np.asarray(weight))


def test_traffic_reaches_the_optimizer_of_a_whole_batch(getkey):
    bar = Crossbar(4, 3, key=getkey(), counting=True, use_bias=True)
    model = pnn.Physical(bar, TransposedRead())
    x = jax.random.normal(getkey(), (6, 4))
    loss = lambda model: jnp.sum(jax.vmap(model)(x) ** 2)  # noqa: E731
    slopes = eqx.filter_jit(lambda pair: [eqx.filter_grad(loss)(one) for one in pair])
    physical, exact = slopes((model, bar))
    found = physical.layer
    np.testing.assert_allclose(found.conductance, exact.conductance)
    np.testing.assert_allclose(found.bias, exact.bias)
    # The two together are what pulses up and down must do.
    assert (np.asarray(found.traffic) >= np.abs(found.conductance)).all()
    assert not np.asarray(exact.traffic).any()


@pytest.mark.slow
def test_lines_bias_it_the_more_they_resist(getkey):
    key, x = getkey(), jax.random.normal(getkey(), (8, 6))
    errors = []
    for ohm in (0.0, 100.0, 1000.0):
        layer = Crossbar(6, 5, key=key, wires=LineResistance(ohm, ohm))
        with pytest.warns(pnn.GradientBiasWarning, match="lines or converters"):
            pnn.Physical(layer, TransposedRead())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", pnn.GradientBiasWarning)
            report = pnn.hold_to_claim(layer, TransposedRead(), x, key=key)
        errors.append(report.measured)
    assert errors[0] < 1e-12 < errors[1] < errors[2] < 0.5


def test_cost_is_one_read_of_each_side(getkey):
    layer = Crossbar(4, 3, key=getkey())
    cost = TransposedRead().cost(layer, jnp.zeros(4))
    assert (cost.runs, cost.measurements) == (2, 7)
