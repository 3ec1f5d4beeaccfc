"""What each block of a network says to each label it is shown with an image."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from ._style import PALETTE, AnyArray, checked, colorbar, figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_RIGHT, _TAKEN = PALETTE[2], PALETTE[1]


def label_scores(
    images: Float[AnyArray, "examples ny nx"],
    scores: Float[AnyArray, "examples blocks classes"],
    labels: Int[AnyArray, " examples"],
    names: Sequence[str] | None = None,
    *,
    skip: int = 0,
) -> "Figure":
    """A column an example: the image, and how each block scores it under each label.

    The scores of a block are drawn from its least to its greatest for the example, and
    below them those of their sum. A square is around the right label, a dot on the one
    that is taken: the greatest sum.

    **Arguments:** `skip`: how many of the first blocks are not in the sum. `names`: of
    the classes, else they are numbered.
    **Raises:** `ValueError` if the numbers of examples or classes do not agree.
    """
    pictures, values = checked(images, "images", 3), checked(scores, "scores", 3)
    truth = checked(labels, "labels", 1)
    count, blocks, classes = values.shape
    if not len(pictures) == len(truth) == count:
        raise ValueError(
            f"There are {len(pictures)} images and {len(truth)} labels for the scores "
            f"of {count} examples."
        )
    names = [str(i) for i in range(classes)] if names is None else list(names)
    if len(names) != classes or not 0 <= truth.min() <= truth.max() < classes:
        raise ValueError(
            f"Scores are of {classes} classes, but there are {len(names)} names, and "
            f"labels from {truth.min()} to {truth.max()}."
        )
    if not 0 <= skip < blocks:
        raise ValueError(f"`skip` is {skip}, but there are only {blocks} blocks.")
    total = values[:, skip:].sum(1, keepdims=True)
    rows = np.concatenate([values, total], 1)
    with style():
        fig = figure(1.6 + 1.2 * count, 2.0 + 0.3 * blocks)
        ratios = {"height_ratios": [3.2, blocks + 1.0]}
        axes = fig.subplots(2, count, squeeze=False, gridspec_kw=ratios)
        for i, (top, bottom) in enumerate(axes.T):
            top.imshow(pictures[i], "gray_r")
            top.set_axis_off()
            _draw(bottom, rows[i], int(truth[i]), names)
        _name_rows(axes[1, 0], blocks)
        image = axes[1, 0].images[0]
        colorbar(image, axes[1], "Score", [0, 1]).ax.set_yticklabels(["least", "most"])
    return fig


def _draw(ax: "Axes", rows: np.ndarray, label: int, names: Sequence[str]) -> None:
    from matplotlib.patches import Rectangle

    low = rows.min(1, keepdims=True)
    span = rows.max(1, keepdims=True) - low
    ax.imshow((rows - low) / np.where(span > 0, span, 1), "Blues", aspect="auto")
    corner = (label - 0.5, -0.5)
    ax.add_patch(
        Rectangle(corner, 1, len(rows), fill=False, edgecolor=_RIGHT, linewidth=2)
    )
    taken = int(rows[-1].argmax())
    ax.plot(taken, len(rows) - 1, "o", color=_RIGHT if taken == label else _TAKEN)
    ax.axhline(len(rows) - 1.5, color="white", linewidth=2)
    ax.set_xticks(range(len(names)), names)
    ax.set_yticks([])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def _name_rows(ax: "Axes", blocks: int) -> None:
    titles = [f"Block {k + 1}" for k in range(blocks)]
    ax.set_yticks(range(blocks + 1), [*titles, "Sum"])
    ax.set_xlabel("Label shown")
