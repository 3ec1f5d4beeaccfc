"""A signal over time, and what is to be made of it."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class Series(NamedTuple):
    """`targets[t]` is asked for when `inputs[: t + 1]` are known."""

    inputs: Float[np.ndarray, "time inputs"]
    targets: Float[np.ndarray, "time outputs"]
