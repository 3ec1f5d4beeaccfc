"""The XY energy of coupled phases, and the couplings that it takes."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Inexact, Num


def quadratures(phases: Inexact[Array, "*batch n"]) -> Inexact[Array, "*batch 2 n"]:
    r"""$\cos\phi$ and $\sin\phi$: with them, $\cos(\phi_i - \phi_j)$ is a product."""
    return jnp.stack([jnp.cos(phases), jnp.sin(phases)], axis=-2)


def xy_energy(
    phases: Inexact[Array, "*batch n"],  # rad
    coupling: Float[Array, "n n"],  # symmetric, zero on the diagonal
    field: Float[Array, "*#batch 2 n"],  # its two quadratures
) -> Inexact[Array, "*batch"]:
    r"""$E = -\tfrac12\sum_{ij} W_{ij}\cos(\phi_i - \phi_j) - \sum_i h_i\cos(\phi_i -
    \psi_i)$, in the unit of the couplings.

    **Arguments:** `field`: $h\cos\psi$ and $h\sin\psi$.
    """
    z = quadratures(phases)
    field = jnp.broadcast_to(field.astype(z.dtype), z.shape)
    return -jnp.sum(z * (0.5 * (z @ coupling.astype(z.dtype)) + field), axis=(-2, -1))


def xy_torque(
    phases: Inexact[Array, "*batch n"],  # rad
    coupling: Float[Array, "n n"],  # symmetric, zero on the diagonal
    field: Float[Array, "*#batch 2 n"],  # its two quadratures
) -> Inexact[Array, "*batch n"]:
    r"""$-\partial E/\partial\phi_i$ of `xy_energy`."""
    z = quadratures(phases)
    field = jnp.broadcast_to(field.astype(z.dtype), z.shape)
    return _torque(z, z @ coupling.astype(z.dtype) + field)


def mutual(
    z: Sequence[Inexact[Array, "..."]],
    upward: Sequence[Inexact[Array, "_ _"]],
    within: Sequence[Inexact[Array, "_ _"] | None],
) -> list[Inexact[Array, "..."]]:
    r"""$\sum_j W_{ij} z_j$ over the free oscillators, group by group.

    **Arguments:** `upward`: the couplings from the inputs to the first group (not used
    here), from that to the second, and so on; `within`: those inside each group.
    """
    pulls = [
        jnp.zeros_like(own) if matrix is None else own @ matrix
        for own, matrix in zip(z, within)
    ]
    for group, matrix in enumerate(upward[1:]):
        pulls[group] = pulls[group] + z[group + 1] @ matrix.T
        pulls[group + 1] = pulls[group + 1] + z[group] @ matrix
    return pulls


def torques(
    phases: Sequence[Inexact[Array, "*batch _"]],  # rad
    drive: Sequence[Inexact[Array, "*batch 2 _"]],
    upward: Sequence[Inexact[Array, "_ _"]],
    within: Sequence[Inexact[Array, "_ _"] | None],
) -> tuple[Inexact[Array, "*batch _"], ...]:
    """`xy_torque`, where the couplings are those of groups, as `mutual` takes them."""
    z = [quadratures(group) for group in phases]
    pulls = mutual(z, upward, within)
    return tuple(_torque(own, d + p) for own, d, p in zip(z, drive, pulls))


def checked_coupling(
    coupling: Num[np.ndarray, "..."],
    inputs: int,
    connected: Bool[np.ndarray, "..."],
) -> Num[np.ndarray, "n n"]:
    """`coupling`, if it is one: see `Kuramoto.from_coupling`.

    **Raises:** `ValueError` that names the first entry that is wrong.
    """
    n = len(coupling)
    if coupling.shape != (n, n) or not 0 <= inputs < n:
        raise ValueError(
            f"`coupling` must be square, with more oscillators than the {inputs} "
            f"inputs, but its shape is {coupling.shape}."
        )
    held = np.arange(n) < inputs
    _refuse(coupling, ~np.isfinite(coupling), "is not finite")
    _refuse(coupling, coupling != coupling.T, "differs from its transpose")
    _refuse(coupling, np.eye(n, dtype=bool) & (coupling != 0), "couples it to itself")
    both = held & held[:, None]
    _refuse(coupling, both & (coupling != 0), "is between two inputs: without effect")
    _refuse(coupling, ~connected & (coupling != 0), "is where `connected` says none is")
    _refuse(connected, connected != connected.T, "is not so the other way around")
    return coupling


def _refuse(matrix, bad, why):
    if np.any(bad):
        i, j = np.argwhere(bad)[0]
        raise ValueError(
            f"The coupling of oscillators {i} and {j} {why}: [{i}, {j}] is "
            f"{matrix[i, j]}, and [{j}, {i}] is {matrix[j, i]}."
        )


def _torque(z, pull):
    return pull[..., 1, :] * z[..., 0, :] - pull[..., 0, :] * z[..., 1, :]
