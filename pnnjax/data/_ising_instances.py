"""Small Ising problems in which all spins are coupled, with their ground energies."""

import io
import os
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ._source import FOLDER


class IsingInstances(NamedTuple):
    r"""Problems of energy $E = -\tfrac12 s^\top J s$, and the least energy of each."""

    couplings: Float[np.ndarray, "instances n n"]
    """$J$."""
    ground_energy: Float[np.ndarray, " instances"]


def dense_maxcut(n: int) -> IsingInstances:
    """MaxCut in ten random graphs of `n` nodes, 50 or 100, with half of all edges.

    The edges are couplings of -1.

    **Raises:** `FileNotFoundError` without the file in the folder that `PNNJAX_DATA`
    names; `ValueError` for other sizes, or if the file is damaged.
    **Source:** Hamerly et al., *Science Advances* 5, eaau0823 (2019),
    doi:10.1126/sciadv.aau0823, as collected in github.com/mcmahon-lab/cim-optimizer.
    License: CC BY 4.0.
    """
    return _read("MC50", n)


def dense_spin_glass(n: int) -> IsingInstances:
    """Ten spin glasses of `n` spins, 50 or 100: all couplings are 1 or -1, at random.

    **Raises:** and **Source:** as `dense_maxcut`.
    """
    return _read("SK1", n)


def _read(kind: str, n: int) -> IsingInstances:
    if n not in _SIZES:
        raise ValueError(f"There are problems of 50 and of 100 spins, not of {n}.")
    prefix = f"{kind}_N{n}"
    path = _path()
    try:
        with np.load(io.BytesIO(path.read_bytes())) as file:
            upward = file[f"{prefix}_A"].astype(np.float32)
            energy = file[f"{prefix}_E0"].astype(np.float32)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as problem:
        raise ValueError(f"`{path}` is damaged: {problem}") from problem
    if upward.shape != (10, n, n) or energy.shape != (10,):
        raise ValueError(f"`{path}` is damaged: `{prefix}` has {upward.shape} numbers.")
    # The file has E = sum over pairs of A s s.
    return IsingInstances(-upward, energy)


def _path() -> Path:
    folder = os.environ.get(FOLDER)
    path = Path(folder or ".") / "ising" / "cim_dense_small.npz"
    if not folder or not path.is_file():
        where = f"`{path}` does not exist" if folder else f"{FOLDER} is not set"
        raise FileNotFoundError(
            f"The dense Ising problems are in no single public file: {where}. Set "
            f"{FOLDER} to a folder that holds `ising/cim_dense_small.npz`, packed from "
            "`instances/` of github.com/mcmahon-lab/cim-optimizer."
        )
    return path


_SIZES = (50, 100)
