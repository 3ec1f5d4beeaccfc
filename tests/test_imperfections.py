"""Imperfections, against their statistics and closed forms."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pnnjax._frozen import Frozen, is_trainable
from pnnjax._layer import AbstractLayer, AbstractWrapper, Facts
from pnnjax.imperfections import (
    ADC,
    DAC,
    Crosstalk,
    Drift,
    Loss,
    Mismatch,
    Quantize,
    ReadNoise,
    ShotNoise,
    StuckAt,
    quantize,
)


class Screen(AbstractLayer):
    """A phase and a fixed amplitude for each mode."""

    phase: jax.Array
    amplitude: Frozen
    facts = Facts(linear=True, lossless=True, phase_only=True)

    def __init__(self, phase):
        self.phase = phase
        self.amplitude = Frozen(0.5 * jnp.ones_like(phase))

    def __call__(self, x, *, key=None):
        amplitude = self.amplitude.value
        turn = jax.lax.complex(
            amplitude * jnp.cos(self.phase), amplitude * jnp.sin(self.phase)
        )
        return jnp.broadcast_to(turn, x.shape) * x


class Identity(AbstractLayer):
    facts = Facts(linear=True, lossless=True)

    def __call__(self, x, *, key=None):
        return x


N = 8
PARAMETRIC = {
    "Mismatch": Mismatch(0.1),
    "ReadNoise": ReadNoise(0.1),
    "Quantize": Quantize(4, -4.0, 4.0),
    "Drift": Drift(0.05, 20.0, 1e4, spread=0.01),
    "Crosstalk": Crosstalk(0.02),
    "StuckAt": StuckAt(0.3, 0.0),
}
SIGNAL = {
    "DAC": DAC(6, -3.0, 3.0),
    "ADC": ADC(6, -3.0, 3.0),
    "Loss": Loss(3.0),
}
each_parametric = pytest.mark.parametrize("name", PARAMETRIC)
each = pytest.mark.parametrize("name", PARAMETRIC | SIGNAL)


def screen(key, shape=(N,)):
    return Screen(jax.random.normal(key, shape))


def field(key, shape=(N,)):
    return jax.random.normal(key, shape, jnp.complex128)


def phase_after(imperfection, phase, draw, key=None):
    return imperfection(Screen(phase), key=draw).realize(key).phase


def within_four_errors(samples, mean, deviation):
    """Mean and variance of Gaussian samples, each within 4 standard errors."""
    n = samples.size
    assert abs(np.mean(samples) - mean) < 4 * deviation / math.sqrt(n)
    spread = abs(np.var(samples) / deviation**2 - 1)
    assert spread < 4 * math.sqrt(2 / n)


class TestEveryImperfection:
    @each
    def test_jit_vmap_leading_axes_and_no_key(self, name, getkey):
        wrapped = (PARAMETRIC | SIGNAL)[name](screen(getkey()), key=getkey())
        x = field(getkey(), (3, 2, N))
        y = wrapped(x)
        np.testing.assert_array_equal(wrapped(x), y)
        batched = jax.vmap(eqx.filter_jit(lambda x: wrapped(x)))(x)
        np.testing.assert_allclose(batched, y, rtol=1e-13)

    @each
    def test_float32_stays_float32(self, name, getkey):
        layer = Screen(jax.random.normal(getkey(), (N,), jnp.float32))
        wrapped = (PARAMETRIC | SIGNAL)[name](layer, key=getkey())
        x = field(getkey()).astype(jnp.complex64)
        assert wrapped(x, key=getkey()).dtype == jnp.complex64

    @each
    def test_only_the_parameters_inside_are_trained(self, name, getkey):
        wrapped = (PARAMETRIC | SIGNAL)[name](screen(getkey()), key=getkey())
        trained = jax.tree.leaves(eqx.filter(wrapped, is_trainable(wrapped)))
        assert [leaf.shape for leaf in trained] == [(N,)]

        def loss(wrapped, x):
            return jnp.sum(wrapped(x).real)

        grads = eqx.filter_grad(loss)(wrapped, field(getkey()))
        assert np.any(np.asarray(grads.layer.phase) != 0) or name == "Quantize"
        frozen = eqx.tree_at(lambda g: g.layer.phase, grads, jnp.zeros(N))
        for leaf in jax.tree.leaves(frozen):
            assert not np.any(np.asarray(leaf))

    @each_parametric
    def test_realizes_the_layer_itself(self, name, getkey):
        layer = screen(getkey())
        wrapped = PARAMETRIC[name](layer, key=getkey())
        assert isinstance(wrapped, AbstractWrapper)
        assert isinstance(wrapped.realize(None), Screen)
        assert wrapped.facts == layer.facts
        again = PARAMETRIC[name](wrapped, key=getkey())
        assert isinstance(again.realize(getkey()), Screen)

    @each_parametric
    def test_refuses_a_layer_without_parameters(self, name, getkey):
        with pytest.raises(ValueError, match=f"`{name}` acts on trainable parameters"):
            PARAMETRIC[name](Identity(), key=getkey())

    @pytest.mark.parametrize("name", ["Mismatch", "Drift", "StuckAt"])
    def test_hidden_draws_need_a_key(self, name, getkey):
        with pytest.raises(ValueError, match="with a key"):
            PARAMETRIC[name](screen(getkey()))

    @pytest.mark.parametrize(
        "make",
        [
            lambda: Mismatch(-0.1),
            lambda: ReadNoise(-0.1),
            lambda: Quantize(0, 0.0, 1.0),
            lambda: Quantize(4, 1.0, 0.0),
            lambda: DAC(4, 1.0, 1.0),
            lambda: Drift(0.05, 1.0, -1.0),
            lambda: Loss(-1.0),
            lambda: Crosstalk(-0.1),
            lambda: StuckAt(1.1, 0.0),
            lambda: ShotNoise(1.5e-6, 1e-9, 1.5),
            lambda: ShotNoise(0.0, 1e-9),
        ],
    )
    def test_refuses_settings_without_meaning(self, make):
        with pytest.raises(ValueError):
            make()

    def test_works_on_a_foreign_stack_and_where_picks(self, getkey):
        stack = eqx.nn.Sequential(
            [eqx.nn.Linear(3, 4, key=getkey()), eqx.nn.Linear(4, 2, key=getkey())]
        )
        second = Crosstalk(0.5, where=lambda s: s.layers[1])
        changed = second(stack).realize(None)
        np.testing.assert_array_equal(changed[0].weight, stack[0].weight)
        assert np.all(np.asarray(changed[1].weight != stack[1].weight))
        bias = Mismatch(0.5, where=lambda s: (s.layers[0].bias, s.layers[1].bias))
        changed = bias(second(stack), key=getkey()).realize(None)
        np.testing.assert_array_equal(changed[0].weight, stack[0].weight)
        assert np.all(np.asarray(changed[0].bias != stack[0].bias))
        x = jax.random.normal(getkey(), (5, 3))
        wrapped = second(stack)
        np.testing.assert_allclose(wrapped(x), jax.vmap(wrapped)(x), rtol=1e-13)

    def test_settings_can_be_swept_by_vmap(self, getkey):
        layer, draw, x = screen(getkey()), getkey(), field(getkey())
        sigmas = jnp.asarray([0.0, 0.1, 0.2])
        swept = jax.vmap(lambda s: Mismatch(s)(layer, key=draw)(x))(sigmas)
        for sigma, y in zip((0.0, 0.1, 0.2), swept, strict=True):
            np.testing.assert_allclose(y, Mismatch(sigma)(layer, key=draw)(x))
        chips = eqx.filter_vmap(lambda k: Mismatch(0.1)(layer, key=k))(
            jax.random.split(draw, 3)
        )
        responses = eqx.filter_vmap(lambda chip: chip(x))(chips)
        assert len(np.unique(np.asarray(responses)[:, 0])) == 3


class TestMismatch:
    def test_statistics_of_the_offsets(self, getkey):
        phase = jax.random.normal(getkey(), (200, 100))
        offsets = phase_after(Mismatch(0.05), phase, getkey()) - phase
        within_four_errors(np.asarray(offsets), 0, 0.05)
        shares = phase_after(Mismatch(0.05, relative=True), phase, getkey()) / phase
        within_four_errors(np.asarray(shares), 1, 0.05)

    def test_complex_offsets_are_circular(self, getkey):
        zero = jnp.zeros((200, 100), jnp.complex128)
        layer = eqx.tree_at(lambda s: s.phase, screen(getkey()), zero)
        offsets = np.asarray(Mismatch(0.05)(layer, key=getkey()).realize(None).phase)
        for part in (offsets.real, offsets.imag):
            within_four_errors(part, 0, 0.05 / math.sqrt(2))

    def test_hidden_but_fixed(self, getkey):
        layer, draw = screen(getkey()), getkey()
        chip = Mismatch(0.1)(layer, key=draw)
        x = field(getkey())
        np.testing.assert_array_equal(chip(x, key=getkey()), chip(x))
        np.testing.assert_array_equal(Mismatch(0.1)(layer, key=draw)(x), chip(x))
        assert np.all(np.asarray(Mismatch(0.1)(layer, key=getkey())(x) != chip(x)))

    def test_gradient_is_that_at_the_true_parameters(self, getkey):
        layer, x = screen(getkey()), field(getkey())
        chip = Mismatch(0.3)(layer, key=getkey())

        def loss(layer):
            return jnp.sum(layer(x).real)

        through = eqx.filter_grad(loss)(chip).layer.phase
        at_truth = eqx.filter_grad(loss)(chip.realize(None)).phase
        np.testing.assert_allclose(through, at_truth, rtol=1e-13)


class TestReadNoise:
    def test_fresh_in_each_run_none_without_a_key(self, getkey):
        layer = screen(getkey())
        noisy = ReadNoise(0.1)(layer)
        np.testing.assert_array_equal(noisy.realize(None).phase, layer.phase)
        first, second = noisy.realize(getkey()).phase, noisy.realize(getkey()).phase
        assert np.all(np.asarray(first != second))
        x, key = field(getkey()), getkey()
        np.testing.assert_array_equal(noisy(x, key=key), noisy(x, key=key))
        assert np.all(np.asarray(noisy(x, key=getkey()) != noisy(x, key=key)))

    def test_statistics(self, getkey):
        phase = jax.random.normal(getkey(), (200, 100))
        offsets = phase_after(ReadNoise(0.2), phase, None, getkey()) - phase
        within_four_errors(np.asarray(offsets), 0, 0.2)
        relative = ReadNoise(0.2, relative=True)
        shares = phase_after(relative, phase, None, getkey()) / phase
        within_four_errors(np.asarray(shares), 1, 0.2)

    def test_a_batch_is_one_run(self, getkey):
        noisy = ReadNoise(0.1)(screen(getkey()))
        x = jnp.broadcast_to(field(getkey()), (4, N))
        y = np.asarray(noisy(x, key=getkey()))
        np.testing.assert_array_equal(y, np.broadcast_to(y[:1], y.shape))


class TestQuantize:
    def test_error_is_uniform_and_at_most_half_a_step(self, getkey):
        bits, low, high = 6, 0.0, 2 * math.pi
        step = (high - low) / (2**bits - 1)
        phase = jax.random.uniform(getkey(), (200, 100), minval=low, maxval=high)
        rounded = phase_after(Quantize(bits, low, high), phase, None)
        error = np.asarray(rounded - phase)
        assert np.max(np.abs(error)) <= step / 2 + 1e-12
        n, variance = error.size, step**2 / 12
        assert abs(np.mean(error)) < 4 * math.sqrt(variance / n)
        # a uniform distribution has kurtosis 9/5
        assert abs(np.var(error) / variance - 1) < 4 * math.sqrt(0.8 / n)
        assert len(np.unique(np.round(rounded / step))) == 2**bits

    def test_levels_are_fixed_points(self):
        levels = jnp.linspace(-1, 3, 2**5)
        np.testing.assert_allclose(quantize(levels, 5, -1.0, 3.0), levels, atol=1e-14)

    def test_straight_through_within_zero_beyond(self):
        values = jnp.asarray([-2.0, -1.0, 0.3, 0.9, 1.0, 1.1])
        gradient = jax.grad(lambda v: jnp.sum(quantize(v, 3, -1.0, 1.0)))(values)
        np.testing.assert_array_equal(gradient, [0, 1, 1, 1, 1, 0])
        held = quantize(values, 3, -1.0, 1.0)
        np.testing.assert_allclose(held[jnp.asarray([0, 5])], [-1, 1], atol=1e-15)

    def test_complex_parts_are_rounded_each_for_itself(self, getkey):
        z = field(getkey())
        both = quantize(z, 4, -2.0, 2.0)
        np.testing.assert_array_equal(both.real, quantize(z.real, 4, -2.0, 2.0))
        np.testing.assert_array_equal(both.imag, quantize(z.imag, 4, -2.0, 2.0))

    def test_converters_at_the_input_and_at_the_output(self, getkey):
        layer, x = screen(getkey()), field(getkey(), (4, N))
        into, out = DAC(3, -2.0, 2.0)(layer), ADC(3, -2.0, 2.0)(layer)
        np.testing.assert_array_equal(into(x), layer(quantize(x, 3, -2.0, 2.0)))
        np.testing.assert_array_equal(out(x), quantize(layer(x), 3, -2.0, 2.0))
        assert into.facts == out.facts == Facts()


class TestDrift:
    def test_exponent_by_regression(self, getkey):
        phase = jax.random.uniform(getkey(), (50,), minval=0.5, maxval=2.0)
        times = np.logspace(1.4, 7, 12)
        drifted = [phase_after(Drift(0.06, 20.0, t), phase, None) for t in times]
        slopes = np.polyfit(np.log(times), np.log(np.asarray(drifted)), 1)[0]
        np.testing.assert_allclose(slopes, -0.06, rtol=1e-9)
        now = phase_after(Drift(0.06, 20.0, 20.0), phase, None)
        np.testing.assert_allclose(now, phase, rtol=1e-14)

    def test_spread_of_the_exponents(self, getkey):
        phase, draw = jnp.ones((200, 100)), getkey()
        late = phase_after(Drift(0.06, 20.0, 2e5, spread=0.01), phase, draw)
        exponents = -np.log(np.asarray(late)) / math.log(1e4)
        within_four_errors(exponents, 0.06, 0.01)
        later = phase_after(Drift(0.06, 20.0, 2e7, spread=0.01), phase, draw)
        same = -np.log(np.asarray(later)) / math.log(1e6)
        np.testing.assert_allclose(same, exponents, rtol=1e-9)


class TestLoss:
    def test_decibels_of_power(self, getkey):
        x = field(getkey(), (3, N))
        y = Loss(3.0)(Identity())(x)
        ratio = np.sum(np.abs(y) ** 2) / np.sum(np.abs(x) ** 2)
        np.testing.assert_allclose(10 * np.log10(ratio), -3.0, rtol=1e-12)
        twice = Loss(1.0)(Loss(2.0)(Identity()))(x)
        np.testing.assert_allclose(twice, y, rtol=1e-13)

    def test_facts(self):
        lossy = Loss(3.0)(Identity())
        assert lossy.facts == Identity.facts._replace(lossless=False)


class TestCrosstalk:
    def test_against_the_matrix(self, getkey):
        share, rows, columns = 0.03, 4, 6

        def chain(n):
            return np.eye(n, k=1) + np.eye(n, k=-1)

        neighbors = np.kron(chain(rows), np.eye(columns))
        neighbors += np.kron(np.eye(rows), chain(columns))
        matrix = np.eye(rows * columns) + share * neighbors
        phase = jax.random.normal(getkey(), (rows, columns))
        leaked = phase_after(Crosstalk(share), phase, None)
        np.testing.assert_allclose(np.ravel(leaked), matrix @ np.ravel(phase))

        def readout(layer):
            return jnp.sum(leaked * Crosstalk(share)(layer).realize(None).phase)

        gradient = eqx.filter_grad(readout)(Screen(phase)).phase
        np.testing.assert_allclose(np.ravel(gradient), matrix.T @ np.ravel(leaked))


class TestStuckAt:
    def test_share_value_and_gradient(self, getkey):
        phase, draw = jax.random.normal(getkey(), (200, 100)), getkey()
        faulty = StuckAt(0.1, 7.0)(Screen(phase), key=draw)
        stuck = np.asarray(faulty.realize(None).phase == 7.0)
        n = stuck.size
        assert abs(stuck.mean() - 0.1) < 4 * math.sqrt(0.1 * 0.9 / n)
        kept = np.asarray(faulty.realize(None).phase)[~stuck]
        np.testing.assert_array_equal(kept, np.asarray(phase)[~stuck])
        grads = eqx.filter_grad(lambda f: jnp.sum(f.realize(None).phase))(faulty)
        np.testing.assert_array_equal(grads.layer.phase, np.where(stuck, 0, 1))


class TestComposition:
    def test_the_outermost_acts_first(self, getkey):
        layer, draw = screen(getkey()), getkey()
        chip = Mismatch(0.05)(layer, key=draw)
        offsets = chip.realize(None).phase - layer.phase
        both = Quantize(4, -4.0, 4.0)(chip)
        expected = quantize(layer.phase, 4, -4.0, 4.0) + offsets
        np.testing.assert_allclose(both.realize(None).phase, expected, rtol=1e-13)

    def test_signal_and_parameter_imperfections_in_any_order(self, getkey):
        layer, draw, x = screen(getkey()), getkey(), field(getkey())
        one = Loss(2.0)(Mismatch(0.05)(layer, key=draw))
        other = Mismatch(0.05)(Loss(2.0)(layer), key=draw)
        np.testing.assert_allclose(one(x), other(x), rtol=1e-13)
        assert not one.facts.lossless and not other.facts.lossless

    def test_each_has_noise_of_its_own(self, getkey):
        phase = jnp.zeros((200, 100))
        twice = ReadNoise(0.3)(ReadNoise(0.4)(Screen(phase)))
        noise = np.asarray(twice.realize(getkey()).phase)
        within_four_errors(noise, 0, 0.5)
