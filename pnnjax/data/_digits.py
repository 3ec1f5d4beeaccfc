"""Handwritten digits, 8 x 8 pixels, at hand without a file or a network."""

import numpy as np

from ._dataset import Dataset, split


def digits(*, test_fraction: float = 0.2, seed: int = 0) -> Dataset:
    """1,797 handwritten digits, which come with scikit-learn.

    Images are `8 x 8`, from 0 to 1. `seed` draws the parts, the classes in equal
    proportion.

    **Source:** Alpaydin, Kaynak, *Optical recognition of handwritten digits* (1998),
    doi:10.24432/C50P49; the test part of it.
    """
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    images = np.asarray(pixels).reshape(-1, 8, 8) / 16
    classes = tuple("0123456789")
    return split(
        images, np.asarray(labels), classes, test_fraction=test_fraction, seed=seed
    )
