"""The triangular mesh of interferometers."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Inexact, PRNGKeyArray

from .._frozen import Frozen
from ._abstract_mesh import AbstractMesh, haar_phases, splitter_errors, with_phases
from ._decompose import require_unitary, triangular_phases


class TriangularMesh(AbstractMesh):
    r"""A triangular mesh: any unitary matrix, in $2N - 3$ columns for $N$ modes.

    As many interferometers as in a rectangular mesh, but paths differ in how many
    they meet: from one, along the last mode, to $2N - 3$.

    **Source:** Reck et al., *Phys. Rev. Lett.* 73, 58 (1994),
    doi:10.1103/PhysRevLett.73.58.
    """

    theta: Float[Array, "columns slots"]  # rad
    phi: Float[Array, "columns slots"]  # rad
    gamma: Float[Array, " modes"]  # rad
    splitter_error: Frozen | None  # rad, "2 columns slots"
    loss: float  # dB per interferometer
    crosstalk: float  # of a neighbor's phase

    def __init__(
        self,
        modes: int,
        *,
        key: PRNGKeyArray,
        splitter_error: float | Float[Array, "2 columns slots"] = 0.0,  # rad
        loss: float = 0.0,  # dB per interferometer
        crosstalk: float = 0.0,
    ):
        r"""Phases such that the matrix is Haar-random.

        **Arguments:**

        - `splitter_error`: deviation of the splitter angles from $\pi/4$, or the
            standard deviation to draw them with. Not trained.
        - `crosstalk`: the part of a phase that appears at each neighbor: the other
            shifter of the interferometer, and those alike above and below.
        """
        if modes < 2:
            raise ValueError(f"A mesh needs at least 2 modes, not {modes}.")
        keys = jax.random.split(key)
        shape = 2 * modes - 3, modes // 2
        column, slot = np.indices(shape)
        rank = jnp.asarray(2 * slot + column % 2 + 1, float)
        self.theta, self.phi, self.gamma = haar_phases(keys[0], rank, modes)
        self.splitter_error = splitter_errors(splitter_error, shape, keys[1])
        self.loss = loss
        self.crosstalk = crosstalk

    @classmethod
    def from_unitary(
        cls, unitary: Inexact[Array | np.ndarray, "..."]
    ) -> "TriangularMesh":
        """The ideal mesh of this matrix, in its precision.

        **Raises:** `ValueError` if the matrix is not unitary.
        """
        unitary = np.asarray(unitary)
        phases = triangular_phases(require_unitary(unitary))
        blank = eqx.filter_eval_shape(cls, len(unitary), key=jax.random.key(0))
        return with_phases(blank, phases, unitary)

    @property
    def occupied(self) -> Bool[np.ndarray, "columns slots"]:
        column, slot = np.indices(self.theta.shape)
        mode = 2 * slot + column % 2
        return mode <= np.minimum(column, 2 * len(self.gamma) - 4 - column)
