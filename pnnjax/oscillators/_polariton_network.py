"""Polariton network: condensates with gain that saturates, coupled, driven by light."""

import math
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from .._fast_angles import cos_sin
from .._layer import AbstractLayer, Facts
from .._motion import PhaseSpace
from ..integrators import Splitting, held
from ._exchange import (
    Bonds,
    chain_bonds,
    check_bonds,
    check_turn,
    chosen_sites,
    each,
    edge_colors,
    exchange,
    index,
)
from ._nonlinear_lattice import intensities


def stuart_landau(
    state: PhaseSpace,
    gain: Float[Array, " sites"],  # 1/s, less the loss
    frequency: Float[Array, " sites"],  # rad/s
    saturation: float,  # 1/s, per unit of density
    nonlinearity: float,  # rad/s, per unit of density
    duration: float,  # s
) -> PhaseSpace:
    r"""$\dot\psi = \tfrac12(a - \sigma|\psi|^2)\psi - i(\omega + g|\psi|^2)\psi$.

    The density follows a logistic equation: with $E = (e^{at} - 1)/a$ it becomes
    $e^{at}n/(1 + \sigma nE)$, and $\int n\,dt = \ln(1 + \sigma nE)/\sigma$.

    **Error:** rounding only.
    """
    density = intensities(state)
    growth = duration * gain.astype(density.dtype)
    small = jnp.abs(growth) < 1e-4
    divisor = jnp.where(small, 1, growth)
    series = 1 + growth / 2 + growth**2 / 6
    rise = duration * jnp.where(small, series, jnp.expm1(divisor) / divisor)
    depletion = 1 + density * each(saturation * rise, density)
    left = jnp.sqrt(each(jnp.exp(growth), density) / depletion)
    seen = jnp.log(depletion) / saturation
    angle = duration * each(frequency, density) + nonlinearity * seen
    cosine, sine = (left * part for part in cos_sin(angle))
    q, p = state
    turned = PhaseSpace(cosine * q + sine * p, cosine * p - sine * q)
    # Where partners are fetched next, it would be found again for each of the two.
    return lax.optimization_barrier(turned)


class PolaritonNetwork(AbstractLayer):
    r"""Condensates of polaritons, or any oscillators with gain that saturates.

    $$\dot\psi_i = \tfrac12(P_i - \gamma - \sigma|\psi_i|^2)\,\psi_i
    - i(\omega_i + g|\psi_i|^2)\,\psi_i - i\sum_j J_{ij}\psi_j + f_i(t)$$

    Above the threshold $P > \gamma$ a lone site ends at the density
    $n = (P - \gamma)/\sigma$ and turns at $\omega + gn$. The input is the resonant
    light $f$ on the input sites, sample by sample, each held for an equal number of
    steps; the output is the density of the output sites. Densities are dimensionless.
    Pumps, frequencies and couplings are trained; there is gain, so no echo retraces.

    **Error:** of the splitting: each term has its exact flow.
    **Valid for:** a reservoir of excitons that follows the condensate at once.
    **Source:** Keeling and Berloff, *Phys. Rev. Lett.* 100, 250401 (2008),
    doi:10.1103/PhysRevLett.100.250401; for computing: Opala, Ghosh, Liew, Matuszewski,
    arXiv:1808.05135 (2019).
    """

    pump: Float[Array, " sites"]  # 1/s
    frequency: Float[Array, " sites"]  # rad/s
    coupling: Float[Array, " bonds"]  # rad/s
    splitting: Splitting
    bonds: Bonds = eqx.field(static=True)
    inputs: tuple[int, ...] = eqx.field(static=True)
    outputs: tuple[int, ...] = eqx.field(static=True)
    loss_rate: float
    saturation: float
    nonlinearity: float
    start: float
    facts = Facts()

    def __init__(
        self,
        sites: int = 6,
        *,
        key: PRNGKeyArray,
        bonds: Sequence[tuple[int, int]] | None = None,
        inputs: Sequence[int] | None = None,
        outputs: Sequence[int] | None = None,
        pump: float = 1.5,  # 1/s
        frequency: float = 0.0,  # rad/s
        coupling: float = 0.5,  # rad/s
        disorder: float = 0.1,  # rad/s
        loss_rate: float = 1.0,  # 1/s, of the density
        saturation: float = 1.0,  # 1/s, per unit of density
        nonlinearity: float = 1.0,  # rad/s, per unit of density
        start: float = 0.1,
        splitting: Splitting | None = None,
    ):
        """A chain, unless other `bonds` are given.

        **Arguments:**

        - `inputs`, `outputs`: sites; all of them unless given.
        - `pump`, `frequency`, `coupling`: the mean of those of sites and bonds; `key`
            adds normal numbers of standard deviation `disorder` to the last two.
        - `start`: the amplitude of every site at first.
        - `splitting`: `Splitting(4.0, 40)` unless given.

        **Raises:** `ValueError` for bonds or sites that are not there, a rate that is
        not positive, and a step in which a mode would turn by more than half a turn.
        """
        self.bonds = chain_bonds(sites) if bonds is None else tuple(bonds)
        check_bonds(self.bonds, sites)
        one, two = jax.random.split(key)
        self.frequency = frequency + disorder * jax.random.normal(one, (sites,))
        self.coupling = coupling + disorder * jax.random.normal(two, (len(self.bonds),))
        self.pump = pump * jnp.ones_like(self.frequency)
        self.inputs = chosen_sites(inputs, sites, "inputs")
        self.outputs = chosen_sites(outputs, sites, "outputs")
        self.loss_rate = _positive(loss_rate, "loss_rate")
        self.saturation = _positive(saturation, "saturation")
        self.nonlinearity = nonlinearity
        self.start = start
        self.splitting = Splitting(4.0, 40) if splitting is None else splitting
        check_turn(self.frequency, self.coupling, self.bonds, self.splitting)

    def __call__(
        self,
        x: Float[Array, "*batch times inputs"],  # 1/s
        *,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "..."]:
        del key
        if x.ndim < 2 or x.shape[-1] != len(self.inputs):
            raise ValueError(
                f"`x` must have axes (times, {len(self.inputs)}), the light on the "
                f"input sites, but is of shape {x.shape}."
            )
        sites = jnp.zeros((*x.shape[:-1], len(self.pump)), x.dtype)
        light = sites.at[..., index(self.inputs)].set(x)
        drive, dark = held(light, self.splitting.steps), sites[..., 0, :]
        start = PhaseSpace(dark + math.sqrt(2) * self.start, dark)
        return self.splitting.run(self.flows(), start, drive, self.readout)[1]

    def flows(self) -> list:
        """Light, exchange within each color of bonds, and gain: one flow each."""

        def light(state, drive, duration):
            q, p = state
            return PhaseSpace(q + math.sqrt(2) * duration * drive, p)

        def gain(state, drive, duration):
            del drive
            net = self.pump - self.loss_rate
            rates = net, self.frequency, self.saturation, self.nonlinearity
            return stuart_landau(state, *rates, duration)

        colors = edge_colors(self.bonds, len(self.pump))
        return [light, *(self._exchange(color) for color in colors), gain]

    def readout(self, state: PhaseSpace) -> Float[Array, "*batch outputs"]:
        """The densities of the output sites."""
        return intensities(state)[..., index(self.outputs)]

    def _exchange(self, color):
        def flow(state, drive, duration):
            del drive
            return exchange(state, self.coupling, color, duration)

        return flow


def _positive(value: float, name: str) -> float:
    if not value > 0:
        raise ValueError(f"`{name}` must be positive, not {value}: take 1, say.")
    return value
