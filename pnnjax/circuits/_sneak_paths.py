"""Reading one cell of a passive array: currents that sneak around it."""

import abc

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float


class AbstractReadScheme(eqx.Module):
    """At what voltages lines are held while one cell is read.

    The read voltage is on the cell's row, and its column is sensed at ground. Lines do
    not resist, and cells have no selectors.
    """

    @abc.abstractmethod
    def apparent(
        self,
        conductance: Float[Array, "rows columns"],  # S
    ) -> Float[Array, "rows columns"]:  # S
        """What each cell seems to conduct: the sensed current over the read voltage."""

    @abc.abstractmethod
    def load(
        self,
        conductance: Float[Array, "rows columns"],  # S
    ) -> Float[Array, "rows columns"]:  # S
        """What the read of each cell dissipates in the whole array, over the square of
        the read voltage."""


class FloatingLines(AbstractReadScheme):
    r"""All other lines are connected to nothing but their cells.

    Every path from the row to the column adds to the current. With $L$ the Laplacian
    of the bipartite graph of lines, a cell seems to conduct
    $1 / (L^+_{ii} + L^+_{jj} - 2L^+_{ij})$.

    **Raises:** at run time, if the cells do not connect all lines.
    **Source:** Linn et al., *Nat. Mater.* 9, 403 (2010), doi:10.1038/nmat2748.
    """

    def apparent(
        self,
        conductance: Float[Array, "rows columns"],  # S
    ) -> Float[Array, "rows columns"]:  # S
        rows, columns = conductance.shape
        mean = jnp.mean(conductance)
        g = conductance / mean
        between = jnp.concatenate(
            [
                jnp.concatenate([jnp.diag(jnp.sum(g, 1)), -g], 1),
                jnp.concatenate([-g.T, jnp.diag(jnp.sum(g, 0))], 1),
            ]
        )
        # The constant lifts the one mode without energy, and drops out of differences.
        inverse = jnp.linalg.inv(between + 1)
        inverse = eqx.error_if(
            inverse,
            ~jnp.all(jnp.abs(inverse) < 0.01 / jnp.finfo(g.dtype).eps),
            "Some lines are not connected to the others by any cell, so their voltage "
            "is not determined: hold the lines at a voltage, as `GroundedLines` does.",
        )
        own = jnp.diag(inverse)
        mutual = inverse[:rows, rows:]
        shape = rows, columns
        resistance = (
            jnp.broadcast_to(own[:rows, None], shape)
            + jnp.broadcast_to(own[None, rows:], shape)
            - mutual
            - inverse[rows:, :rows].T
        )
        return mean / resistance

    def load(
        self,
        conductance: Float[Array, "rows columns"],  # S
    ) -> Float[Array, "rows columns"]:  # S
        return self.apparent(conductance)


class GroundedLines(AbstractReadScheme):
    """All other lines are at ground: only the cell's own current is sensed."""

    def apparent(
        self,
        conductance: Float[Array, "rows columns"],  # S
    ) -> Float[Array, "rows columns"]:  # S
        return conductance

    def load(
        self,
        conductance: Float[Array, "rows columns"],  # S
    ) -> Float[Array, "rows columns"]:  # S
        in_row, _, _ = _sums(conductance)
        return in_row


class HalfVoltage(AbstractReadScheme):
    """All other lines are at half the read voltage: cells that share no line are idle.

    **Source:** Chen, *IEEE Trans. Electron Devices* 60, 1318 (2013),
    doi:10.1109/TED.2013.2246791.
    """

    def apparent(
        self,
        conductance: Float[Array, "rows columns"],  # S
    ) -> Float[Array, "rows columns"]:  # S
        _, in_column, _ = _sums(conductance)
        return (conductance + in_column) / 2

    def load(
        self,
        conductance: Float[Array, "rows columns"],  # S
    ) -> Float[Array, "rows columns"]:  # S
        in_row, in_column, _ = _sums(conductance)
        return (2 * conductance + in_row + in_column) / 4


class ThirdVoltage(AbstractReadScheme):
    """Other rows are at a third of the read voltage, other columns at two thirds: no
    cell but the one that is read has more than a third on it.

    **Source:** Chen, *IEEE Trans. Electron Devices* 60, 1318 (2013),
    doi:10.1109/TED.2013.2246791.
    """

    def apparent(
        self,
        conductance: Float[Array, "rows columns"],  # S
    ) -> Float[Array, "rows columns"]:  # S
        _, in_column, _ = _sums(conductance)
        return (2 * conductance + in_column) / 3

    def load(
        self,
        conductance: Float[Array, "rows columns"],  # S
    ) -> Float[Array, "rows columns"]:  # S
        _, _, total = _sums(conductance)
        return (8 * conductance + total) / 9


def _sums(conductance):
    """Over each cell's row, its column, and the array, its own included."""
    return (
        jnp.broadcast_to(jnp.sum(conductance, axes, keepdims=True), conductance.shape)
        for axes in (1, 0, (0, 1))
    )
