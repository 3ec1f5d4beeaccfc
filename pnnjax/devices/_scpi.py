"""A table of SCPI commands: how numbers are written to an instrument and read."""

import abc
import math
from dataclasses import dataclass
from string import Formatter
from typing import Any, Literal

import numpy as np

from ._retry import FrameError

OVERLOAD = 9.9e37
"""What SCPI writes for infinity; for NaN, 9.91e37. Instruments answer either where the
range is exceeded, or where a reading could not be taken."""


class AbstractWriter(metaclass=abc.ABCMeta):
    """How a vector of numbers is written."""

    @abc.abstractmethod
    def write(self, session: Any, values: np.ndarray) -> None:
        """Send `values` to an open resource of PyVISA."""


class AbstractReader(metaclass=abc.ABCMeta):
    """How a vector of numbers is read."""

    @abc.abstractmethod
    def read(self, session: Any) -> np.ndarray:
        """Ask an open resource of PyVISA.

        **Raises:** `FrameError` if the answer is not made of numbers.
        """


@dataclass(frozen=True)
class ChannelWriter(AbstractWriter):
    """One message a value, such as `VOLT {value:.6e},(@{channel})`."""

    message: str
    first: int = 1
    """The channel of the first value."""

    def __post_init__(self):
        _check_fields(self.message, "value", "channel")

    def write(self, session: Any, values: np.ndarray) -> None:
        """In the order of the channels."""
        for channel, value in enumerate(values.tolist(), self.first):
            session.write(self.message.format(value=value, channel=channel))


@dataclass(frozen=True)
class ListWriter(AbstractWriter):
    """One message for all values, such as `DATA {values}`, with commas between them."""

    message: str
    number: str = ".9e"
    """The format of one of them."""

    def __post_init__(self):
        _check_fields(self.message, "values")

    def write(self, session: Any, values: np.ndarray) -> None:
        """All at once."""
        text = ",".join(format(value, self.number) for value in values.tolist())
        session.write(self.message.format(values=text))


@dataclass(frozen=True)
class BlockWriter(AbstractWriter):
    """One message and a binary block of IEEE 488.2, such as `DATA VOLATILE,`."""

    message: str
    datatype: Literal["f", "d"] = "f"
    """Of 32 or of 64 bits."""
    big_endian: bool = False

    def write(self, session: Any, values: np.ndarray) -> None:
        """All at once."""
        session.write_binary_values(
            self.message, values.tolist(), self.datatype, self.big_endian
        )


@dataclass(frozen=True)
class ChannelReader(AbstractReader):
    """One question a value, such as `MEAS:VOLT? (@{channel})`."""

    message: str
    channels: int
    first: int = 1

    def __post_init__(self):
        _check_fields(self.message, "channel")
        if self.channels < 1:
            raise ValueError(f"`channels` must be at least 1: {self.channels}.")

    def read(self, session: Any) -> np.ndarray:
        """In the order of the channels."""
        numbers = range(self.first, self.first + self.channels)
        messages = [self.message.format(channel=channel) for channel in numbers]
        return np.concatenate([_numbers(session, message) for message in messages])


@dataclass(frozen=True)
class ListReader(AbstractReader):
    """One question for all values, such as `READ?`: commas are between them."""

    message: str

    def read(self, session: Any) -> np.ndarray:
        """All at once."""
        return _numbers(session, self.message)


@dataclass(frozen=True)
class BlockReader(AbstractReader):
    """One question that is answered by a binary block of IEEE 488.2."""

    message: str
    datatype: Literal["f", "d"] = "f"
    big_endian: bool = False

    def read(self, session: Any) -> np.ndarray:
        """All at once."""
        try:
            values = session.query_binary_values(
                self.message, self.datatype, self.big_endian
            )
        except ValueError as error:
            raise _malformed(self.message, f"{error}") from None
        return _finite(np.asarray(values), self.message)


@dataclass(frozen=True)
class SCPI:
    """What is said to one kind of instrument.

    **Arguments:** `identity`: a regular expression that is in its answer to `*IDN?`.
    `parameters`: one writer for each trainable array of the layer. `setup`: messages,
    once connected. `trigger`: messages, after each input.
    """

    identity: str
    parameters: tuple[AbstractWriter, ...]
    input: AbstractWriter
    output: AbstractReader
    setup: tuple[str, ...] = ()
    trigger: tuple[str, ...] = ()
    settle: float = 0.0  # s, between the input, or its trigger, and the output
    errors: str = "SYST:ERR?"

    def __post_init__(self):
        if not 0 <= self.settle < math.inf:
            raise ValueError(f"`settle` can't be {self.settle} s: 0 s is no pause.")


def _numbers(session: Any, message: str) -> np.ndarray:
    answer = session.query(message)
    try:
        values = np.asarray([float(word) for word in answer.split(",")])
    except ValueError:
        raise _malformed(message, f"{answer!r} is not made of numbers") from None
    return _finite(values, message)


def _finite(values: np.ndarray, message: str) -> np.ndarray:
    overloaded = np.sum(np.abs(values) >= OVERLOAD)
    if overloaded:
        raise FrameError(
            f"overload: {overloaded} of {values.size} values in the answer to "
            f"`{message}` are SCPI's infinity or NaN. Turn down the input power or the "
            "gain of the detector, or widen its range",
            "overload",
        )
    return values


def _malformed(message: str, what: str) -> FrameError:
    return FrameError(f"malformed answer to `{message}`: {what}", "malformed")


def _check_fields(message: str, *needed: str) -> None:
    found = {field for _, field, _, _ in Formatter().parse(message) if field}
    if found != set(needed):
        fields = " and ".join(f"{{{name}}}" for name in needed)
        raise ValueError(f"The message {message!r} must have {fields} in it, only.")
