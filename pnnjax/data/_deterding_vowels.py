"""British English vowels by log area ratios (Deterding)."""

import numpy as np

from ._dataset import Dataset, parted
from ._source import RemoteFile, locate

CLASSES = ("hid", "hId", "hEd", "hAd", "hYd", "had", "hOd", "hod", "hUd", "hud", "hed")
SHAPE = (990, 14)

_FILE = RemoteFile(
    "vowels/deterding/vowel-context.data",
    (
        "https://raw.githubusercontent.com/Xammed/ECOC-Correlation-Testing/"
        "c7993bcc43991e717f733bebc73bcdb83df5b021/vowel-context.data",
    ),
    "2e95c7be6c5800583b16d15ad36fd21f9681030b69bf96aa6aeab6f4f2f0726d",
)


def deterding_vowels() -> Dataset:
    """Which of 11 vowels did a British talker speak? Ten log area ratios in.

    The published parts: 8 talkers to train with (528 examples), 7 others to test with
    (462).

    **Source:** Deterding, *Speaker normalisation for automatic speech recognition*,
    PhD thesis, Cambridge (1989); UCI repository, doi:10.24432/C58P4S.
    """
    path = locate(_FILE)
    try:
        table = np.loadtxt(path, delimiter=",")
    except ValueError as problem:
        raise ValueError(f"`{path}` is damaged: {problem}") from problem
    if table.shape != SHAPE:
        raise ValueError(f"`{path}` is damaged: {table.shape} numbers, not {SHAPE}.")
    return parted(table[:, 3:13], table[:, 13].astype(int), CLASSES, table[:, 0] == 1)
