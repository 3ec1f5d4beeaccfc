"""American English vowels by their formants (Hillenbrand)."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from ._dataset import Dataset, check_names, parted, split
from ._source import RemoteFile, locate

VOWELS = ("ae", "ah", "aw", "eh", "ei", "er", "ih", "iy", "oa", "oo", "uh", "uw")
TALKERS = {"men": "m", "women": "w", "boys": "b", "girls": "g"}
FORMANT_TRACK = tuple(f"F{i}{t}" for t in ("", "@20", "@50", "@80") for i in (1, 2, 3))
"""F1 to F3 where the vowel is steady and at 20, 50 and 80 % of its duration."""
COLUMNS = ("duration", "f0", "F1", "F2", "F3", "F4", *FORMANT_TRACK[3:])
TOKENS = 139 * len(VOWELS)

_FILE = RemoteFile(
    "vowels/hillenbrand/vowdata.dat",
    (
        "https://raw.githubusercontent.com/kleinschmidt/hdp-bayes-vowels/"
        "1ef03eac63323f33b8ee31af8bc5294042de2d00/hillenbrand-data/vowdata.dat",
    ),
    "05a4a69e2c6b0f444077245b1427d12bc86f8d7a32ae7a4b63f7e06e5712e4b1",
)


def vowels(
    classes: Sequence[str] = ("ae", "ah", "aw", "er", "iy", "uw"),
    features: Sequence[str] = ("F1@20", "F2@20", "F3@20", "F1@80", "F2@80", "F3@80"),
    *,
    talkers: Sequence[str] = ("men", "women", "boys", "girls"),
    complete: bool = True,
    shared_talkers: bool = False,
    test_fraction: float = 0.35,
    seed: int = 0,
) -> Dataset:
    """Which vowel did an American talker speak? Formant frequencies (Hz) in.

    139 talkers spoke 12 vowels once each. By default six vowels and six features, the
    size of Bandyopadhyay's task on a chip of six modes, which had 540 examples to train
    with and 294 to test with: all talkers of six vowels, so `complete=False` has these
    very counts. The main text does not say which vowels and features those were; this
    is a reconstruction, with a split of its own. So is the task with seven vowels and
    12 features of Wright *et al.*:

        seven = ("ae", "ah", "aw", "er", "ih", "iy", "uw")
        vowels(seven, FORMANT_TRACK, talkers=("women",))

    **Arguments:**

    - `classes`: of ae (had), ah (hod), aw (hawed), eh (head), ei (haid), er (heard),
      ih (hid), iy (heed), oa (boat), oo (hood), uh (hud), uw (who'd).
    - `features`: of `duration` (ms), `f0` (Hz), `F1` to `F4` where the vowel is steady,
      and `F1@20` to `F3@80`: at 20, 50 and 80 % of its duration.
    - `talkers`: of men, women, boys, girls.
    - `complete`: leave out the tokens of which a feature could not be measured. They
      have 0 there.
    - `shared_talkers`: false puts each talker in one part only, each kind of talker in
      equal proportion; true parts the tokens at random, each vowel in equal proportion,
      and so tests on known voices.
    - `test_fraction`: of the talkers, or of the tokens.

    **Raises:** `ValueError` for a name that is not in these lists.
    **Source:** Hillenbrand, Getty, Clark, Wheeler, *J. Acoust. Soc. Am.* 97, 3099
    (1995), doi:10.1121/1.411872; Bandyopadhyay *et al.*, *Nat. Photonics* 18, 1335
    (2024), doi:10.1038/s41566-024-01567-z; Wright *et al.*, *Nature* 601, 549 (2022),
    doi:10.1038/s41586-021-04223-6.
    """
    check_names("vowel", classes, VOWELS)
    check_names("feature", features, COLUMNS)
    check_names("kind of talker", talkers, tuple(TALKERS))
    names, table = _read(locate(_FILE))
    x = table[:, [COLUMNS.index(feature) for feature in features]]
    kinds = [TALKERS[kind] for kind in talkers]
    keep = np.array([n[3:] in classes and n[0] in kinds for n in names])
    if complete:
        keep &= (x > 0).all(1)
    x, names = x[keep], names[keep]
    y = np.array([tuple(classes).index(name[3:]) for name in names])
    if shared_talkers:
        return split(x, y, classes, test_fraction=test_fraction, seed=seed)
    is_test = _by_talker(names, test_fraction, seed)
    return parted(x, y, classes, is_test)


def _by_talker(names: np.ndarray, test_fraction: float, seed: int) -> np.ndarray:
    from sklearn.model_selection import train_test_split

    talker = np.array([name[:3] for name in names])
    everyone = np.unique(talker)
    _, test = train_test_split(
        everyone,
        test_size=test_fraction,
        random_state=seed,
        stratify=[name[0] for name in everyone],
    )
    return np.isin(talker, test)


def _read(path: Path) -> tuple[np.ndarray, Float[np.ndarray, "tokens features"]]:
    text = path.read_text(encoding="latin-1")
    rows = re.findall(r"^([mwbg]\d\d[a-z]{2})((?:[ \t]+\d+)+)\s*$", text, re.MULTILINE)
    numbers = [values.split() for _, values in rows]
    if len(rows) != TOKENS or {len(row) for row in numbers} != {len(COLUMNS)}:
        raise ValueError(
            f"`{path}` is damaged: {len(rows)} vowels in it, which should be "
            f"{TOKENS}, with {len(COLUMNS)} numbers each."
        )
    return np.array([name for name, _ in rows]), np.array(numbers, float)
