"""Data sets as NumPy arrays: what they hold, how they are split, cut and scaled."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Int, Int32


class Dataset(NamedTuple):
    """Examples to train with, examples to test with, and what the classes are called.

    Label `i` is `classes[i]`.
    """

    train_x: Float32[np.ndarray, " train *shape"]
    train_y: Int32[np.ndarray, " train"]
    test_x: Float32[np.ndarray, " test *shape"]
    test_y: Int32[np.ndarray, " test"]
    classes: tuple[str, ...]


def split(
    x: Float[np.ndarray, " examples *shape"],
    y: Int[np.ndarray, " examples"],
    classes: Sequence[str],
    *,
    test_fraction: float,
    seed: int,
) -> Dataset:
    """Part at random, with each class in both parts in the same proportion.

    **Raises:** `ValueError` if a part would have fewer examples than there are classes.
    """
    from sklearn.model_selection import train_test_split

    rows = np.arange(len(y))
    _, test = train_test_split(
        rows, test_size=test_fraction, random_state=seed, stratify=y
    )
    return parted(x, y, classes, np.isin(rows, test))


def parted(
    x: Float[np.ndarray, " examples *shape"],
    y: Int[np.ndarray, " examples"],
    classes: Sequence[str],
    is_test: np.ndarray,
) -> Dataset:
    """Part where `is_test` says, keeping the order."""
    x, y = x.astype(np.float32), y.astype(np.int32)
    return Dataset(x[~is_test], y[~is_test], x[is_test], y[is_test], tuple(classes))


def select(data: Dataset, classes: Sequence[str]) -> Dataset:
    """The examples of these classes only, labeled in the order given.

    **Raises:** `ValueError` if a class is named twice, or is not in `data`.
    """
    check_names("class", classes, data.classes)
    label = np.full(len(data.classes), -1, np.int32)
    label[[data.classes.index(name) for name in classes]] = range(len(classes))
    train, test = label[data.train_y] >= 0, label[data.test_y] >= 0
    return Dataset(
        data.train_x[train],
        label[data.train_y[train]],
        data.test_x[test],
        label[data.test_y[test]],
        tuple(classes),
    )


def standardized(data: Dataset) -> Dataset:
    """Each feature with mean 0 and variance 1 over the training examples.

    The test examples are scaled by the same numbers. A feature that never changes
    becomes 0.
    """
    return _scaled(data, data.train_x.mean(0), data.train_x.std(0))


def rescaled(data: Dataset) -> Dataset:
    """Each feature from 0 to 1 over the training examples.

    The test examples are scaled by the same numbers, so that they may lie a little
    outside. A feature that never changes becomes 0.
    """
    low = data.train_x.min(0)
    return _scaled(data, low, data.train_x.max(0) - low)


def check_names(kind: str, names: Sequence[str], known: Sequence[str]) -> None:
    """Refuse an empty choice, a name given twice, and names that are not known."""
    if len(names) == 0:
        raise ValueError(f"Name at least one {kind}, of {', '.join(known)}.")
    if len(set(names)) < len(names):
        raise ValueError(f"A {kind} is named twice in {tuple(names)}.")
    strange = [name for name in names if name not in known]
    if strange:
        raise ValueError(f"No {kind} is called {strange}; there are {list(known)}.")


def _scaled(data: Dataset, zero: np.ndarray, unit: np.ndarray) -> Dataset:
    unit = np.where(unit > 0, unit, 1).astype(np.float32)
    return data._replace(
        train_x=(data.train_x - zero) / unit, test_x=(data.test_x - zero) / unit
    )
