"""Phase oscillators, against closed forms of the XY model."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pnnjax as pnn
from pnnjax.integrators import FixedSteps, UntilSettled
from pnnjax.oscillators import Kuramoto, xy_energy, xy_torque

SETTLED = UntilSettled(1e-13, 1e-13)


def layered(key, **settings):
    return Kuramoto((4, 5, 3), key=key, relaxation=SETTLED, **settings)


def draw(key, *shape):
    """Normal numbers, drawn by NumPy, which has nothing to compile."""
    return np.random.default_rng(int(jax.random.bits(key))).normal(size=shape)


@eqx.filter_jit
def settled(layer, x):
    return layer.relax(layer.initial_state(x), x, None)


@eqx.filter_jit
def relaxed(layer, state, x, nudge=None):
    return layer.relax(state, x, nudge)


@eqx.filter_jit
def clamped(layer, state, x, output):
    return layer.relax_clamped(state, x, output)


@eqx.filter_jit
def energy_and_force(layer, state, x):
    return layer.energy(state, x), layer.residual(state, x)


@eqx.filter_jit
def xy(phases, coupling, field):
    return xy_energy(phases, coupling, field), xy_torque(phases, coupling, field)


def pair(coupling, field=(0.0, 0.0), start=0.3):
    """One held oscillator and a free one."""
    return Kuramoto.from_coupling(
        coupling * (1 - np.eye(2)),
        1,
        1,
        field=np.asarray(field)[:, None],
        relaxation=SETTLED,
        start=start,
    )


def ring(n, winding=0):
    """A ring of unit couplings, and phases that wind around it."""
    coupling = np.roll(np.eye(n), 1, 0) + np.roll(np.eye(n), -1, 0)
    return coupling, np.arange(n) * (2 * math.pi * winding / n)


def test_energy_and_torque_are_the_sums_over_pairs(getkey):
    phases, half = draw(getkey(), 2, 3, 6), np.triu(draw(getkey(), 6, 6), 1)
    coupling, h, psi = half + half.T, draw(getkey(), 6), draw(getkey(), 6)
    gap = phases[..., :, None] - phases[..., None, :]
    expected = -0.5 * np.sum(coupling * np.cos(gap), (-2, -1))
    expected -= np.sum(h * np.cos(phases - psi), -1)
    force = -np.sum(coupling * np.sin(gap), -1) - h * np.sin(phases - psi)
    field = np.stack([h * np.cos(psi), h * np.sin(psi)])
    energy, torque = xy(*map(jnp.asarray, (phases, coupling, field)))
    np.testing.assert_allclose(energy, expected, rtol=1e-12)
    np.testing.assert_allclose(torque, force, atol=1e-13)


@pytest.mark.slow
def test_groups_have_the_energy_of_the_whole_graph(getkey):
    layer = layered(getkey(), lateral=True)
    x, *state = (draw(getkey(), 7, n) for n in (4, 5, 3))
    whole, field = np.zeros((12, 12)), np.zeros((2, 12))
    whole[:4, 4:9], whole[4:9, 9:] = layer.couplings
    whole[4:9, 4:9], whole[9:, 9:] = (np.triu(w, 1) for w in layer.lateral)
    whole, field[:, 4:] = whole + whole.T, np.concatenate(layer.field, -1)
    phases = np.concatenate([x, *state], -1)
    energy, torque = xy(*map(jnp.asarray, (phases, whole, field)))
    x, state = jnp.asarray(x), tuple(map(jnp.asarray, state))
    own_energy, force = energy_and_force(layer, state, x)
    np.testing.assert_allclose(own_energy, energy, rtol=1e-12)
    np.testing.assert_allclose(np.concatenate(force, -1), torque[:, 4:], atol=1e-12)
    same = Kuramoto.from_coupling(whole, 4, 3, field=field[:, 4:], relaxation=SETTLED)
    ends = settled(same, x)[0], np.concatenate(settled(layer, x), -1)
    np.testing.assert_allclose(*ends, atol=1e-10)


@pytest.mark.parametrize("coupling, offset", [(0.7, 0.0), (-0.7, math.pi)])
def test_two_oscillators_lock_in_phase_or_in_antiphase(coupling, offset):
    x = jnp.asarray([[0.4], [-1.1], [2.0]])
    (phase,) = settled(pair(coupling), x)
    np.testing.assert_allclose(np.cos(phase - x - offset), 1, atol=1e-12)


def test_an_oscillator_follows_the_sum_of_its_fields():
    """E = -J cos(p - x) - h cos(p - psi) is least along the sum of the two arrows."""
    j, h, psi = 0.8, 1.3, -0.6
    layer = pair(j, (h * math.cos(psi), h * math.sin(psi)), start=0.0)
    x = jnp.linspace(-2, 2, 9)[:, None]
    arrow = j * np.exp(1j * np.asarray(x)) + h * np.exp(1j * psi)
    state = settled(layer, x)
    np.testing.assert_allclose(state[0], np.angle(arrow), atol=1e-11)
    np.testing.assert_allclose(layer.energy(state, x), -np.abs(arrow[:, 0]), rtol=1e-12)
    np.testing.assert_allclose(layer(x), np.sin(np.angle(arrow)), atol=1e-11)


@pytest.mark.parametrize("winding", [0, 1, 2])
def test_winding_states_of_a_ring_are_stationary(winding):
    """Neighbors differ by 2 pi k / N; such a state is stable where that is < pi/2."""
    n = 10
    coupling, phases = ring(n, winding)
    energy, still = xy(*map(jnp.asarray, (phases, coupling, np.zeros((2, n)))))
    np.testing.assert_allclose(still, 0, atol=1e-14)
    np.testing.assert_allclose(energy, -n * math.cos(2 * math.pi * winding / n))
    layer = Kuramoto.from_coupling(coupling, 0, 1, relaxation=SETTLED)
    shaken = phases + 0.05 * np.sin(7 * phases + np.arange(n) ** 2)
    (end,) = relaxed(layer, (jnp.asarray(shaken),), jnp.zeros(0))
    gaps = np.diff(end, append=end[:1] + 2 * math.pi * winding)
    np.testing.assert_allclose(gaps, 2 * math.pi * winding / n, atol=1e-10)


def test_turning_every_phase_changes_nothing_without_fields(getkey):
    layer = layered(getkey(), pinning=0.0, lateral=True)
    x = jnp.asarray(draw(getkey(), 2, 4))
    state = settled(layer, x)
    turned = tuple(phases + 0.9 for phases in state)
    energy, rest = energy_and_force(layer, turned, x + 0.9)
    np.testing.assert_allclose(energy, energy_and_force(layer, state, x)[0], rtol=1e-12)
    assert max(np.abs(np.asarray(f)).max() for f in rest) < 1e-11


@pytest.mark.parametrize("rate", [0.5, 1.99])
def test_each_step_lowers_the_energy_whatever_the_couplings(rate, getkey):
    settings = {"rate": rate, "relaxation": FixedSteps(1, 1)}
    layer = Kuramoto((3, 6, 4), key=getkey(), lateral=True, scale=9.0, **settings)
    x, *state = (jnp.asarray(9 * draw(getkey(), 20, n)) for n in (3, 6, 4))

    @eqx.filter_jit
    def energies(state):
        def step(state, _):
            after = layer.relax(state, x, None)
            return after, layer.energy(after, x)

        return jax.lax.scan(step, state, length=40)[1]

    assert np.all(np.diff(energies(tuple(state)), axis=0) <= 1e-12)


@pytest.mark.parametrize("imaginary", [0, 1j])
def test_torque_is_the_negative_derivative_of_the_energy(imaginary, getkey):
    layer = layered(getkey(), lateral=True)
    x = jnp.asarray(draw(getkey(), 2, 4))
    parts = [(draw(getkey(), 2, n), draw(getkey(), 2, n)) for n in (5, 3)]
    state = tuple(jnp.asarray(a + imaginary * b) for a, b in parts)

    @jax.jit
    def slope(state):
        total = lambda state: jnp.sum(layer.energy(state, x))  # noqa: E731
        return jax.grad(total, holomorphic=imaginary != 0)(state)

    for force, de in zip(energy_and_force(layer, state, x)[1], slope(state)):
        np.testing.assert_allclose(force, -de, rtol=1e-10, atol=1e-12)


@pytest.mark.slow
def test_a_nudge_is_balanced_a_complex_one_too(getkey):
    layer = layered(getkey())
    x = jnp.asarray(draw(getkey(), 2, 4))
    weights = 0.1 * draw(getkey(), 2, 3)
    free = settled(layer, x)
    real = relaxed(layer, free, x, jnp.asarray(weights))
    for a, b in zip(real, relaxed(layer, free, x, jnp.asarray(weights + 0j))):
        np.testing.assert_allclose(a, b, atol=1e-11)
    for nudge in (weights, weights * np.exp(2.1j)):
        nudged = relaxed(layer, free, x, jnp.asarray(nudge))
        hidden, last = energy_and_force(layer, nudged, x)[1]
        np.testing.assert_allclose(hidden, 0, atol=1e-11)
        push = -nudge * np.cos(np.asarray(nudged[1]))  # the output is a sine
        np.testing.assert_allclose(last + push, 0, atol=1e-11)
    change = np.sin(np.asarray(real[1])) - np.sin(np.asarray(free[1]))
    assert np.all(np.sum(change * weights, -1) < 0)


@pytest.mark.slow
def test_derivative_is_that_of_finite_differences(getkey):
    layer = layered(getkey(), lateral=True, scale=0.5)
    x, weight = jnp.asarray(draw(getkey(), 2, 4)), jnp.asarray(draw(getkey(), 2, 3))
    trained, fixed = eqx.partition((layer, x), eqx.is_inexact_array)
    along = jax.tree.map(lambda leaf: jnp.asarray(draw(getkey(), *leaf.shape)), trained)

    @jax.jit
    def value(step):
        moved = jax.tree.map(lambda a, b: a + step * b, trained, along)
        moved_layer, moved_x = eqx.combine(moved, fixed)
        return jnp.sum(weight * moved_layer(moved_x))

    h = 1e-4
    exact = jax.jit(jax.grad(value))(0.0)
    near, far = value(h) - value(-h), value(2 * h) - value(-2 * h)
    np.testing.assert_allclose((8 * near - far) / (12 * h), exact, rtol=1e-8)


@pytest.mark.slow
def test_clamped_outputs_are_held_on_their_side(getkey):
    layer = layered(getkey(), outputs=2, scale=2.0)
    x = jnp.asarray(draw(getkey(), 6, 4))
    free = settled(layer, x)
    target = jnp.asarray([[0.4, -0.9]] * 6)
    held = clamped(layer, free, x, target)
    np.testing.assert_allclose(np.sin(held[1][:, 1:]), target, atol=1e-12)
    hidden, last = energy_and_force(layer, held, x)[1]
    np.testing.assert_allclose(hidden, 0, atol=1e-11)
    np.testing.assert_allclose(last[:, 0], 0, atol=1e-11)
    before, after = np.asarray(free[1])[:, 1:], np.asarray(held[1])[:, 1:]
    assert np.all(np.abs(after - before) <= math.pi)
    assert np.all(np.cos(after) * np.cos(before) > 0)
    own = clamped(layer, free, x, jnp.sin(free[1][:, 1:]))
    np.testing.assert_allclose(own[1], free[1], atol=1e-6)
    beyond = clamped(layer, free, x, 3 * target)
    np.testing.assert_allclose(np.sin(beyond[1][:, 1:]), [[1, -1]] * 6, atol=1e-12)


@pytest.mark.slow
def test_random_starts_meet_both_minima(getkey):
    """Two that are pulled to zero, and push each other away: one goes to each side."""
    coupling = np.asarray([[0, 0.3, 0.3], [0.3, 0, -2.0], [0.3, -2.0, 0]])
    layer = Kuramoto.from_coupling(
        coupling, 1, 1, scatter=math.pi, relaxation=UntilSettled(1e-10, 1e-10)
    )
    x, key = jnp.zeros((40, 1)), getkey()
    run = eqx.filter_jit(layer)
    outputs = run(x, key=key)
    np.testing.assert_allclose(np.ptp(np.abs(outputs)), 0, atol=1e-8)
    assert np.any(outputs > 0.5) and np.any(outputs < -0.5)
    assert np.all(outputs == run(x, key=key))
    np.testing.assert_allclose(run(x), 0, atol=1e-9)  # on the saddle between them


def test_only_wired_couplings_act_and_are_trained():
    coupling = ring(6)[0]
    coupling[0, 1] = coupling[1, 0] = 0.4
    wired = coupling != 0
    layer = Kuramoto.from_coupling(coupling, 1, 2, connected=wired, relaxation=SETTLED)
    output = eqx.filter_jit(lambda k: jnp.sum(k(jnp.ones((2, 1)))))
    bar = eqx.filter_jit(eqx.filter_grad(output))(layer)
    assert np.all(np.asarray(bar.lateral[0])[~wired[1:, 1:]] == 0)
    assert np.all(np.asarray(bar.couplings[0])[~wired[:1, 1:]] == 0)
    assert np.all(np.asarray(bar.couplings[0])[wired[:1, 1:]] != 0)
    shifted = [leaf + 1.0 for leaf in layer.lateral]
    loose = eqx.tree_at(lambda k: k.lateral, layer, tuple(shifted))
    coupling[1:, 1:] += wired[1:, 1:]
    same = Kuramoto.from_coupling(coupling, 1, 2, connected=wired, relaxation=SETTLED)
    np.testing.assert_allclose(output(loose), output(same), atol=1e-10)


def test_jit_vmap_axes_and_single_precision(getkey):
    layer = layered(getkey())
    x = jnp.asarray(draw(getkey(), 2, 3, 4))
    y = eqx.filter_jit(layer)(x)
    assert y.shape == (2, 3, 3)
    np.testing.assert_allclose(jax.vmap(eqx.filter_jit(layer))(x), y, atol=1e-11)
    with jax.enable_x64(False):
        single = Kuramoto((4, 5, 3), key=jax.random.key(0))
        assert single(jnp.ones((2, 4))).dtype == jnp.float32


class TestRefuses:
    @pytest.mark.parametrize(
        "entry, value, match",
        [
            ((1, 2), 0.5, r"\[1, 2\] is 0.5, and \[2, 1\] is 0.0"),
            ((3, 3), 1.0, "3 and 3 couples it to itself"),
            ((2, 1), np.nan, "2 and 1 is not finite"),
        ],
    )
    def test_couplings_that_are_none(self, entry, value, match):
        coupling = np.zeros((4, 4))
        coupling[entry] = value
        with pytest.raises(ValueError, match=match):
            Kuramoto.from_coupling(coupling, 1, 1)

    def test_couplings_without_effect(self):
        coupling = np.ones((4, 4)) - np.eye(4)
        with pytest.raises(ValueError, match="0 and 1 is between two inputs"):
            Kuramoto.from_coupling(coupling, 2, 1)
        coupling[:2, :2] = 0
        with pytest.raises(ValueError, match="`connected` says none"):
            Kuramoto.from_coupling(coupling, 2, 1, connected=np.zeros((4, 4), bool))
        with pytest.raises(ValueError, match="square"):
            Kuramoto.from_coupling(np.zeros((3, 4)), 1, 1)

    @pytest.mark.parametrize("rate", [0.0, 2.0, math.nan])
    def test_rates_that_may_diverge(self, rate):
        with pytest.raises(ValueError, match="rate"):
            Kuramoto((2, 2), key=jax.random.key(0), rate=rate)

    def test_shapes_and_settings(self):
        key = jax.random.key(0)
        with pytest.raises(ValueError, match="sizes"):
            Kuramoto((4,), key=key)
        with pytest.raises(ValueError, match="outputs"):
            Kuramoto((4, 2), key=key, outputs=3)
        with pytest.raises(ValueError, match="scatter"):
            Kuramoto((4, 2), key=key, scatter=-1.0)
        with pytest.raises(ValueError, match="4 input oscillators"):
            Kuramoto((4, 2), key=key)(jnp.ones(5))

    def test_phases_that_are_not_numbers(self):
        layer = Kuramoto((1, 2), key=jax.random.key(0))
        with pytest.raises(Exception, match="NaN or infinite"):
            layer(jnp.asarray([[1.0], [jnp.nan]]))

    def test_a_relaxation_that_is_too_short(self):
        short = UntilSettled(1e-12, 1e-12, max_steps=3)
        layer = Kuramoto((1, 4, 3), key=jax.random.key(0), relaxation=short)
        with pytest.raises(Exception, match="did not settle within 3 steps"):
            layer(jnp.ones(1))


def test_facts_and_capabilities(getkey):
    layer = layered(getkey())
    assert isinstance(layer, pnn.AbstractClampableLayer)
    assert layer.facts.holomorphic
