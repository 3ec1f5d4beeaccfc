"""What tests share: the registries of specimens, with layers that only tests need."""

import os
import warnings
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pnnjax as pnn
from pnnjax.zoo import specimens
from pnnjax.zoo.specimens._optics import (
    resonators_that_differ as resonators_that_differ,
)

needs_files = pytest.mark.skipif(
    not os.environ.get("PNNJAX_DATA"),
    reason="the environment variable PNNJAX_DATA names no folder of data",
)


class Matrix(pnn.AbstractLayer):
    """A complex matrix: linear, and nothing else is known of it."""

    weight: jax.Array
    facts: ClassVar[pnn.Facts] = pnn.Facts(linear=True)

    def __call__(self, x, *, key=None):
        y = jnp.einsum("mn,...n->...m", self.weight, x)
        if key is None:
            return y
        return y + 0.1 * normal(key, y)


class Tanh(pnn.AbstractLayer):
    """A real nonlinear layer."""

    weight: jax.Array
    facts: ClassVar[pnn.Facts] = pnn.Facts()

    def __call__(self, x, *, key=None):
        return jnp.tanh(jnp.einsum("mn,...n->...m", self.weight, x))


class NextLabel(pnn.objectives.AbstractWrongLabels):
    """The label after the right one, so that gradients can be found by hand."""

    def __call__(self, labels, classes, scores, keys):
        return (labels + 1) % classes


def linear(inputs, outputs, key):
    """Without a bias."""
    return eqx.nn.Linear(inputs, outputs, use_bias=False, key=key)


def normal(key, like):
    """Standard normal numbers of the shape and dtype of `like`, complex ones too."""
    return jax.random.normal(key, like.shape, like.dtype)


def field(key, *shape):
    """A random complex field."""
    return jax.random.normal(key, shape, complex)


def twin(key):
    """Physics, and a network whose weights are not zero."""
    layer, spread = Tanh(jax.random.normal(key, (3, 4))), np.linspace(-1, 1, 32)
    probes = pnn.devices.Probes(
        [spread[:24].reshape(2, 3, 4)], spread[:16].reshape(2, 2, 4)
    )
    said = spread[:12].reshape(2, 2, 3)
    twin = pnn.devices.Twin(layer).with_network(probes, said, said, width=2, key=key)
    return eqx.tree_at(
        lambda t: t.residual,
        twin,
        replace_fn=lambda node: jax.tree.map(
            lambda leaf: leaf + 0.3 if eqx.is_inexact_array(leaf) else leaf, node
        ),
    )


LAYERS = {
    "matrix": lambda key: (Matrix(field(key, 3, 4)), field(key, 5, 4)),
    "tanh": lambda key: (
        Tanh(jax.random.normal(key, (3, 4))),
        jax.random.normal(key, (5, 4)),
    ),
    "twin": lambda key: (twin(key), jax.random.normal(key, (3, 4))),
    **specimens.LAYERS,
}

ESTIMATORS = specimens.ESTIMATORS


def outcome(layer: Any, estimator: pnn.AbstractEstimator) -> str:
    """Does the estimator take the layer: "accepted", "biased" or "refused"?"""
    with warnings.catch_warnings():
        warnings.simplefilter("error", pnn.GradientBiasWarning)
        try:
            pnn.Physical(layer, estimator)
        except pnn.GradientBiasWarning:
            return "biased"
        except TypeError:
            return "refused"
    return "accepted"


def pairs(wanted: str) -> list[tuple[str, str]]:
    """The (layer, estimator) names with that outcome."""
    key = jax.random.key(0)
    layers = {name: make(key)[0] for name, make in LAYERS.items()}
    return [
        (layer, estimator)
        for layer in LAYERS
        for estimator in ESTIMATORS
        if outcome(layers[layer], ESTIMATORS[estimator](layers[layer])) == wanted
    ]
