"""Two half circles that reach into each other."""

import numpy as np

from ._dataset import Dataset, split


def moons(
    samples: int = 250,
    *,
    noise: float = 0.1,
    test_fraction: float = 0.2,
    seed: int = 0,
) -> Dataset:
    """`samples` points of the plane, on two half circles of radius 1.

    `noise` is the standard deviation that is added to each coordinate; `seed` draws it
    and the parts.
    """
    from sklearn.datasets import make_moons

    x, y = make_moons(samples, noise=noise, random_state=seed)
    return split(
        np.asarray(x),
        np.asarray(y),
        ("upper", "lower"),
        test_fraction=test_fraction,
        seed=seed,
    )
