"""Hardware that does not make a run twice."""

import threading
from collections import OrderedDict
from typing import Any

import numpy as np

from ._callback import AbstractNamedRun, Run, call


class OnceRun(AbstractNamedRun):
    """Makes each run once: who asks again by its name gets the frame that it gave.

    For the side of the hardware, which outlives a training process that is killed. A
    frame that is empty or not finite is not kept, since another one is needed.

    **Arguments:** `kept`: how many frames are.
    """

    def __init__(self, run: Run, *, kept: int = 64):
        if kept < 1:
            raise ValueError(f"`kept` must be at least 1: {kept}.")
        self.made = 0
        self._run = run
        self._kept = kept
        self._frames: OrderedDict[str, Any] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(
        self, parameters: list[np.ndarray], x: np.ndarray, request: str
    ) -> Any:
        with self._lock:
            if request in self._frames:
                return self._frames[request]
            frame = call(self._run, parameters, x, request)
            self.made += 1
            if _is_good(frame):
                self._frames[request] = frame
            if len(self._frames) > self._kept:
                self._frames.popitem(last=False)
            return frame


def _is_good(frame: Any) -> bool:
    # A `Frame` keeps its number: asked for again, it would pass for a duplicated one.
    return isinstance(frame, np.ndarray) and bool(np.all(np.isfinite(frame)))
