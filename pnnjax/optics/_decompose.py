"""Which phases make a lattice of interferometers act as a given unitary matrix."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Complex, Float, Inexact


class Phases(NamedTuple):
    """Of the two shifters of each interferometer, and of the output screen (rad)."""

    theta: Float[np.ndarray, "columns slots"]
    phi: Float[np.ndarray, "columns slots"]
    gamma: Float[np.ndarray, " modes"]


def rectangular_phases(unitary: Inexact[np.ndarray, "n n"]) -> Phases:
    r"""The phases of the rectangular mesh, `n` columns deep.

    The lower left of the matrix is nulled one antidiagonal after the other, by turns
    from the right (interferometers near the input) and from the left (near the
    output). Those from the left are then moved through the remaining diagonal by
    $T^\dagger(\theta, \phi)\,D = D'\,T(\theta, \phi')$.

    **Error:** rounding, some `n` times machine epsilon (float64 inside).
    **Source:** Clements et al., *Optica* 3, 1460 (2016),
    doi:10.1364/OPTICA.3.001460.
    """
    u, n = unitary.astype(np.complex128), len(unitary)
    theta, phi = np.zeros((2, n, n // 2))
    from_left = []
    for i in range(n - 1):
        for j in range(i + 1):
            if i % 2 == 0:
                place = j, (i - j) // 2
                theta[place], phi[place] = _null_from_right(u, n - 1 - j, i - j)
            else:
                mode = n - 2 - i + j
                angles = _null_from_left(u, mode, j)
                from_left.append(((n - 1 - j, mode // 2), mode, angles))
    diagonal = np.diagonal(u).copy()
    for place, mode, (th, ph) in reversed(from_left):
        upper, lower = diagonal[mode : mode + 2]
        theta[place], phi[place] = th, np.angle(upper * lower.conj())
        lower = -np.exp(-1j * th) * lower
        diagonal[mode : mode + 2] = np.exp(-1j * ph) * lower, lower
    return Phases(theta, phi % (2 * np.pi), np.angle(diagonal) % (2 * np.pi))


def triangular_phases(unitary: Inexact[np.ndarray, "n n"]) -> Phases:
    r"""The phases of the triangular mesh, $2n - 3$ columns deep.

    Each diagonal of interferometers, from the input on, nulls one row of the matrix.

    **Error:** rounding, some `n` times machine epsilon (float64 inside).
    **Source:** Reck et al., *Phys. Rev. Lett.* 73, 58 (1994),
    doi:10.1103/PhysRevLett.73.58.
    """
    u, n = unitary.astype(np.complex128), len(unitary)
    theta, phi = np.zeros((2, 2 * n - 3, n // 2))
    for diagonal in range(n - 1):
        for mode in range(n - 1 - diagonal):
            place = 2 * diagonal + mode, mode // 2
            row = n - 1 - diagonal
            theta[place], phi[place] = _null_from_right(u, row, mode)
    return Phases(theta, phi % (2 * np.pi), np.angle(np.diagonal(u)) % (2 * np.pi))


def require_unitary(
    matrix: Inexact[np.ndarray, "..."],
) -> Complex[np.ndarray, "n n"]:
    r"""The matrix in double precision.

    **Raises:** `ValueError` unless it is square, at least 2 × 2, and unitary to the
    square root of its own machine epsilon (1.5e-8 in double precision).
    """
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or len(matrix) < 2:
        raise ValueError(
            f"A mesh needs a square matrix of 2 modes or more; this is {matrix.shape}. "
            "`SVDMesh.from_matrix` takes any shape."
        )
    tolerance = np.sqrt(np.finfo(matrix.dtype).eps)
    double = matrix.astype(np.complex128)
    deviation = np.max(np.abs(double @ double.conj().T - np.eye(len(double))))
    if not deviation <= tolerance:
        raise ValueError(
            f"The matrix is not unitary: U U† differs from 1 by {deviation:.2g}, "
            f"more than {tolerance:.2g}. `SVDMesh.from_matrix` takes any matrix."
        )
    return double


def _null_from_right(u: np.ndarray, row: int, mode: int) -> tuple[float, float]:
    """Make `u[row, mode]` vanish by undoing an interferometer on its input side."""
    a, b = u[row, mode], u[row, mode + 1]
    theta, phi = 2 * np.arctan2(abs(b), abs(a)), np.angle(-a * b.conjugate())
    u[:, mode : mode + 2] = u[:, mode : mode + 2] @ _mzi(theta, phi).conj().T
    return theta, phi


def _null_from_left(u: np.ndarray, mode: int, column: int) -> tuple[float, float]:
    """Make `u[mode + 1, column]` vanish by adding an interferometer at the output."""
    a, b = u[mode, column], u[mode + 1, column]
    theta, phi = 2 * np.arctan2(abs(a), abs(b)), np.angle(b * a.conjugate())
    u[mode : mode + 2] = _mzi(theta, phi) @ u[mode : mode + 2]
    return theta, phi


def _mzi(theta: float, phi: float) -> np.ndarray:
    sine, cosine, shift = np.sin(theta / 2), np.cos(theta / 2), np.exp(1j * phi)
    matrix = np.array([[shift * sine, cosine], [shift * cosine, -sine]])
    return 1j * np.exp(0.5j * theta) * matrix
