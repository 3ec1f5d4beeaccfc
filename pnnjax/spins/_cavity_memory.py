"""Atoms in a confocal cavity: spins that light couples, and that remember."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from ._associative_memory import AssociativeMemory, Recall
from ._ising import IsingProblem


def confocal_couplings(
    positions: Float[Array, "n 2"],  # m, in the plane across the cavity's middle
    waist: float,  # m, of the fundamental mode
) -> Float[Array, "n n"]:
    r"""$J_{ij} = \cos(2\,r_i \cdot r_j / w_0^2)$ with an empty diagonal.

    The even transverse modes of a confocal cavity are degenerate, and their Gouy phases
    alternate: what one atom scatters reaches the others as its Fourier transform.
    Dimensionless, in units of the coupling to an ensemble at the center.

    **Valid for:** ensembles much smaller than the waist, off the axis and off each
    other's mirror images by more than their own size. The light that returns to the
    ensemble itself adds a diagonal, the same energy for all configurations.
    **Source:** Guo et al., *Phys. Rev. Lett.* 122, 193601 (2019),
    doi:10.1103/PhysRevLett.122.193601; Marsh et al., *Phys. Rev. X* 11, 021048 (2021),
    doi:10.1103/PhysRevX.11.021048.
    """
    if not waist > 0:
        raise ValueError(f"The waist must be positive (m), not {waist}.")
    scaled = positions / waist
    phase = 2 * (scaled @ scaled.T)
    couplings = jnp.cos((phase + phase.T) / 2)
    return jnp.where(jnp.eye(len(positions), dtype=bool), 0, couplings)


@eqx.filter_jit
def steepest_descent(
    problem: IsingProblem, spins: Float[Array, "*batch n"]
) -> Float[Array, "*batch n"]:
    """Flip the spin that lowers the energy most, until none does.

    An ensemble of many atoms flips by superradiance, the sooner the more energy it
    gives to the light: the first to flip takes the steepest way down. Minima are found
    from farther away than by `zero_temperature`.

    **Raises:** at run time, if the spins have not come to rest in `100 n` flips.
    **Source:** Marsh et al., *Phys. Rev. X* 11, 021048 (2021),
    doi:10.1103/PhysRevX.11.021048.
    """
    rows = spins.reshape(-1, problem.size)
    couplings = problem.couplings.matrix()
    first = jnp.arange(len(rows))
    most = 100 * problem.size

    def gain(state: tuple[Array, Array, Array]) -> Float[Array, "batch n"]:
        return -state[0] * state[1]

    def flip(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        spins, field, count = state
        which = jnp.argmax(gain(state), axis=-1)
        old = spins[first, which]
        change = jnp.where(gain(state)[first, which] > 0, -2 * old, 0)
        field = field + change[:, None] * couplings[which]
        return spins.at[first, which].add(change), field, count + 1

    def moving(state: tuple[Array, Array, Array]) -> Bool[Array, ""]:
        return jnp.any(gain(state) > 0) & (state[2] < most)

    begin = (rows, problem.local_field(rows), jnp.asarray(0))
    end = jax.lax.while_loop(moving, flip, begin)
    message = f"The spins did not come to rest in {most} flips."
    restless = jnp.any(gain(end) > 0)
    return eqx.error_if(end[0], restless, message).reshape(spins.shape)


class CavityAssociativeMemory(eqx.Module):
    """Ensembles of atoms at given places in a confocal cavity, as a memory.

    Near the axis the couplings are ferromagnetic; far from it they change sign from
    pair to pair, and the cavity is a spin glass whose many minima are memories. To
    store other patterns, see `EncodedMemory`.

    **Source:** Marsh et al., *Phys. Rev. X* 11, 021048 (2021),
    doi:10.1103/PhysRevX.11.021048.
    """

    memory: AssociativeMemory

    def __init__(
        self,
        positions: Float[Array, "n 2"],  # m
        waist: float,  # m
        recall: Recall = steepest_descent,
    ):
        """Place an ensemble at each of `positions`.

        **Arguments:** `recall`: how the spins settle; `zero_temperature` to compare.
        **Raises:** `ValueError` if the waist is not positive.
        """
        self.memory = AssociativeMemory(confocal_couplings(positions, waist), recall)

    @classmethod
    def random(
        cls,
        n: int,
        width: float,  # m
        waist: float,  # m
        *,
        key: PRNGKeyArray,
        recall: Recall = steepest_descent,
    ) -> "CavityAssociativeMemory":
        r"""`n` ensembles at Gaussian places of standard deviation `width` in each axis.

        The mean coupling is $1/(1 + 4 (\sigma/w_0)^4)$.
        """
        return cls(width * jax.random.normal(key, (n, 2)), waist, recall)

    @property
    def problem(self) -> IsingProblem:
        """The spins, coupled by the light."""
        return self.memory.problem

    def __call__(self, cue: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
        """Where the spins rest that light has set to the cue (+1 or -1 each)."""
        return self.memory(cue)

    def attractors(self, count: int, *, key: PRNGKeyArray) -> Float[Array, "count n"]:
        """Minima that random cues fall into, those that most of them reach first.

        A configuration and its negative count as one. As many cues are drawn as there
        are pairs of spins.

        **Raises:** `ValueError` if they find fewer than `count`.
        """
        n = self.problem.size
        cues = jax.random.rademacher(key, (n * (n - 1) // 2, n), self._dtype)
        rest = np.asarray(self.memory(cues))
        rest = rest * rest[:, :1]
        found, reached = np.unique(rest, axis=0, return_counts=True)
        if len(found) < count:
            raise ValueError(
                f"These {n} spins were found to have {len(found)} pairs of minima, not "
                f"{count}: take more spins, or place them farther from the axis."
            )
        often = np.argsort(-reached, kind="stable")
        return jnp.asarray(found[often[:count]])

    @property
    def _dtype(self) -> jnp.dtype:
        return self.problem.field.dtype


class EncodedMemory(eqx.Module):
    r"""Patterns stored as the minima that a memory has anyway.

    A linear map takes pattern $\mu$ to the minimum $\mu$, and another one back. What
    the linear maps make of a cue is clipped to $\pm1$ on both sides; between them the
    memory settles.
    """

    memory: eqx.Module
    patterns: Float[Array, "p pixels"]
    attractors: Float[Array, "p n"]

    def __init__(
        self,
        memory: AssociativeMemory | CavityAssociativeMemory,
        patterns: Float[Array, "p pixels"],
        attractors: Float[Array, "p n"],
    ):
        """Store `patterns` in `attractors` of the memory.

        **Raises:** `ValueError` if they are not as many, or either is linearly
        dependent.
        """
        if len(patterns) != len(attractors):
            raise ValueError(
                f"{len(patterns)} patterns need as many attractors, not "
                f"{len(attractors)}."
            )
        for name, rows in (("patterns", patterns), ("attractors", attractors)):
            if np.linalg.matrix_rank(np.asarray(rows)) < len(rows):
                raise ValueError(f"The {name} are linearly dependent; leave one out.")
        self.memory = memory
        self.patterns = patterns
        self.attractors = attractors

    def __call__(
        self, cue: Float[Array, "*batch pixels"]
    ) -> Float[Array, "*batch pixels"]:
        """The pattern that the cue reminds the memory of."""
        rest = self.memory(self.encode(cue))  # pyright: ignore[reportCallIssue]
        weights = rest @ jnp.linalg.pinv(self.attractors)
        return _sign(weights @ self.patterns)

    def encode(self, cue: Float[Array, "*batch pixels"]) -> Float[Array, "*batch n"]:
        """The spins that the cue sets."""
        weights = cue @ jnp.linalg.pinv(self.patterns)
        return _sign(weights @ self.attractors)


def _sign(values: Float[Array, "..."]) -> Float[Array, "..."]:
    return jnp.where(values < 0, -jnp.ones_like(values), jnp.ones_like(values))
