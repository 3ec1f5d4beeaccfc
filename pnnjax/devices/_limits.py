"""What a device can be asked for."""

import math
from dataclasses import dataclass

Range = tuple[float, float]
EVERYTHING: Range = (-math.inf, math.inf)


@dataclass(frozen=True)
class Limits:
    """Ranges `(low, high)`, ends included, and how much a device does in one run.

    A range is in the unit of what it bounds. The modulus is what counts of a complex
    number, and `-inf`, `inf` are no bound.

    **Raises:** `ValueError` for a range that is empty, or a number without meaning.
    """

    parameter_range: Range = EVERYTHING
    input_range: Range = EVERYTHING
    output_range: Range = EVERYTHING
    saturates: bool = False
    """A reading at an end of the output range, other than zero, has been clipped."""
    batch_limit: int | None = None
    """How many examples one run can hold; a larger batch is cut into several runs."""
    example_ndim: int = 1
    """How many trailing axes of the input are one example."""
    latency: float = 0.0  # s
    """About how long one run takes."""

    def __post_init__(self):
        for name in ("parameter_range", "input_range", "output_range"):
            low, high = getattr(self, name)
            if not low < high:
                raise ValueError(
                    f"`{name}` is `(low, high)` with low < high, not ({low}, {high})."
                )
        if self.saturates and not any(map(_clips, self.output_range)):
            raise ValueError(
                "A detector that saturates has an end: give `output_range` one that is "
                f"finite and not zero, unlike {self.output_range}."
            )
        if self.batch_limit is not None and self.batch_limit < 1:
            raise ValueError(
                f"`batch_limit` must be at least 1, or None: {self.batch_limit}."
            )
        if self.example_ndim < 0:
            raise ValueError(
                f"`example_ndim` can't be negative: {self.example_ndim}; of vectors, 1."
            )
        if not 0 <= self.latency < math.inf:
            raise ValueError(
                f"`latency` must be at least 0 s, and finite: {self.latency} s."
            )


def _clips(end: float) -> bool:
    return math.isfinite(end) and end != 0
