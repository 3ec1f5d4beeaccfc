"""The IDX format, in which MNIST and its successors are published."""

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from ._dataset import Dataset
from ._source import RemoteFile, locate

UBYTE = 0x08


def read_idx(path: Path, ndim: int) -> UInt8[np.ndarray, "..."]:
    """A gzipped IDX array of bytes with `ndim` axes.

    **Raises:** `ValueError` naming the file, if it is anything else or is cut short.
    **Source:** LeCun, Cortes, Burges, *The MNIST database*, file formats.
    """
    try:
        content = gzip.decompress(path.read_bytes())
    except (gzip.BadGzipFile, EOFError, zlib.error) as problem:
        raise ValueError(f"`{path}` is no complete gzip file: {problem}.") from problem
    start = 4 * (1 + ndim)
    if len(content) < start:
        raise ValueError(f"`{path}` is cut short: it holds {len(content)} bytes.")
    magic, *shape = struct.unpack(f">{1 + ndim}I", content[:start])
    expected = UBYTE << 8 | ndim
    if magic != expected:
        raise ValueError(
            f"`{path}` is no IDX array of bytes with {ndim} axes: its magic number is "
            f"{magic}, not {expected}."
        )
    values = np.frombuffer(content, np.uint8, offset=start)
    if values.size != np.prod(shape):
        raise ValueError(f"`{path}` announces {shape} values, but holds {values.size}.")
    return values.reshape(shape)


def image_dataset(
    train: tuple[RemoteFile, RemoteFile],
    test: tuple[RemoteFile, RemoteFile],
    classes: tuple[str, ...],
) -> Dataset:
    """Images (0 to 1) and labels, from an image file and a label file for each part."""
    return Dataset(*_part(*train, len(classes)), *_part(*test, len(classes)), classes)


def _part(
    images: RemoteFile, labels: RemoteFile, classes: int
) -> tuple[np.ndarray, np.ndarray]:
    path = locate(labels)
    x, y = read_idx(locate(images), 3), read_idx(path, 1)
    if len(y) != len(x):
        raise ValueError(f"`{path}` holds {len(y)} labels for {len(x)} images.")
    if y.max(initial=0) >= classes:
        raise ValueError(f"`{path}` holds the label {y.max()}; {classes - 1} is last.")
    return x.astype(np.float32) / np.float32(255), y.astype(np.int32)
