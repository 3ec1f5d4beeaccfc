"""What the processes of a training run on several hosts must do together."""

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from typing import NamedTuple

import jax
import numpy as np


class Processes(NamedTuple):
    """The processes that train one model, or the only one.

    They run the same program, so whatever they decide by a clock, a signal or a file
    must be decided by all alike: else one would wait for the others for ever.
    """

    number: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the one that speaks and writes."""
        return self.number == 1 or jax.process_index() == 0

    def agreed(self, value: int) -> int:
        """What the first process has."""
        return value if self.number == 1 else int(self._all(np.int32(value))[0])

    def any(self, flag: bool) -> bool:
        """Whether it is so for one of them."""
        return flag if self.number == 1 else bool(self._all(np.int32(flag)).any())

    def check_same(self, settings: Mapping[str, object]) -> None:
        """**Raises:** `ValueError` that names what is not the same for all."""
        if self.number == 1:
            return
        digests = [
            np.frombuffer(sha256(f"{name} {value}".encode()).digest(), np.uint8)
            for name, value in settings.items()
        ]
        theirs = self._all(np.stack(digests))
        differ = (theirs != theirs[:1]).any(axis=(0, 2))
        if differ.any():
            names = [name for name, bad in zip(settings, differ) if bad]
            raise ValueError(
                f"The {self.number} processes must call `fit` with the same data, "
                f"model, key and settings, but these differ: {'; '.join(names)}."
            )

    def by_first(self, act: Callable[[], None]) -> None:
        """What the first process does for all; they go on when it is done."""
        if self.number == 1:
            act()
            return
        failure = None
        if self.first:
            try:
                act()
            except Exception as error:
                failure = error
        if self.agreed(failure is not None):
            raise failure or RuntimeError("The first process could not write the file.")

    @contextmanager
    def holding_interrupts(self) -> Iterator[Callable[[], bool]]:
        """Ctrl-C is only noted, for `any` to be asked about; a second one is not."""
        main = threading.current_thread() is threading.main_thread()
        if self.number == 1 or not main:
            yield lambda: False
            return
        pressed = False

        def note(*_: object) -> None:
            nonlocal pressed
            if pressed:
                raise KeyboardInterrupt
            pressed = True

        before = signal.signal(signal.SIGINT, note)
        try:
            yield lambda: pressed
        finally:
            signal.signal(signal.SIGINT, before)

    def _all(self, value: np.ndarray | np.generic) -> np.ndarray:
        """What each of them has, along a new first axis."""
        from jax.experimental.multihost_utils import process_allgather

        return np.asarray(process_allgather(np.asarray(value)))
