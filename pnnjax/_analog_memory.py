"""What an analog memory cell is: to those who program it, and to those who pulse it."""

import abc

import equinox as eqx
from jaxtyping import Array, Float, PRNGKeyArray, PyTree


class AbstractAnalogMemory(eqx.Module):
    """Conductances that are written once, change by themselves, and are read.

    One key is one set of cells: the same key gives the same cells at any time. Without
    a key, the mean.
    """

    maximum: eqx.AbstractVar[float]
    """The highest conductance that is used (S)."""

    @abc.abstractmethod
    def program(
        self, target: Float[Array, "..."], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "..."]:
        """The conductances (S) that programming to `target` (S) leaves."""

    @abc.abstractmethod
    def drift(
        self,
        conductance: Float[Array, "..."],
        time: float | Float[Array, ""],
        *,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "..."]:
        """What is left (S) at `time` (s) after programming."""

    @abc.abstractmethod
    def read(
        self,
        conductance: Float[Array, "..."],
        time: float | Float[Array, ""],
        *,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "..."]:
        """What one read shows (S) at `time` (s) after programming."""


class AbstractPulsedDevice(eqx.Module):
    """A memory cell that identical pulses move up and down, as far as it will go.

    The state is in the unit of the parameter that the cells hold: a conductance as a
    part of its maximum, a weight. What differs from cell to cell, and what a cell
    remembers besides its state, is its `cell`: a pytree of arrays.
    """

    low: eqx.AbstractVar[float]
    """The least state of the mean cell; cells may differ."""
    high: eqx.AbstractVar[float]
    """The greatest state of the mean cell."""

    @property
    @abc.abstractmethod
    def granularity(self) -> float:
        """The mean change by one pulse: half of the up and down steps' sum, halfway
        between `low` and `high`."""

    @abc.abstractmethod
    def manufacture(
        self, state: Float[Array, "..."], *, key: PRNGKeyArray | None
    ) -> PyTree[Array]:
        """The cells that hold `state`; without a key, all like the mean one."""

    @abc.abstractmethod
    def pulse(
        self,
        state: Float[Array, "..."],
        cell: PyTree[Array],
        up: Float[Array, "..."],
        down: Float[Array, "..."],
        *,
        key: PRNGKeyArray | None,
    ) -> tuple[Float[Array, "..."], PyTree[Array]]:
        """`(state, cell)` after `up` and `down` pulses, whole numbers, well mixed.

        With a key, steps differ from pulse to pulse.
        """

    @abc.abstractmethod
    def rest(
        self,
        state: Float[Array, "..."],
        cell: PyTree[Array],
        seconds: float | Float[Array, ""],
        *,
        key: PRNGKeyArray | None,
    ) -> tuple[Float[Array, "..."], PyTree[Array]]:
        """`(state, cell)` after a time without pulses: drift, decay, diffusion."""
