"""What is sent through the meshes: the same numbers in every environment."""

import numpy as np

BATCH = 128


def signals(modes):
    """Fields and target powers, a row an example."""
    random = np.random.RandomState(0)
    real, imag = random.standard_normal((2, BATCH, modes)) / np.sqrt(2 * modes)
    target = random.random_sample((BATCH, modes)) / modes
    return (real + 1j * imag).astype(np.complex64), target.astype(np.float32)
