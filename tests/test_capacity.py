"""Memory and computation of systems whose capacities are known; normalized errors."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pnnjax import objectives
from pnnjax.oscillators import EchoStateNetwork

LENGTH = 3000


@pytest.fixture
def noise(getkey):
    return jax.random.uniform(getkey(), (LENGTH,), minval=-1.0)


def line(u, length):
    """A delay line: what was said 0, 1, ... steps ago, zero before the first."""
    rows = [np.concatenate([np.zeros(k), u[: len(u) - k]]) for k in range(length)]
    return np.stack(rows, -1)


def test_a_delay_line_remembers_its_length_and_computes_nothing(noise, getkey):
    mixed = jax.random.normal(getkey(), (8, 8))
    states = jnp.asarray(line(np.asarray(noise), 8)) @ mixed
    curve = objectives.memory_curve(states, noise, 20)
    np.testing.assert_allclose(curve, np.arange(20) < 8, atol=1e-9)
    assert objectives.memory_capacity(states, noise, 20) == jnp.sum(curve)
    found = objectives.information_processing_capacity(states, noise, (20, 6, 4))
    np.testing.assert_allclose(found.by_degree(), [8, 0, 0], atol=0.1)
    np.testing.assert_allclose(found.total(), jnp.sum(found.values))


def test_each_function_of_the_past_is_found(noise):
    """A state for each of four functions, one of them not a Legendre product."""
    now, before = line(np.asarray(noise), 2).T
    square, cube = (3 * now**2 - 1) / 2, (5 * before**3 - 3 * before) / 2
    states = np.stack([square, now * before, cube, now**3], -1)
    found = objectives.information_processing_capacity(
        jnp.asarray(states), noise, (3, 3, 3)
    )
    known = dict(zip(found.lags, np.asarray(found.values), strict=True))
    for lags in ((0, 0), (0, 1), (1, 1, 1)):
        assert known.pop(lags) == pytest.approx(1, abs=1e-9)
    # u³ = 3/5 P1 + 2/5 P3: of its variance 1/7, 3/25 are of P1 and 4/175 of P3.
    assert known.pop((0,)) == pytest.approx(21 / 25, abs=0.02)
    assert known.pop((0, 0, 0)) == pytest.approx(4 / 25, abs=0.03)
    assert np.max(list(known.values())) < 0.03
    assert found.total() == pytest.approx(4, abs=0.1)


def test_states_that_know_nothing_have_no_capacity(noise, getkey):
    states = jax.random.normal(getkey(), (LENGTH, 20))
    assert objectives.memory_capacity(states, noise, 100) < 0.1


@pytest.fixture(scope="module")
def curves():
    """Of networks of 50 units, hardly driven, with a random and a ring coupling."""
    key = jax.random.key(5)
    noise = jax.random.uniform(key, (LENGTH, 1), minval=-1.0)
    found = {}
    for kind in (EchoStateNetwork, EchoStateNetwork.orthogonal):
        network = kind(1, 50, key=key, spectral_radius=0.95, input_scaling=1e-3)
        states = eqx.filter_jit(network)(noise)[500:]
        found[kind] = objectives.memory_curve(states, noise[500:, 0], 150)
    return found


@pytest.mark.slow
def test_memory_of_orthogonal_couplings_is_the_number_of_units(curves):
    curve = curves[EchoStateNetwork.orthogonal]
    assert 0.95 * 50 <= jnp.sum(curve) <= 50
    # On a ring of n units, what is n steps older overlaps what is new.
    kept = 1 - 0.95**100
    np.testing.assert_allclose(curve[:50], kept, atol=0.01)
    np.testing.assert_allclose(curve[50:90], kept * (1 - kept), atol=0.01)


@pytest.mark.slow
def test_memory_of_random_couplings_is_below_it(curves):
    assert 15 < jnp.sum(curves[EchoStateNetwork]) <= 50


def test_normalized_errors(getkey):
    target = jax.random.normal(getkey(), (40, 2)) * jnp.asarray([[1.0, 100.0]])
    mean = jnp.broadcast_to(jnp.mean(target, 0), target.shape)
    assert objectives.nmse(mean, target) == pytest.approx(1)
    assert objectives.nmse(target, target) == 0
    shifted = target + 0.1 * jnp.std(target, 0)[None]
    assert objectives.nmse(shifted, target) == pytest.approx(0.01)
    assert objectives.nrmse(shifted, target) == pytest.approx(0.1)
    with pytest.raises(ValueError, match="shape"):
        objectives.nmse(target, target[:-1])
    with pytest.raises(Exception, match="constant"):
        objectives.nmse(target, jnp.ones_like(target))


def test_what_can_not_be_told_is_refused(noise):
    states = jnp.ones((100, 30))
    with pytest.raises(ValueError, match="too few for 30 states"):
        objectives.memory_curve(states, noise[:100], 5)
    with pytest.raises(ValueError, match="but 3000 inputs"):
        objectives.memory_curve(states, noise, 5)
    with pytest.raises(ValueError, match="for each degree"):
        objectives.information_processing_capacity(states, noise[:100], ())
    loud = jnp.full(LENGTH, 2.0)
    with pytest.raises(Exception, match="beyond -1 to 1"):
        objectives.information_processing_capacity(loud[:, None], loud, (3,))
