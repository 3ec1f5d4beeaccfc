"""Which classes a classifier takes for which."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int

from ._style import AnyArray, checked, colorbar, figure, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def confusion_matrix(
    predicted: Int[AnyArray, " examples"],
    labels: Int[AnyArray, " examples"],
    names: Sequence[str] | None = None,
) -> "Figure":
    """Of the examples of each class, how many were taken for each class.

    The color is the share of the row, the figure the count; the title says how many
    were right in all.

    **Arguments:** `names`: of all classes, in order; without them there are as many as
    the greatest index says, and they are called by it.
    **Raises:** `ValueError` if the two differ in length, or an index has no name.
    """
    guess, truth = checked(predicted, "predicted", 1), checked(labels, "labels", 1)
    if guess.shape != truth.shape:
        raise ValueError(f"There are {len(guess)} predictions for {len(truth)} labels.")
    largest = max(guess.max(), truth.max())
    names = [str(i) for i in range(largest + 1)] if names is None else list(names)
    if min(guess.min(), truth.min()) < 0 or largest >= len(names):
        raise ValueError(
            f"Classes must be from 0 to {len(names) - 1}, but they are from "
            f"{min(guess.min(), truth.min())} to {largest}."
        )
    import sklearn.metrics

    classes = np.arange(len(names))
    counts = sklearn.metrics.confusion_matrix(truth, guess, labels=classes)
    return _draw(counts, names)


def _draw(counts: np.ndarray, names: Sequence[str]) -> "Figure":
    share = 100 * counts / np.maximum(counts.sum(1, keepdims=True), 1)
    n = len(names)
    with style():
        size = float(np.clip(1.6 + 0.42 * n, 3.2, 9.0))
        fig = figure(size + 1.0, size)
        ax = fig.subplots()
        image = ax.imshow(share, "Blues", vmin=0, vmax=100)
        colorbar(image, ax, "Share of the true class (%)", [0, 25, 50, 75, 100])
        place = {"ha": "center", "va": "center"}
        if n <= 20:
            for (row, column), count in np.ndenumerate(counts):
                if count:
                    color = "white" if share[row, column] > 55 else "black"
                    ax.text(column, row, f"{count}", place, color=color, size=8)
        long = max(map(len, names)) > 3
        shown = range(0, n, -(-n // 25))
        labels = [names[i] for i in shown]
        ax.set_xticks(shown, labels, rotation=90 if long else 0)
        ax.set_yticks(shown, labels)
        ax.set(xlabel="Predicted class", ylabel="True class")
        ax.spines[:].set_visible(False)
        ax.tick_params(length=0)
        right, total = np.trace(counts), counts.sum()
        ax.set_title(f"{right} of {total} right ({100 * right / total:.1f} %)")
    return fig
