"""Measured pulses: a memory cell's conductance after each of them."""

import csv
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

COLUMNS = "pulse", "direction", "conductance"
DIRECTIONS = {"up": 1, "1": 1, "+1": 1, "down": -1, "-1": -1, "0": 0, "": 0}


class PulseData(NamedTuple):
    """One cell's reads, in the order in which they were taken."""

    pulse: Int[np.ndarray, " reads"]
    """How many pulses the cell had until then; a gap is so many of one direction."""
    direction: Int[np.ndarray, " reads"]
    """Of the pulses since the read before: 1 up, -1 down; 0 if there were none."""
    conductance: Float[np.ndarray, " reads"]  # S


def read_pulses(path: str | os.PathLike[str]) -> PulseData:
    """A CSV file with the columns `pulse`, `direction` and `conductance` (S).

    A direction is `up` or `1`, `down` or `-1`. Where the first row has pulse 0, its
    direction is empty or `0`: the cell as it was. Other columns are ignored.

    **Raises:** `ValueError` that names the row, counted as an editor counts lines, if
    the file is not such a one.
    """
    path = Path(path)
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            names = {
                str(name).strip().lower(): name for name in reader.fieldnames or ()
            }
            missing = [name for name in COLUMNS if name not in names]
            if missing:
                raise ValueError(
                    f"`{path}` has no column {missing[0]!r}: its first row must name "
                    f"{', '.join(COLUMNS)}, but names {', '.join(names) or 'nothing'}."
                )
            lines, rows = [], []
            for row in reader:
                place = f"Row {reader.line_num} of `{path}`"
                lines.append(place)
                rows.append(_row(place, {name: row[names[name]] for name in COLUMNS}))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"`{path}` is no CSV file: {error}.") from error
    if not rows:
        raise ValueError(f"`{path}` has no row below its first one.")
    columns = [np.asarray(column) for column in zip(*rows, strict=True)]
    return checked_pulses(PulseData(*columns), lines)


def checked_pulses(data: PulseData, places: list[str] | None = None) -> PulseData:
    """`data` itself.

    **Arguments:** `places`: what to call the rows.
    **Raises:** `ValueError` that names the row that makes no sense.
    """
    if not len(data.pulse) == len(data.direction) == len(data.conductance):
        raise ValueError(
            f"There are {len(data.pulse)} pulses, {len(data.direction)} directions and "
            f"{len(data.conductance)} conductances."
        )
    before = 0
    for index, (pulse, direction, conductance) in enumerate(zip(*data, strict=True)):
        place = f"Row {index}" if places is None else places[index]
        if not (math.isfinite(conductance) and conductance >= 0):
            raise ValueError(f"{place}: a conductance can't be {conductance} S.")
        if direction not in (-1, 0, 1):
            raise ValueError(f"{place}: direction {direction} is none of -1, 0, 1.")
        gap = pulse - before
        if gap < 0 or (gap == 0 and index > 0):
            raise ValueError(
                f"{place}: pulse {pulse} follows {before}, but numbers must increase."
            )
        if (gap == 0) != (direction == 0):
            raise ValueError(
                f"{place}: {gap} pulses since the row before, of direction {direction}."
            )
        before = pulse
    return data


def _row(place: str, row: Mapping[str, str | None]) -> tuple[int, int, float]:
    texts = {name: (text or "").strip() for name, text in row.items()}
    try:
        pulse = int(texts["pulse"])
    except ValueError:
        raise ValueError(f"{place}: pulse {texts['pulse']!r} is no number.") from None
    direction = DIRECTIONS.get(texts["direction"].lower())
    if direction is None:
        raise ValueError(
            f"{place}: direction {texts['direction']!r} is neither `up` nor `down`."
        )
    try:
        return pulse, direction, float(texts["conductance"])
    except ValueError:
        raise ValueError(
            f"{place}: conductance {texts['conductance']!r} is no number."
        ) from None
