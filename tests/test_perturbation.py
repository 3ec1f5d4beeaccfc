"""Gradients from perturbations: their statistics, codes, runs, and searches."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import Tanh

import pnnjax as pnn
from pnnjax import optimizers
from pnnjax.estimators import (
    SPSA,
    FiniteDifference,
    MultiplexedGradientDescent,
    RandomCode,
    SequentialCode,
    SinusoidalCode,
    WalshCode,
    typical_sizes,
)

CODES = {
    "sequential": SequentialCode(),
    "centered": SequentialCode(centered=True),
    "Walsh": WalshCode(),
    "sinusoidal": SinusoidalCode(2),
}


def quadratic(y):
    return 0.5 * jnp.sum(jnp.abs(y) ** 2)


def gradient(layer, x, rule=None, key=None):
    """Of the parameters and the input, for a loss that is not linear in the output."""

    def loss(pair):
        layer, x = pair
        return quadratic((pnn.Physical(layer, rule) if rule else layer)(x, key=key))

    return jax.tree.leaves(eqx.filter_grad(loss)((layer, x)))


# Codes


@pytest.mark.parametrize("name", CODES)
@pytest.mark.parametrize("count", [1, 6])
def test_signals_are_orthogonal_over_a_period_and_odd_ones_have_no_mean(name, count):
    code = CODES[name]
    times = jnp.arange(code.steps(count))
    key = jax.random.key(0)
    signals = jax.vmap(lambda t: code.at(t, (1, count), key=key)[0])(times)
    power = signals.T @ signals / len(times)
    np.testing.assert_allclose(power, code.power(count) * np.eye(count), atol=1e-12)
    assert jnp.max(jnp.abs(signals)) <= 1
    if code.order == 2:
        np.testing.assert_allclose(signals.sum(0), np.zeros(count), atol=1e-12)
        # No product of two of them, the second order of a cost, looks like a third.
        third = np.einsum("ti,tj,tk->ijk", signals, signals, signals)
        np.testing.assert_allclose(third, np.zeros((count,) * 3), atol=1e-12)


def test_lengths_of_periods():
    # Twice as many steps as knobs, up to the next power of two for Walsh functions.
    assert [WalshCode().steps(n) for n in (1, 2, 3, 8, 9)] == [2, 4, 8, 16, 32]
    assert SinusoidalCode(3).steps(4) == 25
    assert RandomCode(6).steps(99) == 6
    with pytest.raises(ValueError, match="even"):
        RandomCode(3, paired=True)
    with pytest.raises(ValueError, match="WalshCode"):
        SinusoidalCode().steps(50_000)
    with pytest.raises(ValueError, match="spacing"):
        SinusoidalCode(0)


# Gradients


@pytest.fixture
def tanh(getkey):
    """Two inputs each of two examples, and weights in unlike units."""
    return Tanh(jax.random.normal(getkey(), (3, 2))), jax.random.normal(
        getkey(), (2, 2)
    )


def by_hand(layer, x, epsilon):
    """Forward differences of the cost, one after the other, in NumPy."""
    weight, light = np.asarray(layer.weight), np.asarray(x)

    def response(weight, light):
        return np.tanh(light @ weight.T)

    y = response(weight, light)
    weight_bar, x_bar = np.zeros_like(weight), np.zeros_like(light)
    for place in np.ndindex(weight.shape):
        moved = weight.copy()
        moved[place] += epsilon
        weight_bar[place] = np.sum(y * (response(moved, light) - y)) / epsilon
    for place in np.ndindex(light.shape):
        moved = light.copy()
        moved[place] += epsilon
        x_bar[place] = np.sum(y * (response(weight, moved) - y)) / epsilon
    return [jnp.asarray(weight_bar), jnp.asarray(x_bar)]


def test_sequential_codes_are_finite_differences(tanh):
    layer, x = tanh
    rules = (
        MultiplexedGradientDescent(SequentialCode(), 1e-2),
        FiniteDifference(1e-2, centered=False),
        FiniteDifference(1e-2, centered=False, at_once=4),
    )
    expected = by_hand(layer, x, 1e-2)
    found = eqx.filter_jit(
        lambda layer, x: [gradient(layer, x, rule) for rule in rules]
    )(layer, x)
    for measured in found:
        assert pnn.relative_error(measured, expected) < 1e-10


@pytest.mark.slow
def test_mean_cosines_and_lengths_are_those_of_random_directions(getkey):
    # 120 parameters, one example, no runs for the input.
    layer, x = Tanh(jax.random.normal(getkey(), (12, 10))), jnp.ones((1, 10)) / 10
    exact = gradient(layer, x)[0].ravel()
    count = exact.size

    @eqx.filter_jit
    def draws(keys):
        def one(key):
            return [
                gradient(layer, x, SPSA(1e-4, k, inputs=False), key)[0] for k in (1, 20)
            ]

        return jax.lax.map(one, keys)

    for samples, found in zip((1, 20), draws(jax.random.split(getkey(), 400))):
        found = found.reshape(400, -1)
        length = jnp.linalg.norm(found, axis=1)
        cosine = found @ exact / length / jnp.linalg.norm(exact)
        error = cosine.std() / 400**0.5
        if samples == 1:
            # All samples have one length, and the signs are even.
            np.testing.assert_allclose(
                length / jnp.abs(cosine) / jnp.linalg.norm(exact),
                np.full(400, count),
                rtol=1e-5,
            )
            expected = math.sqrt(2 / math.pi / count)
        else:
            expected = math.sqrt(samples / (samples + count - 1))
        # Both formulas are for many parameters: their own error is of order 1 / P.
        assert abs(cosine.mean() - expected) < 4 * error + expected / count
        across = (found - exact[None]) / jnp.linalg.norm(exact)
        assert jnp.abs(across.mean(0)).max() < 4.5 * across.std(0).max() / 400**0.5


@pytest.mark.slow
def test_demodulation_averages_the_noise_of_the_cost(getkey):
    layer, x = Tanh(jax.random.normal(getkey(), (2, 2))), jnp.ones((1, 2))
    exact = gradient(layer, x)[0]
    amplitude, noise = 1e-2, 1e-3

    @eqx.filter_jit
    def errors(keys, periods):
        rule = MultiplexedGradientDescent(
            WalshCode(), amplitude, periods, noise=noise, inputs=False
        )
        return jax.lax.map(lambda key: gradient(layer, x, rule, key)[0] - exact, keys)

    for periods in (1, 16):
        found = errors(jax.random.split(getkey(), 300), periods)
        deviation = jnp.sqrt(jnp.mean(found**2))
        # Four knobs: eight steps, at all of which each is moved.
        expected = noise / amplitude / math.sqrt(8 * periods)
        assert deviation == pytest.approx(expected, rel=0.1)


def test_typical_sizes():
    tree = [jnp.asarray([3e-25, -4e-25]), jnp.zeros(2), jnp.asarray([3 + 4j])]
    tree[0] = tree[0].astype(jnp.float32)
    sizes = jax.jit(typical_sizes)(tree)
    np.testing.assert_allclose(sizes, [math.sqrt(12.5) * 1e-25, 1, 5], rtol=1e-6)
    assert sizes[0].dtype == jnp.float32 and sizes[2].dtype == jnp.float64


def test_bad_settings_are_refused(tanh):
    layer, x = tanh
    with pytest.raises(ValueError, match="key=key"):
        gradient(layer, x, SPSA())
    for make in (
        lambda: SPSA(samples=0),
        lambda: FiniteDifference(0.0),
        lambda: MultiplexedGradientDescent(WalshCode(), periods=0),
        lambda: optimizers.spsa(0.1, 0.0),
        lambda: optimizers.spsa(0.1, 0.1, stability=-1.0),
        lambda: optimizers.multiplexed_gradient_descent(WalshCode(), 0.0, 0.1),
    ):
        with pytest.raises(ValueError, match="not|negative"):
            make()
    with pytest.raises(ValueError, match="such as 4 and 4"):
        optimizers.multiplexed_gradient_descent(
            WalshCode(), 0.1, 0.1, perturbations=4, integration=6
        )


def test_an_input_that_is_left_alone_has_no_cotangent(tanh):
    layer, x = tanh
    weight_bar, x_bar = gradient(layer, x, FiniteDifference(inputs=False))
    assert jnp.all(jnp.isfinite(weight_bar)) and jnp.all(jnp.isnan(x_bar))


# Black boxes


def on_a_device(layer):
    """The layer's physics in NumPy alone: differentiating it raises."""
    device = pnn.devices.CallbackDevice(
        lambda parameters, x: np.tanh(x @ parameters[0].T),
        parameter_range=(-10, 10),
        input_range=(-10, 10),
        output_range=(-1, 1),
    )
    return pnn.devices.DeviceLayer(layer, device)


RULES = {
    "finite-difference": FiniteDifference(1e-4),
    "one-sided": FiniteDifference(1e-4, centered=False),
    "spsa": SPSA(1e-4, samples=3),
    "multiplexed": MultiplexedGradientDescent(SinusoidalCode(), 1e-4),
}


@pytest.mark.parametrize("name", RULES)
def test_a_device_is_run_as_often_as_the_cost_says(name, tanh):
    layer, x = tanh
    black_box = on_a_device(layer)
    measured = eqx.filter_jit(gradient)(black_box, x, RULES[name], jax.random.key(1))
    cosine = pnn.cosine_similarity(measured, gradient(layer, x))
    assert cosine > (0.3 if name == "spsa" else 1 - 1e-7)
    cost = RULES[name].cost(layer, jax.ShapeDtypeStruct((2,), x.dtype))
    assert black_box.device.runs == cost.runs
    runs = {"finite-difference": 17, "one-sided": 9, "spsa": 13, "multiplexed": 19}
    assert cost.runs == runs[name] and cost.measurements == 3 * cost.runs


# Searches


def task():
    """Three numbers from three: a linear layer can do it."""
    x = jax.random.normal(jax.random.key(1), (24, 3))
    return x, x @ jnp.asarray([[1.0, 0.0], [0.0, -1.0], [0.5, 0.5]])


def train(search, model, steps=200, batch=12, **settings):
    return pnn.fit(
        model,
        task(),
        pnn.objectives.mean_squared_error,
        search,
        epochs=steps * batch // 24,
        batch_size=batch,
        key=jax.random.key(2),
        progress=False,
        **settings,
    )


def test_spsa_gains_follow_spall():
    # On a line L = w, every estimate is exact: the steps are the gains.
    search = optimizers.spsa(0.1, 0.2, stability=5.0)
    memory = search.init(jnp.zeros(1))
    place, tried = jnp.zeros(1), []

    def loss(parameters, key):
        tried.append(parameters[0])
        return parameters[0]

    step = jax.jit(lambda m, p, k: search.step(loss, m, p, key=k))
    places = []
    for k in range(3):
        place, memory, value = step(memory, place, jax.random.key(k))
        places.append(float(place[0]))
    gains = 0.1 / (5 + np.arange(1, 4)) ** 0.602
    np.testing.assert_allclose(np.diff([0.0, *places]), -gains, rtol=1e-6)
    # The mean of the pair is the loss before the step.
    assert value == pytest.approx(places[1])


def test_searches_descend_a_device(tanh):
    layer = Tanh(jnp.zeros((2, 3)))
    black_box = on_a_device(layer)
    multiplexed = optimizers.multiplexed_gradient_descent(
        WalshCode(), 0.02, 0.5, perturbations=4, integration=16
    )
    result = train(multiplexed, black_box, steps=40)
    assert result.history.loss[-1] < 0.7 * result.history.loss[0]
    # The loss is measured at rest and under four perturbations, each step.
    assert black_box.device.runs >= 40 * 5


def final_loss(search):
    layer = eqx.nn.Linear(3, 2, use_bias=False, key=jax.random.key(3))
    return float(np.mean(train(search, layer).history.loss[-5:]))


@pytest.mark.slow
def test_searches_fit_a_linear_layer():
    adam = optimizers.spsa(0.05, 0.01, rate_decay=0.0, direction=optax.scale_by_adam())
    sinusoidal = optimizers.multiplexed_gradient_descent(
        SinusoidalCode(),
        0.01,
        optax.cosine_decay_schedule(0.3, 400),
        perturbations=26,
        integration=13,
        direction=optax.trace(0.5),
    )
    start = float(jnp.mean(task()[1] ** 2))
    assert final_loss(adam) < 0.1 * start
    assert final_loss(sinusoidal) < 1e-6 * start


@pytest.mark.slow
def test_three_time_scales(getkey):
    """Sequential perturbations during one batch make one step of gradient descent."""
    x, y = task()
    weight = jax.random.normal(getkey(), (2, 3))

    def loss(weight, key):
        del key
        return jnp.mean((x @ weight.T - y) ** 2)

    def after(perturbations, integration, steps):
        search = optimizers.multiplexed_gradient_descent(
            SequentialCode(centered=True),
            1e-3,
            0.1,
            perturbations=perturbations,
            integration=integration,
        )

        def step(carry, key):
            new, memory, value = search.step(loss, *carry, key=key)
            return (memory, new), value

        start = (search.init(weight), weight)
        keys = jax.random.split(getkey(), steps)
        (_, new), losses = jax.lax.scan(step, start, keys)
        return new, losses

    down = jax.grad(lambda w: loss(w, None))
    once = weight - 0.1 * down(weight)
    twice = once - 0.1 * down(once)
    whole, losses = after(12, 12, 2)  # an update after each batch
    np.testing.assert_allclose(whole, twice, atol=1e-9)
    expected = [loss(weight, None), loss(once, None)]
    np.testing.assert_allclose(losses, expected, rtol=1e-6)
    gathered, _ = after(4, 12, 6)  # after each third batch
    np.testing.assert_allclose(gathered, twice, atol=1e-9)
    several, losses = after(24, 12, 1)  # twice during one batch
    np.testing.assert_allclose(several, twice, atol=1e-9)
    np.testing.assert_allclose(losses, expected[:1], rtol=1e-6)
