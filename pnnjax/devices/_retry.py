"""What to do when a device doesn't answer, or answers nonsense."""

import queue
import threading
import time
from collections.abc import Callable
from typing import TypeVar

import equinox as eqx

from ._error import DeviceError, record

T = TypeVar("T")


class FrameError(Exception):
    """A frame that was dropped or can't be used; trying again may help.

    `kind` is a word or two for what went wrong, by which a device's log counts.
    """

    def __init__(self, reason: str, kind: str = "frame"):
        Exception.__init__(self, reason)
        self.kind = kind


class RetryPolicy(eqx.Module):
    """How often a run is tried, and how long is waited for it and between the tries.

    Tried again are time-outs, other errors of the connection (`OSError`), dropped
    frames and frames that are not finite. Anything else fails at once.

    **Arguments:** `attempts` in all, at least 1; `backoff` (s) before the second one,
    doubled before each further one; `timeout` (s) of an attempt, `None` for no limit.
    A thread can't be stopped: an attempt that timed out may still be running when the
    next one begins, so a driver should have a shorter time-out of its own.
    """

    attempts: int = 3
    backoff: float = 0.1
    timeout: float | None = None

    def __check_init__(self):
        if self.attempts < 1:
            raise ValueError(f"`attempts` must be at least 1: {self.attempts}.")
        if self.backoff < 0:
            raise ValueError(f"`backoff` can't be negative: {self.backoff} s.")
        if self.timeout is not None and self.timeout <= 0:
            raise ValueError(f"`timeout` must be positive, or None: {self.timeout} s.")

    def __call__(
        self,
        measure: Callable[[], T],
        device: str,
        run: int,
        failed: Callable[[Exception], None] = lambda error: None,
    ) -> T:
        """The first good result of `measure()`; `failed` is told of those before.

        **Raises:** `DeviceError` after the last attempt.
        """
        attempt = 1
        while True:
            try:
                return _within(self.timeout, measure)
            except Exception as error:
                failed(error)
                transient = isinstance(error, FrameError | OSError)
                if not transient or attempt >= self.attempts:
                    final = DeviceError(device, run, attempt, _reason(error))
                    raise record(final) from error
            time.sleep(self.backoff * 2 ** (attempt - 1))
            attempt += 1


def kind_of(error: Exception) -> str:
    """What went wrong, in a word or two."""
    if isinstance(error, FrameError):
        return error.kind
    if isinstance(error, TimeoutError):
        return "time-out"
    return "connection" if isinstance(error, OSError) else type(error).__name__


def _reason(error: Exception) -> str:
    if isinstance(error, FrameError):
        return str(error)
    return f"{type(error).__name__}: {error}"


def _within(timeout: float | None, measure: Callable[[], T]) -> T:
    if timeout is None:
        return measure()
    answers: queue.SimpleQueue = queue.SimpleQueue()

    def work() -> None:
        try:
            answers.put((measure(), None))
        except BaseException as error:
            answers.put((None, error))

    threading.Thread(target=work, daemon=True).start()
    try:
        value, error = answers.get(timeout=timeout)
    except queue.Empty:
        raise TimeoutError(f"no answer within {timeout} s") from None
    if error is not None:
        raise error
    return value
