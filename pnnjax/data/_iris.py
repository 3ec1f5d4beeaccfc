"""Iris flowers, by the size of their leaves."""

import numpy as np

from ._dataset import Dataset, split

CLASSES = ("setosa", "versicolor", "virginica")


def iris(*, test_fraction: float = 0.2, seed: int = 0) -> Dataset:
    """150 flowers of three kinds: sepal length and width, petal length and width (cm).

    `seed` draws the parts, the classes in equal proportion.

    **Source:** Fisher, *Annals of Eugenics* 7, 179 (1936),
    doi:10.1111/j.1469-1809.1936.tb02137.x; as it comes with scikit-learn.
    """
    from sklearn.datasets import load_iris

    x, y = load_iris(return_X_y=True)
    return split(
        np.asarray(x), np.asarray(y), CLASSES, test_fraction=test_fraction, seed=seed
    )
