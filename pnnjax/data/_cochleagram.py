"""Sound as the ear sends it on: how loud each of many pitches is, as time goes."""

from typing import Any

import numpy as np
from jaxtyping import Float

EAR_Q, LEAST_BANDWIDTH = 9.26449, 24.7  # Hz


def erb(frequency: Any) -> Any:
    r"""The bandwidth of the ear's filter at a `frequency` (Hz): $24.7 + f/9.264$ Hz.

    **Source:** Glasberg, Moore, *Hear. Res.* 47, 103 (1990),
    doi:10.1016/0378-5955(90)90170-T.
    """
    return LEAST_BANDWIDTH + frequency / EAR_Q


def erb_spaced(
    low: float,  # Hz
    high: float,  # Hz
    count: int,
) -> Float[np.ndarray, " count"]:
    """`count` frequencies (Hz) from `low` to `high`, equally many bandwidths apart."""
    offset = EAR_Q * LEAST_BANDWIDTH
    return np.geomspace(low + offset, high + offset, count) - offset


def cochleagram(
    sound: Float[np.ndarray, "*batch time"],
    rate: float,  # Hz
    *,
    channels: int = 32,
    low: float = 100.0,  # Hz
    high: float | None = None,  # Hz
    frame: float = 10e-3,  # s
    cutoff: float = 50.0,  # Hz
    exponent: float = 1 / 3,
) -> Float[np.ndarray, "*batch frames channels"]:
    r"""The envelopes of a bank of gammatone filters, one value a frame.

    Each channel is rectified, smoothed, sampled in the middle of each whole frame, and
    compressed.

    **Arguments:**

    - `channels`, `low`, `high`: their frequencies, as `erb_spaced` has them; `high` is
        0.45 of the rate unless given.
    - `cutoff`: of the second-order low-pass filter that smooths.
    - `exponent`: the envelope is raised to it, as loudness grows with sound pressure;
        0 takes the logarithm instead, of one plus the envelope.

    **Raises:** `ValueError` for frequencies that a sound of this rate can't have, and
    for a sound shorter than a frame.
    **Source:** the filters, Slaney, Apple Technical Report 35 (1993), as
    `scipy.signal.gammatone` has them; cube root, Stevens, *Psychol. Rev.* 64, 153
    (1957), doi:10.1037/h0046162.
    """
    from scipy.signal import butter, gammatone, lfilter, sosfilt

    high = 0.45 * rate if high is None else high
    _check(channels, low, high, cutoff, rate)
    samples = round(frame * rate)
    if not 1 <= samples <= sound.shape[-1]:
        raise ValueError(
            f"A frame of {frame} s has {samples} samples, and the sound has "
            f"{sound.shape[-1]}: a frame has at least one, and fits in the sound."
        )
    smooth = butter(2, cutoff, fs=rate, output="sos")
    columns = []
    for frequency in erb_spaced(low, high, channels):
        heard = lfilter(*gammatone(frequency, "iir", fs=rate), sound)
        envelope = np.asarray(sosfilt(smooth, np.maximum(heard, 0)))
        columns.append(envelope[..., samples // 2 :: samples])
    whole = sound.shape[-1] // samples
    envelopes = np.maximum(np.stack(columns, axis=-1)[..., :whole, :], 0)
    loudness = np.log1p(envelopes) if exponent == 0 else envelopes**exponent
    return loudness.astype(sound.dtype)


def _check(channels, low, high, cutoff, rate):
    if channels < 1 or not 0 < low <= high < rate / 2:
        raise ValueError(
            f"{channels} channels from {low} to {high} Hz can't be built: one or more "
            f"fit between 0 and half of the rate, {rate / 2} Hz."
        )
    if not 0 < cutoff < rate / 2:
        raise ValueError(
            f"`cutoff` must be between 0 and {rate / 2} Hz, but is {cutoff} Hz."
        )
