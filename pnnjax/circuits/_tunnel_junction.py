"""Magnetic tunnel junction: two resistances, and switching by chance."""

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from .._analog_memory import AbstractPulsedDevice
from .._fast_random import fast_normal, fast_uniform
from ._pulsed_memristor import Pulse, mean_step


def switching_rate(
    current: Float[Array, "*shape"],  # A, positive where it drives the switch
    stability: float,  # dimensionless
    critical_current: float | Float[Array, "*shape"],  # A
    attempt_time: float = 1e-9,  # s
) -> Float[Array, "*shape"]:  # 1/s
    r"""How often a junction switches: $\tau^{-1} = \tau_0^{-1} e^{-\Delta(1 - I/I_c)}$.

    Néel and Brown's thermal activation over a barrier of $\Delta$ times $k_B T$, which
    spin-transfer torque lowers. $I_c$ is the critical current at zero temperature.

    **Valid for:** $|I| < I_c$; beyond, switching is precessional, and this rate stays
    $1/\tau_0$.
    **Source:** Koch, Katine, Sun, *Phys. Rev. Lett.* 92, 088302 (2004),
    doi:10.1103/PhysRevLett.92.088302; Li and Zhang, *Phys. Rev. B* 69, 134416 (2004),
    doi:10.1103/PhysRevB.69.134416.
    """
    barrier = stability * (1 - current / critical_current)
    return jnp.exp(-jnp.maximum(barrier, 0)) / attempt_time


def switching_probability(
    duration: Float[Array, "*shape"],  # s
    rate: Float[Array, "*shape"],  # 1/s
) -> Float[Array, "*shape"]:
    r"""That a pulse switches the junction: $1 - e^{-t/\tau}$."""
    return -jnp.expm1(-duration * rate)


class TunnelJunction(AbstractPulsedDevice):
    r"""A stochastic binary synapse: current pulses switch it, or don't.

    A positive current favors the parallel state, `high`, and a negative one the
    antiparallel state, `low`; the state is the conductance as a part of that of the
    parallel state: 1, or $1/(1 + \text{TMR})$ with
    $\text{TMR} = (R_\text{AP} - R_\text{P})/R_\text{P}$. Pulses up and down, well
    mixed, make a Markov chain of it: exact for pulses of one kind. Without a key, and
    until its first pulse, a state between the two is the mean of many junctions, or of
    what is known of one. A cell is a factor of its critical current.

    **Valid for:** currents below the critical one, and small voltages: the
    magnetoresistance does not depend on it.
    **Source:** Vincent et al., *IEEE Trans. Biomed. Circuits Syst.* 9, 166 (2015).
    """

    up: Pulse
    down: Pulse
    stability: float
    critical_current: float
    parallel_resistance: float
    magnetoresistance: float
    attempt_time: float
    cell_variation: float

    def __init__(
        self,
        up: Pulse,
        down: Pulse,
        *,
        stability: float,
        critical_current: float,  # A
        parallel_resistance: float,  # Ω
        magnetoresistance: float,
        attempt_time: float = 1e-9,  # s
        cell_variation: float = 0.0,
    ):
        r"""**Arguments:**

        - `up`, `down`: amplitudes are in amperes here, up positive, down negative.
        - `stability`: the barrier over $k_B T$, $\Delta$; `magnetoresistance`: TMR,
            as a fraction; `attempt_time`: $\tau_0$.
        - `cell_variation`: standard deviation of the critical current from junction to
            junction, relative to the mean.

        **Raises:** `ValueError` if a number is not positive, or a pulse has the wrong
        sign or passes the critical current.
        """
        self.up = up
        self.down = down
        self.stability = stability
        self.critical_current = critical_current
        self.parallel_resistance = parallel_resistance
        self.magnetoresistance = magnetoresistance
        self.attempt_time = attempt_time
        self.cell_variation = cell_variation
        self._check()

    def _check(self):
        numbers = (
            "stability",
            "critical_current",
            "parallel_resistance",
            "magnetoresistance",
            "attempt_time",
        )
        for name in numbers:
            if not getattr(self, name) > 0:
                raise ValueError(f"`{name}` must be positive: {getattr(self, name)}.")
        limit = self.critical_current
        for name, pulse, sign in (("up", self.up, 1), ("down", self.down, -1)):
            if not (0 < sign * pulse.amplitude < limit and pulse.duration > 0):
                raise ValueError(
                    f"`{name}` must last a time and carry a current from 0 to "
                    f"{sign * limit} A, the critical one, but is {pulse}."
                )

    @property
    def low(self) -> float:
        return 1 / (1 + self.magnetoresistance)

    @property
    def high(self) -> float:
        return 1.0

    @property
    def granularity(self) -> float:
        return mean_step(self)

    def resistance(self, state: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """Of a junction, or of the mean of many (Ω)."""
        return self.parallel_resistance / state

    def manufacture(
        self, state: Float[Array, "..."], *, key: PRNGKeyArray | None
    ) -> Float[Array, "..."]:
        one = jnp.ones_like(state)
        if key is None:
            return one
        spread = fast_normal(key, state.shape, state.dtype)
        # No junction switches by itself: a tenth of the current is the least.
        return jnp.maximum(one + self.cell_variation * spread, 0.1)

    def pulse(
        self,
        state: Float[Array, "..."],
        cell: Float[Array, "..."],
        up: Float[Array, "..."],
        down: Float[Array, "..."],
        *,
        key: PRNGKeyArray | None,
    ) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        rise = self._expected(cell, up, down, 1)
        fall = self._expected(cell, up, down, -1)
        pulsed = self._switched(state, rise, fall, key)
        return jnp.where(up + down > 0, pulsed, state), cell

    def rest(
        self,
        state: Float[Array, "..."],
        cell: Float[Array, "..."],
        seconds: float | Float[Array, ""],
        *,
        key: PRNGKeyArray | None,
    ) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        r"""Heat alone switches it either way, once in $\tau_0 e^\Delta$."""
        often = seconds * self._rate(jnp.zeros_like(state), cell)
        rested = self._switched(state, often, often, key)
        return jnp.where(often > 0, rested, state), cell

    def _expected(self, cell: Array, up: Array, down: Array, sign: int) -> Array:
        """How many times all pulses together would switch it in one direction."""
        by_up, by_down = (
            number * pulse.duration * self._rate(sign * pulse.amplitude, cell)
            for number, pulse in ((up, self.up), (down, self.down))
        )
        return by_up + by_down

    def _rate(self, current: float | Array, cell: Array) -> Array:
        current = jnp.broadcast_to(jnp.asarray(current, cell.dtype), cell.shape)
        critical = self.critical_current * cell
        return switching_rate(current, self.stability, critical, self.attempt_time)

    def _switched(
        self, state: Array, rise: Array, fall: Array, key: PRNGKeyArray | None
    ) -> Array:
        total = rise + fall
        settled = rise / jnp.where(total > 0, total, 1)
        parallel = jnp.clip((state - self.low) / (self.high - self.low), 0, 1)
        parallel = settled + (parallel - settled) * jnp.exp(-total)
        if key is not None:
            drawn = fast_uniform(key, state.shape, state.dtype)
            parallel = (drawn < parallel).astype(state.dtype)
        return self.low + (self.high - self.low) * parallel
