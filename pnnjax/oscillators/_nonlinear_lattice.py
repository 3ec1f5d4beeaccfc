"""Nonlinear lattice: coupled modes with a Kerr shift, after Schrödinger's equation."""

import math
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Inexact, PRNGKeyArray

from .._fast_angles import cos_sin
from .._layer import Facts
from .._motion import AbstractHamiltonianLayer, Part, PhaseSpace
from ..integrators import Splitting
from ._exchange import (
    Bonds,
    bonds_of,
    chain_bonds,
    check_bonds,
    check_turn,
    checked_loss,
    chosen_sites,
    each,
    edge_colors,
    exchange,
    exchange_energy,
    index,
)


def onsite_energy(
    state: PhaseSpace,
    frequency: Float[Array, " sites"],  # rad/s
    nonlinearity: float | Float[Array, ""],  # rad/s
) -> Float[Array, "*batch"]:
    r"""$\sum_i \omega_i|\psi_i|^2 + \tfrac g2|\psi_i|^4$."""
    n = intensities(state)
    return jnp.sum(each(frequency, n) * n + 0.5 * nonlinearity * n**2, -1)


def onsite_rotation(
    state: PhaseSpace,
    frequency: Float[Array, " sites"],  # rad/s
    nonlinearity: float | Float[Array, ""],  # rad/s
    duration: float,  # s
) -> PhaseSpace:
    r"""Its exact flow, $\psi_i \to e^{-i(\omega_i + g|\psi_i|^2)t}\,\psi_i$."""
    n = intensities(state)
    angle = duration * (each(frequency, n) + nonlinearity * n)
    cosine, sine = cos_sin(angle)
    q, p = state
    return PhaseSpace(cosine * q + sine * p, cosine * p - sine * q)


def intensities(state: PhaseSpace) -> Float[Array, "*batch sites"]:
    r"""$|\psi|^2$, dimensionless."""
    return 0.5 * (state.position**2 + state.momentum**2)


def amplitudes(state: PhaseSpace) -> Complex[Array, "*batch sites"]:
    r"""$\psi = (q + ip)/\sqrt 2$."""
    return jax.lax.complex(*(math.sqrt(0.5) * side for side in state))


class NonlinearLattice(AbstractHamiltonianLayer):
    r"""Coupled modes with a Kerr shift: the discrete nonlinear Schrödinger equation.

    $$i\dot\psi = \partial H/\partial\psi^*,\quad
    H = \sum_i \omega_i|\psi_i|^2 + \frac g2|\psi_i|^4
    + \sum_{i \ne j} J_{ij}\,\psi_i^*\psi_j$$

    with a real symmetric $J$: waveguides side by side, or a Bose gas in wells. The
    input is the initial amplitude of the input sites, the others being empty; the
    output is the intensity of the output sites. Frequencies and couplings are trained.

    The bonds are colored so that those of a color don't meet; each color, and all
    sites, then rotate exactly.

    **Error:** the norm $\sum|\psi|^2$ is conserved, and the motion reversible, to
    rounding; the energy's error is bounded, and falls as the splitting's order.
    **Source:** Eilbeck, Lomdahl, Scott, *Physica D* 16, 318 (1985),
    doi:10.1016/0167-2789(85)90012-0; trained by echo: López-Pastor and Marquardt,
    *Phys. Rev. X* 13, 031020 (2023), doi:10.1103/PhysRevX.13.031020.
    """

    frequency: Float[Array, " sites"]  # rad/s
    coupling: Float[Array, " bonds"]  # rad/s
    splitting: Splitting
    bonds: Bonds = eqx.field(static=True)
    inputs: tuple[int, ...] = eqx.field(static=True)
    outputs: tuple[int, ...] = eqx.field(static=True)
    nonlinearity: float | Float[Array, ""]
    loss_rate: float | Float[Array, ""]

    def __init__(
        self,
        sites: int = 6,
        *,
        key: PRNGKeyArray,
        bonds: Sequence[tuple[int, int]] | None = None,
        inputs: Sequence[int] | None = None,
        outputs: Sequence[int] | None = None,
        frequency: float = 0.0,  # rad/s
        coupling: float = 1.0,  # rad/s
        disorder: float = 0.1,  # rad/s
        nonlinearity: float = 1.0,  # rad/s, of a site with intensity 1
        loss_rate: float = 0.0,  # 1/s, of the intensity
        splitting: Splitting | None = None,
    ):
        """A chain, unless other `bonds` are given.

        **Arguments:**

        - `inputs`, `outputs`: sites; all of them unless given.
        - `frequency`, `coupling`: the mean of those of sites and bonds, to which `key`
            adds normal numbers of standard deviation `disorder`.
        - `loss_rate`: a layer with loss is not reversible.
        - `splitting`: `Splitting(2.0, 40)` unless given.

        **Raises:** `ValueError` for bonds or sites that are not there, for gain, and
        for a step in which a mode would turn by more than half a turn.
        """
        self.bonds = chain_bonds(sites) if bonds is None else tuple(bonds)
        check_bonds(self.bonds, sites)
        one, two = jax.random.split(key)
        self.frequency = frequency + disorder * jax.random.normal(one, (sites,))
        self.coupling = coupling + disorder * jax.random.normal(two, (len(self.bonds),))
        self.inputs = chosen_sites(inputs, sites, "inputs")
        self.outputs = chosen_sites(outputs, sites, "outputs")
        self.nonlinearity = nonlinearity
        self.loss_rate = checked_loss(loss_rate)
        self.splitting = Splitting(2.0, 40) if splitting is None else splitting
        check_turn(self.frequency, self.coupling, self.bonds, self.splitting)

    @classmethod
    def from_coupling(
        cls,
        coupling: Float[Array | np.ndarray, "_ _"],  # rad/s
        *,
        inputs: Sequence[int] | None = None,
        outputs: Sequence[int] | None = None,
        nonlinearity: float = 1.0,  # rad/s, of a site with intensity 1
        loss_rate: float = 0.0,  # 1/s, of the intensity
        splitting: Splitting | None = None,
    ) -> "NonlinearLattice":
        """Any graph: a bond where the matrix is not zero; frequencies on its diagonal.

        **Raises:** `ValueError` naming the entries that are not symmetric, and as the
        constructor does.
        """
        bonds, strengths = bonds_of(coupling)
        frequency = np.diag(np.asarray(coupling))
        layer = cls(
            len(frequency),
            key=jax.random.key(0),
            bonds=bonds,
            inputs=inputs,
            outputs=outputs,
            coupling=0.0,
            disorder=0.0,
            nonlinearity=nonlinearity,
            loss_rate=loss_rate,
            splitting=splitting,
        )
        check_turn(frequency, strengths, bonds, layer.splitting)
        return eqx.tree_at(
            lambda n: (n.frequency, n.coupling),
            layer,
            (jnp.asarray(frequency), jnp.asarray(strengths)),
        )

    @property
    def facts(self) -> Facts:
        return Facts(time_reversible=_is_zero(self.loss_rate))

    def initial_state(self, x: Inexact[Array, "*batch inputs"]) -> PhaseSpace:
        if x.shape[-1] != len(self.inputs):
            raise ValueError(
                f"There are {len(self.inputs)} input sites, but `x` has {x.shape[-1]} "
                f"amplitudes: its shape is {x.shape}."
            )

        def placed(side):
            empty = jnp.zeros((*x.shape[:-1], len(self.frequency)), side.dtype)
            return empty.at[..., index(self.inputs)].set(math.sqrt(2) * side)

        return PhaseSpace(placed(x.real), placed(x.imag))

    def drive(self, x: Inexact[Array, "*batch inputs"]) -> None:
        del x

    def parts(self) -> tuple[Part, ...]:
        colors = edge_colors(self.bonds, len(self.frequency))
        exchanges = [self._exchange(color) for color in colors]
        loss = [] if _is_zero(self.loss_rate) else [damping(self.loss_rate)]
        return (*loss, *exchanges, self._onsite())

    def readout(self, state: PhaseSpace) -> Float[Array, "*batch outputs"]:
        return intensities(state)[..., index(self.outputs)]

    def _exchange(self, color) -> Part:
        def energy(state, drive):
            del drive
            return exchange_energy(state, self.coupling, color)

        def flow(state, drive, duration):
            del drive
            return exchange(state, self.coupling, color, duration)

        return Part(energy, flow)

    def _onsite(self) -> Part:
        def energy(state, drive):
            del drive
            return onsite_energy(state, self.frequency, self.nonlinearity)

        def flow(state, drive, duration):
            del drive
            return onsite_rotation(state, self.frequency, self.nonlinearity, duration)

        return Part(energy, flow)


def damping(loss_rate: float | Float[Array, ""]) -> Part:  # 1/s, of the intensity
    """Loss, the same for every mode."""

    def flow(state, drive, duration):
        del drive
        left = jnp.exp(-0.5 * loss_rate * duration)
        return PhaseSpace(left * state.position, left * state.momentum)

    return Part(None, flow)


def _is_zero(rate: float | Float[Array, ""]) -> bool:
    """A rate that is an array may be anything: it can be swept."""
    return isinstance(rate, int | float) and rate == 0
