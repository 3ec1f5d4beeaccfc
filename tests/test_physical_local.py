"""Physical local learning: cosines, their local gradients, black boxes."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import NextLabel, field, linear

import pnnjax as pnn
from pnnjax.objectives import (
    LabelAppended,
    PairCosine,
    ReferenceCosine,
    physical_local,
    unit_length,
)

CLASSES = 3
TAU = 4.0


@pytest.fixture
def examples(getkey):
    x = jax.random.normal(getkey(), (5, 4))
    labels = jnp.asarray([0, 2, 1, 1, 0], jnp.int32)
    return x, labels, jax.random.split(getkey(), 5)


@eqx.filter_jit
def slopes(objective, model, x, labels, keys):
    return eqx.filter_grad(lambda m: objective.loss(m, x, labels, keys=keys))(model)


def with_label(x, labels):
    return np.concatenate([x, np.eye(CLASSES)[labels]], 1)


def cosine(u, v):
    """Of each row, and its slope by `u`."""
    lengths = [np.linalg.norm(a, axis=1, keepdims=True) for a in (u, v)]
    c = np.sum(u * v, 1, keepdims=True) / (lengths[0] * lengths[1])
    return c[:, 0], (v / lengths[1] - c * u / lengths[0]) / lengths[0]


def by_reference(right, wrong, reference):
    """Slopes of the loss by the absolute activities under either label."""
    p = np.broadcast_to(reference, right.shape)
    (high, up), (low, down) = cosine(right, p), cosine(wrong, p)
    rate = (TAU / (1 + np.exp(TAU * (high - low))))[:, None]
    return -rate * up, rate * down


def by_pair(right, wrong):
    (alike, by_right), (_, by_wrong) = cosine(right, wrong), cosine(wrong, right)
    rate = (TAU / (1 + np.exp(-TAU * alike)))[:, None]
    return rate * by_right, rate * by_wrong


@pytest.mark.parametrize("pair", [False, True])
def test_gradient_of_each_block_is_that_of_its_own_cosine(pair, examples, getkey):
    x, labels, keys = examples
    blocks = [linear(7, 5, getkey()), linear(5, 6, getkey())]
    drawing = getkey()
    contrast = PairCosine(TAU) if pair else ReferenceCosine(TAU, drawing)
    objective = physical_local(
        LabelAppended(CLASSES),
        contrast,
        wrong_labels=NextLabel(),
        normalize=unit_length,
    )
    model = eqx.nn.Sequential(blocks)
    found = slopes(objective, model, x, labels, keys)
    inputs = with_label(x, labels), with_label(x, (labels + 1) % CLASSES)
    for index, (block, slope) in enumerate(zip(blocks, found.layers, strict=True)):
        h = [a @ np.asarray(block.weight).T for a in inputs]
        key = jax.random.fold_in(drawing, index)
        reference = np.asarray(jax.random.normal(key, (h[0].shape[1],)))
        size = [np.abs(a) for a in h]
        bars = by_pair(*size) if pair else by_reference(*size, reference)
        expected = sum(
            (bar * np.sign(a)).T @ before for bar, a, before in zip(bars, h, inputs)
        ) / len(x)
        np.testing.assert_allclose(slope.weight, expected, rtol=1e-11, atol=1e-14)
        inputs = [a / np.linalg.norm(a, axis=1, keepdims=True) for a in h]


def test_scores_of_fields_are_cosines_of_their_moduli(getkey):
    h = field(getkey(), 3, 2, 4)  # classes, examples, activities
    size = np.abs(h)
    drawing = getkey()
    reference = np.asarray(jax.random.normal(jax.random.fold_in(drawing, 1), (4,)))
    found = ReferenceCosine(TAU, drawing).scores(1, h)
    expected = [cosine(rows, np.broadcast_to(reference, (2, 4)))[0] for rows in size]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    pairs = [[cosine(a, b)[0] for b in size] for a in size]
    against = -(np.sum(pairs, 1) - 1) / 2
    np.testing.assert_allclose(PairCosine(TAU).scores(1, h), against, rtol=1e-12)


def test_darkness_has_neither_a_direction_nor_a_slope():
    zero = jnp.zeros((1, 3), complex)
    some = jnp.ones((1, 3), complex)
    for contrast in (PairCosine(TAU), ReferenceCosine(TAU, jax.random.key(0))):
        slope = jax.grad(lambda h: contrast.loss(0, h, some)[0])(zero)  # noqa: B023
        assert not slope.any()


class Mixer(pnn.AbstractLayer):
    """Fields whose phases are the inputs, mixed by a fixed matrix, and detected."""

    matrix: jax.Array
    facts = pnn.Facts()

    def __call__(self, x, *, key=None):
        mixed = jnp.einsum(
            "mn,...n->...m", self.matrix, jax.lax.complex(jnp.cos(x), jnp.sin(x))
        )
        return jnp.abs(mixed)


def test_it_learns_behind_black_boxes(getkey):
    """Hardware in the loop: the devices would raise, were they differentiated."""
    names = tuple("abc")
    parts = []
    for count in (120, 60):
        labels = jax.random.randint(getkey(), (count,), 0, CLASSES, jnp.int32)
        noise = 0.2 * jax.random.normal(getkey(), (count, 4))
        parts += [jnp.eye(4)[labels] + noise, labels]
    blocks = [
        eqx.nn.Sequential(
            [
                pnn.Frozen(black_box(field(getkey(), 16, inputs))),
                eqx.nn.Linear(16, 12, key=getkey()),
            ]
        )
        for inputs in (7, 12)
    ]
    objective = physical_local(LabelAppended(CLASSES), ReferenceCosine(10.0, getkey()))
    result = pnn.fit(
        eqx.nn.Sequential(blocks),
        pnn.data.Dataset(*parts, names),
        objective,
        optax.adam(0.03),
        epochs=15,
        batch_size=20,
        key=getkey(),
        metrics={"accuracy": pnn.objectives.accuracy},
        evaluate_every=15,
        progress=False,
    )
    assert result.history.final()["accuracy"] > 0.9
    assert result.history.loss[-5:].mean() < 0.5 * result.history.loss[:5].mean()


def black_box(matrix):
    """Phases in, moduli of mixed fields out; in NumPy alone."""
    matrix = np.asarray(matrix) / np.sqrt(matrix.shape[1])
    return pnn.devices.DeviceLayer(
        Mixer(jnp.asarray(matrix)),
        pnn.devices.CallbackDevice(
            lambda parameters, x: np.abs(np.exp(1j * x) @ matrix.T),
            parameter_range=(-100, 100),
            input_range=(-10, 10),
            output_range=(0, 100),
        ),
    )
