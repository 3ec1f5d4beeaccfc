"""The settings of an experiment: its fields, as text and as values."""

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, get_args, get_origin

import equinox as eqx

PRESET = "preset"
"""The one setting that is no field: it chooses defaults for the others."""


class SettingError(ValueError):
    """A setting that an experiment does not have, or a value that it can't have."""


class Setting(NamedTuple):
    """One field of an experiment."""

    name: str
    kind: Any
    """`int`, `float`, `bool`, `str`, a `Literal`, or one of them `| None`."""
    default: Any
    text: str
    low: int | float | None
    high: int | float | None

    def allowed(self) -> str:
        """What values it takes, in words."""
        kinds = [_in_words(kind) for kind in _alternatives(self.kind)]
        limits = [f"at least {self.low}"] if self.low is not None else []
        limits += [f"at most {self.high}"] if self.high is not None else []
        return " or ".join(kinds) + (f", {' and '.join(limits)}" if limits else "")

    def parse(self, text: str) -> Any:
        """The value that `text` stands for."""
        for kind in _alternatives(self.kind):
            try:
                return self.checked(_parse(kind, text))
            except ValueError as error:
                if isinstance(error, SettingError):
                    raise
        raise self.refusal(text, _choices(self.kind))

    def checked(self, value: Any) -> Any:
        """`value`, if it is one of those allowed."""
        if not any(_is_a(value, kind) for kind in _alternatives(self.kind)):
            raise self.refusal(value, _choices(self.kind))
        number = isinstance(value, int | float) and not isinstance(value, bool)
        below = number and self.low is not None and not value >= self.low
        above = number and self.high is not None and not value <= self.high
        if below or above:
            raise self.refusal(value, ())
        return value

    def refusal(self, value: Any, choices: tuple[str, ...]) -> SettingError:
        """Why `value` won't do."""
        return SettingError(
            f"`{self.name}` can't be {value!r}: it is {self.allowed()}."
            + near(str(value), choices)
        )


def setting(
    default: Any,
    text: str,
    *,
    low: int | float | None = None,
    high: int | float | None = None,
) -> Any:
    """A field of an experiment with a default, a description and a range."""
    metadata = {"text": text, "low": low, "high": high}
    return eqx.field(default=default, metadata=metadata)


def settings_of(kind: type) -> dict[str, Setting]:
    """The settings of a class of experiments by name."""
    types_ = typing.get_type_hints(kind)
    return {
        field.name: Setting(
            field.name,
            types_[field.name],
            field.default,
            field.metadata.get("text", ""),
            field.metadata.get("low"),
            field.metadata.get("high"),
        )
        for field in dataclasses.fields(kind)
    }


def configure(kind: type, values: Mapping[str, Any]) -> Any:
    """An experiment with these settings, given as values or as text.

    The setting `preset` chooses one of the class's `presets`; what is given explicitly
    wins over it.

    **Raises:** `SettingError` that says which names are near, or what is allowed.
    """
    return kind(**explicit(kind, values))


def explicit(kind: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that `values` sets, those that a preset sets included."""
    known, given, presets = settings_of(kind), dict(values), kind.presets
    if PRESET in given:
        given = {**_preset(presets, str(given.pop(PRESET))), **given}
    for name in given:
        if name not in known:
            names = (*known, PRESET) if presets else tuple(known)
            raise SettingError(
                f"There is no setting `{name}`.{near(name, names)} "
                f"All settings: {', '.join(names) or 'none'}."
            )
    return {name: _value(known[name], value) for name, value in given.items()}


def check(experiment: Any) -> None:
    """**Raises:** `SettingError` if a setting is out of its range."""
    for name, known in settings_of(type(experiment)).items():
        known.checked(values_of(experiment)[name])


def values_of(experiment: Any) -> dict[str, Any]:
    """The settings of `experiment`."""
    return {
        field.name: getattr(experiment, field.name)
        for field in dataclasses.fields(experiment)
    }


def near(name: str, known: tuple[str, ...]) -> str:
    """A sentence with the names that are near, or nothing."""
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    return f" Did you mean {' or '.join(f'`{c}`' for c in close)}?" if close else ""


def _preset(presets: Mapping[str, Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    if name not in presets:
        names = tuple(presets)
        raise SettingError(
            f"There is no preset `{name}`.{near(name, names)} "
            f"All presets: {', '.join(names) or 'none'}."
        )
    return presets[name]


def _value(known: Setting, value: Any) -> Any:
    if isinstance(value, str):
        return known.parse(value)
    whole = isinstance(value, int) and not isinstance(value, bool)
    return known.checked(float(value) if whole and known.kind is float else value)


def _alternatives(kind: Any) -> tuple[Any, ...]:
    union = get_origin(kind) in (types.UnionType, typing.Union)
    return get_args(kind) if union else (kind,)


def _choices(kind: Any) -> tuple[str, ...]:
    literals = [k for k in _alternatives(kind) if get_origin(k) is Literal]
    return tuple(str(choice) for k in literals for choice in get_args(k))


def _parse(kind: Any, text: str) -> Any:
    if get_origin(kind) is Literal:
        choices = {str(choice): choice for choice in get_args(kind)}
        if text not in choices:
            raise ValueError
        return choices[text]
    if kind is bool:
        words = {"true": True, "yes": True, "1": True}
        words |= {"false": False, "no": False, "0": False}
        if text.lower() not in words:
            raise ValueError
        return words[text.lower()]
    if kind is type(None):
        if text.lower() != "none":
            raise ValueError
        return None
    return kind(text)


def _is_a(value: Any, kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, kind)


def _in_words(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return f"one of {', '.join(str(choice) for choice in get_args(kind))}"
    names = {
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        str: "text",
        type(None): "none",
    }
    return names[kind]
