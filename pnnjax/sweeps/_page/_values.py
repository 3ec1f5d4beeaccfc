"""Numbers for people, and all their digits for who asks."""

import math
from typing import Any

PREFIXES = {-15: "f", -12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M"}
PREFIXES |= {9: "G", 12: "T", 15: "P"}
MISSING = "–"


def shown(value: Any, unit: str | None = None) -> str:
    """Text as it is, numbers in three digits, with a prefix if there is a unit."""
    if is_missing(value):
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return _number(value) if unit is None else with_unit(value, unit)
    return f"{value}"


def as_given(value: Any) -> str:
    """As one writes it: 0.01 and not 0.0100."""
    if isinstance(value, float) and value == value:
        return f"{value:g}".replace("-", "−")
    return shown(value)


def exact(value: Any) -> str:
    """All digits; empty where there is no value, or one that is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    return "" if is_missing(value) else repr(value)


def with_unit(value: float, unit: str) -> str:
    """Such as 1.23 ms; whole numbers below a thousand have no decimals."""
    if not math.isfinite(value):
        return f"{value}"
    # As it is rounded: 999.9 is 1.00 k.
    size = abs(float(f"{value:.3g}"))
    exponent = 3 * math.floor(math.log10(size) / 3 + 1e-12) if size else 0
    exponent = min(max(exponent, -15), 15)
    space = "\u202f" if unit or exponent else ""
    scaled = value if exponent == 0 else value / 10**exponent
    return f"{_number(scaled)}{space}{PREFIXES[exponent]}{unit}"


def is_missing(value: Any) -> bool:
    """Not there, empty, or not a number."""
    return value is None or value == "" or (isinstance(value, float) and value != value)


def _number(value: float) -> str:
    if isinstance(value, int):
        return f"{value}".replace("-", "−") if abs(value) < 1e6 else _power(value)
    if not math.isfinite(value):
        return f"{value}"
    if value == 0:
        return "0"
    if 1e-3 <= abs(value) < 1e5:
        rounded = float(f"{value:.3g}")
        digits = f"{rounded:.0f}" if abs(rounded) >= 1000 else f"{rounded:#.3g}"
        return digits.rstrip(".").replace("-", "−")
    return _power(value)


def _power(value: float) -> str:
    digits, _, power = f"{value:.2e}".partition("e")
    superscript = str(int(power)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{digits} × 10{superscript}".replace("-", "−")
