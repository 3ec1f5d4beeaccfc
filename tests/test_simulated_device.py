"""A simulated chip: its own errors, the parameters of the layer."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pnnjax._frozen import Frozen, is_trainable
from pnnjax._layer import AbstractLayer, Facts
from pnnjax.devices import SimulatedDevice
from pnnjax.imperfections import Mismatch, Quantize, ReadNoise


class Matrix(AbstractLayer):
    """A trained matrix, then a fixed gain that belongs to the hardware."""

    weight: jax.Array
    gain: Frozen
    facts = Facts(linear=True)

    def __init__(self, weight, gain=1.0):
        self.weight = weight
        self.gain = Frozen(gain * jnp.ones(weight.shape[0]))

    def __call__(self, x, *, key=None):
        gain = self.gain.value.astype(x.dtype)
        y = jnp.einsum("ij,...j->...i", self.weight.astype(x.dtype), x)
        return jnp.broadcast_to(gain, y.shape) * y


def matrix(key, shape=(3, 4)):
    return Matrix(jax.random.normal(key, shape))


def signal(key, shape=(5, 4)):
    return jax.random.normal(key, shape)


def test_parameters_come_from_the_layer_the_rest_is_the_chip(getkey):
    template, layer, x = matrix(getkey()), matrix(getkey()), signal(getkey())
    chip = SimulatedDevice(
        eqx.tree_at(lambda m: m.gain, template, Frozen(2 * jnp.ones(3)))
    )
    np.testing.assert_allclose(chip(layer, x), 2 * layer(x), rtol=1e-13)


def test_hidden_imperfections(getkey):
    layer, x, key = matrix(getkey()), signal(getkey()), getkey()
    imperfections = [Mismatch(0.1), Quantize(3, -4.0, 4.0)]
    chip = SimulatedDevice(layer, imperfections, key=key)
    first, second = jax.random.split(key)
    expected = imperfections[1](imperfections[0](layer, key=first), key=second)
    np.testing.assert_allclose(chip(layer, x), expected(x), rtol=1e-13)
    assert not any(jax.tree.leaves(is_trainable(chip)))


def test_noise_only_with_a_key(getkey):
    layer, x, key = matrix(getkey()), signal(getkey()), getkey()
    chip = SimulatedDevice(layer, [ReadNoise(0.1)])
    np.testing.assert_allclose(chip(layer, x), layer(x), rtol=1e-13)
    noisy = chip(layer, x, key=key)
    assert np.all(np.asarray(noisy != layer(x)))
    np.testing.assert_array_equal(noisy, chip(layer, x, key=key))


def test_a_stack_with_foreign_modules(getkey):
    stack = eqx.nn.Sequential([matrix(getkey()), eqx.nn.Linear(3, 2, key=getkey())])
    x = signal(getkey())
    chip = SimulatedDevice(stack)
    np.testing.assert_allclose(chip(stack, x), jax.vmap(stack)(x), rtol=1e-13)


def test_misfits_are_named(getkey):
    chip = SimulatedDevice(matrix(getkey()))
    with pytest.raises(ValueError, match=r"array 0 is float64\[2, 4\], the device"):
        chip(matrix(getkey(), (2, 4)), signal(getkey()))
    with pytest.raises(ValueError, match="2 trainable arrays don't fit .* 1:"):
        chip(eqx.nn.Linear(4, 3, key=getkey()), signal(getkey()))


def test_imperfections_need_their_key(getkey):
    with pytest.raises(ValueError, match="with a key"):
        SimulatedDevice(matrix(getkey()), [Mismatch(0.1)])
