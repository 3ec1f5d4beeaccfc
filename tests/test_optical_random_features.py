"""Extreme learning machines: fixed physics, and a readout that is solved for."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pnnjax as pnn


def speckle(features, inputs, *, key):
    """What a camera sees behind a thick diffuser."""
    matrix = pnn.optics.gaussian_medium(features, inputs, 1.0, key=key)
    return eqx.nn.Sequential(
        [pnn.optics.ScatteringMedium(matrix), pnn.optics.Intensity()]
    )


def closed_form(x):
    r"""$\langle|t\cdot x|^2|t\cdot y|^2\rangle = |x|^2|y|^2 + |x\cdot y^*|^2$.

    Of a row $t$ of independent circular Gaussians of variance 1, by Wick's theorem.
    """
    gram = x @ x.conj().T
    power = np.sum(np.abs(x) ** 2, 1)
    return np.outer(power, power) + np.abs(gram) ** 2


def test_features_of_a_medium_make_the_kernel_in_closed_form(getkey):
    """The error falls as one over the square root of their number."""
    x = jax.random.normal(getkey(), (6, 5), complex)
    errors = []
    for features in (100, 1600):
        media = jax.random.split(getkey(), 16)
        scaled = features * jax.vmap(lambda k: speckle(features, 5, key=k)(x))(media)
        kernels = np.asarray(scaled @ jnp.swapaxes(scaled, 1, 2)) / features
        exact = closed_form(np.asarray(x))
        errors.append(np.sqrt(np.mean((kernels / exact - 1) ** 2)))
    assert errors[1] < 0.1
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.4)


@pytest.mark.slow
def test_handwritten_digits_behind_a_diffuser(getkey):
    """Against 2.5 times as many mistakes, at least, of a readout of the pixels."""
    digits = pnn.data.digits()
    x, test = (jnp.asarray(d).reshape(-1, 64) for d in (digits.train_x, digits.test_x))
    y = jnp.eye(10, dtype=x.dtype)[digits.train_y]
    camera = speckle(600, 64, key=getkey())
    states = camera(x)
    machine = eqx.nn.Sequential([pnn.Frozen(camera), pnn.Readout.ridge(states, y, 0.1)])

    def mistakes(model, x):
        return np.mean(np.asarray(model(x)).argmax(-1) != digits.test_y)

    pixels = mistakes(pnn.Readout.ridge(x, y, 0.1), test)
    assert mistakes(machine, test) < min(0.03, 0.4 * pixels)
    # Only the readout would be trained further.
    trained = jax.tree.leaves(eqx.filter(machine, pnn.is_trainable(machine)))
    assert [leaf.shape for leaf in trained] == [(10, 600), (10,)]


def test_no_derivative_of_a_device_is_taken():
    """Neither by solving for the readout nor by training it on: that would raise."""
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(40, 3)) + 1j * rng.normal(size=(40, 3))
    device = pnn.devices.CallbackDevice(
        lambda parameters, x: np.abs(x @ matrix.T) ** 2,
        parameter_range=(-10, 10),
        input_range=(-10, 10),
        output_range=(0, 1e4),
    )
    shape = pnn.Readout(jnp.zeros((40, 3)), jnp.zeros(40))
    layer = pnn.devices.DeviceLayer(shape, device)
    x = jnp.asarray(rng.normal(size=(60, 3)))
    y = jnp.sum(x, 1, keepdims=True) ** 2

    @eqx.filter_jit
    def machine(layer, x, y):
        states = layer(x)
        memory = pnn.Readout.recursive(states[:40], y[:40], 1e-6)
        return (
            pnn.Readout.ridge(states, y, 1e-6),
            memory.update(states[40:], y[40:]).readout,
        )

    with pytest.raises(TypeError, match="no derivative"):
        eqx.filter_grad(lambda x: jnp.sum(layer(x)))(x)
    readouts = machine(layer, x, y)
    assert device.runs == 1
    model = eqx.nn.Sequential([pnn.Frozen(layer), readouts[0]])
    np.testing.assert_allclose(model(x), y, atol=1e-5)
    np.testing.assert_allclose(readouts[1](layer(x)), y, atol=1e-5)

    @eqx.filter_jit
    @eqx.filter_grad
    def slope(model):
        return jnp.sum((model(x) - 2 * y) ** 2)

    assert jnp.abs(slope(model).layers[1].weight).max() > 0
