"""Forward-forward: local gradients, wrong labels, the scan of all labels."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import Matrix, NextLabel, field, linear

import pnnjax as pnn
from pnnjax.objectives import (
    LabelAppended,
    LabelInPixels,
    LikelyLabels,
    RandomLabels,
    forward_forward,
    mean_of_squares,
    unit_length,
    unit_mean_square,
    unit_range,
)

CLASSES = 3
THETA = 0.7


@pytest.fixture
def examples(getkey):
    x = jax.random.normal(getkey(), (5, 4))
    labels = jnp.asarray([0, 2, 1, 1, 0], jnp.int32)
    return x, labels, jax.random.split(getkey(), 5)


def relu_block(inputs, outputs, key):
    layers = [eqx.nn.Linear(inputs, outputs, key=key), eqx.nn.Lambda(jax.nn.relu)]
    return eqx.nn.Sequential(layers)


def blobs(count, key):
    """Points around one of three corners, and which one."""
    noise, draw = jax.random.split(key)
    labels = jax.random.randint(draw, (count,), 0, CLASSES, jnp.int32)
    corners = jnp.asarray([[1.0, 0, 0, 1], [0, 1, 0, -1], [0, 0, 1, 0]])
    return corners[labels] + 0.2 * jax.random.normal(noise, (count, 4)), labels


@eqx.filter_jit
def slopes(objective, model, x, labels, keys):
    return eqx.filter_grad(lambda m: objective.loss(m, x, labels, keys=keys))(model)


@eqx.filter_jit
def classify(objective, model, x):
    return objective.predict(model, x)


def with_label(x, labels):
    return np.concatenate([x, np.eye(CLASSES)[labels]], 1)


def expected_slope(weight, right, wrong):
    """Of one block of real weights, averaged over the examples; and its activities."""
    high, low = right @ weight.T, wrong @ weight.T
    up = 2 / (1 + np.exp(np.sum(high**2, 1) - THETA))
    down = 2 / (1 + np.exp(THETA - np.sum(low**2, 1)))
    slope = -(up[:, None] * high).T @ right + (down[:, None] * low).T @ wrong
    return slope / len(right), (high, low)


def test_gradient_of_each_block_is_that_of_its_own_goodness(examples, getkey):
    x, labels, keys = examples
    blocks = [linear(7, 5, getkey()), linear(5, 6, getkey())]
    objective = forward_forward(
        LabelAppended(CLASSES), threshold=THETA, wrong_labels=NextLabel()
    )
    model = eqx.nn.Sequential(blocks)
    found = slopes(objective, model, x, labels, keys)
    inputs = with_label(x, labels), with_label(x, (labels + 1) % CLASSES)
    for block, slope in zip(blocks, found.layers, strict=True):
        expected, h = expected_slope(np.asarray(block.weight), *inputs)
        np.testing.assert_allclose(slope.weight, expected, rtol=1e-12, atol=1e-14)
        inputs = [a / np.linalg.norm(a, axis=1, keepdims=True) for a in h]
    # No later block has a part in it.
    other = eqx.tree_at(lambda m: m.layers[1].weight, model, replace_fn=lambda w: 3 * w)
    again = slopes(objective, other, x, labels, keys)
    assert jnp.array_equal(again.layers[0].weight, found.layers[0].weight)
    assert not jnp.allclose(again.layers[1].weight, found.layers[1].weight)


def test_goodness_of_a_field_is_its_power(examples, getkey):
    x, labels, keys = examples
    weight = field(getkey(), 5, 7)
    objective = forward_forward(
        LabelAppended(CLASSES), threshold=THETA, wrong_labels=NextLabel()
    )
    layer = eqx.nn.Linear(7, 5, use_bias=False, dtype=complex, key=getkey())
    model = eqx.nn.Sequential([eqx.tree_at(lambda m: m.weight, layer, weight)])
    found = slopes(objective, model, x.astype(complex), labels, keys).layers[0].weight
    # A field is two real activities.
    both = np.concatenate([weight.real, weight.imag])
    inputs = with_label(x, labels), with_label(x, (labels + 1) % CLASSES)
    real, imaginary = np.split(expected_slope(both, *inputs)[0], 2)
    np.testing.assert_allclose(found, real - 1j * imaginary, rtol=1e-12, atol=1e-14)


def test_the_label_under_which_goodness_is_greatest_is_taken(getkey):
    # Without pixels, the goodness is the squared length of the label's column.
    columns = np.zeros((2, 6, 7))
    columns[0, :3, 4:] = np.diag([1.0, 3.0, 2.0])
    columns[1, :3, :3] = np.diag([5.0, 1.0, 4.0])
    layers = [linear(7, 6, getkey()), linear(6, 6, getkey())]
    where = lambda m: [layer.weight for layer in m.layers]  # noqa: E731
    weights = [jnp.asarray(columns[0]), jnp.asarray(columns[1, :, :6])]
    model = eqx.tree_at(where, eqx.nn.Sequential(layers), weights)
    x = jnp.zeros((2, 4))
    for skip, expected in ((1, [25, 1, 16]), (0, [26, 10, 20]), (7, [25, 1, 16])):
        objective = forward_forward(LabelAppended(CLASSES), skip=skip)
        found = classify(objective, model, x)
        np.testing.assert_allclose(found, [expected, expected], rtol=1e-12)
    first = forward_forward(LabelAppended(CLASSES), layer=0, goodness=mean_of_squares)
    np.testing.assert_allclose(
        classify(first, model, x)[0], np.array([1, 9, 4]) / 6, rtol=1e-12
    )


def test_wrong_labels_are_never_right_and_come_as_often_as_they_should():
    labels = jnp.full(3000, 2, jnp.int32)
    scores = jnp.log(jnp.asarray([1.0, 2.0, 30.0, 5.0]))
    draws = {
        RandomLabels(): [1, 1, 0, 1],
        LikelyLabels(): [1, 2, 0, 5],
        LikelyLabels(0.0): [1, 1, 0, 1],
    }
    for rule, weights in draws.items():
        keys = jax.random.split(jax.random.key(3), 3000)
        drawn = rule(labels, 4, lambda: jnp.tile(scores, (3000, 1)), keys)
        share = np.bincount(drawn, minlength=4) / 3000
        expected = np.asarray(weights) / np.sum(weights)
        deviation = np.sqrt(expected * (1 - expected) / 3000)
        assert (np.abs(share - expected) <= 4 * deviation).all()


def test_labels_are_written_where_they_should_be():
    x = jnp.arange(12.0).reshape(2, 2, 3)
    labels = jnp.asarray([1, 2], jnp.int32)
    pixels = LabelInPixels(3, 5.0)(x, labels)
    np.testing.assert_array_equal(pixels[0], [[0, 5, 0], [3, 4, 5]])
    np.testing.assert_array_equal(pixels[1], [[0, 0, 5], [9, 10, 11]])
    appended = LabelAppended(3)(x[:, 0], labels)
    np.testing.assert_array_equal(appended, [[0, 1, 2, 0, 1, 0], [6, 7, 8, 0, 0, 1]])
    with pytest.raises(ValueError, match="LabelAppended"):
        LabelInPixels(6)(x, labels)


@pytest.mark.slow
def test_normalizations_keep_the_direction_alone(getkey):
    h = jax.random.normal(getkey(), (3, 2, 4)).at[1].set(0.0)
    length, mean = unit_length(h), unit_mean_square(field(getkey(), 3, 8))
    np.testing.assert_allclose(jnp.sum(length**2, (1, 2)), [1, 0, 1])
    np.testing.assert_allclose(jnp.mean(mean.real**2 + mean.imag**2, 1), 1)
    np.testing.assert_allclose(jnp.cross(length[0, :, :3], h[0, :, :3]), 0, atol=1e-15)
    ranged = unit_range(h).reshape(3, -1)
    np.testing.assert_allclose(ranged.min(1), 0)
    np.testing.assert_allclose(ranged.max(1), [1, 0, 1])


def device(outputs, inputs, key):
    """A tanh that only NumPy knows; it raises if it is differentiated."""
    layer = Matrix(0.5 * jax.random.normal(key, (outputs, inputs)))
    run = pnn.devices.CallbackDevice(
        lambda parameters, x: np.tanh(x @ parameters[0].T),
        parameter_range=(-10, 10),
        input_range=(-10, 10),
        output_range=(-1, 1),
    )
    return pnn.devices.DeviceLayer(layer, run)


def train(model, objective, data, key):
    return pnn.fit(
        model,
        data,
        objective,
        optax.adam(0.03),
        epochs=40,
        batch_size=20,
        key=key,
        metrics={"accuracy": pnn.objectives.accuracy},
        evaluate_every=40,
        progress=False,
    )


@pytest.fixture
def data(getkey):
    return pnn.data.Dataset(*blobs(100, getkey()), *blobs(60, getkey()), tuple("abc"))


@pytest.mark.slow
def test_devices_between_blocks_are_never_differentiated(data, getkey):
    """All blocks at once, with hard wrong labels."""
    blocks = [
        eqx.nn.Sequential(
            [pnn.Frozen(device(16, inputs, getkey())), relu_block(16, 12, getkey())]
        )
        for inputs in (7, 12)
    ]
    objective = forward_forward(
        LabelAppended(CLASSES, 2.0), wrong_labels=LikelyLabels(), skip=0
    )
    result = train(eqx.nn.Sequential(blocks), objective, data, getkey())
    assert result.history.final()["accuracy"] > 0.9


@pytest.mark.slow
def test_a_greedy_run_moves_one_block(data, getkey):
    sizes = (7, 8, 8, 8)
    model = eqx.nn.Sequential(
        [relu_block(n, m, getkey()) for n, m in zip(sizes, sizes[1:])]
    )
    objective = forward_forward(LabelAppended(CLASSES), layer=1)
    trained = train(model, objective, data, getkey()).model
    moved = [
        not eqx.tree_equal(before, after)
        for before, after in zip(model.layers, trained.layers)
    ]
    assert moved == [False, True, False]


def test_what_can_not_learn_is_refused(examples, getkey):
    x, labels, keys = examples
    objective = forward_forward(LabelAppended(CLASSES))
    block = relu_block(7, 4, getkey())
    stack = eqx.nn.Sequential([block])
    with pytest.raises(TypeError, match="not a `Linear`"):
        objective.loss(block.layers[0], x, labels, keys=keys)
    with pytest.raises(ValueError, match="Block 1, a `Lambda`, has nothing to train"):
        objective.loss(block, x, labels, keys=keys)
    with pytest.raises(ValueError, match="noisy=True"):
        objective.loss(stack, x, labels, keys=None)
    with pytest.raises(ValueError, match="last of the 1 blocks is number 0"):
        forward_forward(LabelAppended(CLASSES), layer=1).predict(stack, x)
    with pytest.raises(ValueError, match="must not be negative"):
        forward_forward(LabelAppended(CLASSES), skip=-1)
    with pytest.raises(eqx.EquinoxRuntimeError, match="none of the 3 classes"):
        objective.loss(stack, x, labels + 1, keys=keys)
    bare = eqx.nn.Sequential([device(9, 7, getkey()), relu_block(9, 8, getkey())])
    with pytest.raises(TypeError, match="A device has no derivative"):
        slopes(objective, bare, x, labels, keys)
