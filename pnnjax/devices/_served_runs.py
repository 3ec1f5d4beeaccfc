"""The runs of a served device: one after the other, each one once."""

import hashlib
import logging
import math
import queue
import re
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, NamedTuple

import numpy as np

from ._callback import Run, call
from ._error import DeviceError
from ._limits import Limits
from ._reading import Frame, checked_frame, refuse_outside, refuse_saturated
from ._retry import FrameError, kind_of as kind_of_fault
from ._wire import Request, Signature, WireError, kind_of, pack_answer

KEPT_BYTES = 256 * 1024**2
REMEMBERED = 100_000  # runs
_LOG = logging.getLogger("pnnjax.devices")


class Refusal(Exception):
    """What is not done, with the gRPC status and the sentence that say why."""

    def __init__(self, code: str, reason: str, kind: str = ""):
        Exception.__init__(self, reason)
        self.code = code
        self.reason = without_paths(reason)
        self.kind = kind
        """In a word or two, where the same run may be tried again."""


class ServedRuns:
    """Makes the runs that are asked for in a thread of its own.

    The last answers are kept: who asks again by the same name gets the same frame.
    """

    def __init__(
        self,
        run: Run,
        limits: Limits,
        signature: Signature,
        *,
        message_limit: int,  # bytes
        waiting: int,
        kept: int,
    ):
        self.made = 0
        self._run = run
        self._limits = limits
        self._signature = signature
        self._message_limit = message_limit
        self._frame: int | None = None
        self._ledger = _Ledger(kept)
        self._waiting: queue.Queue = queue.Queue(waiting)
        self._stopped = threading.Event()
        threading.Thread(target=self._work, daemon=True).start()

    def ask(self, request: Request) -> Future:
        """The message that answers it, made now or before.

        **Raises:** `Refusal` if the device can't do that, or not now.
        """
        _check(request, self._limits, self._signature)

        def begin(future: Future) -> None:
            if self._stopped.is_set():
                raise Refusal("UNAVAILABLE", "The server is closing")
            try:
                self._waiting.put_nowait((request, future))
            except queue.Full:
                raise Refusal(
                    "RESOURCE_EXHAUSTED",
                    f"Busy: {self._waiting.maxsize} runs are waiting; try again later",
                ) from None

        return self._ledger.claim(request.name, _digest(request), begin)

    def close(self) -> None:
        """Refuse what waits; the run that is being made is not waited for."""
        self._stopped.set()
        while True:
            try:
                _, future = self._waiting.get_nowait()
            except queue.Empty:
                break
            future.set_exception(Refusal("UNAVAILABLE", "The server is closing"))

    def _work(self) -> None:
        while not self._stopped.is_set():
            try:
                request, future = self._waiting.get(timeout=0.5)
            except queue.Empty:
                continue
            try:
                message = self._make(request)
            # Whatever a driver raises, the next run is made.
            except BaseException as error:
                _LOG.warning("run %s failed", request.name, exc_info=error)
                future.set_exception(_refusal(error))
            else:
                self.made += 1
                self._ledger.keep(request.name, len(message))
                future.set_result(message)

    def _make(self, request: Request) -> bytes:
        name, parameters, x = request
        y = self._checked(call(self._run, parameters, x, name), x)
        refuse_saturated("served", 0, y, self._limits, tried=1)
        allowed = self._limits.output_range
        refuse_outside("served", 0, "output", y, allowed, tried=1)
        message = pack_answer(name, y)
        if len(message) > self._message_limit:
            raise Refusal(
                "UNKNOWN",
                f"The answer has {len(message)} bytes, and {self._message_limit} are "
                "the limit of a message here: send a smaller batch",
            )
        return message

    def _checked(self, frame: Any, x: np.ndarray) -> np.ndarray:
        batch = x.shape[: x.ndim - self._limits.example_ndim]
        answer = self._signature.answer
        if answer is None:
            values = np.asarray(frame.values if isinstance(frame, Frame) else frame)
            inexact = np.issubdtype(values.dtype, np.inexact)
            dtype = values.dtype if inexact else np.dtype(np.float64)
            shape = (*batch, *values.shape[len(batch) :])
        else:
            shape, dtype = (*batch, *answer.shape), answer.dtype
        y, self._frame = checked_frame(frame, shape, dtype, self._frame)
        return y


class _Entry(NamedTuple):
    digest: bytes
    future: Future | None
    """`None` where the answer is no longer kept."""

    def failed(self) -> bool:
        """It gave no frame, so that it can be tried again."""
        future = self.future
        return future is not None and future.done() and future.exception() is not None


class _Ledger:
    """Which runs were asked for, and what came of them."""

    def __init__(self, kept: int):
        self._kept = kept
        self._lock = threading.Lock()
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._answers: deque[tuple[str, int]] = deque()
        self._bytes = 0

    def claim(
        self, name: str, digest: bytes, begin: Callable[[Future], None]
    ) -> Future:
        """The future of the run of this name; `begin` is called with a new one."""
        with self._lock:
            entry = self._entries.get(name)
            if entry is None or entry.failed():
                future = Future()
                begin(future)
                self._entries[name] = _Entry(digest, future)
                self._forget()
                return future
            if entry.digest != digest:
                raise Refusal(
                    "FAILED_PRECONDITION",
                    f"Run {name} was asked for before, with other arrays",
                )
            if entry.future is None:
                raise Refusal(
                    "FAILED_PRECONDITION",
                    f"Run {name} was made, but its answer is no longer kept: "
                    f"{self._kept} are. Go on from a later checkpoint, or start over",
                )
            return entry.future

    def keep(self, name: str, size: int) -> None:
        """Count an answer, and drop the oldest ones beyond what is kept."""
        with self._lock:
            self._answers.append((name, size))
            self._bytes += size
            while len(self._answers) > self._kept or self._bytes > KEPT_BYTES:
                old, freed = self._answers.popleft()
                self._bytes -= freed
                if old in self._entries:
                    self._entries[old] = self._entries[old]._replace(future=None)

    def _forget(self) -> None:
        while len(self._entries) > REMEMBERED:
            name, entry = next(iter(self._entries.items()))
            if entry.future is not None and not entry.future.done():
                return
            del self._entries[name]


def without_paths(text: str) -> str:
    """One short line, in which nothing says where files of the server are."""
    text = _PATH.sub("<path>", text[:2000])
    printable = "".join(c if c.isascii() and c.isprintable() else " " for c in text)
    return " ".join(printable.split())[:300]


def _check(request: Request, limits: Limits, signature: Signature) -> None:
    _, parameters, x = request
    for array in [*parameters, x]:
        if array.size == 0:
            raise _invalid(f"An array is empty: {kind_of(array)}")
    if signature.parameters is not None:
        expected = [kind_of(p) for p in signature.parameters]
        if len(parameters) != len(expected):
            raise _invalid(
                f"{len(parameters)} parameter arrays, but the device has "
                f"{len(expected)}"
            )
        for index, (given, kind) in enumerate(zip(map(kind_of, parameters), expected)):
            if given != kind:
                raise _invalid(f"Parameter {index} is {given}; the device has {kind}")
    if x.ndim < limits.example_ndim:
        raise _invalid(f"The input {kind_of(x)} is less than one example")
    axes = x.ndim - limits.example_ndim
    example = signature.example
    if example is not None and kind_of(x[(0,) * axes]) != kind_of(example):
        raise _invalid(
            f"The input is {kind_of(x)}; the device takes {kind_of(example)}, and "
            "batch axes before it"
        )
    size = math.prod(x.shape[:axes])
    if limits.batch_limit is not None and size > limits.batch_limit:
        raise _invalid(
            f"{size} examples, and {limits.batch_limit} are the limit of one run"
        )
    _check_values(request, limits)


def _check_values(request: Request, limits: Limits) -> None:
    sent = [(f"Parameter {i}", p) for i, p in enumerate(request.parameters)]
    for what, array in [*sent, ("The input", request.x)]:
        if not np.all(np.isfinite(array)):
            raise _invalid(f"{what} has values that are not finite")
    try:
        for what, array in sent:
            refuse_outside("served", 0, what, array, limits.parameter_range, tried=0)
        refuse_outside("served", 0, "input", request.x, limits.input_range, tried=0)
    except DeviceError as error:
        raise Refusal("OUT_OF_RANGE", error.reason) from None


def _digest(request: Request) -> bytes:
    digest = hashlib.sha256()
    for array in [*request.parameters, request.x]:
        digest.update(kind_of(array).encode())
        digest.update(np.require(array, None, "C").data)
    return digest.digest()


def _invalid(reason: str) -> Refusal:
    return Refusal("INVALID_ARGUMENT", reason)


def _refusal(error: BaseException) -> Refusal:
    """What a client is told of what the device raised."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, FrameError | OSError):
        return Refusal("ABORTED", f"{error}", kind_of_fault(error))
    if isinstance(error, DeviceError):
        return Refusal(
            "OUT_OF_RANGE" if error.device == "served" else "UNKNOWN", error.reason
        )
    if isinstance(error, WireError):
        return Refusal("UNKNOWN", f"The device's answer can't be sent: {error}")
    return Refusal("UNKNOWN", f"{type(error).__name__}: {error}")


_PATH = re.compile(r"(?<!\w)(?:[A-Za-z]:)?(?:[/\\][^\s/\\'\":,;()]+)+[/\\]?")
