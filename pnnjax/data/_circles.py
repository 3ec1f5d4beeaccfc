"""A circle inside a circle."""

import numpy as np

from ._dataset import Dataset, split


def circles(
    samples: int = 250,
    *,
    inner: float = 0.5,
    noise: float = 0.1,
    test_fraction: float = 0.2,
    seed: int = 0,
) -> Dataset:
    """`samples` points of the plane, on circles of radius 1 and `inner`.

    `noise` is the standard deviation that is added to each coordinate; `seed` draws it
    and the parts. The radius tells the classes apart: an encoder that gives each
    example the same power hides it (see `with_reference`).
    """
    from sklearn.datasets import make_circles

    x, y = make_circles(samples, noise=noise, random_state=seed, factor=inner)
    return split(
        np.asarray(x),
        np.asarray(y),
        ("outer", "inner"),
        test_fraction=test_fraction,
        seed=seed,
    )
