"""Files that are there whole or not at all, also when the disk is full."""

import errno
import os
import shutil
from pathlib import Path

from .._checkpoint import sync_folder

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class FullDiskError(OSError):
    """There is no room for a file. What was there before is untouched."""


def write_whole(path: Path, content: bytes) -> None:
    """Replace `path` by `content`, or leave it as it is.

    **Raises:** `FullDiskError` that says how much room it takes.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        with open(partial, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
        sync_folder(path.parent)
    except OSError as error:
        partial.unlink(missing_ok=True)
        if error.errno in FULL:
            raise full_disk(path, len(content), error) from error
        raise


def full_disk(path: Path, size: int, error: OSError) -> FullDiskError:
    """That `path`, of `size` bytes, finds no room."""
    free = shutil.disk_usage(path.parent).free
    return FullDiskError(
        error.errno,
        f"There is no room for `{path}`: it takes {bytes_in_words(size)}, and "
        f"{bytes_in_words(free)} are free there ({os.strerror(error.errno or 0)}). All "
        "that was written before is whole.",
    )


def bytes_in_words(size: float) -> str:
    """In the unit that one reads."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"
