"""Activations that exist as hardware, against their closed forms."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pnnjax._layer import AbstractBoundedLayer, AbstractPumpProbeLayer, Facts
from pnnjax.optics import (
    ElectroOpticActivation,
    Intensity,
    ModReLU,
    SaturableAbsorber,
)

MODES = 5
ACTIVATIONS = {
    "electro-optic": ElectroOpticActivation(MODES, tap=0.2, gain=3.0, bias=1.0),
    "saturable": SaturableAbsorber(optical_depth=6.0, saturation_power=0.7),
    "intensity": Intensity(),
    "modReLU": ModReLU(MODES, bias=-0.4),
}
each = pytest.mark.parametrize("name", ACTIVATIONS)


def fields(key, shape=(MODES,)):
    return jax.random.normal(key, shape, jnp.complex128)


def wirtinger(name, z):
    """The derivatives by z and by its conjugate, from the closed form."""
    power = np.abs(z) ** 2
    if name == "electro-optic":
        tap, gain, bias = 0.2, 3.0, 1.0
        amplitude, phase = np.sqrt(1 - tap), bias + gain * tap * power
        f = 0.5j * amplitude * (1 + np.exp(1j * phase))
        slope = 0.5j * amplitude * 1j * gain * tap * np.exp(1j * phase)
    if name == "saturable":
        depth, saturation = 6.0, 0.7
        p = power / saturation
        f = np.exp(-depth / 2 / (1 + p))
        slope = f * depth / 2 / (1 + p) ** 2 / saturation
    if name == "intensity":
        return z.conj(), z
    if name == "modReLU":
        r = np.abs(z)
        f = np.maximum(1 - 0.4 / r, 0)
        slope = np.where(r > 0.4, 0.4 / (2 * r**3), 0)
    return f + slope * power, slope * z**2


@each
def test_derivative_is_the_analytic_one(name, getkey):
    z, dz = fields(getkey()), fields(getkey())
    _, df = jax.jvp(ACTIVATIONS[name], (z,), (dz,))
    by_z, by_conjugate = wirtinger(name, np.asarray(z))
    expected = by_z * np.asarray(dz) + by_conjugate * np.asarray(dz).conj()
    np.testing.assert_allclose(df, expected, rtol=1e-12, atol=1e-13)


@each
def test_finite_at_zero_field(name):
    activation = ACTIVATIONS[name]

    def power(activation, z):
        y = activation(z)
        return jnp.sum(y.real**2 + y.imag**2 + y.real)

    for dtype in (jnp.float64, jnp.complex128):
        zero = jnp.zeros(MODES, dtype)
        assert np.all(np.asarray(activation(zero)) == 0)
        bar = jax.grad(power, argnums=1)(activation, zero)
        layer_bar = eqx.filter_grad(power)(activation, zero)
        for leaf in jax.tree.leaves((bar, layer_bar)):
            assert np.all(np.isfinite(leaf))


@each
def test_leading_axes_jit_vmap_and_dtype(name, getkey):
    activation = ACTIVATIONS[name]
    z = fields(getkey(), (3, 2, MODES))
    y = activation(z)
    np.testing.assert_allclose(jax.vmap(eqx.filter_jit(activation))(z), y, rtol=1e-14)
    single = activation(z.astype(jnp.complex64))
    assert single.dtype == (jnp.float32 if name == "intensity" else jnp.complex64)
    np.testing.assert_allclose(single, y, rtol=1e-5, atol=1e-6)
    assert activation.facts == Facts()


@each
def test_a_real_field_is_a_complex_one_without_imaginary_part(name, getkey):
    x = jax.random.normal(getkey(), (4, MODES))
    y = ACTIVATIONS[name](x)
    expected = ACTIVATIONS[name](jax.lax.complex(x, jnp.zeros_like(x)))
    np.testing.assert_allclose(y, expected, rtol=1e-14)


@each
def test_passive_and_blind_to_the_phase(name, getkey):
    if name == "intensity":
        return
    activation = ACTIVATIONS[name]
    z = 3 * fields(getkey(), (200, MODES))
    y = activation(z)
    assert np.all(np.abs(y) <= np.abs(z))
    turned = activation(jnp.exp(jnp.asarray(0.7j)) * z)
    # Absolute too: where the modulator blocks, what is left is rounding of the field.
    np.testing.assert_allclose(turned, np.exp(0.7j) * y, rtol=1e-12, atol=1e-13)


class TestElectroOptic:
    def test_formula_of_the_paper(self, getkey):
        """Eq. for f(z) in Williamson 2020, its conjugate phases, up to a sign."""
        z = np.asarray(fields(getkey()))
        tap, gain, bias = 0.1, 0.05 * np.pi / 0.1, np.pi
        half = 0.5 * (tap * gain * np.abs(z) ** 2 + bias)
        paper = 1j * np.sqrt(1 - tap) * np.exp(-1j * half) * np.cos(half) * z.conj()
        ours = ElectroOpticActivation(MODES, tap, gain, bias)(jnp.asarray(z))
        np.testing.assert_allclose(ours, -paper.conj(), rtol=1e-12)

    def test_without_a_tap_it_is_linear(self, getkey):
        z = fields(getkey())
        activation = ElectroOpticActivation(MODES, tap=0.0, gain=7.0, bias=0.3)
        expected = 0.5j * (1 + np.exp(0.3j)) * z
        np.testing.assert_allclose(activation(z), expected, rtol=1e-13)
        np.testing.assert_allclose(activation(2 * z), 2 * activation(z), rtol=1e-13)

    def test_bias_opens_and_closes_the_modulator(self, getkey):
        dim = 1e-6 * fields(getkey())
        closed = ElectroOpticActivation(MODES, tap=0.1, gain=1.0, bias=math.pi)
        opened = ElectroOpticActivation(MODES, tap=0.1, gain=1.0, bias=0.0)
        assert np.all(np.abs(closed(dim)) < 1e-9 * np.abs(dim))
        np.testing.assert_allclose(
            np.abs(opened(dim)), np.sqrt(0.9) * np.abs(dim), rtol=1e-9
        )

    def test_projection_changes_nothing_that_can_be_built(self, getkey):
        z = fields(getkey())
        activation = ElectroOpticActivation(MODES, tap=0.1, gain=2.0, bias=-9.0)
        assert isinstance(activation, AbstractBoundedLayer)
        projected = activation.project()
        assert np.all((projected.bias >= 0) & (projected.bias < 2 * math.pi))
        np.testing.assert_allclose(projected(z), activation(z), rtol=1e-12)
        negative = eqx.tree_at(lambda a: a.gain, activation, -activation.gain)
        assert np.all(np.asarray(negative.project().gain) == 0)

    def test_gain_and_bias_are_trained_the_tap_is_not(self):
        leaves = jax.tree.leaves(eqx.filter(ACTIVATIONS["electro-optic"], eqx.is_array))
        assert [leaf.shape for leaf in leaves] == [(MODES,), (MODES,)]

    @pytest.mark.parametrize("settings", [{"tap": 1.0}, {"tap": -0.1}, {"gain": -1.0}])
    def test_refuses_what_cannot_be_built(self, settings):
        with pytest.raises(ValueError, match="|".join(settings)):
            ElectroOpticActivation(MODES, **settings)


class TestSaturableAbsorber:
    def test_limits(self):
        absorber = SaturableAbsorber(optical_depth=4.0, saturation_power=2.0)
        dark, half, bright = map(jnp.asarray, (1e-6, math.sqrt(2.0), 1e6))
        np.testing.assert_allclose(absorber(dark) / dark, np.exp(-2), rtol=1e-9)
        np.testing.assert_allclose(absorber(half) / half, np.exp(-1), rtol=1e-12)
        np.testing.assert_allclose(absorber(bright) / bright, 1, rtol=1e-9)

    def test_real_derivative(self):
        """[1 + a0 E^2 / (1 + E^2)^2] exp(-(a0/2) / (1 + E^2))."""
        absorber = SaturableAbsorber(optical_depth=9.0)
        e = jnp.linspace(-3, 3, 41)
        expected = (1 + 9 * e**2 / (1 + e**2) ** 2) * jnp.exp(-4.5 / (1 + e**2))
        derivative = jax.vmap(jax.grad(absorber))(e)
        np.testing.assert_allclose(derivative, expected, rtol=1e-12)

    def test_the_probe_is_weak_and_sees_the_transmission_only(self, getkey):
        absorber = SaturableAbsorber(optical_depth=9.0)
        assert isinstance(absorber, AbstractPumpProbeLayer)
        pump, probe = fields(getkey()), fields(getkey())
        transmission = np.exp(-4.5 / (1 + np.abs(pump) ** 2))
        seen = absorber.probe(pump, probe)
        np.testing.assert_allclose(seen, transmission * np.asarray(probe), rtol=1e-13)
        np.testing.assert_allclose(
            absorber.probe(pump, 2 * probe), 2 * seen, rtol=1e-13
        )

    def test_refuses_what_cannot_be_built(self):
        with pytest.raises(ValueError, match="optical_depth"):
            SaturableAbsorber(-1.0)
        with pytest.raises(ValueError, match="saturation_power"):
            SaturableAbsorber(1.0, 0.0)


def test_mod_relu_blocks_below_its_threshold():
    z = jnp.asarray(np.asarray([0.1, 0.4, 1.0]) * np.exp(2j))
    y = ModReLU(3, bias=-0.4)(z)
    np.testing.assert_allclose(y, np.asarray([0, 0, 0.6]) * np.exp(2j), atol=1e-15)
    real = ModReLU(2, bias=-0.4)(jnp.asarray([-1.0, 1.0]))
    np.testing.assert_allclose(real, [-0.6, 0.6], rtol=1e-14)
