"""Strict numbers everywhere: float64, no silent promotion of dtype or rank."""

import os
from pathlib import Path

# Set before JAX starts: most of the time of these tests is compilation.
flags = [os.environ.get("XLA_FLAGS", ""), "--xla_backend_optimization_level=0"]
os.environ["XLA_FLAGS"] = " ".join(flags).strip()

import jax  # noqa: E402
import pytest  # noqa: E402

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(autouse=True, scope="module")
def few_compiled_programs():
    """Drop them before their memory maps are the 65,530 that Linux allows."""
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_text().count("\n") > 30_000:
        jax.clear_caches()


@pytest.fixture
def getkey():
    """A new key at each call, the same ones in every run."""
    keys = iter(jax.random.split(jax.random.key(20241122), 1000))
    return lambda: next(keys)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Of the notebooks, the first alone is run every day: each takes half a minute."""
    for item in items:
        if item.path.suffix == ".ipynb" and not item.path.name.startswith("01"):
            item.add_marker("slow")
