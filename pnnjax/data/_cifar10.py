"""Color photographs of ten kinds of things, 32 x 32 pixels."""

import tarfile
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int32

from ._dataset import Dataset
from ._source import RemoteFile, locate

CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
SIDE, COLORS = 32, 3
RECORD = 1 + COLORS * SIDE**2
"""Bytes: a label, then all of red, of green and of blue."""
TRAIN = tuple(f"cifar-10-batches-bin/data_batch_{i}.bin" for i in range(1, 6))
TEST = ("cifar-10-batches-bin/test_batch.bin",)

# The binary version: reading it runs no code, as unpickling the Python version could.
ARCHIVE = RemoteFile(
    "cifar-10/cifar-10-binary.tar.gz",
    ("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
    "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
)


def cifar10() -> Dataset:
    """50,000 photographs to train with and 10,000 to test with, as published.

    Images are `32 x 32 x 3`, from 0 to 1; the last axis is red, green, blue. The
    download is of 162 MB.

    **Raises:** `FileNotFoundError`, which says what would help; `ValueError` naming the
    file, if it is damaged.
    **Source:** Krizhevsky, *Learning Multiple Layers of Features from Tiny Images*,
    University of Toronto (2009).
    """
    path = locate(ARCHIVE)
    return Dataset(*read_part(path, TRAIN), *read_part(path, TEST), CLASSES)


def read_part(
    path: Path, members: tuple[str, ...]
) -> tuple[Float32[np.ndarray, "images 32 32 3"], Int32[np.ndarray, " images"]]:
    """Images and labels from these files of the archive.

    **Raises:** `ValueError` if one is missing, cut short or holds a strange label.
    """
    try:
        with tarfile.open(path) as archive:
            parts = [_member(archive, name) for name in members]
    except (tarfile.TarError, EOFError, OSError, KeyError) as problem:
        raise ValueError(f"`{path}` is no whole archive: {problem}.") from problem
    records = np.concatenate([_records(path, part) for part in parts])
    labels, colors = records[:, 0], records[:, 1:]
    if labels.max(initial=0) >= len(CLASSES):
        raise ValueError(f"`{path}` holds the label {labels.max()}; 9 is the last.")
    images = colors.reshape(-1, COLORS, SIDE, SIDE).transpose(0, 2, 3, 1)
    return images.astype(np.float32) / np.float32(255), labels.astype(np.int32)


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    if file is None:
        raise KeyError(f"`{name}` is no file")
    with file:
        return file.read()


def _records(path: Path, content: bytes) -> np.ndarray:
    if not content or len(content) % RECORD:
        raise ValueError(
            f"`{path}` holds a batch of {len(content)} bytes, but records of {RECORD}."
        )
    return np.frombuffer(content, np.uint8).reshape(-1, RECORD)
