"""Spoken digits: six voices, fifty times each digit (Free Spoken Digit Dataset)."""

import hashlib
import io
import os
import zipfile
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Int32

from ._cochleagram import cochleagram
from ._source import FOLDER

RATE = 8000  # Hz
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
TAKES = 50
TEST_TAKES = 5
CLASSES = tuple(str(digit) for digit in range(10))
NAMES = tuple(
    f"{digit}_{speaker}_{take}.wav"
    for digit in CLASSES
    for speaker in SPEAKERS
    for take in range(TAKES)
)
SHA256 = "785339f71d0b6135255dedb18ad7d4ffd064c47f58940c1489407a0e278b5322"
"""Of all the files, one after the other."""
_ZIP = "spoken-digits/fsdd.zip"
_COMMIT = "26eb9aaf76e81b692f806f9140c2d2777410d7a1"
_URL = (
    "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/" + _COMMIT
) + ".zip"
_GROUP = 100  # recordings filtered together


class Cochleagrams(NamedTuple):
    """Cochleagrams of equal length, silent after their ends."""

    x: Float32[np.ndarray, "examples frames channels"]
    lengths: Int32[np.ndarray, " examples"]
    """How many frames each recording has."""


class SpokenDigits(NamedTuple):
    """Recordings of equal length, silent after their ends; what was said, by whom."""

    x: Float32[np.ndarray, "examples time"]
    y: Int32[np.ndarray, " examples"]
    lengths: Int32[np.ndarray, " examples"]
    """How many samples each recording has."""
    takes: Int32[np.ndarray, " examples"]
    """From 0 to 49, for each digit and speaker."""
    speakers: tuple[str, ...]
    classes: tuple[str, ...]
    rate: float
    """Samples a second (Hz)."""

    @property
    def is_test(self) -> Bool[np.ndarray, " examples"]:
        """The official parts: takes 0 to 4 are to test with, the others to train."""
        return self.takes < TEST_TAKES

    def cochleagrams(
        self,
        channels: int = 32,
        *,
        low: float = 100.0,  # Hz
        high: float = 3600.0,  # Hz
        frame: float = 10e-3,  # s
        exponent: float = 1 / 3,
    ) -> Cochleagrams:
        """Of all recordings: see `cochleagram`. It takes about ten seconds."""
        samples = round(frame * self.rate)
        frames = np.maximum(self.lengths // samples, 1).astype(np.int32)
        shape = (len(self.x), self.x.shape[-1] // samples, channels)
        images = np.zeros(shape, np.float32)
        order = np.argsort(self.lengths, kind="stable")
        for rows in np.split(order, range(_GROUP, len(order), _GROUP)):
            longest = frames[rows].max()
            # The filters know nothing of what comes later.
            images[rows, :longest] = cochleagram(
                self.x[rows, : longest * samples],
                self.rate,
                channels=channels,
                low=low,
                high=high,
                frame=frame,
                exponent=exponent,
            )
        images[np.arange(shape[1]) >= frames[:, None]] = 0
        return Cochleagrams(images, frames)


def spoken_digits(
    seconds: float = 1.0,  # s
) -> SpokenDigits:
    """3000 recordings of the digits at 8 kHz, of six speakers.

    Each is scaled to a mean square of 1, and cut, or padded with silence, to `seconds`;
    one in a hundred is longer than the default, and none than 2.3 s.

    **Raises:** `FileNotFoundError` saying what would help, if the files are not at
    hand; `ValueError` if they are damaged, or `seconds` is no time.
    **Source:** Jackson *et al.*, Free Spoken Digit Dataset (2018),
    github.com/Jakobovski/free-spoken-digit-dataset, CC BY-SA 4.0.
    """
    from scipy.io import wavfile

    samples = round(seconds * RATE)
    if samples < 1:
        raise ValueError(f"`seconds` must be positive, not {seconds}: try 1.0.")
    x = np.zeros((len(NAMES), samples), np.float32)
    lengths = np.zeros(len(NAMES), np.int32)
    for i, content in enumerate(_contents()):
        _, sound = wavfile.read(io.BytesIO(content))
        sound = sound[:samples].astype(float)
        x[i, : len(sound)] = sound / np.sqrt(np.mean(sound**2))
        lengths[i] = len(sound)
    parts = [name.removesuffix(".wav").split("_") for name in NAMES]
    return SpokenDigits(
        x=x,
        y=np.asarray([int(digit) for digit, _, _ in parts], np.int32),
        lengths=lengths,
        takes=np.asarray([int(take) for _, _, take in parts], np.int32),
        speakers=tuple(speaker for _, speaker, _ in parts),
        classes=CLASSES,
        rate=float(RATE),
    )


def _contents() -> list[bytes]:
    path = _archive()
    with zipfile.ZipFile(path) as archive:
        places = {PurePosixPath(name).name: name for name in archive.namelist()}
        missing = set(NAMES) - set(places)
        if missing:
            raise ValueError(f"`{path}` lacks {len(missing)} files: {min(missing)}...")
        contents = [archive.read(places[name]) for name in NAMES]
    if hashlib.sha256(b"".join(contents)).hexdigest() != SHA256:
        raise ValueError(
            f"The recordings in `{path}` are damaged: their checksum is not that of "
            f"the {len(NAMES)} files of commit {_COMMIT[:8]}."
        )
    return contents


def _archive() -> Path:
    """The files in a zip, in any folder of it."""
    folder = os.environ.get(FOLDER)
    if not folder:
        return _downloaded()
    path = Path(folder) / _ZIP
    if not path.is_file():
        raise FileNotFoundError(
            f"{FOLDER} is set to `{folder}`, but there is no file `{path}`. Put a zip "
            f"of the {len(NAMES)} files {NAMES[0]} to {NAMES[-1]} there (offered at "
            f"{_URL}), or unset {FOLDER} to have it downloaded."
        )
    return path


def _downloaded() -> Path:
    import pooch

    place = Path(pooch.os_cache("pnnjax")) / _ZIP
    try:
        # What is in the archive is checked: its own bytes are made anew by the server.
        pooch.retrieve(_URL, None, fname=place.name, path=place.parent)
    except (OSError, ValueError) as failure:
        raise FileNotFoundError(
            "The spoken digits are not at hand and could not be downloaded. Either set "
            f"{FOLDER} to a folder that holds `{_ZIP}`, or connect to the network. "
            f"What was tried: {failure}"
        ) from failure
    return place
