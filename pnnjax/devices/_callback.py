"""A device that is reached by a Python function: an instrument, or a simulator."""

import abc
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np
from jax.experimental import io_callback
from jaxtyping import Array, Inexact, PRNGKeyArray, UInt32

from .._layer import respond
from ._device import AbstractOnceDevice, parameters_of
from ._error import DeviceError
from ._limits import Limits, Range
from ._reading import checked_frame, refuse_outside, refuse_saturated
from ._retry import RetryPolicy, kind_of
from ._whole_batch import Piece, cut, whole_batch


class LoggedRun(NamedTuple):
    """What became of one run."""

    number: int
    began: float
    """s, since the device was made."""
    seconds: float
    """How long it took, with all that was tried."""
    faults: tuple[str, ...]
    """What went wrong at each attempt that failed, in a word or two."""
    good: bool
    """Whether the last attempt did not fail."""


class AbstractNamedRun(metaclass=abc.ABCMeta):
    """A `run` that is told the name of each run, which its further attempts share.

    What drives hardware that keeps its last answers by name can ask for one again: a
    run whose answer was lost is then not made twice.
    """

    @abc.abstractmethod
    def __call__(
        self, parameters: list[np.ndarray], x: np.ndarray, request: str
    ) -> Any:
        """One array, of the shape that the layer would give."""


Run = Callable[[list[np.ndarray], np.ndarray], Any] | AbstractNamedRun


def call(run: Run, parameters: list[np.ndarray], x: np.ndarray, name: str) -> Any:
    """`run(parameters, x)`, and the name of the run for those that take it."""
    if isinstance(run, AbstractNamedRun):
        return run(parameters, x, name)
    return run(parameters, x)


class CallbackDevice(AbstractOnceDevice):
    """Calls `run(parameters, x) -> y` on the host, once for each batch.

    `run` gets NumPy arrays: the trainable leaves of the layer as a list in their order,
    and the batch. It returns one array, of the shape that the layer would give. Under
    `jax.vmap` it sees the whole batch at once; in a sweep that batches the parameters
    it is called for each of them, one after the other. Runs never overlap. A batch
    above `batch_limit` is cut along its batch axes, flattened, into as many runs as it
    takes; each is tried again by itself.

    **Raises:** `DeviceError` where a parameter, input or output is out of its range, a
    detector is saturated, or the retry policy gives up. JAX shows it as a runtime error
    of its own: `raising_device_errors` gives it back.
    **Valid for:** use outside of `jax.checkpoint`, which runs things twice.
    """

    run: Run = eqx.field(static=True)
    limits: Limits = eqx.field(static=True)
    retry: RetryPolicy = eqx.field(static=True)
    deterministic: bool = eqx.field(static=True)
    _host: "_Host" = eqx.field(static=True)

    def __init__(
        self,
        run: Run,
        *,
        parameter_range: Range,
        input_range: Range,
        output_range: Range,
        saturates: bool = False,
        batch_limit: int | None = None,  # examples
        example_ndim: int = 1,
        latency: float = 0.0,  # s
        retry: RetryPolicy = RetryPolicy(),
        deterministic: bool = False,
    ):
        """A device with stated `Limits`: beyond them is an error, never a clip.

        **Arguments:** those of `Limits`. `deterministic`: `run` has no noise, no memory
        and no cost, so that XLA may merge, repeat or drop runs. Otherwise each run
        happens exactly once, in the order of the program.

        **Raises:** `ValueError` if a limit has no meaning, or if a run is not given
        the time it takes.
        """
        self.limits = Limits(
            parameter_range=parameter_range,
            input_range=input_range,
            output_range=output_range,
            saturates=saturates,
            batch_limit=batch_limit,
            example_ndim=example_ndim,
            latency=latency,
        )
        if retry.timeout is not None and retry.timeout <= latency:
            raise ValueError(
                f"A run takes {latency} s, but `retry` waits only {retry.timeout} s: "
                f"give it a `timeout` of {2 * latency} s, or None."
            )
        self.run = run
        self.retry = retry
        self.deterministic = deterministic
        self._host = _Host()

    @property
    def runs(self) -> int:
        """Runs that the device was asked for until now."""
        return self._host.runs

    @property
    def attempts(self) -> int:
        """How often `run` was called until now, retries included."""
        return self._host.attempts

    @property
    def log(self) -> list[LoggedRun]:
        """The last runs, up to a hundred thousand of them."""
        return list(self._host.log)

    def __call__(
        self,
        layer: Any,
        x: Inexact[Array, "..."],
        *,
        key: PRNGKeyArray | None = None,
        request: UInt32[Array, "3"] | None = None,
    ) -> Inexact[Array, "..."]:
        del key  # hardware draws its own noise

        def send(parts: Any, no_key: Any, x: Array) -> Array:
            del no_key
            layer, request = parts
            shape = eqx.filter_eval_shape(respond, layer, x, None)
            return self._call(shape, parameters_of(layer), x, request)

        return whole_batch(send, (layer, request), None, x)

    def _call(
        self,
        shape: jax.ShapeDtypeStruct,
        parameters: list,
        x: Array,
        request: Array | None,
    ) -> Array:
        pieces = cut(self.limits, x.shape, shape.shape)
        measure = partial(self._measure, shape, pieces)
        if self.deterministic:
            return jax.pure_callback(measure, shape, parameters, x, request)
        return io_callback(measure, shape, parameters, x, request, ordered=True)

    def _measure(
        self,
        shape: jax.ShapeDtypeStruct,
        pieces: list[Piece],
        parameters: list,
        x: Any,
        request: Any,
    ) -> np.ndarray:
        sent, x = [np.asarray(p) for p in parameters], np.asarray(x)
        rows = x.reshape(-1, *pieces[0].x_shape[1:]) if pieces[1:] else x
        device, host = _name(self.run), self._host
        measured = []
        with host.lock:
            host.runs += 1
            refuse = partial(refuse_outside, device, host.runs, tried=0)
            for index, parameter in enumerate(sent):
                refuse(f"parameter {index}", parameter, self.limits.parameter_range)
            refuse("input", x, self.limits.input_range)
            for index, piece in enumerate(pieces):
                host.runs += index > 0
                name = host.name_of(request, index if pieces[1:] else None)
                measure = partial(call, self.run, sent, rows[piece.rows], name)
                measured.append(self._one_run(device, measure, piece, shape.dtype))
        return (
            np.concatenate(measured).reshape(shape.shape) if pieces[1:] else measured[0]
        )

    def _one_run(
        self, device: str, measure: Callable[[], Any], piece: Piece, dtype: np.dtype
    ) -> np.ndarray:
        host = self._host

        def attempt() -> np.ndarray:
            host.attempts += 1
            y, host.frame = checked_frame(measure(), piece.y_shape, dtype, host.frame)
            return y

        before, began = host.attempts, time.monotonic()
        faults: list[str] = []
        good = False
        try:
            y = self.retry(
                attempt, device, host.runs, lambda error: faults.append(kind_of(error))
            )
            tried, limits = host.attempts - before, self.limits
            refuse_saturated(device, host.runs, y, limits, tried=tried)
            allowed = limits.output_range
            refuse_outside(device, host.runs, "output", y, allowed, tried=tried)
            good = True
        except DeviceError as error:
            if error.__cause__ is None:  # The reading is good, but can't be used.
                faults.append(error.reason.partition(":")[0])
            raise
        finally:
            host.note(began, faults, good)
        return y


class _Host:
    """What a device remembers between runs, outside of JAX."""

    def __init__(self):
        self.lock = threading.Lock()
        self.runs = 0
        self.attempts = 0
        self.frame: int | None = None
        self.began = time.monotonic()
        self.log: deque[LoggedRun] = deque(maxlen=100_000)
        self.name = os.urandom(8).hex()

    def note(self, began: float, faults: list[str], good: bool) -> None:
        """Write down what became of the present run."""
        since, seconds = began - self.began, time.monotonic() - began
        self.log.append(LoggedRun(self.runs, since, seconds, tuple(faults), good))

    def name_of(self, request: Any, piece: int | None) -> str:
        """The name of the present run."""
        if request is None:
            return f"{self.name}-{self.runs}"
        high, low, number = (int(word) for word in np.asarray(request))
        end = "" if piece is None else f".{piece}"
        return f"{high:08x}{low:08x}-{number}{end}"


def _name(run: Run) -> str:
    return getattr(run, "__qualname__", type(run).__qualname__)
