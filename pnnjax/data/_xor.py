"""The smallest task that no linear classifier solves."""

import numpy as np

from ._dataset import Dataset, split


def xor(
    samples: int = 200,
    *,
    noise: float = 0.1,
    test_fraction: float = 0.2,
    seed: int = 0,
) -> Dataset:
    """`samples` points near the corners (+-1, +-1): do the two signs differ?

    `noise` is the standard deviation that is added to each coordinate; `seed` draws it
    and the parts. The corners have equally many points.

    **Raises:** `ValueError` if `samples` is no multiple of 4, or `noise` is negative.
    """
    if samples <= 0 or samples % 4:
        raise ValueError(f"`samples` must be a multiple of four, but is {samples}.")
    if noise < 0:
        raise ValueError(f"`noise` must not be negative, but is {noise}.")
    corners = np.tile(
        [[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]], (samples // 4, 1)
    )
    y = (corners[:, 0] != corners[:, 1]).astype(np.int32)
    x = corners + noise * np.random.default_rng(seed).normal(size=corners.shape)
    return split(x, y, ("same", "different"), test_fraction=test_fraction, seed=seed)
