"""A laboratory instrument that is driven by SCPI commands through VISA."""

import contextlib
import re
import time
from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Array, Inexact, PRNGKeyArray

from ._callback import CallbackDevice
from ._device import AbstractDevice
from ._limits import Limits, Range
from ._retry import RetryPolicy
from ._scpi import SCPI

ERRORS = 32
"""How many entries are read of an error queue at most."""


class InstrumentError(Exception):
    """The instrument is the wrong one, or says that it could not do something."""


class VISADevice(AbstractDevice):
    """An instrument at a VISA address such as `TCPIP::192.168.0.7::INSTR`.

    In a run, the parameters are written once; then, for each example, the input is
    written and the output read; then the error queue. The connection is opened when it
    is needed, and again after anything went wrong: each time, the instrument is asked
    who it is. Otherwise it is a `CallbackDevice`: its `device`, which can be served,
    and whose `run` can be wrapped, as by `SteadyRun`.

    **Raises:** `DeviceError` where the instrument is another one, has an entry in its
    error queue, or, when the retry policy gives up, does not answer or not in numbers.
    **Valid for:** real inputs and outputs that are vectors.
    """

    device: CallbackDevice
    _session: "_Session" = eqx.field(static=True)

    def __init__(
        self,
        address: str,
        commands: SCPI,
        *,
        parameter_range: Range,
        input_range: Range,
        output_range: Range,
        saturates: bool = False,
        batch_limit: int | None = None,  # examples
        latency: float = 0.0,  # s
        retry: RetryPolicy = RetryPolicy(),
        timeout: float = 5.0,  # s
        library: str = "",
    ):
        """**Arguments:** `timeout`: of one answer. `library`: as PyVISA's
        `ResourceManager` takes it; `@py` is PyVISA-py. The others are those of
        `CallbackDevice`.

        **Raises:** `ValueError` for what has no meaning; `ImportError` without PyVISA.
        """
        if not timeout > 0:
            raise ValueError(f"`timeout` must be positive: {timeout} s.")
        _pyvisa()
        self._session = _Session(address, commands, timeout, library)
        self.device = CallbackDevice(
            self._session,
            parameter_range=parameter_range,
            input_range=input_range,
            output_range=output_range,
            saturates=saturates,
            batch_limit=batch_limit,
            latency=latency,
            retry=retry,
        )

    @property
    def limits(self) -> Limits:
        return self.device.limits

    def __call__(
        self,
        layer: Any,
        x: Inexact[Array, "..."],
        *,
        key: PRNGKeyArray | None = None,
    ) -> Inexact[Array, "..."]:
        return self.device(layer, x, key=key)

    def close(self) -> None:
        """Hang up; the next run connects anew."""
        self._session.close()


class _Session:
    """One connection, as long as it lasts."""

    def __init__(self, address: str, commands: SCPI, timeout: float, library: str):
        self.__qualname__ = address  # the name of the device in its errors
        self._address = address
        self._commands = commands
        self._timeout = timeout
        self._library = library
        self._resource: Any = None

    def __call__(self, parameters: list[np.ndarray], x: np.ndarray) -> np.ndarray:
        visa = _pyvisa()
        try:
            self._connect(visa)
            try:
                y = self._measure(parameters, x)
            except visa.errors.VisaIOError as error:
                # An instrument that did not understand a question leaves it unanswered.
                if error.error_code == visa.constants.StatusCode.error_timeout:
                    self._check_errors()
                raise
            self._check_errors()
        except visa.errors.VisaIOError as error:
            self.close()
            code = error.error_code
            if code == visa.constants.StatusCode.error_timeout:
                raise TimeoutError(f"no answer within {self._timeout} s") from None
            raise ConnectionError(f"{error}") from None
        except BaseException:
            # What is still on its way may not be taken for the next answer.
            self.close()
            raise
        return y

    def close(self) -> None:
        """Hang up, if connected."""
        resource, self._resource = self._resource, None
        if resource is not None:
            resource.close()

    def _connect(self, visa: Any) -> None:
        if self._resource is not None:
            return
        self._resource = visa.ResourceManager(self._library).open_resource(
            self._address, read_termination="\n", write_termination="\n"
        )
        self._resource.timeout = 1000 * self._timeout  # ms
        with contextlib.suppress(NotImplementedError):  # by some VISA libraries
            self._resource.clear()
        self._resource.write("*CLS")
        identity = self._resource.query("*IDN?").strip()
        if not re.search(self._commands.identity, identity):
            raise InstrumentError(
                f"{self._address} is {identity!r}, in which there is no "
                f"{self._commands.identity!r}"
            )
        for message in self._commands.setup:
            self._resource.write(message)

    def _measure(self, parameters: list[np.ndarray], x: np.ndarray) -> np.ndarray:
        commands, resource = self._commands, self._resource
        if len(parameters) != len(commands.parameters):
            raise TypeError(
                f"the layer has {len(parameters)} trainable arrays, but the table has "
                f"commands for {len(commands.parameters)}"
            )
        if any(np.iscomplexobj(array) for array in [*parameters, x]):
            raise TypeError("complex numbers can't be written: send the two parts")
        for writer, values in zip(commands.parameters, parameters, strict=True):
            writer.write(resource, values.ravel())
        rows = x.reshape(-1, x.shape[-1])
        measured = [self._one_example(row) for row in rows]
        return np.stack(measured).reshape(*x.shape[:-1], -1)

    def _one_example(self, row: np.ndarray) -> np.ndarray:
        commands, resource = self._commands, self._resource
        commands.input.write(resource, row)
        for message in commands.trigger:
            resource.write(message)
        if commands.settle:
            time.sleep(commands.settle)
        return commands.output.read(resource)

    def _check_errors(self) -> None:
        found = []
        for _ in range(ERRORS):
            entry = self._resource.query(self._commands.errors).strip()
            if re.match(r"[+-]?0+(\D|$)", entry):
                break
            found.append(entry)
        if found:
            raise InstrumentError(f"error queue: {'; '.join(found)}")


def _pyvisa() -> Any:
    try:
        import pyvisa
    except ImportError as error:
        raise ImportError(
            "An instrument needs PyVISA: pip install 'pnnjax[instruments]'"
        ) from error
    return pyvisa
