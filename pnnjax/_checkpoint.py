"""A run on disk: written whole or not at all, and refused where it does not belong."""

import hashlib
import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

FORMAT = 1


class CheckpointError(ValueError):
    """A checkpoint that is damaged, or that belongs to another run."""


class Checkpoint(NamedTuple):
    """Arrays by name, what they belong to, and notes."""

    arrays: Mapping[str, Any]
    fingerprint: Mapping[str, Any]
    """What must agree for a run to go on from here, as JSON values."""
    notes: Mapping[str, Any]
    """Anything else, as JSON values."""


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Replace `path` by `checkpoint`: whatever happens, one of the two is there whole.

    The file is a zip archive of raw arrays, with a JSON header that describes them.
    """
    partial = path.with_name(path.name + ".partial")
    encoded = {name: _encode(value) for name, value in checkpoint.arrays.items()}
    header = {
        "format": FORMAT,
        "fingerprint": checkpoint.fingerprint,
        "notes": checkpoint.notes,
        "arrays": {name: description for name, (description, _) in encoded.items()},
    }
    with open(partial, "wb") as file:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("header.json", json.dumps(header))
            for name, (_, data) in encoded.items():
                archive.writestr(f"arrays/{name}", data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
    sync_folder(path.parent)


def read_checkpoint(path: Path) -> Checkpoint:
    """What `write_checkpoint` wrote.

    **Raises:** `CheckpointError` if the file is cut short, changed, or no checkpoint.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            header = json.loads(archive.read("header.json"))
            if header["format"] != FORMAT:
                raise CheckpointError(
                    f"`{path}` has checkpoint format {header['format']}, but this "
                    f"version reads format {FORMAT}."
                )
            arrays = {
                name: _decode(description, archive.read(f"arrays/{name}"))
                for name, description in header["arrays"].items()
            }
    except (zipfile.BadZipFile, EOFError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(
            f"`{path}` is damaged, or is no checkpoint ({error}). Delete it to start "
            "from the beginning."
        ) from error
    return Checkpoint(arrays, header["fingerprint"], header["notes"])


def check_fingerprint(path: Path, stored: Mapping, expected: Mapping) -> None:
    """**Raises:** `CheckpointError` that says what differs, if anything does."""
    lines = _differences(stored, json.loads(json.dumps(expected)), "")
    if lines:
        shown = lines[:8] + [f"and {len(lines) - 8} more"] * (len(lines) > 8)
        listed = "".join(f"\n  {line}" for line in shown)
        raise CheckpointError(
            f"`{path}` belongs to another run:{listed}\nResume with the settings that "
            "it was written with, or give another path."
        )


def named_leaves(tree: PyTree) -> dict[str, Any]:
    """The array leaves of `tree` by their paths."""
    leaves = jax.tree_util.tree_leaves_with_path(eqx.filter(tree, eqx.is_array))
    return {jax.tree_util.keystr(path): leaf for path, leaf in leaves}


def restore(like: PyTree, arrays: Mapping[str, Any]) -> PyTree:
    """`like`, with the arrays that `named_leaves` named."""

    def replace(path: Any, leaf: Any) -> Any:
        return arrays[jax.tree_util.keystr(path)] if eqx.is_array(leaf) else leaf

    return jax.tree_util.tree_map_with_path(replace, like)


def on_host(leaf: Any) -> Any:
    """An array whose parts other processes may hold, as one that this one has.

    If there are such, all processes must ask for it at once.
    """
    if not isinstance(leaf, jax.Array) or leaf.is_fully_addressable:
        return leaf
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        data = on_host(jax.random.key_data(leaf))
        return jax.random.wrap_key_data(data, impl=jax.random.key_impl(leaf))
    from jax.experimental.multihost_utils import process_allgather

    if leaf.is_fully_replicated:
        return np.asarray(leaf)
    return np.asarray(process_allgather(leaf, tiled=True))


def describe(leaf: Any) -> str:
    """The type and shape of an array, as `float32[3,4]`."""
    return f"{leaf.dtype}[{','.join(map(str, leaf.shape))}]"


def digest(tree: PyTree) -> str:
    """A hash of the arrays and the plain numbers and strings of `tree`."""
    sha = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        if eqx.is_array(leaf):
            description, data = _encode(leaf)
            sha.update(json.dumps(description).encode())
            sha.update(data)
        elif isinstance(leaf, bool | int | float | complex | str):
            sha.update(repr(leaf).encode())
        sha.update(jax.tree_util.keystr(path).encode())
    return sha.hexdigest()


def sync_folder(folder: Path) -> None:
    """Until what was renamed in it is on the disk."""
    if os.name != "posix":  # Elsewhere, a folder can't be opened.
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _encode(leaf: Any) -> tuple[dict[str, Any], bytes | memoryview]:
    # By their raw bytes: NumPy's own format does not know bfloat16, nor keys.
    key = None
    leaf = on_host(leaf)
    if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        key = str(jax.random.key_impl(leaf))
        leaf = jax.random.key_data(leaf)
    host = np.ascontiguousarray(np.asarray(leaf))
    shape = list(np.shape(leaf))
    data = host.reshape(-1).view(np.uint8).data
    return {"dtype": str(host.dtype), "shape": shape, "key": key}, data


def _decode(description: Mapping[str, Any], data: bytes) -> Any:
    dtype = jnp.dtype(description["dtype"])
    host = np.frombuffer(data, dtype).reshape(description["shape"])
    if description["key"] is None:
        return host
    return jax.random.wrap_key_data(jnp.asarray(host), impl=description["key"])


def _differences(stored: Any, expected: Any, name: str) -> list[str]:
    if isinstance(stored, dict) and isinstance(expected, dict):
        keys = list(dict.fromkeys([*stored, *expected]))
        return [
            line
            for key in keys
            for line in _differences(
                stored.get(key), expected.get(key), f"{name} {key}".strip()
            )
        ]
    if stored == expected:
        return []
    if isinstance(stored, str) and len(stored) == 64 and len(str(expected)) == 64:
        return [f"{name}: not the same"]
    return [f"{name}: {_show(stored)} in the checkpoint, {_show(expected)} now"]


def _show(value: Any) -> str:
    return "absent" if value is None else str(value)
