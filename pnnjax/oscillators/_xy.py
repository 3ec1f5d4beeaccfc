"""The XY energy of coupled phases, and the couplings that it takes."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Inexact, Num

from .._fast_angles import angle_of, cos_sin


def quadratures(phases: Inexact[Array, "*batch n"]) -> Inexact[Array, "*batch 2 n"]:
    r"""$\cos\phi$ and $\sin\phi$: with them, $\cos(\phi_i - \phi_j)$ is a product."""
    return jnp.stack(cos_sin(phases), axis=-2)


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
    return torque(z, z @ coupling.astype(z.dtype) + field)


def pull_on(
    group: int,
    z: Sequence[Inexact[Array, "..."]],
    upward: Sequence[Inexact[Array, "_ _"]],
    within: Sequence[Inexact[Array, "_ _"] | None],
) -> Inexact[Array, "*batch 2 n"]:
    r"""$\sum_j W_{ij} z_j$ over the free oscillators, for those of one group.

    **Arguments:** `z`: the quadratures, group by group; `upward`: the couplings from
    the inputs to the first group (not used here), from that to the second, and so on;
    `within`: those inside each group.
    """
    matrix = within[group]
    pull = jnp.zeros_like(z[group]) if matrix is None else z[group] @ matrix
    if group > 0:
        pull = pull + z[group - 1] @ upward[group]
    if group + 1 < len(z):
        pull = pull + z[group + 1] @ upward[group + 1].T
    return pull


def sweep(
    phases: Sequence[Inexact[Array, "*batch _"]],  # rad
    drive: Sequence[Inexact[Array, "*batch 2 _"]],
    upward: Sequence[Inexact[Array, "_ _"]],
    within: Sequence[Inexact[Array, "_ _"] | None],
    rate: float,
    held: int,
) -> tuple[Inexact[Array, "*batch _"], ...]:
    """One group after the other turns; the last `held` oscillators stay.

    See `Kuramoto` for `rate`; the groups and matrices are as `pull_on` takes them.
    """
    phases, z = list(phases), [quadratures(group) for group in phases]
    for group, matrix in enumerate(within):
        pull = drive[group] + pull_on(group, z, upward, within)
        friction = _friction(z[group], pull, matrix)
        move = jnp.where(friction > 0, rate / jnp.where(friction > 0, friction, 1), 0)
        if group + 1 == len(phases) and held:
            move = move.at[..., -held:].set(0)
        step = move.astype(pull.dtype) * torque(z[group], pull)
        phases[group] = phases[group] + step
        z[group] = quadratures(phases[group])
    return tuple(phases)


def torque(
    z: Inexact[Array, "*batch 2 n"], pull: Inexact[Array, "*batch 2 n"]
) -> Inexact[Array, "*batch n"]:
    """What turns oscillators of these quadratures in the field `pull`."""
    return pull[..., 1, :] * z[..., 0, :] - pull[..., 0, :] * z[..., 1, :]


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


def _friction(z, pull, within):
    """With which an oscillator comes to rest in one step, if its neighbors do not move.

    Those in its own group do, and it takes a bound of how the energy curves.
    """
    z, pull = lax.stop_gradient((z.real, pull.real))
    if within is None:
        along, turn = jnp.sum(z * pull, axis=-2), torque(z, pull)
        angle = angle_of(along, turn)
        return jnp.where(angle == 0, along, turn / jnp.where(angle == 0, 1, angle))
    within = lax.stop_gradient(within.real)
    outside = jnp.sqrt(jnp.sum((pull - z @ within) ** 2, axis=-2))
    inside = 2 * jnp.sum(jnp.abs(within), axis=0)
    return outside + jnp.broadcast_to(inside, outside.shape)
