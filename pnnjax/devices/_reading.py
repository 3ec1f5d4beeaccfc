"""What is checked of what is sent to a device and of what it reads."""

import math
from typing import Any, NamedTuple

import numpy as np

from ._error import DeviceError, record
from ._limits import Limits, Range
from ._retry import FrameError


class Frame(NamedTuple):
    """A reading with the number that its hardware counts readings by.

    Where a `run` returns one, a number that is not above the last one is refused: that
    reading had been there before, and is not the answer.
    """

    values: Any
    number: int


def checked_frame(
    frame: Any, shape: tuple[int, ...], dtype: np.dtype, last: int | None
) -> tuple[np.ndarray, int | None]:
    """The values of a reading and its number, which is `last` where it has none.

    **Raises:** `FrameError` for one that can't be used; `TypeError` for one that
    another try would not make better.
    """
    number = last
    if isinstance(frame, Frame):
        frame, number = frame
        if last is not None and number <= last:
            raise FrameError(
                f"duplicated frame: number {number} came after {last}", "duplicated"
            )
    if frame is None:
        raise FrameError("dropped frame: `run` returned None", "dropped")
    y = np.asarray(frame)
    if y.shape != shape:
        raise FrameError(f"dropped frame: shape {y.shape}, expected {shape}", "dropped")
    if not np.can_cast(y.dtype, dtype, "same_kind"):
        raise TypeError(f"`run` returned {y.dtype}, which is no {dtype}.")
    if not np.all(np.isfinite(y)):
        bad = np.sum(~np.isfinite(y))
        raise FrameError(f"{bad} of {y.size} values are not finite", "not finite")
    return y.astype(dtype), number


def refuse_outside(
    device: str, run: int, what: str, values: np.ndarray, allowed: Range, *, tried: int
) -> None:
    """**Raises:** `DeviceError` if a value is out of range, or is not a number."""
    size = np.abs(values) if np.iscomplexobj(values) else values
    # In the dtype of the values: float32(2 pi) is above the 2 pi of a Python float.
    low, high = (size.dtype.type(end) for end in allowed)
    good = (size >= low) & (size <= high)
    if np.all(good):
        return
    bad = size[~good].ravel()
    reason = (
        f"{what} out of range: {bad.size} of {size.size} values, the first one "
        f"{bad[0]:.6g}, are not in [{low:.6g}, {high:.6g}]"
    )
    raise record(DeviceError(device, run, tried, reason))


def refuse_saturated(
    device: str, run: int, y: np.ndarray, limits: Limits, *, tried: int
) -> None:
    """**Raises:** `DeviceError` where a detector that saturates has done so.

    It is not tried again: the same signal would clip again.
    """
    if not limits.saturates:
        return
    size = np.abs(y) if np.iscomplexobj(y) else y
    ends = [size.dtype.type(e) for e in limits.output_range if math.isfinite(e) and e]
    clipped = sum(int(np.sum(size == end)) for end in ends)
    if clipped:
        shown = " or ".join(f"{end:.6g}" for end in ends)
        reason = (
            f"detector saturated: {clipped} of {y.size} readings are at {shown}, where "
            "it clips. Turn down the input power or the gain of the detector, or give "
            "it a wider `output_range`"
        )
        raise record(DeviceError(device, run, tried, reason))
