"""A small quantum circuit of rotations and entangling gates, simulated by its state."""

import abc
import math
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Complex, Float, Int, PRNGKeyArray

from .._layer import AbstractLayer, Facts

MOST = 20
"""Qubits: a state of 2^20 amplitudes takes 16 MB an example in double precision."""


def rotated(
    state: Complex[Array, " amplitudes"],
    about_y: Float[Array, " qubits"],  # rad
    about_z: Float[Array, " qubits"],  # rad
) -> Complex[Array, " amplitudes"]:
    r"""Each qubit turned by $R_z(\varphi)\,R_y(\theta)$.

    $R_y(\theta) = e^{-i\theta Y/2}$ and $R_z(\varphi) = e^{-i\varphi Z/2}$. The first
    qubit is the most significant bit of an amplitude's number.
    """

    def turn(state: Array, angles: tuple) -> tuple[Array, None]:
        theta, phi = angles
        cos, sin = (f(theta / 2).astype(state.dtype) for f in (jnp.cos, jnp.sin))
        wave = lax.complex(jnp.cos(phi / 2), -jnp.sin(phi / 2)).astype(state.dtype)
        down, up = state.reshape(2, -1)
        down, up = wave * (cos * down - sin * up), wave.conj() * (sin * down + cos * up)
        # The qubit goes last, so that the next one comes first.
        return jnp.stack([down, up], -1).reshape(state.shape), None

    return lax.scan(turn, state, (about_y, about_z))[0]


class AbstractEntangler(eqx.Module):
    """Fixed two-qubit gates after each layer of rotations: a signed permutation."""

    @abc.abstractmethod
    def sources(self, qubits: int) -> Int[np.ndarray, " amplitudes"]:
        """Which amplitude comes to each place."""

    @abc.abstractmethod
    def signs(self, qubits: int) -> Int[np.ndarray, " amplitudes"]:
        """By what it is multiplied there."""


class ControlledZ(AbstractEntangler):
    """A controlled-Z gate on each pair of neighbors in a row, which all commute."""

    def sources(self, qubits: int) -> Int[np.ndarray, " amplitudes"]:
        return np.arange(2**qubits)

    def signs(self, qubits: int) -> Int[np.ndarray, " amplitudes"]:
        number = np.arange(2**qubits)
        return (1 - 2 * (_bits(number & number >> 1, qubits).sum(-1) % 2)).astype(int)


class ControlledNot(AbstractEntangler):
    """The first qubit flips the second if it is up, which then flips the third, ..."""

    def sources(self, qubits: int) -> Int[np.ndarray, " amplitudes"]:
        # The chain makes b_i the parity of b_0 .. b_i; its inverse is b_i ^ b_(i-1).
        number = np.arange(2**qubits)
        return number ^ number >> 1

    def signs(self, qubits: int) -> Int[np.ndarray, " amplitudes"]:
        return np.ones(2**qubits, int)


class VariationalCircuit(AbstractLayer):
    r"""Angles in, expected values of Pauli Z out: from 1 (down) to -1 (up) each.

    Every input turns a qubit of its own by $R_y(x)$; then, in each layer, every qubit
    is turned by $R_y(\theta)$ and $R_z(\varphi)$, and neighbors are entangled. Each
    angle enters once: every output is a sinusoid in it.

    **Valid for:** qubits without errors, read out infinitely often.
    **Source:** Mitarai et al., *Phys. Rev. A* 98, 032309 (2018),
    doi:10.1103/PhysRevA.98.032309.
    """

    theta: Float[Array, "layers qubits"]  # rad
    phi: Float[Array, "layers qubits"]  # rad
    entangler: AbstractEntangler
    facts: ClassVar[Facts] = Facts(sinusoidal=True)

    def __init__(
        self,
        qubits: int,
        layers: int,
        *,
        key: PRNGKeyArray,
        entangler: AbstractEntangler = ControlledZ(),
    ):
        """Angles uniform over a turn.

        **Raises:** `ValueError` for no layer, no qubit, or more than can be simulated.
        """
        if not 1 <= qubits <= MOST or layers < 1:
            raise ValueError(
                f"A circuit has 1 to {MOST} qubits and at least 1 layer, not "
                f"{qubits} and {layers}."
            )
        angles = 2 * math.pi * jax.random.uniform(key, (2, layers, qubits))
        self.theta, self.phi = angles
        self.entangler = entangler

    def __call__(
        self,
        x: Float[Array, "*batch qubits"],  # rad
        *,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "*batch qubits"]:
        del key
        state = self.state(x)
        probability = state.real**2 + state.imag**2
        qubits = self.theta.shape[1]
        values = 1 - 2 * _bits(np.arange(2**qubits), qubits)
        return probability @ jnp.asarray(values, probability.dtype)

    def state(
        self, x: Float[Array, "*batch qubits"]
    ) -> Complex[Array, "*batch amplitudes"]:
        """The amplitudes of the circuit's last state, before it is read out."""
        qubits = self.theta.shape[1]
        if x.shape[-1:] != (qubits,):
            raise ValueError(
                f"`x` has shape {x.shape}; its last axis must be the angles of the "
                f"{qubits} qubits."
            )
        states = jax.vmap(self._state)(x.reshape(-1, qubits))
        return states.reshape(*x.shape[:-1], -1)

    def _state(self, x: Array) -> Array:
        qubits = self.theta.shape[1]
        sources = jnp.asarray(self.entangler.sources(qubits))

        def layer(state: Array, angles: tuple) -> tuple[Array, None]:
            theta, phi = (angle.astype(x.dtype) for angle in angles)
            return rotated(state, theta, phi)[sources] * signs, None

        real = jnp.zeros(2**qubits, x.dtype).at[0].set(1)
        resting = lax.complex(real, jnp.zeros_like(real))
        signs = jnp.asarray(self.entangler.signs(qubits), resting.dtype)
        encoded = rotated(resting, x, jnp.zeros_like(x))
        return lax.scan(layer, encoded, (self.theta, self.phi))[0]


def _bits(number: np.ndarray, qubits: int) -> np.ndarray:
    """The bits of numbers, the most significant first, along a last axis."""
    return number[:, None] >> np.arange(qubits)[::-1] & 1
