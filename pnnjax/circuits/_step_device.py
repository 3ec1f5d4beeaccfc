"""What memory cells share whose every pulse makes a step that depends on the state."""

import abc
import math
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, DTypeLike, Float, PRNGKeyArray, PyTree

from .._analog_memory import AbstractPulsedDevice
from .._fast_random import fast_normal


class Variation(eqx.Module):
    r"""How cells differ from each other, and each pulse from the last.

    A cell's two steps are $s\,|1 + \sigma_s\xi \pm (\beta + \sigma_\beta\xi')|$ times
    the law of its device, with $s$ the step and $\beta$ the asymmetry of the mean cell;
    each of its bounds is at $|1 + \sigma_b\xi|$ of the mean one's distance from the
    middle. One pulse makes a step $\Delta$ with a deviation
    $\sqrt{(\sigma_c\Delta)^2 + (\sigma_f g)^2}$, where $g$ is the granularity.

    **Valid for:** steps, and numbers of pulses at a time, so small that the noise of
    one pulse is still there after the others: it is added up as $\sqrt n$.
    **Source:** the defaults are those of the baseline of Gokmen, Vlasov, *Front.
    Neurosci.* 10, 333 (2016), doi:10.3389/fnins.2016.00333, as aihwkit 1.1.0 has them.
    """

    step: float = 0.3
    r"""$\sigma_s$, from cell to cell."""
    asymmetry: float = 0.01
    r"""$\sigma_\beta$, from cell to cell."""
    bounds: float = 0.3
    r"""$\sigma_b$, from cell to cell."""
    cycle: float = 0.3
    r"""$\sigma_c$, from pulse to pulse, of the step."""
    floor: float = 0.0
    r"""$\sigma_f$, from pulse to pulse, of the granularity: it does not vanish where
    steps do."""
    write: float = 0.0
    """Deviation, in granularities, by which what shows differs from the state that
    pulses move; another one after each update that moves the cell. A crossbar clips
    what shows, not that state, to its range."""


IDENTICAL = Variation(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
"""Cells, and pulses, that are all alike."""


class Cells(NamedTuple):
    """What belongs to each cell: arrays of its shape, or of none if all are alike."""

    low: Float[Array, "..."]
    high: Float[Array, "..."]
    up: Float[Array, "..."]
    """How much a pulse does, in the terms of the device's law."""
    down: Float[Array, "..."]
    law: PyTree[Array] = None
    """What else the law has for each cell."""
    excess: Float[Array, "..."] | None = None
    """What shows above the state that pulses move."""


class AbstractStepDevice(AbstractPulsedDevice):
    """A pulse up, or down, makes a step that only the cell's state determines.

    A new law has a file with the steps of the mean cell, what a cell keeps of them,
    and where some number of pulses leads.
    """

    step: eqx.AbstractVar[float]
    """The mean cell's step, before the law and the asymmetry."""
    asymmetry: eqx.AbstractVar[float]
    r"""$\beta$: steps up are $1 + \beta$, steps down $1 - \beta$ times that."""
    variation: eqx.AbstractVar[Variation]
    lifetime: eqx.AbstractVar[float]
    """With which a resting state decays towards the middle (s)."""
    diffusion: eqx.AbstractVar[float]
    """Of a resting state: its deviation after one second (per square root of s)."""

    @property
    @abc.abstractmethod
    def middle_steps(self) -> tuple[float, float]:
        """The mean cell's steps up and down, halfway between its bounds."""

    @abc.abstractmethod
    def build(
        self, cell: Cells, shape: tuple[int, ...], *, key: PRNGKeyArray | None
    ) -> Cells:
        """The cells, from those whose `up` and `down` are the law's prefactors."""

    @abc.abstractmethod
    def steps(
        self, state: Float[Array, "..."], cell: Cells
    ) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        """How far one pulse up, and one down, would lead."""

    @abc.abstractmethod
    def respond(
        self,
        state: Float[Array, "..."],
        cell: Cells,
        up: Float[Array, "..."],
        down: Float[Array, "..."],
    ) -> Float[Array, "..."]:
        """Where pulses lead, without noise and before the bounds."""

    def __check_init__(self):
        if not (self.low < self.high and 0 < self.step < (self.high - self.low) / 2):
            raise ValueError(
                "Bounds must rise, and a step be positive and less than half the way "
                f"between them, such as {(self.high - self.low) / 1000:g}, but they "
                f"are low={self.low}, high={self.high}, step={self.step}."
            )
        if not -1 < self.asymmetry < 1 or self.lifetime <= 0 or self.diffusion < 0:
            raise ValueError(
                "`asymmetry` must be between -1 and 1, `lifetime` positive (s) and "
                f"`diffusion` not negative, but they are {self.asymmetry}, "
                f"{self.lifetime} and {self.diffusion}."
            )

    @property
    def granularity(self) -> float:
        return sum(self.middle_steps) / 2

    @property
    def middle(self) -> float:
        """Halfway between the mean cell's bounds."""
        return (self.low + self.high) / 2

    @property
    def half(self) -> float:
        """Half the way between the mean cell's bounds."""
        return (self.high - self.low) / 2

    def manufacture(
        self, state: Float[Array, "..."], *, key: PRNGKeyArray | None
    ) -> Cells:
        vary, own = self.variation, None
        excess = jnp.zeros_like(state) if vary.write > 0 else None
        drawn = [jnp.zeros((), state.dtype)] * 4
        if key is not None:
            *keys, own = jax.random.split(key, 5)
            drawn = [fast_normal(k, state.shape, state.dtype) for k in keys]
        tilt = self.asymmetry + vary.asymmetry * drawn[1]
        scale = 1.0 + vary.step * drawn[0]
        cell = Cells(
            low=self.middle - self.half * jnp.abs(1.0 + vary.bounds * drawn[2]),
            high=self.middle + self.half * jnp.abs(1.0 + vary.bounds * drawn[3]),
            up=self.step * jnp.abs(scale + tilt),
            down=self.step * jnp.abs(scale - tilt),
            excess=excess,
        )
        return self.build(cell, state.shape, key=own)

    def pulse(
        self,
        state: Float[Array, "..."],
        cell: Cells,
        up: Float[Array, "..."],
        down: Float[Array, "..."],
        *,
        key: PRNGKeyArray | None,
    ) -> tuple[Float[Array, "..."], Cells]:
        hidden = state if cell.excess is None else state - cell.excess
        moved = self.respond(hidden, cell, up, down)
        keys = [None, None] if key is None else jax.random.split(key)
        moved = jnp.clip(moved, cell.low, cell.high)
        moved = jnp.clip(self._scattered(moved, cell, up, down, keys[0]), *cell[:2])
        touched = up + down != 0
        if cell.excess is None:
            return jnp.where(touched, moved, state), cell
        excess = jnp.where(touched, self._written(state, keys[1]), cell.excess)
        state = jnp.where(touched, moved + excess, state)
        return state, cell._replace(excess=excess)

    def rest(
        self,
        state: Float[Array, "..."],
        cell: Cells,
        seconds: float | Float[Array, ""],
        *,
        key: PRNGKeyArray | None,
    ) -> tuple[Float[Array, "..."], Cells]:
        if math.isinf(self.lifetime) and self.diffusion == 0:
            return state, cell
        excess = jnp.zeros_like(state) if cell.excess is None else cell.excess
        time = jnp.asarray(seconds, state.dtype)
        kept = jnp.exp(-time / self.lifetime)
        rested = self.middle + (state - excess - self.middle) * kept
        if key is not None:
            walk = self.diffusion * jnp.sqrt(time)
            rested = rested + walk * fast_normal(key, state.shape, state.dtype)
        return jnp.clip(rested, cell.low, cell.high) + excess, cell

    def _scattered(self, moved: Array, cell: Cells, up: Array, down: Array, key: Any):
        """With the noise of all pulses, as large as it is where they lead."""
        vary = self.variation
        if key is None or vary.cycle == vary.floor == 0:
            return moved
        variance = (vary.floor * self.granularity) ** 2 * (up + down)
        if vary.cycle > 0:
            rise, fall = self.steps(moved, cell)
            variance = variance + vary.cycle**2 * (up * rise**2 + down * fall**2)
        noise = fast_normal(key, moved.shape, moved.dtype)
        return moved + jnp.sqrt(variance) * noise

    def _written(self, state: Array, key: Any) -> Array:
        if key is None:
            return jnp.zeros_like(state)
        width = self.variation.write * self.granularity
        return width * fast_normal(key, state.shape, state.dtype)


def saturating(drift: Float[Array, "..."], rate: Float[Array, "..."]) -> Array:
    r"""The change $F\,(1 - e^{-R})/R$: that of a flow $F - R\,x$ from zero in one time.

    Any order of maps $x \mapsto (1 - b)\,x + a$ shrinks distances alike. Taken as a
    flow of rates $-\ln(1 - b)$, they lead where equal maps do, exactly, and where
    different ones do on average, to the order of the commutators that are left.
    """
    half = jnp.tanh(rate / 2)
    some = rate > jnp.finfo(rate.dtype).tiny
    # (1 - e^-R) is 2t / (1 + t), which loses no digits where R is small.
    part = 2.0 * half / ((1.0 + half) * jnp.where(some, rate, 1.0))
    return drift * jnp.where(some, part, 1.0)


def log_rate(fraction: Float[Array, "..."]) -> Float[Array, "..."]:
    """The rate of the flow that removes this fraction in one time."""
    # No cell reaches its bound by one pulse, however large its step was drawn.
    return -jnp.log1p(-jnp.minimum(fraction, 0.99))


def stepped(rate: Float[Array, "..."]) -> Float[Array, "..."]:
    """$(1 - e^{-r})/r$, by how much one step does less than a flow begins with.

    **Error:** three terms, the next is $r^3/24$: a step is a small part of the range.
    """
    return 1.0 - rate * (0.5 - rate / 6.0)


def mixed(
    rise: Any, fall: Any, state: Array, up: Array, down: Array, travel: float
) -> Array:
    """`rise(state, up)` and `fall(state, down)`, half of the rises before the falls.

    Both are flows, of fractions of pulses too. Pulses come in as many rounds as it
    takes for each to move a cell forth and back by at most a fortieth of its range;
    `travel` is what a pulse moves, as a part of it. The mean of random orders differs
    by some 1e-4 of the range.
    """
    most = jnp.max(jnp.minimum(up, down), initial=0.0) * travel
    rounds = jnp.clip(jnp.ceil(40.0 * most), 1, 400).astype(jnp.int32)
    share = 1.0 / rounds.astype(state.dtype)
    up, down = up * (0.5 * share), down * share

    def once(_: Any, state: Array) -> Array:
        return rise(fall(rise(state, up), down), up)

    return jax.lax.fori_loop(0, rounds, once, state)


def spread(
    value: float,
    deviation: float,
    shape: tuple[int, ...],
    dtype: DTypeLike,
    key: PRNGKeyArray | None,
) -> Float[Array, "..."]:
    """A parameter of the law for each cell: normal, and without its sign."""
    if key is None or deviation == 0:
        return jnp.asarray(value, dtype)
    return jnp.abs(value + deviation * fast_normal(key, shape, dtype))
