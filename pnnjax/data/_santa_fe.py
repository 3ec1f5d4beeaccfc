"""The intensity of a far-infrared laser: set A of the Santa Fe competition."""

import numpy as np
from jaxtyping import Float

from ._source import RemoteFile, locate

_FILE = RemoteFile(
    "timeseries/santafe_laser.npy",
    (
        "https://raw.githubusercontent.com/reservoirpy/reservoirpy/"
        "0af79a4148503cdb5c15afeabde2e96ac3d59470/reservoirpy/datasets/"
        "santafe_laser.npy",
    ),
    "8c07281200935596f8e28bc94e1bb25e9964ab7d7f63c5e27ac87b810ac3b33a",
)


def santa_fe() -> Float[np.ndarray, " time"]:
    """10,093 readings of a chaotic ammonia laser, whole numbers from 0 to 255.

    The first 1000 are those of the competition, the others its continuation.

    **Raises:** `FileNotFoundError`, which says what would help.
    **Source:** Weigend, Gershenfeld (eds.), *Time Series Prediction* (1994); Hübner,
    Abraham, Weiss, *Phys. Rev. A* 40, 6354 (1989), doi:10.1103/PhysRevA.40.6354.
    """
    return np.load(locate(_FILE), allow_pickle=False).ravel().astype(float)
