"""What decides a point's numbers besides its settings: code, and how JAX computes."""

import functools
import hashlib
import importlib
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax

PACKAGE = Path(__file__).parents[1]

FLAGS = (
    "jax_enable_x64",
    "jax_default_matmul_precision",
    "jax_numpy_dtype_promotion",
    "jax_numpy_rank_promotion",
    "jax_default_prng_impl",
    "jax_threefry_partitionable",
)
"""What of `jax.config` changes numbers."""


@functools.cache
def code_version(experiment: str = "") -> str:
    """pnnjax's version and a digest of its source files, once a process.

    For an `experiment` given as `module:Class` the file of that module is in it, too;
    what that imports is not.
    """
    files = sorted(PACKAGE.rglob("*.py"))
    sha = hashlib.sha256()
    for path in files:
        sha.update(path.relative_to(PACKAGE).as_posix().encode())
        sha.update(path.read_bytes())
    module, colon, _ = experiment.partition(":")
    if colon:
        sha.update(_source(module))
    return f"{version('pnnjax')}+{sha.hexdigest()[:16]}"


def numerics() -> dict[str, Any]:
    """JAX's version, and the flags that change numbers, as JSON values."""
    flags = {name: getattr(jax.config, name) for name in FLAGS}
    plain = {name: getattr(flag, "value", flag) for name, flag in flags.items()}
    return {"jax": jax.__version__, **plain}


def compute_like(wanted: Mapping[str, Any]) -> None:
    """Set the flags of this process to those of another's `numerics()`."""
    for name in FLAGS:
        jax.config.update(name, wanted[name])


def _source(module: str) -> bytes:
    file = getattr(importlib.import_module(module), "__file__", None)
    return Path(file).read_bytes() if file is not None else b""
