"""Resonators that read digits: 128-60-10, batch 100, complex64, layered and dense."""

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest

from pnnjax import Physical
from pnnjax.estimators import ScatteringBackprop
from pnnjax.optics import ResonatorNetwork

BATCH, SIZES, REPLICAS = 100, (128, 60, 10), 2


def layered(network, x):
    return network(x)


def dense(network, x):
    """By the inverse of the whole matrix."""
    return network.readout(network.scattering_matrix(x)[..., -10:, -10:])


def measured(network, x):
    return Physical(network, ScatteringBackprop())(x)


def gradient_of(function):
    def gradient(network, x):
        return eqx.filter_grad(lambda n: jnp.sum(function(n, x) ** 2))(network)

    return gradient


@pytest.mark.parametrize(
    "name, function",
    [
        ("forward, layered", layered),
        ("forward, dense", dense),
        ("gradient, scattering backpropagation", gradient_of(measured)),
        ("gradient, autodiff, layered", gradient_of(layered)),
        ("gradient, autodiff, dense", gradient_of(dense)),
    ],
)
def test_scattering(benchmark, name, function):
    key = jax.random.key(0)
    network = ResonatorNetwork(SIZES, key=key, replicas=REPLICAS)
    x = 5 * jax.random.uniform(key, (BATCH, SIZES[0] // REPLICAS))
    run = eqx.filter_jit(function)
    jax.block_until_ready(run(network, x))
    benchmark.extra_info["what"] = name
    benchmark(lambda: jax.block_until_ready(run(network, x)))
