"""A file of device runs: appended whole, one after the other, and never changed."""

import errno
import hashlib
import json
import os
import struct
import weakref
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import jax.numpy as jnp
import numpy as np

from ._limits import Limits

MAGIC = b"pnnjax runs 1\n"
HEAD = struct.Struct("<4sQI")
"""Before each record: a mark, how many bytes it has, and a checksum of the two."""
MARK = b"run:"
DIGEST = 32  # bytes


class JournalError(ValueError):
    """A record of runs that is damaged, in use, or no record."""


class Entry(NamedTuple):
    """One run, and where its answer is."""

    asked: Mapping[str, str]
    """A hash of each array that was sent, by what it is."""
    offset: int
    size: int


class Journal:
    """Runs on disk, each with hashes of what was asked for and the answer itself.

    A record is one JSON header and the raw bytes of one array, followed by a hash of
    these and of the hash before, and is on the disk when `append` returns. What a kill
    or a power cut left of a last record is dropped.

    **Raises:** `JournalError` if the file is damaged, no record, or open elsewhere;
    `FileNotFoundError` if there is none and it is not to be written.
    """

    def __init__(self, path: Path, *, write: bool, limits: Limits = Limits()):
        self.path = path
        self.entries: list[Entry] = []
        if write and not path.exists():
            _create(path, limits)
        self._file: BinaryIO = open(path, "r+b" if write else "rb")
        weakref.finalize(self, self._file.close)
        try:
            if write:
                _lock(self._file, path)
            self._read()
        except BaseException:
            self._file.close()
            raise

    def _read(self) -> None:
        if self._file.read(len(MAGIC)) != MAGIC:
            raise JournalError(f"`{self.path}` is no record of runs.")
        self._digest, end = b"", len(MAGIC)
        for index, (payload, digest, stop) in enumerate(_records(self._file, self)):
            if index == 0:
                notes = json.loads(payload)
                self.identity: str = notes["identity"]
                self.limits = _limits_of(notes["limits"])
            else:
                length = int.from_bytes(payload[:4], "little")
                asked = json.loads(payload[4 : 4 + length])["asked"]
                start = end + HEAD.size
                self.entries.append(Entry(asked, start, stop - DIGEST - start))
            self._digest, end = digest, stop
        if not self._digest:
            raise JournalError(f"`{self.path}` has lost its beginning: delete it.")
        self._end = end

    def answer(self, index: int) -> np.ndarray:
        """What was measured in that run."""
        entry = self.entries[index]
        self._file.seek(entry.offset)
        payload = self._file.read(entry.size)
        length = int.from_bytes(payload[:4], "little")
        notes = json.loads(payload[4 : 4 + length])
        raw = np.frombuffer(payload[4 + length :], jnp.dtype(notes["dtype"]))
        return raw.reshape(notes["shape"])

    def append(self, asked: Mapping[str, str], y: np.ndarray) -> None:
        """Add a run; when this returns, it is on the disk."""
        notes = {"asked": asked, "dtype": str(y.dtype), "shape": list(y.shape)}
        text = json.dumps(notes).encode()
        raw = np.ascontiguousarray(y).tobytes()
        payload = len(text).to_bytes(4, "little") + text + raw
        record, digest = _packed(payload, self._digest)
        # Over what a torn record left, which is cut off only now that it is replaced.
        self._file.seek(self._end)
        self._file.truncate()
        self._file.write(record)
        _to_disk(self._file)
        offset = self._end + HEAD.size
        self.entries.append(Entry(dict(asked), offset, len(payload)))
        self._digest, self._end = digest, self._end + len(record)

    def close(self) -> None:
        """Let another process write it."""
        self._file.close()


def hash_of(array: np.ndarray) -> str:
    """Of the dtype, the shape and every bit."""
    sha = hashlib.sha256(f"{array.dtype}{array.shape}".encode())
    sha.update(np.ascontiguousarray(array).tobytes())
    return sha.hexdigest()[:32]


def _create(path: Path, limits: Limits) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    notes = {"identity": os.urandom(8).hex(), "limits": asdict(limits)}
    record, _ = _packed(json.dumps(notes).encode(), b"")
    partial = path.with_name(path.name + ".partial")
    with open(partial, "wb") as file:
        file.write(MAGIC + record)
        _to_disk(file)
    os.replace(partial, path)


def _packed(payload: bytes, before: bytes) -> tuple[bytes, bytes]:
    """A record, and its hash, which holds it to the one before."""
    digest = hashlib.sha256(before + payload).digest()
    head = MARK + len(payload).to_bytes(8, "little")
    return HEAD.pack(MARK, len(payload), zlib.crc32(head)) + payload + digest, digest


def _records(file: BinaryIO, journal: Journal) -> Iterator[tuple[bytes, bytes, int]]:
    """Payload, hash and end of each whole record; a torn last one is left out."""
    digest, at = b"", file.tell()
    size = os.fstat(file.fileno()).st_size
    while size - at >= HEAD.size:
        head = file.read(HEAD.size)
        mark, length, check = HEAD.unpack(head)
        if mark != MARK or check != zlib.crc32(head[:12]):
            # A power cut may leave zeros where the file had grown already.
            if not any(head) and not any(file.read()):
                return
            raise _damaged(journal)
        end = at + HEAD.size + length + DIGEST
        if end > size:
            return
        payload, found = file.read(length), file.read(DIGEST)
        if not any(found) and end == size:
            return
        digest = hashlib.sha256(digest + payload).digest()
        if found != digest:
            raise _damaged(journal)
        yield payload, digest, end
        at = end


def _damaged(journal: Journal) -> JournalError:
    good = len(journal.entries)
    return JournalError(
        f"`{journal.path}` is damaged after run {good}: what follows is not what was "
        "written. Take it from a copy, or give another path to begin anew."
    )


def _lock(file: BinaryIO, path: Path) -> None:
    """For as long as the file is open; a process that is killed lets go of it."""
    try:
        import fcntl
    except ImportError:  # Not on Windows.
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EAGAIN):
            raise
        raise JournalError(
            f"`{path}` is being written already: by another process, or by a device of "
            "this one that has not been closed (`close()`)."
        ) from None


def _to_disk(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _limits_of(notes: dict[str, Any]) -> Limits:
    ranges = ("parameter_range", "input_range", "output_range")
    values: dict[str, Any] = notes | {name: tuple(notes[name]) for name in ranges}
    return Limits(**values)
