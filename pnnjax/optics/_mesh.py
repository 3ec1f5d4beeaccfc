"""The rectangular mesh of interferometers."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Inexact, Int, PRNGKeyArray

from .._frozen import Frozen
from ._abstract_mesh import AbstractMesh, haar_phases, splitter_errors, with_phases
from ._decompose import rectangular_phases, require_unitary


class MZIMesh(AbstractMesh):
    r"""A rectangular mesh: any unitary matrix, in as few columns as modes.

    Every path from side to side meets as many interferometers as there are columns,
    but for the edges: there, light passes every other column in a plain waveguide.

    **Source:** Clements et al., *Optica* 3, 1460 (2016),
    doi:10.1364/OPTICA.3.001460.
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
        columns: int | None = None,
        *,
        key: PRNGKeyArray,
        splitter_error: float | Float[Array, "2 columns slots"] = 0.0,  # rad
        loss: float = 0.0,  # dB per interferometer
        crosstalk: float = 0.0,
    ):
        r"""Phases such that the matrix is Haar-random, if there are `modes` columns.

        **Arguments:**

        - `columns`: as many as `modes` unless said. With fewer, the phases are those
            of the middle of a full mesh.
        - `splitter_error`: deviation of the splitter angles from $\pi/4$, or the
            standard deviation to draw them with. Not trained.
        - `crosstalk`: the part of a phase that appears at each neighbor: the other
            shifter of the interferometer, and those alike above and below.
        """
        columns = modes if columns is None else columns
        if modes < 2 or columns < 1:
            raise ValueError(
                "A mesh needs at least 2 modes and 1 column, "
                f"not {modes} and {columns}."
            )
        keys = jax.random.split(key)
        shape = columns, modes // 2
        rank = jnp.asarray(_rank(modes, columns), float)
        self.theta, self.phi, self.gamma = haar_phases(keys[0], rank, modes)
        self.splitter_error = splitter_errors(splitter_error, shape, keys[1])
        self.loss = loss
        self.crosstalk = crosstalk

    @classmethod
    def from_unitary(cls, unitary: Inexact[Array | np.ndarray, "..."]) -> "MZIMesh":
        """The ideal mesh of this matrix, in its precision.

        **Raises:** `ValueError` if the matrix is not unitary.
        """
        unitary = np.asarray(unitary)
        phases = rectangular_phases(require_unitary(unitary))
        blank = eqx.filter_eval_shape(cls, len(unitary), key=jax.random.key(0))
        return with_phases(blank, phases, unitary)

    @property
    def occupied(self) -> Bool[np.ndarray, "columns slots"]:
        column, slot = np.indices(self.theta.shape)
        return 2 * slot + column % 2 + 1 < len(self.gamma)


def _rank(modes: int, columns: int) -> Int[np.ndarray, "columns slots"]:
    """The rank of each interferometer, for `haar_theta`.

    In the decomposition, it is the place along its antidiagonal, counted by twos
    from either end: 1, 3, 5, ... from the outer one and 2, 4, ... from the other.
    """
    column, slot = np.indices((columns, modes // 2))
    mode = 2 * slot + column % 2
    column = column + (modes - columns) // 2
    on_right = column + mode <= modes - 2
    from_outer = np.where(on_right, column, modes - 1 - column)
    from_inner = np.where(on_right, mode, modes - 2 - mode)
    return np.maximum(1, np.minimum(2 * from_outer + 1, 2 * from_inner + 2))
