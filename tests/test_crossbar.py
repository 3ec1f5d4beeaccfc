"""Crossbars: encodings, converters, tiles, faults, lines, convolution."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax
from test_line_resistance import nodal

import pnnjax as pnn
from pnnjax.circuits import (
    BitSliced,
    Crossbar,
    CrossbarConvolution,
    DifferentialPair,
    LineResistance,
    Referenced,
    is_conductance,
)
from pnnjax.imperfections import ADC, DAC, Mismatch, StuckAt

RNG = np.random.default_rng(7)
W = jnp.asarray(RNG.normal(size=(5, 7)))
X = jnp.asarray(RNG.normal(size=(2, 3, 7)))
WHOLE = jnp.asarray(RNG.integers(-255, 256, (5, 7)), float)
BITS = jnp.asarray(RNG.integers(0, 2, (2, 3, 7)), float)
RANGE = 3.0
ENCODINGS = {
    "pair": DifferentialPair(),
    "balanced": DifferentialPair(balanced=True),
    "referenced": Referenced(),
    "sliced": BitSliced(48, 4),
}


def _cells(layer):
    return layer.conductance


@eqx.filter_jit
def held():
    """In one program: most of the time of these tests is compilation."""

    def one(encoding):
        bias = jnp.arange(5.0)
        layer = Crossbar.from_weights(W, bias, encoding=encoding, weight_range=RANGE)
        slope = jax.grad(lambda g: eqx.tree_at(_cells, layer, g).weight[1, 2])
        cells = layer.conductance
        return cells, layer.weight, layer(X), layer.read_back(X[..., :5]), slope(cells)

    return {name: one(encoding) for name, encoding in ENCODINGS.items()}


@pytest.mark.parametrize("name", ENCODINGS)
def test_weights_are_held_and_read_from_both_sides(name):
    states, weight, y, back, slope = map(np.asarray, held()[name])
    w, x = np.asarray(W), np.asarray(X)
    assert states.min() >= 0 and states.max() <= 1
    np.testing.assert_allclose(weight, w, atol=1e-12)
    np.testing.assert_allclose(y, x @ w.T + np.arange(5), atol=1e-12)
    np.testing.assert_allclose(back, x[..., :5] @ w, atol=1e-12)
    # What an encoding says of its cells is what they do.
    at_cells = RANGE * np.asarray(ENCODINGS[name].coefficients)
    np.testing.assert_allclose(slope[:, 1, 2], at_cells)


@eqx.filter_jit
def converted(w, x, **settings):
    layer = Crossbar.from_weights(w, **settings)
    return layer.conductance, layer.weight, layer(x)


def test_slices_hold_integers_and_are_converted_for_themselves():
    # Two bits a cell: four levels. A sum of them is a whole number of thirds, and so is
    # each level of this converter, which all slices together would overload.
    states, weight, y = converted(
        WHOLE,
        BITS,
        encoding=BitSliced(8, 4),
        weight_range=255.0,
        adc=ADC(6, -31 / 3, 32 / 3),
    )
    np.testing.assert_allclose(3 * states, np.round(3 * states), atol=1e-12)
    np.testing.assert_allclose(weight, WHOLE, atol=1e-12)
    np.testing.assert_allclose(y, np.asarray(BITS) @ np.asarray(WHOLE).T, atol=1e-9)


def test_converters_round_and_saturate():
    @eqx.filter_jit
    def run(x):
        layer = Crossbar.from_weights(
            jnp.asarray([[1.0, 0.5]]),
            weight_range=2.0,
            dac=DAC(2, -1.5, 1.5),
            adc=ADC(3, -0.7, 0.7),
        )
        y, pull = jax.vjp(layer, x)
        return layer, y, *pull(jnp.ones((3, 1)))

    layer, y, slope = run(jnp.asarray([[0.4, -0.7], [9.0, 9.0], [0.9, 0.1]]))
    # To -1.5, -0.5, 0.5 or 1.5; the reading is half the product, in steps of 0.2.
    np.testing.assert_allclose(y[:, 0], [2 * 0.1, 2 * 0.7, 2 * 0.3], atol=1e-12)
    np.testing.assert_allclose(slope, [[1, 0.5], [0, 0], [1, 0.5]], atol=1e-12)
    assert not layer.facts.linear and not layer.facts.accessible


def test_tiles_convert_for_themselves_and_are_added_digitally():
    fine = ADC(40, -9.0, 9.0)
    _, _, y = converted(W, X, weight_range=RANGE, tile=(3, 2), adc=fine)
    np.testing.assert_allclose(y, np.asarray(X) @ np.asarray(W).T, atol=1e-9)
    # Three tiles of which each is at the end of its range.
    high = 0 * W + RANGE
    _, _, y = converted(
        high, 0 * X + 1, weight_range=RANGE, tile=(3, 2), adc=ADC(8, -1.0, 1.0)
    )
    np.testing.assert_allclose(y, 3 * RANGE)


def test_each_tile_of_each_array_is_a_network_of_its_own():
    lines = LineResistance(800.0, 500.0)

    @eqx.filter_jit
    def run(x, y):
        layer = Crossbar.from_weights(
            W, wires=lines, tile=(4, 3), encoding=Referenced(), weight_range=RANGE
        )
        states = layer.conductance[0]
        return states, layer.effective_weight, layer(x), layer.read_back(y)

    states, effective, y, back = map(np.asarray, run(X[0, :2], X[1, :2, :5]))
    half, expected = np.full((5, 7), 0.5), np.zeros((5, 7))

    def transfer(states, outs, ins):
        return nodal(states[outs, ins].T * 25e-6, lines)[0] / 25e-6

    for outs in (slice(0, 3), slice(3, 5)):
        # The tile of three inputs comes first; four fill the next.
        for ins in (slice(0, 3), slice(3, 7)):
            pair = transfer(states, outs, ins) - transfer(half, outs, ins)
            expected[outs, ins] = 2 * RANGE * pair
    x = np.asarray(X)
    np.testing.assert_allclose(effective, expected, rtol=1e-9)
    np.testing.assert_allclose(y, x[0, :2] @ expected.T, rtol=1e-9)
    np.testing.assert_allclose(back, x[1, :2, :5] @ expected, rtol=1e-9)


@pytest.mark.slow
def test_lines_without_resistance_change_nothing():
    for encoding in ENCODINGS.values():
        layer = Crossbar.from_weights(
            W, encoding=encoding, wires=LineResistance(0.0, 0.0), tile=(3, 2)
        )
        np.testing.assert_allclose(layer(X), X @ W.T, atol=1e-12)
        np.testing.assert_allclose(layer.effective_weight, W, atol=1e-12)


@pytest.mark.slow
def test_training_on_resistive_lines_recovers_the_weights():
    lines = LineResistance(1e3, 1e3)
    layer = Crossbar.from_weights(W / 2, weight_range=3.0, wires=lines)

    @eqx.filter_jit
    @eqx.filter_value_and_grad
    def loss(layer):
        return jnp.mean((layer.effective_weight - W / 2) ** 2)

    optimizer = optax.sgd(0.5)
    state, first = optimizer.init(eqx.filter(layer, eqx.is_inexact_array)), None
    for _ in range(300):
        value, bar = loss(layer)
        first = value if first is None else first
        step, state = optimizer.update(bar, state)
        layer = eqx.apply_updates(layer, step).project()
    assert loss(layer)[0] < 1e-4 * first


def test_faults_are_those_of_the_cells():
    @eqx.filter_jit
    def faulty():
        layer = Crossbar.from_weights(W, weight_range=RANGE)
        stuck = StuckAt(0.3, 0.0, where=_cells)(layer, key=jax.random.key(0))
        off = Mismatch(0.1, relative=True)(layer, key=jax.random.key(1))
        (hidden,) = stuck.hidden.value
        return layer.conductance, hidden, stuck(X), off.realize(None).weight

    cells, hidden, y, weight = map(np.asarray, faulty())
    states = np.where(hidden, 0, cells)
    assert 0 < hidden.sum() < hidden.size
    pair = RANGE * (states[0] - states[1])
    np.testing.assert_allclose(y, np.asarray(X) @ pair.T, atol=1e-12)
    assert 0.01 < np.abs(weight / np.asarray(W) - 1).max() < 0.5


def test_states_stay_between_nothing_and_the_maximum():
    @jax.jit
    def moved(key):
        layer = Crossbar(3, 2, key=key, weight_range=1.0)
        return eqx.tree_at(_cells, layer, layer.conductance + 0.9).project().conductance

    states = np.asarray(moved(jax.random.key(0)))
    assert states.max() == 1 and states.min() >= 0.9


def test_conductances_are_told_from_other_parameters():
    key = jax.random.key(0)
    bar = Crossbar(4, 3, key=key, use_bias=True, counting=True)
    model = eqx.nn.Sequential([bar, eqx.nn.Linear(3, 2, key=key)])
    mark = is_conductance(model)
    assert mark.layers[0].conductance and mark.layers[0].traffic
    without = is_conductance(Crossbar(4, 3, key=key, use_bias=True))
    assert without.conductance and jax.tree.leaves(without) == [True, False]
    assert sum(jax.tree.leaves(mark)) == 2
    parameters = eqx.filter(model, pnn.is_trainable(model))
    frozen = optax.masked(optax.set_to_zero(), is_conductance)
    updates, _ = frozen.update(parameters, frozen.init(parameters))
    assert not updates.layers[0].conductance.any()
    np.testing.assert_array_equal(updates.layers[1].weight, model.layers[1].weight)


def test_convolution_equals_that_of_jax():
    kernels = jnp.asarray(RNG.normal(size=(4, 3, 2, 3)))
    images = jnp.asarray(RNG.normal(size=(2, 1, 3, 6, 7)))

    @eqx.filter_jit
    def both():
        bias = jnp.arange(4.0)
        bar = Crossbar.from_weights(kernels.reshape(4, -1), bias, weight_range=5.0)
        layer = CrossbarConvolution(bar, (2, 3), stride=(1, 2), padding=(1, 0))
        exact = lax.conv_general_dilated(
            images[:, 0], kernels, (1, 2), ((1, 1), (0, 0))
        )
        return layer, layer(images), layer(images[0, 0]), exact

    layer, y, first, exact = both()
    exact = np.asarray(exact) + np.arange(4.0)[:, None, None]
    np.testing.assert_allclose(y[:, 0], exact, atol=1e-12)
    np.testing.assert_allclose(first, exact[0], atol=1e-12)
    rule = pnn.attach(layer, pnn.estimators.TransposedRead())
    assert isinstance(rule.crossbar, pnn.Physical)


def test_dtype_is_that_of_the_input():
    def run(dtype):
        layer = Crossbar.from_weights(
            W.astype(dtype), weight_range=RANGE, adc=ADC(8, -9.0, 9.0)
        )
        return layer.conductance, layer(X.astype(jnp.float32))

    cells, y = eqx.filter_eval_shape(lambda: run(jnp.float32))
    assert cells.dtype == y.dtype == jnp.float32
    cells, y = eqx.filter_eval_shape(lambda: run(jnp.float64))
    assert cells.dtype == jnp.float64 and y.dtype == jnp.float32


def test_pictures():
    cells, weight = np.abs(RNG.normal(size=(2, 3, 4))), RNG.normal(size=(3, 4))
    fig = pnn.plots.crossbar_map(cells, weight)
    maps = [np.asarray(ax.images[0].get_array()) for ax in fig.axes if ax.images]
    np.testing.assert_allclose(np.stack(maps[:2]), np.swapaxes(cells, 1, 2))
    np.testing.assert_allclose(maps[2], weight.T)
    with pytest.raises(ValueError, match="`conductance` has arrays"):
        pnn.plots.crossbar_map(cells, weight.T)
    voltage = np.linspace(1.0, 0.5, 12).reshape(3, 4)
    fig = pnn.plots.ir_drop(voltage, voltage / 4)
    maps = [np.asarray(ax.images[0].get_array()) for ax in fig.axes if ax.images]
    np.testing.assert_allclose(maps, [voltage, voltage / 4, 0.75 * voltage])
    with pytest.raises(ValueError, match="`on_rows` has the shape"):
        pnn.plots.ir_drop(voltage, voltage.T)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Crossbar(0, 3, key=jax.random.key(0)), "an input and an output"),
        (
            lambda: Crossbar(2, 3, key=jax.random.key(0), weight_range=-1.0),
            "`weight_range` must be positive",
        ),
        (
            lambda: Crossbar(2, 3, key=jax.random.key(0), maximum=0.0),
            "`maximum` must be positive",
        ),
        (
            lambda: Crossbar(2, 3, key=jax.random.key(0), tile=(0, 4)),
            "such as .128, 128.",
        ),
        (lambda: Crossbar.from_weights(jnp.zeros((2, 2))), "All weights are zero"),
        (lambda: jax.jit(Crossbar.from_weights)(W), "not known yet"),
        (lambda: BitSliced(8, 3), "`slices` must divide"),
        (
            lambda: CrossbarConvolution(None, (0, 3)),
            "one pixel or more",
        ),
    ],
)
def test_what_can_not_be_built_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_weight_beyond_the_range_is_refused():
    with pytest.raises(Exception, match="beyond `weight_range`"):
        Crossbar.from_weights(W, weight_range=0.1)
