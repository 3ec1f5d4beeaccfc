"""Parameter shifts, on meshes and on quantum circuits worked out by hand."""

import math
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import Matrix, field

import pnnjax as pnn
from pnnjax.estimators import ParameterShift
from pnnjax.quantum import ControlledNot, ControlledZ, VariationalCircuit


class DetectedMesh(pnn.AbstractLayer):
    """A mesh with photodiodes: powers are sinusoids, but not linear in the light."""

    mesh: pnn.optics.MZIMesh
    facts: ClassVar[pnn.Facts] = pnn.Facts(sinusoidal=True)

    def __call__(self, x, *, key=None):
        y = self.mesh(x)
        return y.real**2 + y.imag**2


def circuit(qubits, theta, phi, entangler):
    blank = VariationalCircuit(
        qubits, len(theta), key=jax.random.key(0), entangler=entangler
    )
    angles = jnp.asarray(theta, float), jnp.asarray(phi, float)
    return eqx.tree_at(lambda c: (c.theta, c.phi), blank, angles)


@eqx.filter_jit
def shown(layer, x):
    return layer(x), layer.state(x)


def gradients(layer, estimator, x):
    """Of a function that is not linear in the output."""
    loss = lambda layer: jnp.sum(jnp.sin(layer(x)))  # noqa: E731
    measured = eqx.filter_grad(loss)(pnn.Physical(layer, estimator)).layer
    return jax.tree.leaves(measured), jax.tree.leaves(eqx.filter_grad(loss)(layer))


def test_one_qubit_shows_the_cosine_of_its_angle():
    theta, x = 0.7, jnp.asarray([[0.4], [-1.1]])
    layer = circuit(1, [[theta]], [[0.3]], ControlledZ())
    np.testing.assert_allclose(shown(layer, x)[0], jnp.cos(x + theta), atol=1e-14)
    # The second rotation turns about what the first R_z has made of the axis.
    two = circuit(1, [[theta], [0.5]], [[0.3], [0.9]], ControlledZ())
    expected = jnp.cos(x + theta) * math.cos(0.5) - jnp.sin(x + theta) * math.sin(
        0.5
    ) * math.cos(0.3)
    np.testing.assert_allclose(shown(two, x)[0], expected, atol=1e-14)


def test_bell_and_three_qubit_states():
    bell = circuit(2, [[math.pi / 2, 0]], [[0, 0]], ControlledNot())
    half = math.sqrt(0.5)
    x = jnp.zeros((1, 2))
    values, state = shown(bell, x)
    np.testing.assert_allclose(state, [[half, 0, 0, half]], atol=1e-15)
    np.testing.assert_allclose(values, [[0, 0]], atol=1e-15)
    # |100> becomes |111>: the second flips before it flips the third.
    chain = circuit(3, [[0, 0, 0]], [[0, 0, 0]], ControlledNot())
    up = jnp.asarray([math.pi, 0, 0])
    np.testing.assert_allclose(shown(chain, up)[0], [-1, -1, -1], atol=1e-15)
    # On |++> a controlled Z turns the sign of |11> alone.
    quarter = math.pi / 2
    plus = circuit(2, [[quarter, quarter]], [[0, 0]], ControlledZ())
    state = shown(plus, x)[1]
    np.testing.assert_allclose(state, [[0.5, 0.5, 0.5, -0.5]], atol=1e-15)


def test_a_circuit_keeps_its_norm_and_its_precision(getkey):
    layer = VariationalCircuit(4, 3, key=getkey())
    x = jax.random.normal(getkey(), (2, 3, 4))
    norm = jnp.sum(jnp.abs(shown(layer, x)[1]) ** 2, -1)
    np.testing.assert_allclose(norm, np.ones((2, 3)), atol=1e-13)
    single = eqx.filter_eval_shape(layer, x.astype(jnp.float32))
    assert single.dtype == jnp.float32
    with pytest.raises(ValueError, match="4 qubits"):
        layer(jnp.zeros(3))
    with pytest.raises(ValueError, match="0 and 2"):
        VariationalCircuit(0, 2, key=getkey())


@pytest.mark.slow
def test_powers_too_are_sinusoids_at_any_shift(getkey):
    layer = DetectedMesh(pnn.optics.MZIMesh(4, key=getkey(), loss=0.2))
    x = field(getkey(), 3, 4)

    rule = ParameterShift(1.0, inputs=False)
    measured, exact = eqx.filter_jit(gradients)(layer, rule, x)
    assert pnn.relative_error(measured, exact) < 1e-12


def test_phases_that_act_twice_are_refused(getkey):
    rule = ParameterShift()
    for layer in (
        pnn.optics.MZIMesh(4, key=getkey(), crosstalk=0.01),
        pnn.optics.SVDMesh(3, 3, key=getkey()),
        Matrix(field(getkey(), 3, 4)),
    ):
        with pytest.raises(TypeError, match="no single sinusoid"):
            pnn.Physical(layer, rule)
    with pytest.raises(ValueError, match="pi / 2"):
        ParameterShift(math.pi)
