"""Probabilistic bits: spins that fluctuate by themselves, each with a bias."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from .._fast_random import fast_uniform
from ._ising import IsingProblem
from ._solver import AbstractIsingSolver, starting_spins


class AbstractBit(eqx.Module):
    """A device with two states whose chances can be set."""

    @abc.abstractmethod
    def average(
        self, drive: Float[Array, "..."], spins: Float[Array, "..."]
    ) -> Float[Array, "..."]:
        r"""The mean of the next reading under a drive, if the last was `spins`.

        The drive is $\beta I$, dimensionless. A bit that has no memory ignores `spins`.
        """


class IdealBit(AbstractBit):
    r"""A p-bit without memory of its last state: its mean is $\tanh\beta I$.

    **Source:** Camsari et al., *Phys. Rev. X* 7, 031014 (2017),
    doi:10.1103/PhysRevX.7.031014.
    """

    def average(
        self, drive: Float[Array, "..."], spins: Float[Array, "..."]
    ) -> Float[Array, "..."]:
        del spins
        return jnp.tanh(drive)


class TunnelJunction(AbstractBit):
    r"""A magnetic tunnel junction whose free layer heat flips to and fro.

    A current $I$ tilts the barrier of $\Delta k_BT$ between the parallel state and the
    antiparallel one by its spin torque: with $i = (I - I_0)/I_c$ the mean dwell times
    are $\tau_0 e^{\Delta(1 \mp i)}$, so that the resistance averages to a sigmoid of
    the current. The drive of a p-bit is $\Delta i$, up to $\pm\Delta$, where the
    source saturates. Spin +1 is antiparallel.

    **Valid for:** $|I - I_0| \le I_c$, where heat makes the flips and not the torque.
    **Source:** Camsari et al., *Phys. Rev. X* 7, 031014 (2017),
    doi:10.1103/PhysRevX.7.031014; Borders et al., *Nature* 573, 390 (2019),
    doi:10.1038/s41586-019-1557-9.
    """

    barrier: float
    critical_current: float
    resistances: tuple[float, float]
    interval: float
    balance: float
    attempt_time: float

    def __init__(
        self,
        *,
        barrier: float,  # in units of k_B T
        critical_current: float,  # A
        resistances: tuple[float, float],  # ohm, parallel and antiparallel
        interval: float,  # s
        balance: float = 0.0,  # A
        attempt_time: float = 1e-9,  # s
    ):
        r"""A junction that is read every `interval`.

        **Arguments:** `balance`: $I_0$, where both states last equally long;
        `attempt_time`: $\tau_0$.
        **Raises:** `ValueError` for a number that can't be, naming it.
        """
        for name, value in (
            ("barrier", barrier),
            ("critical_current", critical_current),
            ("interval", interval),
            ("attempt_time", attempt_time),
            ("resistances", resistances[0]),
        ):
            if not value > 0:
                raise ValueError(f"`{name}` must be positive, not {value}.")
        if not resistances[1] > resistances[0]:
            raise ValueError(
                "The antiparallel state has the greater resistance: give `resistances` "
                f"as (parallel, antiparallel), not {resistances}."
            )
        self.barrier = barrier
        self.critical_current = critical_current
        self.resistances = resistances
        self.interval = interval
        self.balance = balance
        self.attempt_time = attempt_time

    def dwell_times(
        self,
        current: Float[Array, "..."],  # A
    ) -> tuple[Float[Array, "..."], Float[Array, "..."]]:  # s
        """How long the parallel and the antiparallel state last on average."""
        tilt = self._limited(self._drive(current))
        parallel = self.attempt_time * jnp.exp(self.barrier - tilt)
        return parallel, self.attempt_time * jnp.exp(self.barrier + tilt)

    def resistance(self, spins: Float[Array, "..."]) -> Float[Array, "..."]:
        """In ohm: what a reading shows, or its average if that of the spin is given."""
        parallel, antiparallel = self.resistances
        return (parallel + antiparallel) / 2 + (antiparallel - parallel) / 2 * spins

    def read(
        self,
        spins: Float[Array, "..."],
        current: Float[Array, "..."],  # A
        *,
        key: PRNGKeyArray,
    ) -> Float[Array, "..."]:
        """The states `interval` after they were `spins`, drawn without approximation.

        Two rates make a random telegraph: the memory of the last state decays
        exponentially.
        """
        draw = jax.random.uniform(key, spins.shape, spins.dtype, -1, 1)
        return _draw(self.average(self._drive(current), spins), draw)

    def average(
        self, drive: Float[Array, "..."], spins: Float[Array, "..."]
    ) -> Float[Array, "..."]:
        tilt = self._limited(drive)
        settled = jnp.tanh(tilt)
        # 1 / parallel dwell time + 1 / antiparallel one.
        rate = 2 * jnp.cosh(tilt) * (jnp.exp(-self.barrier) / self.attempt_time)
        return settled + (spins - settled) * jnp.exp(-rate * self.interval)

    def _drive(self, current: Float[Array, "..."]) -> Float[Array, "..."]:
        return self.barrier / self.critical_current * (current - self.balance)

    def _limited(self, drive: Float[Array, "..."]) -> Float[Array, "..."]:
        return jnp.clip(drive, -self.barrier, self.barrier)


class ProbabilisticBits(AbstractIsingSolver):
    r"""P-bits $m_i = \operatorname{sgn}(\tanh\beta I_i - r)$ that drive each other.

    The input is $I_i = \sum_j J_{ij} m_j + h_i$ and $r$ is uniform in $(-1, 1)$. Bits
    that are not coupled are read at once, group by group: Gibbs sampling, whose
    configurations become those of the Boltzmann distribution at $\beta$, whatever
    memory the bits have.

    **Source:** Camsari et al., *Phys. Rev. X* 7, 031014 (2017),
    doi:10.1103/PhysRevX.7.031014; Borders et al., *Nature* 573, 390 (2019),
    doi:10.1038/s41586-019-1557-9.
    """

    first: float
    last: float
    sweeps: int = eqx.field(static=True)
    bit: AbstractBit

    def __init__(
        self, first: float, last: float, sweeps: int, bit: AbstractBit | None = None
    ):
        r"""Read every bit `sweeps` times.

        **Arguments:** `first`, `last`: the inverse temperature $\beta$ in units of
        1/energy; it rises evenly, or stays if they are equal; `bit`: the device, an
        `IdealBit` if none is given.
        **Raises:** `ValueError` for a negative temperature or less than one sweep.
        """
        if min(first, last) < 0:
            raise ValueError(f"Inverse temperatures can't be < 0: {first}, {last}.")
        if sweeps < 1:
            raise ValueError(f"Each bit is read at least once, not {sweeps} times.")
        self.first = first
        self.last = last
        self.sweeps = sweeps
        self.bit = IdealBit() if bit is None else bit

    def __call__(
        self,
        problem: IsingProblem,
        *,
        key: PRNGKeyArray,
        replicas: int = 1,
        start: Float[Array, "replicas n"] | None = None,
    ) -> Float[Array, "replicas n"]:
        start_key, key = jax.random.split(key)
        begin = starting_spins(problem, replicas, start, start_key)
        grouped, order = problem.in_groups()

        def sweep(spins: Array, now: tuple[Array, Array]) -> tuple[Array, None]:
            beta, own = now
            return self.sweep(grouped, spins, beta, key=own), None

        betas = jnp.linspace(self.first, self.last, self.sweeps, dtype=begin.dtype)
        keys = jax.random.split(key, self.sweeps)
        end, _ = jax.lax.scan(sweep, begin.T[order], (betas, keys))
        return end[jnp.argsort(order)].T

    def sweep(
        self,
        problem: IsingProblem,
        spins: Float[Array, "n replicas"],
        beta: Float[Array, ""],  # 1/energy
        *,
        key: PRNGKeyArray,
    ) -> Float[Array, "n replicas"]:
        """Read every bit once, replicas side by side."""

        def update(spins: Array, field: Array, draws: Array) -> Array:
            return _draw(self.bit.average(beta * field, spins), draws)

        # At once: with each group's own update, they would be drawn one by one.
        draws = jax.lax.optimization_barrier(
            2 * fast_uniform(key, spins.shape, spins.dtype) - 1
        )
        return problem.sweep(spins, update, draws)


def _draw(mean: Float[Array, "..."], draw: Float[Array, "..."]) -> Array:
    """+1 or -1 with that mean, from a number uniform in (-1, 1)."""
    one = jnp.ones_like(mean)
    return jnp.where(draw < mean, one, -one)
