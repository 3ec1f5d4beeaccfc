"""Experiments by name, imported when they are asked for."""

import importlib

from ._experiment import AbstractStudy
from ._settings import near

_MODULES: dict[str, str] = {}


class UnknownExperimentError(LookupError):
    """No experiment has this name."""


def register(name: str, target: str) -> None:
    """Make the experiment `target`, a class as `module:Class`, known as `name`.

    **Raises:** `ValueError` if the name stands for another class.
    """
    if _MODULES.setdefault(name, target) != target:
        raise ValueError(f"`{name}` is `{_MODULES[name]}` already, not `{target}`.")


def names() -> tuple[str, ...]:
    """Every registered name, in alphabetic order."""
    return tuple(sorted(_MODULES))


def find(name: str) -> type[AbstractStudy]:
    """The experiment of that name; `module:Class` names one that is not registered.

    **Raises:** `UnknownExperimentError` that says which names are near.
    """
    if name not in _MODULES and ":" not in name:
        raise UnknownExperimentError(
            f"There is no experiment `{name}`.{near(name, names())} All experiments: "
            f"{', '.join(names()) or 'none'}."
        )
    module, _, attribute = _MODULES.get(name, name).partition(":")
    try:
        kind = getattr(importlib.import_module(module), attribute)
    except (ModuleNotFoundError, AttributeError) as error:
        raise UnknownExperimentError(f"There is no `{name}`: {error}.") from error
    if not (isinstance(kind, type) and issubclass(kind, AbstractStudy)):
        raise UnknownExperimentError(f"`{name}` is no `AbstractStudy`.")
    return kind
