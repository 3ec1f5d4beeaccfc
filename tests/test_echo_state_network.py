"""Echo-state networks: their equation, their couplings, and that they forget."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pnnjax as pnn
from pnnjax.oscillators import EchoStateNetwork
from pnnjax.oscillators._echo_state_network import ring_offsets

LEAK = 0.7


def series(key, *shape):
    return jax.random.uniform(key, shape, minval=-1.0)


def small(key, **settings):
    return EchoStateNetwork(2, 30, key=key, bias=0.3, degree=4, **settings)


states = eqx.filter_jit(lambda network, x: network(x))


def test_states_are_those_of_the_equation(getkey):
    network, x = small(getkey(), leak=LEAK), series(getkey(), 3, 9, 2)
    weights, into = np.asarray(network.matrix()), np.asarray(network.into.value)
    bias, state, course = np.asarray(network.bias.value), np.zeros((3, 30)), []
    for t in range(9):
        push = state @ weights.T + np.asarray(x[:, t]) @ into + bias
        state = (1 - LEAK) * state + LEAK * np.tanh(push)
        course.append(state)
    np.testing.assert_allclose(states(network, x), np.stack(course, 1), atol=1e-14)
    run, state = eqx.filter_jit(network.run), network.rest(x)
    for t in (0, 3, 6):
        some, state = run(x[:, t : t + 3], state)
        np.testing.assert_allclose(some, np.stack(course[t : t + 3], 1), atol=1e-14)
        np.testing.assert_array_equal(some[:, -1], state)


@pytest.mark.parametrize(("degree", "error"), [(1, 1e-6), (4, 2e-3)])
def test_spectral_radius_is_that_of_the_eigenvalues(degree, error, getkey):
    make = eqx.filter_jit(
        eqx.filter_vmap(
            lambda key: EchoStateNetwork(
                1, 60, key=key, spectral_radius=0.8, degree=degree
            ).matrix()
        )
    )
    matrices = np.asarray(make(jax.random.split(getkey(), 6)))
    radii = np.abs(np.linalg.eigvals(matrices)).max(-1)
    np.testing.assert_allclose(radii, 0.8, rtol=error)
    heard = np.count_nonzero(matrices, axis=-1)
    assert np.all(heard == degree) and len({m.tobytes() for m in matrices}) == 6


def test_input_weights_and_biases_are_within_their_scale(getkey):
    network = EchoStateNetwork(3, 200, key=getkey(), input_scaling=0.2, bias=0.5)
    for weights, scale in ((network.into, 0.2), (network.bias, 0.5)):
        size = np.abs(weights.value)
        assert 0.9 * scale < size.max() <= scale
        np.testing.assert_allclose(size.mean(), scale / 2, rtol=0.1)


def test_offsets_differ_and_include_the_unit_itself_last():
    assert ring_offsets(1, 1) == (0,)
    assert ring_offsets(500, 1) == (1,)
    assert ring_offsets(4, 3) == (1, 2, 3)
    assert ring_offsets(4, 4) == (0, 1, 2, 3)
    assert len(set(ring_offsets(500, 10))) == 10


def test_orthogonal_couplings_are_orthogonal(getkey):
    network = EchoStateNetwork.orthogonal(1, 12, key=getkey(), spectral_radius=0.9)
    weights = np.asarray(network.matrix())
    np.testing.assert_allclose(weights @ weights.T, 0.81 * np.eye(12), atol=1e-15)
    assert {-1, 1} == set(np.sign(weights[weights != 0]))


def test_a_contraction_forgets_its_start_at_least_at_that_rate(getkey):
    """tanh never stretches, so two states approach by the largest singular value."""
    network, x = small(getkey(), spectral_radius=0.4), series(getkey(), 40, 2)
    rate = np.linalg.norm(np.asarray(network.matrix()), 2)
    assert 0.4 < rate < 1
    apart = np.asarray(eqx.filter_jit(network.forgetting)(x, key=getkey()))
    assert apart.shape == (40,)
    assert np.all(apart <= rate ** np.arange(1, 41) * (1 + 1e-12))


@pytest.mark.slow
def test_above_one_it_remembers_its_start_without_a_signal(getkey):
    network = EchoStateNetwork(1, 40, key=getkey(), spectral_radius=3.0)
    forgetting = eqx.filter_jit(network.forgetting)
    quiet, loud = jnp.zeros((300, 1)), 20 * series(getkey(), 300, 1)
    assert np.all(np.asarray(forgetting(quiet, key=getkey())) > 1e-3)
    # A strong signal saturates the units: the echo-state property is one of both.
    assert np.asarray(forgetting(loud, key=getkey()))[-1] < 1e-9


@pytest.mark.slow
def test_networks_under_vmap_are_those_one_by_one(getkey):
    keys, x = jax.random.split(getkey(), 3), series(getkey(), 2, 5, 2)
    many = eqx.filter_vmap(lambda key: small(key))(keys)
    each = np.stack([states(small(key), x) for key in keys])
    shared = eqx.filter_vmap(lambda n, x: n(x), in_axes=(eqx.if_array(0), None))
    own = eqx.filter_jit(eqx.filter_vmap(lambda n, x: n(x)))
    np.testing.assert_allclose(eqx.filter_jit(shared)(many, x), each, atol=1e-14)
    rows = jnp.broadcast_to(x, (3, *x.shape))
    np.testing.assert_allclose(own(many, rows), each, atol=1e-14)
    one = small(keys[0])
    np.testing.assert_allclose(jax.jit(jax.vmap(one))(x), each[0], atol=1e-14)
    slope = jax.jit(jax.grad(lambda x: jnp.sum(own(many, x) ** 2)))(rows)
    along, step = series(getkey(), *rows.shape), 1e-5
    ends = [np.sum(np.square(own(many, rows + h * along))) for h in (step, -step)]
    difference = (ends[0] - ends[1]) / (2 * step)
    np.testing.assert_allclose(np.sum(slope * along), difference, rtol=1e-8)


def test_noise_is_drawn_with_a_key_only(getkey):
    network = EchoStateNetwork(
        1, 2000, key=getkey(), input_scaling=0.0, noise=0.01, degree=1
    )
    x, key = jnp.zeros((1, 1)), getkey()
    assert np.all(network(x) == 0)
    shaken = np.asarray(network(x, key=key))
    np.testing.assert_array_equal(network(x, key=key), shaken)
    np.testing.assert_allclose(shaken.std(), 0.01, rtol=0.05)


def test_nothing_is_trained_and_single_precision_stays(getkey):
    network = small(getkey())
    assert not any(jax.tree.leaves(pnn.is_trainable(network)))
    x = series(getkey(), 3, 2).astype(jnp.float32)
    assert states(network, x).dtype == jnp.float32
    with jax.enable_x64(False):
        assert small(jax.random.key(0))(jnp.ones((3, 2))).dtype == jnp.float32


def test_a_readout_learns_from_a_reservoir_that_is_a_device(getkey):
    """It has no derivative, and none is asked for: a `DeviceLayer` would refuse."""
    model = small(getkey())
    weights, into = np.asarray(model.matrix()), np.asarray(model.into.value)

    def measured(parameters, x):
        del parameters  # it has none that are trained
        state, course = np.zeros(30), []
        for now in x:
            state = np.tanh(weights @ state + now @ into)
            course.append(state)
        return np.stack(course)

    device = pnn.devices.CallbackDevice(
        measured, parameter_range=(-9, 9), input_range=(-9, 9), output_range=(-1, 1)
    )
    x = series(getkey(), 200, 2)
    target = jnp.roll(x[:, :1], 1, axis=0)

    @jax.jit
    def learned(x):
        seen = pnn.devices.DeviceLayer(model, device)(x)
        readout = pnn.Readout.ridge(seen[20:], target[20:], 1e-8)
        return pnn.objectives.nrmse(readout(seen[20:]), target[20:])

    assert learned(x) < 0.2


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"units": 0}, "`units`"),
        ({"degree": 0}, "`degree`"),
        ({"leak": 0.0}, "`leak`"),
        ({"leak": 1.5}, "`leak`"),
        ({"spectral_radius": -1.0}, "`spectral_radius`"),
        ({"noise": float("nan")}, "`noise`"),
    ],
)
def test_settings_out_of_range_are_refused(settings, match):
    with pytest.raises(ValueError, match=match):
        EchoStateNetwork(**{"inputs": 1, "units": 5, **settings}, key=jax.random.key(0))


def test_another_number_of_inputs_is_refused(getkey):
    with pytest.raises(ValueError, match=r"2 inputs, but `x` has 3"):
        small(getkey())(jnp.ones((4, 3)))
