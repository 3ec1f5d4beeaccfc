"""How a failure on the host reaches the caller of a jitted step."""

import contextlib
import threading
from collections.abc import Iterator


class DeviceError(RuntimeError):
    """A device could not deliver a run. What the device itself raised is its cause.

    `run` is the number of the run, from 1; `attempts` how often it was tried (0 if what
    it should do is out of range); `reason` what went wrong the last time.
    """

    def __init__(self, device: str, run: int, attempts: int, reason: str):
        tries = "attempt" if attempts == 1 else "attempts"
        failed = f"failed after {attempts} {tries}" if attempts else "was not tried"
        RuntimeError.__init__(
            self, f"Run {run} of device `{device}` {failed}: {reason}"
        )
        self.device = device
        self.run = run
        self.attempts = attempts
        self.reason = reason


@contextlib.contextmanager
def raising_device_errors() -> Iterator[None]:
    """Raise the `DeviceError` itself, where JAX raises one of its own that quotes it.

    JAX runs ahead of the device: wait for results (`jax.block_until_ready`) inside.
    """
    seen: list[DeviceError] = []
    with _lock:
        _listeners.append(seen)
    try:
        yield
    except Exception as error:
        for original in reversed(seen):
            if str(original) in str(error) and original is not error:
                raise original from original.__cause__
        raise
    finally:
        with _lock:
            _listeners[:] = [other for other in _listeners if other is not seen]


def record(error: DeviceError) -> DeviceError:
    """Keep `error` for every `raising_device_errors` that is open, in any thread."""
    with _lock:
        for seen in _listeners:
            seen.append(error)
    return error


_lock = threading.Lock()
_listeners: list[list[DeviceError]] = []
