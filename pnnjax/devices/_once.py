"""Hardware that does not make a run twice."""

import os
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

from ._callback import AbstractNamedRun, Run, call
from ._journal import Journal


class OnceRun(AbstractNamedRun):
    """Makes each run once: who asks again by its name gets the frame that it gave.

    For the side of the hardware, which outlives a training process that is killed. A
    frame that is empty or not finite is not kept, since another one is needed.

    **Arguments:** `kept`: how many frames are. `path`: a file of all frames, with which
    it also outlives its own process; only a run that is being made when that dies is
    made again.
    **Raises:** `JournalError` if the file can't be that.
    """

    def __init__(
        self, run: Run, *, kept: int = 64, path: str | os.PathLike[str] | None = None
    ):
        if kept < 1:
            raise ValueError(f"`kept` must be at least 1: {kept}.")
        self.made = 0
        self._run = run
        self._kept = kept
        self._frames: OrderedDict[str, np.ndarray] = OrderedDict()
        self._lock = threading.Lock()
        self._journal = None if path is None else Journal(Path(path), write=True)
        if self._journal is not None:
            self._recall(self._journal)

    def __call__(
        self, parameters: list[np.ndarray], x: np.ndarray, request: str
    ) -> Any:
        with self._lock:
            if request in self._frames:
                return self._frames[request]
            frame = call(self._run, parameters, x, request)
            self.made += 1
            # A `Frame` keeps its number: again, it would pass for a duplicated one.
            if isinstance(frame, np.ndarray) and np.all(np.isfinite(frame)):
                self._keep(request, frame)
            return frame

    def close(self) -> None:
        """Let go of the file; another run is then an error."""
        if self._journal is not None:
            self._journal.close()

    def _keep(self, request: str, frame: np.ndarray) -> None:
        if self._journal is not None:
            self._journal.append({_NAME: request}, frame)
        self._frames[request] = frame
        if len(self._frames) > self._kept:
            self._frames.popitem(last=False)

    def _recall(self, journal: Journal) -> None:
        self.made = len(journal.entries)
        for index in range(max(0, self.made - self._kept), self.made):
            name = journal.entries[index].asked.get(_NAME, "")
            self._frames[name] = journal.answer(index)


_NAME = "name"
