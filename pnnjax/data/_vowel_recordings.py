"""Three American English vowels as they sound (Hillenbrand)."""

import hashlib
import io
import math
import os
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int32

from ._dataset import Dataset, parted
from ._source import FOLDER

RATE = 16_000  # Hz, of the files
VOWELS = ("ae", "ei", "iy")
# Of 45 men and 48 women: numbers that no recording has are of children's, or lost.
MEN = sorted({*range(1, 51)} - {5, 12, 15, 43, 46})
WOMEN = sorted({*range(1, 51)} - {18, 43})
NAMES = tuple(
    f"{kind}{number:02}{vowel}.wav"
    for kind, numbers in (("m", MEN), ("w", WOMEN))
    for number in numbers
    for vowel in VOWELS
)
SHA256 = "1b15a8ea1321183675d4742f5406e09460d83aa729c34c7db847cfff3c48a174"
"""Of all the files, one after the other."""
_ZIP = "vowels/hillenbrand/wav_ae_ei_iy.zip"
_URL = "https://raw.githubusercontent.com/fancompute/wavetorch/master/data/vowels/"


class Recordings(NamedTuple):
    """Sounds of equal length, what vowel each is, and who spoke it."""

    x: Float32[np.ndarray, "examples time"]
    y: Int32[np.ndarray, " examples"]
    talkers: tuple[str, ...]
    """`m01` to `m50` are men, `w01` to `w50` women."""
    classes: tuple[str, ...]
    rate: float
    """Samples a second (Hz)."""

    def fold(
        self, index: int, folds: int = 5, *, by_talker: bool = False, seed: int = 0
    ) -> Dataset:
        """One of `folds` parts to test with, the others to train with.

        Each vowel is in all parts in equal proportion. `by_talker` puts each talker in
        one part only; otherwise, the test is on known voices.

        **Raises:** `ValueError` for a fold that there is not.
        """
        from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

        if not (folds >= 2 and 0 <= index < folds):
            raise ValueError(f"There is no fold {index} of {folds}, counted from 0.")
        kind = StratifiedGroupKFold if by_talker else StratifiedKFold
        parts = kind(folds, shuffle=True, random_state=seed)
        places = np.zeros(len(self.y))
        groups = self.talkers if by_talker else None
        _, test = list(parts.split(places, self.y, groups))[index]
        return parted(
            self.x, self.y, self.classes, np.isin(np.arange(len(self.y)), test)
        )


def vowel_recordings(
    samples: int = 1000,
    rate: int = 10_000,  # Hz
) -> Recordings:
    """279 recordings of *had*, *hayed* and *heed*: vowels ae, ei and iy, 93 of each.

    45 men and 48 women spoke each vowel once. Each recording is resampled, cut to the
    `samples` in its middle, freed of its mean and scaled to a mean square of 1.

    **Raises:** `FileNotFoundError` saying what would help, if the files are not at
    hand; `ValueError` if they are damaged, or shorter than `samples`.
    **Source:** Hillenbrand, Getty, Clark, Wheeler, *J. Acoust. Soc. Am.* 97, 3099
    (1995), doi:10.1121/1.411872; the choice of vowels, the rate and the window are
    those of Hughes *et al.*, *Science Advances* 5, eaay6946 (2019),
    doi:10.1126/sciadv.aay6946.
    """
    from scipy.io import wavfile
    from scipy.signal import resample_poly

    common = math.gcd(rate, RATE)
    rows = []
    for name, content in zip(NAMES, _contents(), strict=True):
        _, sound = wavfile.read(io.BytesIO(content))
        sound = resample_poly(sound.astype(float), rate // common, RATE // common)
        if len(sound) < samples:
            raise ValueError(
                f"`{name}` has {len(sound)} samples at {rate} Hz: `samples` can't be "
                f"{samples}."
            )
        first = (len(sound) - samples) // 2
        middle = sound[first : first + samples]
        middle = middle - middle.mean()
        rows.append(middle / np.sqrt(np.mean(middle**2)))
    return Recordings(
        x=np.asarray(rows, np.float32),
        y=np.asarray([VOWELS.index(name[3:5]) for name in NAMES], np.int32),
        talkers=tuple(name[:3] for name in NAMES),
        classes=VOWELS,
        rate=float(rate),
    )


def _contents() -> list[bytes]:
    folder = os.environ.get(FOLDER)
    contents = _from_folder(Path(folder)) if folder else _downloaded()
    if hashlib.sha256(b"".join(contents)).hexdigest() != SHA256:
        raise ValueError(
            "The recordings of vowels are damaged: their checksum is not that of the "
            f"{len(NAMES)} files of Hillenbrand."
        )
    return contents


def _from_folder(folder: Path) -> list[bytes]:
    path = folder / _ZIP
    if not path.is_file():
        raise FileNotFoundError(
            f"{FOLDER} is set to `{folder}`, but there is no file `{path}`. Put a zip "
            f"of the {len(NAMES)} files {NAMES[0]} to {NAMES[-1]} there (offered at "
            f"{_URL}), or unset {FOLDER} to have them downloaded."
        )
    with zipfile.ZipFile(path) as archive:
        missing = set(NAMES) - set(archive.namelist())
        if missing:
            raise ValueError(f"`{path}` lacks {len(missing)} files: {min(missing)}...")
        return [archive.read(name) for name in NAMES]


def _downloaded() -> list[bytes]:
    import pooch

    place = Path(pooch.os_cache("pnnjax")) / "vowels/hillenbrand/wav"
    try:
        return [
            Path(pooch.retrieve(_URL + name, None, fname=name, path=place)).read_bytes()
            for name in NAMES
        ]
    except (OSError, ValueError) as failure:
        raise FileNotFoundError(
            "The recordings of vowels are not at hand and could not be downloaded. "
            f"Either set {FOLDER} to a folder that holds `{_ZIP}`, or connect to the "
            f"network. What was tried: {failure}"
        ) from failure
