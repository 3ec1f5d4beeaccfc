"""What a machine of a cluster runs."""

import inspect
from collections.abc import Callable


def versions_here() -> dict[str, str]:
    """What must be the same on each machine, so that numbers are."""
    return inspector()()


def inspector() -> Callable[[], dict[str, str]]:
    """`versions_here`, for a machine that may have another pnnjax, or none."""

    # A function inside a function travels as code, not as a name to be imported there.
    def found():
        import importlib.metadata
        import platform

        versions = {"Python": platform.python_version()}
        for name in ("pnnjax", "jax", "jaxlib", "numpy", "equinox", "optax", "diffrax"):
            try:
                versions[name] = importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                versions[name] = "missing"
        try:
            from pnnjax.sweeps import code_version
        except ImportError:
            versions["code of pnnjax"] = "missing"
        else:
            versions["code of pnnjax"] = code_version()
        return versions

    # Without what checks types while it is tested here, and can't travel.
    return inspect.unwrap(found)
