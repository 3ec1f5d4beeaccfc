"""Device runs that are recorded as they happen, and replayed."""

import os
import threading
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import io_callback
from jaxtyping import Array, Inexact, PRNGKeyArray, UInt32

from .._layer import respond
from ._device import AbstractDevice, AbstractOnceDevice, parameters_of
from ._error import DeviceError, record
from ._journal import Journal, hash_of
from ._limits import Limits
from ._whole_batch import cut, whole_batch

Asked = Mapping[str, str]


class RecordedDevice(AbstractDevice):
    """Keeps every run of `device` in a file, and never makes a run that is in it.

    A training that was killed and goes on from its checkpoint asks again for the runs
    made since. They are answered from the record, so that noisy hardware gives the
    numbers that it gave, until the training is where it was; from there on the device
    runs again. The run that was under way when the process died is asked for by the
    name that it had: an `AbstractOnceDevice` with hardware that keeps its last answers
    does not make it twice.

    Where a training goes on is found by the first run that it asks for: the record has
    hashes of parameters, input and key. From there, one run must follow the other as
    recorded. So it is found anew for each new `RecordedDevice`, after a failed run, and
    after `rewind`.

    **Raises:** `DeviceError` where a run is asked for that is not the recorded one, or,
    without a device, that is not in the record.
    **Valid for:** runs that differ by a bit in parameters, input or key from those of
    other steps, as those of `fit` do. In one step, the same run may be repeated in
    succession.
    """

    limits: Limits = eqx.field(static=True)
    device: AbstractDevice | None
    _tape: "_Tape" = eqx.field(static=True)

    def __init__(self, device: AbstractDevice | None, path: str | os.PathLike[str]):
        """**Arguments:** `device`: `None` for a replay without hardware. `path`: begun
        if it is not there. Where it is, it is gone on with.

        **Raises:** `JournalError` if the file is damaged, no record of runs, or being
        written by another process. A last record that was cut short is none.
        """
        limits = Limits() if device is None else device.limits
        journal = Journal(Path(path), write=device is not None, limits=limits)
        self.limits = journal.limits if device is None else limits
        self.device = device
        self._tape = _Tape(journal, device is not None)

    @property
    def runs(self) -> int:
        """Runs that were asked for until now."""
        return self._tape.runs

    @property
    def replayed(self) -> int:
        """How many of them were answered from the record."""
        return self._tape.replayed

    def rewind(self) -> None:
        """Find out anew where the program goes on.

        For one that was interrupted (Ctrl-C) and goes back to its checkpoint without a
        new process.
        """
        self._tape.rewind()

    def close(self) -> None:
        """Let go of the file; another run is then an error."""
        self._tape.journal.close()

    def __call__(
        self,
        layer: Any,
        x: Inexact[Array, "..."],
        *,
        key: PRNGKeyArray | None = None,
    ) -> Inexact[Array, "..."]:
        return whole_batch(self._send, layer, key, x)

    def _send(self, layer: Any, key: PRNGKeyArray | None, x: Array) -> Array:
        shape = eqx.filter_eval_shape(respond, layer, x, None)
        pieces = cut(self.limits, x.shape, shape.shape)
        if not pieces[1:]:
            return self._one_run(layer, key, x)
        rows = x.reshape(-1, *pieces[0].x_shape[1:])
        size, whole = pieces[0].x_shape[0], len(rows) // pieces[0].x_shape[0]
        first = rows[: whole * size].reshape(whole, *pieces[0].x_shape)
        y = jax.lax.map(lambda part: self._one_run(layer, key, part), first)
        y = y.reshape(-1, *y.shape[2:])
        if whole < len(pieces):
            last = self._one_run(layer, key, rows[whole * size :])
            y = jnp.concatenate([y, last])
        return y.reshape(shape.shape)

    def _one_run(self, layer: Any, key: PRNGKeyArray | None, x: Array) -> Array:
        shape = eqx.filter_eval_shape(respond, layer, x, None)
        answer = jax.ShapeDtypeStruct(shape.shape, shape.dtype)
        known, y, request = io_callback(
            partial(self._tape.ask, answer),
            (_like((), bool), answer, _like((3,), np.uint32)),
            parameters_of(layer),
            x,
            _bits(key),
            ordered=True,
        )
        if self.device is None:
            return y

        def run() -> Array:
            measured = _asked(self.device, layer, x, key, request)
            return io_callback(self._tape.keep, answer, measured, ordered=True)

        return jax.lax.cond(known, lambda: y, run)


class _Tape:
    """Where in the record a program is."""

    def __init__(self, journal: Journal, recording: bool):
        self.journal = journal
        self.recording = recording
        self.lock = threading.Lock()
        self.runs = 0
        self.replayed = 0
        self.position: int | None = None
        self.pending: Asked | None = None

    def ask(
        self, answer: jax.ShapeDtypeStruct, parameters: list, x: Any, key: Any
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Whether the run is known, its answer, and the name it has if it is not."""
        sent = {f"parameter {i}": p for i, p in enumerate(parameters)} | {"input": x}
        sent |= {} if key is None else {"key": key}
        asked = {name: hash_of(np.asarray(array)) for name, array in sent.items()}
        with self.lock:
            self.runs += 1
            if self.pending is not None:
                # The last run failed, and whoever asks may have gone back since.
                self.position = self.pending = None
            y = self._recorded(asked, answer)
            if y is not None:
                self.replayed += 1
                return np.asarray(True), y, np.zeros(3, np.uint32)
            self.pending = asked
            words = [int(self.journal.identity[i : i + 8], 16) for i in (0, 8)]
            name = np.asarray([*words, len(self.journal.entries)], np.uint32)
            return np.asarray(False), np.zeros(answer.shape, answer.dtype), name

    def rewind(self) -> None:
        """The next run is looked for in all of the record."""
        with self.lock:
            self.position = self.pending = None

    def keep(self, y: Any) -> np.ndarray:
        """Write down the answer to what was asked last."""
        y = np.asarray(y)
        with self.lock:
            assert self.pending is not None and self.position is not None
            self.journal.append(self.pending, y)
            self.position += 1
            self.pending = None
        return y

    def _recorded(
        self, asked: Asked, answer: jax.ShapeDtypeStruct
    ) -> np.ndarray | None:
        entries = self.journal.entries
        if self.position is None:
            self.position = self._found(asked)
        if self.position == len(entries):
            if self.recording:
                return None
            raise self._refusal(f"the record ends after {len(entries)} runs")
        differing = _differing(entries[self.position].asked, asked)
        if differing:
            raise self._refusal(
                f"it differs from run {self.position + 1} of the record in "
                f"{differing}. {_ADVICE}"
            )
        y = self.journal.answer(self.position)
        if (y.shape, y.dtype) != (answer.shape, answer.dtype):
            raise self._refusal(
                f"run {self.position + 1} of the record is {y.dtype}{list(y.shape)}, "
                f"but {answer.dtype}{list(answer.shape)} is needed"
            )
        self.position += 1
        return y

    def _found(self, asked: Asked) -> int:
        """Where the record has this run, or its end."""
        entries = self.journal.entries
        places = [
            index
            for index, entry in enumerate(entries)
            if entry.asked == asked
            and (index == 0 or entries[index - 1].asked != asked)
        ]
        if not places:
            if self.recording:
                return len(entries)
            differing = _differing(entries[0].asked if entries else {}, asked)
            raise self._refusal(
                "it is not in the record, and differs from its run 1 in "
                f"{differing}. {_ADVICE}"
            )
        if places[1:] and self.recording:
            raise self._refusal(
                f"the record has it as runs {[place + 1 for place in places]}, so that "
                "it can't be told where the program goes on. Give the device a `key` "
                "that differs from step to step (`fit(..., noisy=True)`)"
            )
        return places[0]

    def _refusal(self, reason: str) -> DeviceError:
        name = f"record {self.journal.path.name}"
        return record(DeviceError(name, self.runs, 0, reason))


def _asked(
    device: AbstractDevice | None,
    layer: Any,
    x: Array,
    key: PRNGKeyArray | None,
    request: UInt32[Array, "3"],
) -> Array:
    assert device is not None
    if isinstance(device, AbstractOnceDevice):
        return device(layer, x, key=key, request=request)
    return device(layer, x, key=key)


def _differing(stored: Asked, asked: Asked) -> str:
    names = [
        name for name in {**stored, **asked} if stored.get(name) != asked.get(name)
    ]
    return ", ".join(f"`{name}`" for name in names)


def _bits(key: PRNGKeyArray | None) -> Array | None:
    if key is None or not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        return key
    return jax.random.key_data(key)


def _like(shape: tuple[int, ...], dtype: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, dtype)


_ADVICE = (
    "A record belongs to one program with its settings, seed and versions; begin "
    "another for another"
)
