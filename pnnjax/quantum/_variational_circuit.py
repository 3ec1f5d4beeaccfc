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


AT_ONCE = 5
"""Qubits that one product with a matrix turns: four times the arithmetic of one qubit
after the other, in a fourth of the time."""


def rotated(
    state: Float[Array, "batch 2 amplitudes"],
    about_y: Float[Array, " qubits"],  # rad
    about_z: Float[Array, " qubits"],  # rad
) -> Float[Array, "batch 2 amplitudes"]:
    r"""Each qubit turned by $R_z(\varphi)\,R_y(\theta)$, of real and imaginary parts.

    $R_y(\theta) = e^{-i\theta Y/2}$ and $R_z(\varphi) = e^{-i\varphi Z/2}$. The first
    qubit is the most significant bit of an amplitude's number.
    """
    gates, batch = _gates(about_y, about_z), len(state)
    for group in _groups(len(gates)):
        matrix = _as_real(_joint(gates[group]))
        # The group goes last, so that the next one comes first.
        ahead = state.reshape(batch, 2, matrix.shape[1], -1)
        state = jnp.einsum("bpgr,pgqh->bqrh", ahead, matrix, precision="highest")
    return state.reshape(batch, 2, -1)


def encoded(
    about_y: Float[Array, "batch qubits"],  # rad
) -> Float[Array, "batch 2 amplitudes"]:
    """Qubits that are all down, each turned by an angle of its own about y."""
    batch, qubits = about_y.shape
    state = jnp.ones((batch, 1), about_y.dtype)
    pairs = jnp.stack([jnp.cos(about_y / 2), jnp.sin(about_y / 2)], -1)
    for number in range(qubits):
        joined = state[:, :, None] * pairs[:, number, None, :]
        state = joined.reshape(batch, -1)
    return jnp.stack([state, jnp.zeros_like(state)], 1)


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
        state = self._parts(x)
        probability = jnp.sum(state * state, -2)
        qubits = self.theta.shape[1]
        values = jnp.asarray(1 - 2 * _bits(np.arange(2**qubits), qubits), x.dtype)
        values = jnp.matmul(probability, values, precision=lax.Precision.HIGHEST)
        return values.reshape(x.shape)

    def state(
        self, x: Float[Array, "*batch qubits"]
    ) -> Complex[Array, "*batch amplitudes"]:
        """The amplitudes of the circuit's last state, before it is read out."""
        parts = self._parts(x)
        amplitudes = lax.complex(parts[:, 0], parts[:, 1])
        return amplitudes.reshape(*x.shape[:-1], -1)

    def _parts(self, x: Array) -> Array:
        """Real and imaginary parts of the last state, "examples 2 amplitudes"."""
        qubits = self.theta.shape[1]
        if x.shape[-1:] != (qubits,):
            raise ValueError(
                f"`x` has shape {x.shape}; its last axis must be the angles of the "
                f"{qubits} qubits."
            )
        sources = self.entangler.sources(qubits)
        signs = jnp.asarray(self.entangler.signs(qubits), x.dtype)[None, None]
        permuted = (sources != np.arange(len(sources))).any()

        def layer(state: Array, angles: tuple) -> tuple[Array, None]:
            theta, phi = (angle.astype(x.dtype) for angle in angles)
            state = rotated(state, theta, phi)
            return (state[..., sources] if permuted else state) * signs, None

        start = encoded(x.reshape(-1, qubits))
        return lax.scan(layer, start, (self.theta, self.phi))[0]


def _gates(about_y: Array, about_z: Array) -> Array:
    """The matrix of each qubit's turn, "qubits 2 2"."""
    cos, sin = jnp.cos(about_y / 2), jnp.sin(about_y / 2)
    turn = jnp.stack([jnp.stack([cos, -sin], -1), jnp.stack([sin, cos], -1)], -2)
    wave = lax.complex(jnp.cos(about_z / 2), -jnp.sin(about_z / 2))
    waves = jnp.stack([wave, wave.conj()], -1)[..., None]
    return waves * turn.astype(waves.dtype)


def _joint(gates: Array) -> Array:
    """The matrix of several qubits' turns: their Kronecker product."""
    total = gates[0]
    for gate in gates[1:]:
        blocks = total[:, None, :, None] * gate[None, :, None, :]
        total = blocks.reshape(2 * len(total), -1)
    return total


def _as_real(matrix: Array) -> Array:
    """What takes real and imaginary parts to such, "2 before 2 after"."""
    real, imaginary = matrix.real.T, matrix.imag.T
    parts = [real, imaginary], [-imaginary, real]
    return jnp.stack([jnp.stack(row, 1) for row in parts])


def _groups(qubits: int) -> list[np.ndarray]:
    return np.array_split(np.arange(qubits), -(-qubits // AT_ONCE))


def _bits(number: np.ndarray, qubits: int) -> np.ndarray:
    """The bits of numbers, the most significant first, along a last axis."""
    return number[:, None] >> np.arange(qubits)[::-1] & 1
