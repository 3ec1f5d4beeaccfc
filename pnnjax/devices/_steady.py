"""A run between two measurements of a reference, which tell whether it drifted."""

import numpy as np

from ._callback import AbstractNamedRun, Run, call
from ._reading import Frame
from ._retry import FrameError


class SteadyRun(AbstractNamedRun):
    """`run`, where the answer to a reference input is the same before and after.

    It is measured with the parameters of the run, so that each run costs three: the
    retry policy measures a run again that drifted, until the device has settled.

    **Arguments:** `reference`: one batch of inputs, a single example at least.
    `tolerance`: by how much the answer to it may change, in the unit of the output;
    several standard deviations of its noise.
    """

    def __init__(self, run: Run, *, reference: np.ndarray, tolerance: float):
        if not tolerance > 0:
            raise ValueError(f"`tolerance` must be positive: {tolerance}.")
        self._run = run
        self._reference = np.asarray(reference)
        self._tolerance = tolerance
        self._drifted = ("", 0)

    def __call__(
        self, parameters: list[np.ndarray], x: np.ndarray, request: str
    ) -> object:
        name, times = self._drifted
        times = times if name == request else 0
        # What drifted is to be measured again, what was only lost on the way is not.
        named = f"{request}.{times}" if times else request
        reference = self._reference.astype(x.dtype)
        before = self._measured(parameters, reference, f"{named}.before")
        frame = call(self._run, parameters, x, named)
        after = self._measured(parameters, reference, f"{named}.after")
        change = float(np.max(np.abs(after - before)))
        if not change <= self._tolerance:
            self._drifted = (request, times + 1)
            raise FrameError(
                f"drift: the reference changed by {change:.3g} during the run, and "
                f"{self._tolerance:.3g} is tolerated. Let the device settle, or "
                "calibrate it",
                "drift",
            )
        return frame

    def _measured(
        self, parameters: list[np.ndarray], reference: np.ndarray, name: str
    ) -> np.ndarray:
        frame = call(self._run, parameters, reference, name)
        if isinstance(frame, Frame):
            frame = frame.values
        if frame is None:
            raise FrameError("dropped frame: no answer to the reference", "dropped")
        return np.asarray(frame)
