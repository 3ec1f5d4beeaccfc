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
    layer = Crossbar(4, 3, key=getkey(), encoding=Referenced(), counting=True)
    x = jax.random.normal(getkey(), (2, 5, 4))
    y_bar = jax.random.normal(getkey(), (2, 5, 3))
    bar, x_bar = TransposedRead().backward(layer, x, None, y_bar, key=None)
    net = jnp.einsum("bto,bti->oi", y_bar, x)
    all_of_it = jnp.einsum("bto,bti->oi", jnp.abs(y_bar), jnp.abs(x))
    factor = 2 * layer.weight_range
    np.testing.assert_allclose(bar.conductance[0], factor * net)
    np.testing.assert_allclose(bar.traffic[0], factor * all_of_it)
    np.testing.assert_allclose(x_bar, y_bar @ layer.weight)
    # The two together are what pulses up and down must do.
    assert (bar.traffic >= jnp.abs(bar.conductance)).all()


def test_traffic_reaches_the_optimizer_of_a_whole_batch(getkey):
    bar = Crossbar(4, 3, key=getkey(), counting=True, use_bias=True)
    model = pnn.Physical(bar, TransposedRead())
    x = jax.random.normal(getkey(), (6, 4))
    loss = lambda model: jnp.sum(jax.vmap(model)(x) ** 2)  # noqa: E731
    found = eqx.filter_grad(loss)(model).layer
    exact = eqx.filter_grad(loss)(bar)
    np.testing.assert_allclose(found.conductance, exact.conductance)
    np.testing.assert_allclose(found.bias, exact.bias)
    assert (found.traffic > 0).all() and not exact.traffic.any()


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
