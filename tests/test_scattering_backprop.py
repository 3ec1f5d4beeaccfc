"""Gradients from scattering experiments: exact, or as far off as theory says."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import resonators_that_differ

import pnnjax as pnn
from pnnjax.estimators import (
    CoherentReceiver,
    NonlinearScatteringBackprop,
    ScatteringBackprop,
)
from pnnjax.optics import KerrNetwork, ResonatorNetwork


def draw(key, *shape):
    """Normal numbers, drawn by NumPy, which has nothing to compile."""
    return np.random.default_rng(int(jax.random.bits(key))).normal(size=shape)


def test_elements_change_as_products_of_elements(getkey):
    """The published formulas, with decays and losses that all differ."""
    n = 4
    half = draw(getkey(), n, n)
    rates, losses = np.exp(draw(getkey(), 2, n))
    matrix = np.diag(draw(getkey(), n)) + half + half.T
    matrix = matrix - 0.5j * np.diag(rates + losses)

    @jax.jit
    @jax.vmap
    def scattering(change):
        moved = jnp.asarray(matrix) + change
        return pnn.optics.scattering_matrix(moved, jnp.asarray(rates), 0.3)

    step = 1e-5
    changes = step * np.eye(n * n).reshape(n * n, n, n)
    changes = np.concatenate([0 * changes[:1], changes, -changes])
    s, *moved = np.asarray(scattering(jnp.asarray(changes + 0j)))
    slope = (np.asarray(moved[: n * n]) - moved[n * n :]) / (2 * step)
    slope = np.moveaxis(slope.reshape(n, n, n, n), (0, 1), (2, 3))
    a = s - np.eye(n)
    scale = np.sqrt(rates[:, None] * rates)
    expected = 1j * np.einsum("rj,lp->rpjl", a, a) / scale
    np.testing.assert_allclose(slope, expected, atol=1e-8)


@pytest.fixture(scope="module")
def lossy():
    layer = resonators_that_differ(jax.random.key(1))
    return layer, jax.random.normal(jax.random.key(2), (5, 2))


def test_runs_are_those_of_the_output_itself(lossy, getkey):
    layer, x = lossy
    rule = ScatteringBackprop()
    cost = rule.cost(layer, x[0])
    # Probes at the source and at both outputs; nine ports, in amplitude and phase.
    assert (cost.runs, cost.measurements) == (3, 3 * 9 * 2)
    reflecting = ResonatorNetwork((4, 3, 2), key=getkey())
    assert rule.cost(reflecting, jnp.zeros(4)).runs == 2
    _, measured = eqx.filter_eval_shape(rule.forward, layer, x[0], key=None)
    assert measured.shape == (9, cost.runs)
    assert NonlinearScatteringBackprop().cost(*small_kerr(getkey())).runs == 2


def small_kerr(key):
    return KerrNetwork((2, 2, 2), key=key, kerr=0.1), jnp.ones(2)


def test_noise_is_drawn_with_a_key_only_and_averages_out(lossy):
    layer, x = lossy[0], lossy[1][0]
    receiver = CoherentReceiver(power=1e-9, bandwidth=1e6)
    # A photon of 1550 nm has 0.8 eV.
    expected = 0.8 * 1.602176634e-19 * 1e6 / (0.8 * 1e-9)
    assert receiver.variance == pytest.approx(expected, rel=1e-3)
    rule, silent = map(ScatteringBackprop, (receiver, CoherentReceiver(power=1e30)))
    draw = jax.make_jaxpr(lambda key: rule.forward(layer, x, key=key))
    assert "random_bits" in str(draw(jax.random.key(0)))
    assert "random_bits" not in str(draw(None))

    @jax.jit
    @jax.vmap
    def gradient(rule, key):
        y, elements = rule.forward(layer, x, key=key)
        bar, x_bar = rule.backward(layer, x, elements, jnp.ones(2), key=key)
        return y, elements, (*bar.detuning, *bar.coupling, x_bar)

    keys = jax.random.split(jax.random.key(0), 1001)
    rules = jax.tree.map(lambda *leaves: jnp.stack(leaves), silent, *[rule] * 1000)
    drawn = jax.tree.map(np.asarray, gradient(rules, keys))
    true_elements, exact = jax.tree.map(lambda leaf: leaf[0], drawn[1:])
    y, elements, draws = jax.tree.map(lambda leaf: leaf[1:], drawn)
    assert np.all(np.std(y, 0) > 0)
    error = np.abs(elements - true_elements) ** 2
    np.testing.assert_allclose(np.mean(error), expected, rtol=0.05)
    for noisy, true in zip(draws, exact, strict=True):
        error = np.std(noisy, 0) / math.sqrt(len(noisy))
        assert np.all(np.abs(np.mean(noisy, 0) - true) < 4.5 * error)


class Isolator(pnn.AbstractScatteringLayer):
    """A mode whose light goes one way."""

    facts = pnn.Facts(accessible=True)
    probes = (0,)

    def __call__(self, x, *, key=None):
        return x

    def port_decay(self):
        return np.ones(1)

    def scatter(self, x):
        return jnp.ones((1, 1), complex)

    def readout(self, scattered):
        return scattered.real

    def cotangent(self, left, right):
        return self, left


def test_refusals_give_their_reasons(getkey):
    with pytest.raises(TypeError, match="`Isolator`: its scattering matrix is not sym"):
        pnn.Physical(Isolator(), ScatteringBackprop())
    portless = ResonatorNetwork((4, 3, 2), key=getkey(), decay=(1, 0, 1), loss=0.1)
    with pytest.raises(TypeError, match="tunable modes without a port .their `decay`"):
        pnn.Physical(portless, ScatteringBackprop())
    with pytest.raises(TypeError, match="AbstractNonlinearScatteringLayer"):
        pnn.Physical(portless, NonlinearScatteringBackprop())
    with pytest.raises(TypeError, match="AbstractScatteringLayer"):
        pnn.Physical(small_kerr(getkey())[0], ScatteringBackprop())
    with pytest.raises(ValueError, match="must be finite and not 0"):
        NonlinearScatteringBackprop(0.0)


@pytest.fixture(scope="module")
def sweep():
    """Cosines with the gradient for 40 random networks, by strength of the light."""
    strengths = jnp.asarray([0.05, 0.2, 0.4, 0.6, 0.8, 1.0])

    def one(key, strength):
        *keys, key = jax.random.split(key, 4)
        layer = KerrNetwork((3, 4, 2), key=key, kerr=0.2, rtol=1e-11)
        layer = eqx.tree_at(
            lambda r: r.detuning[1], layer, jax.random.normal(keys[0], 4)
        )
        x = strength.astype(complex) * jax.random.normal(keys[1], (1, 3), complex)
        y_bar = jax.random.normal(keys[2], (1, 2), complex)
        _, pullback = jax.vjp(
            lambda r: eqx.combine(r, layer)(x), eqx.filter(layer, eqx.is_inexact_array)
        )
        exact = jax.tree.leaves(pullback(y_bar))
        rule = NonlinearScatteringBackprop(1e-5)
        _, residuals = rule.forward(layer, x, key=None)
        bar, _ = rule.backward(layer, x, residuals, y_bar, key=None)
        guess = jax.tree.leaves(eqx.filter(bar, eqx.is_inexact_array))
        a, b = (
            jnp.concatenate([jnp.ravel(leaf) for leaf in t]) for t in (guess, exact)
        )
        cosine = a @ b / jnp.sqrt((a @ a) * (b @ b))
        inside = residuals - layer.incoming(x)  # of decay 1
        return cosine, 2 * 0.2 * jnp.max(jnp.abs(inside) ** 2)

    keys = jax.random.split(jax.random.key(5), 40)
    every = jax.jit(jax.vmap(jax.vmap(one, (None, 0)), (0, None)))
    return map(np.asarray, every(keys, strengths))


def test_bias_grows_with_the_nonlinearity_and_keeps_to_the_claim(sweep):
    cosine, u = sweep
    assert np.all(1 - cosine[:, 0] < 1e-4)
    assert np.all(np.diff(np.mean(cosine, 0)) < 0)
    claim = NonlinearScatteringBackprop().claim
    assert np.count_nonzero(u <= 0.25) > 60
    assert np.all(cosine[u <= 0.25] >= claim.min_cosine)
    assert np.all(cosine[u <= 1] > 0.9)  # the bound is for the worst of all fields


def test_the_field_of_the_error_keeps_to_its_bound(getkey):
    """It is off by at most 2u/(1 - u) of the adjoint field, from a dense solve."""
    g, beta = 0.3, 1e-6
    layer = KerrNetwork((2, 3, 2), key=getkey(), kerr=g, rtol=1e-13)
    x = 0.3 * jnp.asarray(draw(getkey(), 8, 2) + 1j * draw(getkey(), 8, 2))
    wrong = np.pad(draw(getkey(), 8, 2) + 1j * draw(getkey(), 8, 2), ((0, 0), (5, 0)))

    @eqx.filter_jit
    def fields(x, error):
        incoming = layer.incoming(x)
        return layer.amplitude(incoming), layer.amplitude(incoming + error)

    inside, pushed = map(np.asarray, fields(x, jnp.asarray(-1j * beta * wrong)))
    matrix = np.zeros((7, 7), complex)
    matrix[:2, 2:5], matrix[2:5, 5:] = layer.coupling
    matrix = matrix + matrix.T - 0.5j * np.eye(7)
    for a, guess, source in zip(inside, (pushed - inside) / beta, wrong):
        own = matrix + 2 * g * np.diag(np.abs(a) ** 2)
        mixed = np.diag(g * np.conj(a) ** 2)
        real = np.block(
            [
                [own.real + mixed.real, mixed.imag - own.imag],
                [own.imag + mixed.imag, own.real - mixed.real],
            ]
        )
        parts = np.linalg.solve(real, np.concatenate([source.real, source.imag]))
        adjoint = parts[:7] + 1j * parts[7:]
        u = 2 * g * np.max(np.abs(a) ** 2)
        error = np.linalg.norm(guess - adjoint) / np.linalg.norm(adjoint)
        assert u < 1
        assert 1e-3 < error < 2 * u / (1 - u)


def test_the_phase_of_the_error_follows_that_of_the_light(getkey):
    """Turning all light by an angle turns the best phase back by twice of it."""
    layer = KerrNetwork((2, 3, 2), key=getkey(), kerr=0.3, rtol=1e-12)
    x = jnp.asarray(draw(getkey(), 4, 2) + 0j)
    y_bar = jnp.asarray(draw(getkey(), 4, 2) + 1j * draw(getkey(), 4, 2))

    def gradient(angle):
        turn = np.exp(1j * angle)
        rule = NonlinearScatteringBackprop(1e-4, phase=-2 * angle)
        _, residuals = rule.forward(layer, turn * x, key=None)
        y_bar_ = y_bar / turn
        bar, x_bar = rule.backward(layer, turn * x, residuals, y_bar_, key=None)
        return *bar.detuning, *bar.coupling, turn * x_bar

    straight, turned = jax.jit(lambda: (gradient(0.0), gradient(0.7)))()
    for a, b in zip(straight, turned, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-8)
