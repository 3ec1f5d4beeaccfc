"""What a classifier makes of a plane."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from ._style import PALETTE, checked, figure, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def decision_regions(model: Callable[[Any], Any], data: tuple[Any, Any]) -> "Figure":
    """The class that a model assigns to each point of the plane, and the examples.

    Examples that are assigned a wrong class are ringed in black.

    **Arguments:** `model`: from one point, `"2"`, to a score for each class; it is
    vmapped over points. `data`: points `"examples 2"` and their classes `"examples"`.
    **Raises:** `ValueError` if points are not two-dimensional, or a class has no score.
    """
    points, labels = checked(data[0], "points", 2), checked(data[1], "labels", 1)
    if points.shape[1] != 2 or len(points) != len(labels):
        raise ValueError(
            "A plane needs points of shape (examples, 2) and labels of shape "
            f"(examples,), but they are {points.shape} and {labels.shape}."
        )
    low, high = points.min(0), points.max(0)
    margin = 0.12 * np.maximum(high - low, 1e-12)
    x, y = (np.linspace(a, b, 200) for a, b in zip(low - margin, high + margin))
    grid = np.stack(np.meshgrid(x, y), -1).reshape(-1, 2).astype(points.dtype)
    assigned = _assigned(model, np.concatenate([grid, points]), labels)
    regions, guess = np.split(assigned, [len(grid)])
    regions = regions.reshape(len(y), len(x))
    return _draw(x, y, regions, points, labels.astype(int), guess)


def _assigned(model: Any, points: np.ndarray, labels: np.ndarray) -> np.ndarray:
    scores = checked(jax.jit(jax.vmap(model))(jnp.asarray(points)), "scores", 2)
    if not 0 <= labels.min() <= labels.max() < scores.shape[1]:
        raise ValueError(
            f"The model scores {scores.shape[1]} classes, but labels are from "
            f"{labels.min()} to {labels.max()}."
        )
    return scores.argmax(1)


def _draw(
    x: np.ndarray,
    y: np.ndarray,
    regions: np.ndarray,
    points: np.ndarray,
    labels: np.ndarray,
    guess: np.ndarray,
) -> "Figure":
    from matplotlib.colors import ListedColormap

    classes = np.union1d(np.unique(regions), labels)
    with style():
        fig = figure(5.0, 4.2)
        ax = fig.subplots()
        colors = [PALETTE[i % len(PALETTE)] for i in range(classes.max() + 1)]
        ax.pcolormesh(
            x,
            y,
            regions,
            cmap=ListedColormap(colors),
            vmin=-0.5,
            vmax=len(colors) - 0.5,
            alpha=0.25,
            rasterized=True,
            linewidth=0,
        )
        for label in classes:
            chosen = labels == label
            wrong = guess[chosen] != label
            ax.scatter(
                *points[chosen].T,
                s=18,
                c=colors[label],
                marker="osD^v<>"[label % 7],
                edgecolors=np.where(wrong, "black", "white").tolist(),
                linewidths=np.where(wrong, 1.2, 0.4).tolist(),
                label=f"class {label}",
            )
        ax.set(xlabel="First input (1)", ylabel="Second input (1)")
        right = np.count_nonzero(guess == labels)
        share = 100 * right / len(labels)
        ax.set_title(f"{right} of {len(labels)} right ({share:.1f} %)")
        fig.legend(loc="outside right upper")
    return fig
