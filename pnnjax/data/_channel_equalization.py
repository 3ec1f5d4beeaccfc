"""Four symbols through a radio channel with echoes, distortion and noise."""

import numpy as np
from jaxtyping import Float

from ._series import Series

ECHOES = (0.08, -0.12, 1.0, 0.18, -0.1, 0.091, -0.05, 0.04, 0.03, 0.01)
"""What each symbol adds, from two symbols ahead of its time to seven after it."""
SYMBOLS = (-3.0, -1.0, 1.0, 3.0)
_AHEAD = 2


def channel_equalization(
    length: int,
    *,
    ratio: float = 28.0,  # dB
    seed: int = 0,
) -> Series:
    r"""What a receiver hears, and the symbols that were sent.

    $$q_t = \sum_{k=-2}^{7} c_k\,d_{t-k}, \qquad
        u_t = q_t + 0.036\,q_t^2 - 0.011\,q_t^3 + \nu_t$$

    `inputs[t]` is $u_t$ and `targets[t]` the symbol $d_t$, each of -3, -1, 1, 3 with
    equal probability.

    **Arguments:** `ratio`: of the signal's mean power to that of the white Gaussian
    noise $\nu$; infinity for none.
    **Source:** Jaeger, Haas, *Science* 304, 78 (2004), doi:10.1126/science.1091277.
    """
    rng = np.random.default_rng(seed)
    sent = rng.choice(SYMBOLS, length + len(ECHOES) - 1)
    received = distorted(np.convolve(sent, ECHOES, mode="valid"))
    power = np.mean(received**2) * 10 ** (-ratio / 10)
    received = received + np.sqrt(power) * rng.standard_normal(length)
    first = len(ECHOES) - 1 - _AHEAD
    return Series(received[:, None], sent[first : first + length, None])


def distorted(signal: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """An amplifier's answer: $q + 0.036 q^2 - 0.011 q^3$."""
    return signal + 0.036 * signal**2 - 0.011 * signal**3
