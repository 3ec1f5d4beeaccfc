"""What seeds in common say of two methods."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

LEAST = 6
"""With fewer pairs no rank test reaches five per cent, whatever they are."""


class Paired(NamedTuple):
    """B minus A, seed by seed."""

    differences: Float[np.ndarray, " seeds"]
    mean: float
    low: float
    """The end of the interval of the mean difference; `nan` for a single pair."""
    high: float
    confidence: float
    rank_test: float | None
    """Two-sided p-value of Wilcoxon's signed-rank test; `None` for fewer than six."""

    def in_words(self) -> str:
        """What may be concluded, in a sentence."""
        count = len(self.differences)
        if count < 2:
            return "One seed in common says nothing of chance: give more seeds."
        if np.ptp(self.differences) == 0:
            return f"The difference is the same for all {count} seeds."
        clear = self.low > 0 or self.high < 0
        said = (
            f"Over {count} seeds, the {self.confidence:.0%} interval of the mean "
            f"difference {'excludes' if clear else 'includes'} zero."
        )
        if count < LEAST:
            return f"{said} {count} are few: it rests on normal differences."
        return f"{said} Wilcoxon's signed-rank test: p = {self.rank_test:.2g}."


def paired(
    a: Float[np.ndarray, " seeds"],
    b: Float[np.ndarray, " seeds"],
    confidence: float = 0.95,
) -> Paired:
    r"""The mean of `b - a`, with the interval of Student's t,
    $\bar d \pm t_{n-1}\,s_d/\sqrt n$.

    What both share of a seed (the parameters at the start, the order of the data) is in
    neither the difference nor its interval.

    **Valid for:** differences that are about normal, or many. The rank test needs only
    that they are symmetric.
    **Raises:** `ValueError` if there is no pair, or a value without one.
    """
    a, b = np.asarray(a, float), np.asarray(b, float)
    if a.shape != b.shape or a.ndim != 1 or not len(a):
        raise ValueError(
            f"Pairs are needed, but there are values of shapes {a.shape} and {b.shape}."
        )
    from scipy import stats

    found = b - a
    mean, count = float(found.mean()), len(found)
    half = float("nan")
    if count > 1:
        quantile = stats.t.ppf(0.5 + confidence / 2, count - 1)
        half = float(quantile * found.std(ddof=1) / np.sqrt(count))
    rank_test = None
    if count >= LEAST:
        rank_test = 1.0
        if found.any():
            _, rank_test = map(float, stats.wilcoxon(found))
    return Paired(found, mean, mean - half, mean + half, confidence, rank_test)
