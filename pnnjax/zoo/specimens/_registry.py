"""Layers and estimators by name, made when they are asked for."""

import importlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from jaxtyping import Array, PRNGKeyArray

from ..._estimator import AbstractEstimator
from .._settings import near

DOMAINS = (
    "optics",
    "circuits",
    "spins",
    "oscillators",
    "waves",
    "quantum",
    "other",
)


class UnknownSpecimenError(LookupError):
    """No layer, or no estimator, has this name."""


class LayerSpecimen(NamedTuple):
    """A small layer, and inputs that suit it: `specimen(key)` makes both."""

    target: str
    """A function of a key, as `module:function`."""
    domain: str
    batch_axes: int = 1
    """How many leading axes of the inputs count examples."""

    def __call__(self, key: PRNGKeyArray) -> tuple[Any, Array]:
        return _found(self.target)(key)

    @property
    def summary(self) -> str:
        """What it is, in a line."""
        return _first_line(self.target)


class RuleSpecimen(NamedTuple):
    """An estimator with numbers that suit small layers: `specimen(layer)` makes it."""

    target: str
    """A function of a layer, as `module:function`."""

    def __call__(self, layer: Any) -> AbstractEstimator:
        return _found(self.target)(layer)

    @property
    def summary(self) -> str:
        """What it is, in a line."""
        return _first_line(self.target)


_LAYERS: dict[str, LayerSpecimen] = {}
_ESTIMATORS: dict[str, RuleSpecimen] = {}

LAYERS: Mapping[str, LayerSpecimen] = MappingProxyType(_LAYERS)
"""Every layer of the leaderboard, in the order in which they were registered."""

ESTIMATORS: Mapping[str, RuleSpecimen] = MappingProxyType(_ESTIMATORS)
"""Every estimator of the leaderboard, in the order in which they were registered."""


def register_layer(
    name: str, target: str, *, domain: str = "other", batch_axes: int = 1
) -> None:
    """Make `target`, `module:function`, a layer of the leaderboard.

    `function(key)` returns a small layer and a batch of inputs, along `batch_axes`
    leading axes, both in the precision that JAX is set to; the first line of its
    docstring says what it is.

    **Raises:** `ValueError` if the name stands for another one, or there is no such
    domain.
    """
    if domain not in DOMAINS:
        raise ValueError(
            f"`domain` is {domain!r}, but can be one of {', '.join(DOMAINS)}."
        )
    _add(_LAYERS, name, LayerSpecimen(target, domain, batch_axes))


def register_estimator(name: str, target: str) -> None:
    """Make `target`, `module:function`, an estimator of the leaderboard.

    `function(layer)` returns it, with settings that suit that layer; the first line of
    its docstring says what it is.

    **Raises:** `ValueError` if the name stands for another one.
    """
    _add(_ESTIMATORS, name, RuleSpecimen(target))


def layer_named(name: str) -> LayerSpecimen:
    """The layer of that name; `module:function` is one that is not registered.

    **Raises:** `UnknownSpecimenError` that says which names are near.
    """
    if name in LAYERS or ":" not in name:
        return _named("layer", LAYERS, name)
    return LayerSpecimen(name, "other")


def estimator_named(name: str) -> RuleSpecimen:
    """The estimator of that name; `module:function` is one that is not registered.

    **Raises:** `UnknownSpecimenError` that says which names are near.
    """
    if name in ESTIMATORS or ":" not in name:
        return _named("estimator", ESTIMATORS, name)
    return RuleSpecimen(name)


T = TypeVar("T")


def _add(known: dict[str, T], name: str, specimen: T) -> None:
    if known.setdefault(name, specimen) != specimen:
        raise ValueError(f"`{name}` is {known[name]} already, not {specimen}.")


def _named(kind: str, known: Mapping[str, T], name: str) -> T:
    if name not in known:
        hint = near(name, tuple(known))
        raise UnknownSpecimenError(
            f"There is no {kind} `{name}`.{hint} All: {', '.join(known)}; or name "
            "your own as `module:function`."
        )
    return known[name]


def _found(target: str) -> Callable[..., Any]:
    module, _, function = target.partition(":")
    try:
        return getattr(importlib.import_module(module), function)
    except (ModuleNotFoundError, AttributeError) as error:
        raise UnknownSpecimenError(f"There is no `{target}`: {error}.") from error


def _first_line(target: str) -> str:
    lines = (_found(target).__doc__ or "").strip().splitlines()
    return lines[0] if lines else ""
