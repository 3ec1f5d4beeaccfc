"""What all meshes of interferometers on a brick lattice have in common."""

import abc
import math
from functools import partial
from typing import Any, NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Complex, Float, Inexact, PRNGKeyArray, PyTree

from .._frozen import Frozen
from .._layer import AbstractReciprocalLayer, Detect, Facts
from ._decompose import Phases
from ._mesh_kernel import Lattice, join, propagate, split, transmit, transmit_back
from ._mzi import HALF_HALF, haar_theta, unit


class Readings(NamedTuple):
    """What `detect` returned at each kind of phase shifter, columns in front."""

    theta: PyTree
    phi: PyTree
    gamma: PyTree


class AbstractMesh(AbstractReciprocalLayer):
    r"""Columns of interferometers, then a screen of phases.

    Column $c$ joins modes $m, m+1$ with $m \equiv c \pmod 2$, in slot
    $\lfloor m/2 \rfloor$, where the lattice is `occupied`; elsewhere light passes
    without loss. The loss stands behind the second splitter.

    **Error:** with loss, gradients of light that met the most interferometers lose
    as much relative accuracy as it is weaker than light that met the fewest.
    """

    theta: eqx.AbstractVar[Float[Array, "columns slots"]]  # rad
    phi: eqx.AbstractVar[Float[Array, "columns slots"]]  # rad
    gamma: eqx.AbstractVar[Float[Array, " modes"]]  # rad
    splitter_error: eqx.AbstractVar[Frozen | None]  # rad, "2 columns slots"
    loss: eqx.AbstractVar[float]  # dB per interferometer
    crosstalk: eqx.AbstractVar[float]  # of a neighbor's phase

    @property
    @abc.abstractmethod
    def occupied(self) -> Bool[np.ndarray, "columns slots"]:
        """Where there is an interferometer."""

    @property
    def facts(self) -> Facts:
        return Facts(
            linear=True,
            reciprocal=True,
            lossless=self.loss == 0,
            phase_only=True,
            sinusoidal=self.crosstalk == 0,
        )

    def __call__(
        self,
        x: Inexact[Array, "*batch modes"],  # √W
        *,
        key: PRNGKeyArray | None = None,
    ) -> Complex[Array, "*batch modes"]:  # √W
        """The outgoing field. A batch of more examples than modes meets the matrix.

        Under `jax.vmap` each example comes on its own, which takes about three times as
        long; in `Physical`, with any estimator, they come together.
        """
        del key
        rows = _rows(x, self.gamma.size)
        if len(rows) > self.gamma.size:
            matrix = self._on_rows(jnp.eye(self.gamma.size, dtype=rows.dtype))
            out = jnp.matmul(rows, matrix, precision=jax.lax.Precision.HIGHEST)
        else:
            out = self._on_rows(rows)
        return out.reshape(x.shape)

    def matrix(self) -> Complex[Array, "modes modes"]:
        """The transmission matrix: `mesh(x)` is `matrix @ x`."""
        real = jnp.eye(self.gamma.size, dtype=self.gamma.dtype)
        return self._on_rows(jax.lax.complex(real, jnp.zeros_like(real))).T

    def transmit(
        self, field: Inexact[Array, "*batch modes"], detect: Detect
    ) -> tuple[Complex[Array, "*batch modes"], Readings]:
        """The outgoing field, and `Readings`; taps without a shifter are dark."""
        rows = _rows(field, self.gamma.size)
        lattice, gamma = self._lattice(rows.real.dtype)
        look = _batched(detect, field.shape[:-1])
        present = _padded(self.occupied, 0).astype(rows.real.dtype)
        light, taps = transmit(lattice, jnp.asarray(present), split(rows), look)
        out = (join(light, gamma.size) * unit(gamma)[None]).reshape(field.shape)
        taps = jax.tree.map(lambda leaf: leaf[: len(self.theta)], taps)
        return out, Readings(taps.theta, taps.phi, detect(out))

    def transmit_back(
        self, field: Inexact[Array, "*batch modes"], detect: Detect
    ) -> tuple[Complex[Array, "*batch modes"], Readings]:
        """What leaves the inputs, and `Readings`; taps without a shifter are dark."""
        rows = _rows(field, self.gamma.size)
        lattice, gamma = self._lattice(rows.real.dtype)
        look = _batched(detect, field.shape[:-1])
        present = _padded(self.occupied, 0).astype(rows.real.dtype)
        light = split(rows * unit(gamma)[None])
        light, taps = transmit_back(lattice, jnp.asarray(present), light, look)
        taps = jax.tree.map(lambda leaf: leaf[: len(self.theta)], taps)
        seen = Readings(taps.theta, taps.phi, detect(rows.reshape(field.shape)))
        return join(light, gamma.size).reshape(field.shape), seen

    def cotangent(self, overlap: PyTree[Complex[Array, "..."]]) -> "AbstractMesh":
        """Of the phases that are set, through crosstalk; zero for all else."""
        phases = self.theta, self.phi, self.gamma
        _, pull_back = jax.vjp(self._realized, *phases)
        bars = pull_back(
            tuple(
                -sums.imag.astype(phase.dtype)
                for sums, phase in zip(overlap, phases, strict=True)
            )
        )
        zero = jax.tree.map(
            lambda leaf: jnp.zeros_like(leaf) if eqx.is_inexact_array(leaf) else leaf,
            self,
        )
        return eqx.tree_at(lambda mesh: (mesh.theta, mesh.phi, mesh.gamma), zero, bars)

    def _on_rows(self, rows):
        lattice, gamma = self._lattice(rows.real.dtype)
        return join(propagate(lattice, split(rows)), gamma.size) * unit(gamma)[None]

    def _lattice(self, dtype) -> tuple[Lattice, Array]:
        """The lattice as light meets it, in the light's precision."""
        occupied = self.occupied
        gain = jnp.where(occupied, 10 ** (-self.loss / 20), 1.0).astype(dtype)
        angle = np.where(occupied, HALF_HALF, 0)
        first = second = jnp.asarray(_padded(angle, 0), dtype)
        if self.splitter_error is not None:
            error = jnp.where(occupied, self.splitter_error.value, 0)
            error = _padded(error.astype(dtype), 0)
            first, second = first + error[0], second + error[1]
        theta, phi, gamma = self._realized(self.theta, self.phi, self.gamma)
        theta, phi = (_padded(phase.astype(dtype), 0) for phase in (theta, phi))
        return Lattice(theta, phi, first, second, _padded(gain, 1)), gamma.astype(dtype)

    def _realized(self, theta, phi, gamma):
        """Phases after heat has spread: over the shifters of one interferometer, to
        those of the interferometers above and below, and along the output screen.
        """
        theta = jnp.where(self.occupied, theta, 0)
        phi = jnp.where(self.occupied, phi, 0)
        heat = self.crosstalk
        warm_theta = theta + heat * (phi + _neighbors(theta))
        warm_phi = phi + heat * (theta + _neighbors(phi))
        warm_gamma = gamma + heat * _neighbors(gamma)
        return (
            jnp.where(self.occupied, warm_theta, 0),
            jnp.where(self.occupied, warm_phi, 0),
            warm_gamma,
        )


Mesh = TypeVar("Mesh", bound=AbstractMesh)


def with_phases(blank: Mesh, phases: Phases, like: np.ndarray) -> Mesh:
    """The mesh of these phases, in the precision of `like`."""
    dtype = jax.dtypes.canonicalize_dtype(np.finfo(like.dtype).dtype)
    arrays = tuple(jnp.asarray(phase, dtype) for phase in phases)
    return eqx.tree_at(lambda mesh: (mesh.theta, mesh.phi, mesh.gamma), blank, arrays)


@partial(jax.jit, static_argnames="modes")
def haar_phases(
    key: PRNGKeyArray, rank: Float[Array, "columns slots"], modes: int
) -> tuple[Array, Array, Array]:
    """Random phases (rad): theta by the rank of its place, phi and gamma uniform."""
    keys = jax.random.split(key, 3)
    full_turn = 2 * np.pi
    return (
        haar_theta(keys[0], rank),
        full_turn * jax.random.uniform(keys[1], rank.shape, rank.dtype),
        full_turn * jax.random.uniform(keys[2], (modes,), rank.dtype),
    )


def splitter_errors(
    error: float | Float[Array, "2 columns slots"],  # rad
    shape: tuple[int, int],
    key: PRNGKeyArray,
) -> Frozen | None:
    """As given; or, if one number, drawn from a normal distribution of that width."""
    if isinstance(error, int | float):
        if error == 0:
            return None
        return Frozen(error * jax.random.normal(key, (2, *shape)))
    if error.shape != (2, *shape):
        raise ValueError(
            f"`splitter_error` has shape {error.shape}; first and second splitters of "
            f"these columns and slots need {(2, *shape)}."
        )
    return Frozen(error)


def _rows(field: Inexact[Array, "..."], modes: int) -> Complex[Array, "batch modes"]:
    if field.ndim < 1 or field.shape[-1] != modes:
        raise ValueError(
            f"The field has shape {field.shape}; the last axis must be the {modes} "
            "modes of the mesh."
        )
    rows = field.reshape(math.prod(field.shape[:-1]), modes)
    if jnp.iscomplexobj(rows):
        return rows
    return jax.lax.complex(rows, jnp.zeros_like(rows))


def _batched(detect: Detect, batch: tuple[int, ...]) -> Any:
    """`detect` on the complex fields of both taps of a column, examples in front."""

    def look(taps):
        return jax.tree.map(
            lambda wave: detect(
                jax.lax.complex(*wave).T.reshape(*batch, wave[0].shape[0])
            ),
            taps,
            is_leaf=lambda node: type(node) is tuple,
        )

    return look


def _padded(x: Any, value: float) -> Any:
    """An empty column more if their number, the last axis but one, is odd."""
    numpy_like = jnp if isinstance(x, jax.Array) else np
    after = [(0, 0)] * (x.ndim - 2) + [(0, x.shape[-2] % 2), (0, 0)]
    return numpy_like.pad(x, after, constant_values=value)


def _neighbors(x: Array) -> Array:
    """The sum of the neighbors along the last axis."""
    edge = jnp.zeros_like(x[..., :1])
    above = jnp.concatenate([edge, x[..., :-1]], -1)
    below = jnp.concatenate([x[..., 1:], edge], -1)
    return above + below
