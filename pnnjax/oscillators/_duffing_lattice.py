"""Duffing lattice: masses on springs that harden, coupled, and pushed by the input."""

import math
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, PRNGKeyArray

from .._frozen import Frozen
from .._layer import Facts
from .._motion import AbstractHamiltonianLayer, Part, PhaseSpace
from ..integrators import Splitting, held, symmetric_stages
from ._exchange import (
    Bonds,
    chain_bonds,
    check_bonds,
    checked_loss,
    chosen_sites,
    each,
    index,
)


def stiffness_matrix(
    stiffness: Float[Array, " sites"],  # N/m
    coupling: Float[Array, " bonds"],  # N/m
    bonds: Bonds,
) -> Float[Array, "sites sites"]:  # N/m
    """$K$ with $qKq/2$ the energy of all linear springs, to the ground and between."""
    first, second = index(bonds).reshape(-1, 2).T
    matrix = jnp.diag(stiffness)
    for i, j, sign in ((0, 0, 1), (1, 1, 1), (0, 1, -1), (1, 0, -1)):
        ends = (first, second)
        matrix = matrix.at[ends[i], ends[j]].add(sign * coupling)
    return matrix


def spring_energy(
    position: Float[Array, "*batch sites"],  # m
    matrix: Float[Array, "sites sites"],  # N/m
    cubic: Float[Array, " sites"],  # N/m³
) -> Float[Array, "*batch"]:  # J
    r"""$\tfrac12 qKq + \tfrac14\sum\beta_i q_i^4$."""
    linear = 0.5 * jnp.einsum("...i,ij,...j->...", position, matrix, position)
    return linear + 0.25 * jnp.sum(each(cubic, position) * position**4, -1)


def spring_force(
    position: Float[Array, "*batch sites"],  # m
    matrix: Float[Array, "sites sites"],  # N/m
    cubic: Float[Array, " sites"],  # N/m³
) -> Float[Array, "*batch sites"]:  # N
    r"""$-Kq - \beta q^3$."""
    linear = jnp.einsum("ij,...j->...i", matrix, position)
    return -linear - each(cubic, position) * position**3


class DuffingLattice(AbstractHamiltonianLayer):
    r"""Coupled oscillators whose springs harden as they are stretched.

    $$H = \sum_i \frac{p_i^2}{2m_i} + \frac{k_i q_i^2}2 + \frac{\beta_i q_i^4}4
    - f_i(t)\,q_i + \sum_{(ij)} \frac{c_{ij}}2(q_i - q_j)^2$$

    They are at rest at first. The input is the force on the input sites, sample by
    sample, each held for an equal number of steps; the output is the displacement of
    the output sites. Stiffnesses, hardening and couplings are trained.

    **Error:** of leapfrog, or of fourth order if the splitting says so. The motion is
    reversible to rounding.
    **Valid for:** steps below twice the inverse of the highest angular frequency, which
    grows with the amplitude and with training.
    **Source:** Kovacic, Brennan (eds.), *The Duffing Equation* (2011),
    doi:10.1002/9780470977859; trained by echo: Pourcel and Ernoult, arXiv:2506.05259.
    """

    stiffness: Float[Array, " sites"]  # N/m
    cubic: Float[Array, " sites"]  # N/m³
    coupling: Float[Array, " bonds"]  # N/m
    mass: Frozen[Float[Array, " sites"]]  # kg
    splitting: Splitting
    bonds: Bonds = eqx.field(static=True)
    inputs: tuple[int, ...] = eqx.field(static=True)
    outputs: tuple[int, ...] = eqx.field(static=True)
    loss_rate: float

    def __init__(
        self,
        sites: int = 6,
        *,
        key: PRNGKeyArray,
        bonds: Sequence[tuple[int, int]] | None = None,
        inputs: Sequence[int] | None = None,
        outputs: Sequence[int] | None = None,
        mass: float | Float[Array | np.ndarray, " sites"] = 1.0,  # kg
        stiffness: float = 1.0,  # N/m
        cubic: float = 1.0,  # N/m³
        coupling: float = 0.5,  # N/m
        disorder: float = 0.1,
        loss_rate: float = 0.0,  # 1/s, of the momentum
        splitting: Splitting | None = None,
    ):
        """A chain, unless other `bonds` are given.

        **Arguments:**

        - `inputs`, `outputs`: sites; all of them unless given.
        - `stiffness`, `cubic`, `coupling`: of all sites or bonds, each times
            `1 + disorder * n` with `n` normal, drawn from `key`.
        - `loss_rate`: friction; a layer with friction is not reversible.
        - `splitting`: `Splitting(4.0, 40)` unless given.

        **Raises:** `ValueError` for bonds or sites that are not there, a mass that is
        not positive, negative friction, and a step with which the stiffest mode grows.
        """
        self.bonds = chain_bonds(sites) if bonds is None else tuple(bonds)
        check_bonds(self.bonds, sites)
        one, two, three = jax.random.split(key, 3)

        def spread(mean, count, key):
            return mean * (1 + disorder * jax.random.normal(key, (count,)))

        self.stiffness = spread(stiffness, sites, one)
        self.cubic = spread(cubic, sites, two)
        self.coupling = spread(coupling, len(self.bonds), three)
        self.mass = Frozen(_masses(mass, sites, self.stiffness.dtype))
        self.inputs = chosen_sites(inputs, sites, "inputs")
        self.outputs = chosen_sites(outputs, sites, "outputs")
        self.loss_rate = checked_loss(loss_rate)
        self.splitting = Splitting(4.0, 40) if splitting is None else splitting
        self._check_step()

    @property
    def facts(self) -> Facts:
        return Facts(time_reversible=self.loss_rate == 0)

    def initial_state(self, x: Float[Array, "*batch times inputs"]) -> PhaseSpace:
        if x.ndim < 2 or x.shape[-1] != len(self.inputs):
            raise ValueError(
                f"`x` must have axes (times, {len(self.inputs)}), the forces on the "
                f"input sites, but is of shape {x.shape}."
            )
        rest = jnp.zeros((*x.shape[:-2], len(self.stiffness)), x.dtype)
        return PhaseSpace(rest, rest)

    def drive(
        self, x: Float[Array, "*batch times inputs"]
    ) -> Float[Array, "steps *batch inputs"]:  # N
        return held(x, self.splitting.steps)

    def parts(self) -> tuple[Part, ...]:
        friction = [self._friction()] if self.loss_rate else []
        return (*friction, self._springs(), self._motion())

    def readout(self, state: PhaseSpace) -> Float[Array, "*batch outputs"]:  # m
        return state.position[..., index(self.outputs)]

    def stiffness_matrix(self) -> Float[Array, "sites sites"]:  # N/m
        """Of all linear springs."""
        return stiffness_matrix(self.stiffness, self.coupling, self.bonds)

    def _springs(self) -> Part:
        inputs, matrix = index(self.inputs), self.stiffness_matrix()

        def energy(state, drive):
            own = spring_energy(state.position, matrix.astype(drive.dtype), self.cubic)
            return own - jnp.sum(drive * state.position[..., inputs], -1)

        def flow(state, drive, duration):
            q, p = state
            force = spring_force(q, matrix.astype(q.dtype), self.cubic)
            pushed = force.at[..., inputs].add(drive)
            return PhaseSpace(q, p + duration * pushed)

        return Part(energy, flow)

    def _motion(self) -> Part:
        def energy(state, drive):
            del drive
            p = state.momentum
            return jnp.sum(0.5 * p**2 / each(self.mass.value, p), -1)

        def flow(state, drive, duration):
            del drive
            q, p = state
            return PhaseSpace(q + duration * p / each(self.mass.value, p), p)

        return Part(energy, flow)

    def _friction(self) -> Part:
        def flow(state, drive, duration):
            del drive
            left = math.exp(-self.loss_rate * duration)
            return PhaseSpace(state.position, left * state.momentum)

        return Part(None, flow)

    def _check_step(self) -> None:
        if isinstance(self.stiffness, Tracer):
            return
        matrix = np.asarray(self.stiffness_matrix())
        root = np.sqrt(np.asarray(self.mass.value))
        squared = float(np.linalg.eigvalsh(matrix / np.outer(root, root))[-1])
        stages = [abs(part) for _, part in symmetric_stages(2, self.splitting.order)]
        limit = 2 / max(stages) / math.sqrt(max(squared, 1e-300))
        if self.splitting.dt >= limit:
            needed = math.floor(self.splitting.duration / limit) + 1
            raise ValueError(
                f"A step of {self.splitting.dt:.3g} s is unstable: the stiffest mode "
                f"has {math.sqrt(squared):.3g} rad/s, so that it must be below "
                f"{limit:.3g} s. Take at least {needed} steps."
            )


def _masses(mass, sites, dtype):
    values = np.broadcast_to(np.asarray(mass, dtype), (sites,))
    if not np.all((values > 0) & np.isfinite(values)):
        site = int(np.argmin(np.where(np.isfinite(values), values, -np.inf)))
        raise ValueError(
            f"A mass must be positive, but that of site {site} is {values[site]} kg: "
            "take, for example, 1."
        )
    return jnp.asarray(values)
