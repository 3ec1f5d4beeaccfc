"""Hardware that fails at random, for tests and demonstrations."""

import threading
import time
from collections import Counter
from enum import Enum
from typing import Any

import numpy as np

from ._callback import AbstractNamedRun, Run, call
from ._reading import Frame


class Fault(Enum):
    """What can happen to the frame of a run that was made."""

    TIME_OUT = "time-out"
    """It does not arrive."""
    DROPPED = "dropped"
    """What arrives is empty."""
    DUPLICATED = "duplicated"
    """The last good one arrives again."""
    NOT_FINITE = "not finite"
    """A tenth of its values are NaN, at least one."""
    CONNECTION = "connection"
    """The connection breaks."""


class FaultyRun(AbstractNamedRun):
    """`run`, of which a share of the frames is lost or spoiled on the way back.

    The run itself has been made, as is the worst case for who asks again. Frames are
    numbered, so that a duplicated one can be told.

    **Arguments:** `rate`: the share of calls that fail, in each of the `kinds` alike.
    `seed`: draws which ones, and how. `hang`: how long a frame that does not arrive is
    waited for (s).
    """

    def __init__(
        self,
        run: Run,
        *,
        rate: float,
        seed: int,
        kinds: tuple[Fault, ...] = tuple(Fault),
        hang: float = 0.0,  # s
    ):
        if not 0 <= rate <= 1:
            raise ValueError(f"`rate` is a share, from 0 to 1: {rate}.")
        if not kinds:
            raise ValueError("`kinds` must have at least one `Fault`.")
        self.counts: Counter[Fault] = Counter()
        self._run = run
        self._rate = rate
        self._kinds = kinds
        self._hang = hang
        self._random = np.random.default_rng(seed)
        self._lock = threading.Lock()
        self._number = 0
        self._last: Frame | None = None

    def __call__(
        self, parameters: list[np.ndarray], x: np.ndarray, request: str
    ) -> Any:
        # The lock also keeps frames in order where an attempt overtakes one that hangs.
        with self._lock:
            values = np.asarray(call(self._run, parameters, x, request))
            fails = self._random.random() < self._rate
            kind = self._kinds[self._random.integers(len(self._kinds))]
            self._number += 1
            if not fails:
                self._last = Frame(values, self._number)
                return self._last
            self.counts[kind] += 1
            if kind is Fault.DUPLICATED:
                return self._last
            if kind is Fault.NOT_FINITE:
                return Frame(self._spoiled(values), self._number)
        if kind is Fault.DROPPED:
            return None
        if kind is Fault.CONNECTION:
            raise ConnectionResetError("the connection broke")
        time.sleep(self._hang)
        raise TimeoutError(f"no frame within {self._hang} s")

    def _spoiled(self, values: np.ndarray) -> np.ndarray:
        spoiled = values.ravel().copy()
        number = max(1, spoiled.size // 10)
        places = self._random.choice(spoiled.size, number, replace=False)
        spoiled[places] = np.nan
        return spoiled.reshape(values.shape)
