"""Training without gradients: searches, local objectives, devices as black boxes."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import Tanh

import pnnjax as pnn


class BestOfFour(pnn.AbstractSearch):
    """Moves to the best of four random places near the parameters."""

    def init(self, parameters):
        return jnp.zeros((), jnp.int32)

    def step(self, loss, memory, parameters, *, key):
        flat, unflatten = jax.flatten_util.ravel_pytree(parameters)
        places = flat[None] + 0.1 * jax.random.normal(key, (4, flat.size), flat.dtype)
        places = places.at[0].set(flat)
        losses = jax.vmap(lambda place, k: loss(unflatten(place), k))(
            places, jax.random.split(key, 4)
        )
        best = jnp.argmin(losses)
        return unflatten(places[best]), memory + 1, losses[0]


class OwnTargets(pnn.AbstractLocalObjective):
    """Each layer fits the targets on its own; predictions are the last layer's."""

    def loss(self, model, x, targets, *, keys):
        del keys
        total = jnp.zeros((), x.dtype)
        for layer in model.layers:
            x = jax.vmap(layer)(jax.lax.stop_gradient(x))
            total += jnp.mean((x - targets) ** 2)
        return total

    def predict(self, model, x, *, keys):
        del keys
        return jax.vmap(model)(x)


class Halves(NamedTuple):
    train_x: jax.Array
    train_y: jax.Array
    test_x: jax.Array
    test_y: jax.Array


def on_a_device():
    """A layer whose physics is only in NumPy."""
    layer = Tanh(0.1 * jax.random.normal(jax.random.key(0), (2, 3)))
    device = pnn.devices.CallbackDevice(
        lambda parameters, x: np.tanh(x @ parameters[0].T),
        parameter_range=(-10, 10),
        input_range=(-10, 10),
        output_range=(-1, 1),
    )
    return pnn.devices.DeviceLayer(layer, device)


def regression():
    x = jax.random.normal(jax.random.key(1), (16, 3))
    return x, jnp.tanh(x @ jnp.asarray([[1.0, 0.0], [0.0, -1.0], [0.5, 0.5]]))


def train(model, objective, optimizer, **settings):
    return pnn.fit(
        model,
        regression(),
        objective,
        optimizer,
        epochs=20,
        batch_size=16,
        key=jax.random.key(2),
        progress=False,
        **settings,
    )


def test_a_search_trains_a_device_that_has_no_derivative():
    result = train(on_a_device(), pnn.objectives.mean_squared_error, BestOfFour())
    assert result.history.loss[-1] < 0.5 * result.history.loss[0]


def test_a_search_resumes_to_the_same_bits(tmp_path):
    settings = {"checkpoint": tmp_path / "run", "checkpoint_every": 7}
    model = Tanh(jnp.zeros((2, 3)))
    loss = pnn.objectives.mean_squared_error
    whole = train(model, loss, BestOfFour(), **settings)
    again = train(model, loss, BestOfFour(), **settings, resume=True)
    plain = train(model, loss, BestOfFour())
    assert jnp.array_equal(whole.model.weight, plain.model.weight)
    assert jnp.array_equal(again.model.weight, plain.model.weight)


def test_the_derivative_of_a_device_is_refused():
    layer = on_a_device()
    with pytest.raises(TypeError, match="SPSA"):
        eqx.filter_grad(lambda layer: layer(jnp.ones((2, 3))).sum())(layer)
    with pytest.raises(TypeError, match="PhysicsAware"):
        jax.grad(lambda x: layer(x).sum())(jnp.ones((2, 3)))
    # What stands behind a stopped gradient is no derivative.
    stopped = jax.grad(lambda x: layer(jax.lax.stop_gradient(x)).sum() + x.sum())
    assert jnp.array_equal(stopped(jnp.ones((2, 3))), jnp.ones((2, 3)))


def test_a_local_objective_trains_every_layer_on_its_own():
    layers = [Tanh(0.1 * jnp.ones((3, 3))), Tanh(0.1 * jnp.ones((2, 3)))]
    model = eqx.nn.Sequential(layers[1:])
    result = train(model, OwnTargets(), optax.adam(0.1))
    assert result.history.loss[-1] < 0.2 * result.history.loss[0]


def test_metrics_of_a_local_objective_see_its_predictions():
    x, y = regression()
    data = Halves(x, y, x[:5], y[:5])
    result = pnn.fit(
        eqx.nn.Sequential([Tanh(jnp.zeros((2, 3)))]),
        data,
        OwnTargets(),
        optax.sgd(0.0),
        epochs=1,
        batch_size=16,
        key=jax.random.key(2),
        metrics={"error": pnn.objectives.mean_squared_error},
        progress=False,
    )
    assert result.history.final()["error"] == pytest.approx(float((y[:5] ** 2).mean()))
