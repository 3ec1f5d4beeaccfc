"""Coupled modes in a steady state: what their ports scatter."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Complex, Float

Groups = tuple[Complex[Array, "*batch _ probes"], ...]
"""Amplitudes of the modes, group by group."""


def scattering_matrix(
    hamiltonian: Complex[Array, "*batch n n"],  # rad/s
    decay: Float[Array, " n"],  # rad/s, into the port of each mode
    frequency: float | Float[Array, ""] = 0.0,  # rad/s, where detunings count from
) -> Complex[Array, "*batch n n"]:
    r"""What leaves port $r$ for a unit field sent into port $p$, at `[r, p]`.

    $$S = 1 - i\sqrt\kappa\,(\omega - H)^{-1}\sqrt\kappa$$

    of the modes $\dot a = -iHa - \sqrt\kappa\,a_\text{in}$ with $a_\text{out} =
    a_\text{in} + \sqrt\kappa\,a$; $|a|^2$ is an energy (J), $|a_\text{in}|^2$ a power
    (W). The diagonal of $H$ is $\Delta - i(\kappa + \kappa')/2$, with the decay
    $\kappa'$ into anything but the port.

    **Valid for:** detunings, couplings and decays far below the optical frequency.
    **Error:** rounding, about the condition number of $\omega - H$ times the machine's.
    **Source:** Wanjura, Marquardt, *Nat. Phys.* 20, 1434 (2024),
    doi:10.1038/s41567-024-02534-9.
    """
    shape, dtype = hamiltonian.shape, hamiltonian.dtype
    one = jnp.broadcast_to(jnp.eye(shape[-1], dtype=dtype), shape)
    rate = jnp.sqrt(decay[:, None] * decay[None, :]).astype(dtype)
    response = jnp.linalg.inv(jnp.asarray(frequency, dtype) * one - hamiltonian)
    return one - 1j * jnp.broadcast_to(rate, shape) * response


def hamiltonian(
    detuning: Sequence[Float[Array, "... _"]],  # rad/s
    coupling: Sequence[Float[Array, "_ _"]],  # rad/s
    width: Sequence[float],  # rad/s, all decay of a mode of the group
) -> Complex[Array, "... n n"]:  # rad/s
    """The matrix of groups of modes, each coupled to the next one."""
    sizes = [d.shape[-1] for d in detuning]
    batch = jnp.broadcast_shapes(*(d.shape[:-1] for d in detuning))
    rows = [jnp.broadcast_to(d, (*batch, n)) for d, n in zip(detuning, sizes)]
    diagonal = jnp.concatenate(rows, -1)
    every = np.arange(sum(sizes))
    real = jnp.zeros((*diagonal.shape, len(every)), diagonal.dtype)
    real = real.at[..., every, every].set(diagonal)
    edges = np.cumsum([0, *sizes])
    for k, block in enumerate(coupling):
        here, there = slice(*edges[k : k + 2]), slice(*edges[k + 1 : k + 3])
        both = jnp.broadcast_to(block.astype(real.dtype), (*batch, *block.shape))
        real = real.at[..., here, there].set(both)
        real = real.at[..., there, here].set(both.mT)
    lost = jnp.asarray(np.diag(np.repeat(np.asarray(width) / -2, sizes)), real.dtype)
    return lax.complex(real, jnp.broadcast_to(lost, real.shape))


def layered_response(
    diagonal: Sequence[Complex[Array, "... _"]],  # rad/s
    coupling: Sequence[Float[Array, "_ _"]],  # rad/s
    source: Sequence[Complex[Array, "_ probes"] | None],
) -> Groups:
    r"""Solve $(\omega - H)\,a = b$ for groups of modes, each coupled to the next one.

    `diagonal` is that of $\omega - H$; the first has the `*batch` axes, and the others
    none. `source` is $b$, `None` where it is zero. The first group has no couplings of
    its own, so that it is eliminated without solving anything, in one product of real
    matrices for all examples; the others one after the other, as a block-tridiagonal
    matrix. For groups of $n_0, n_1, \dots$ modes an example takes $4 n_0 n_1^2 +
    \tfrac83 n_1^3 + \dots$ operations, where a solve of the whole would take
    $\tfrac83 (n_0 + n_1 + \dots)^3$.

    **Error:** rounding; every matrix on the way is damped like $\omega - H$ itself.
    """
    batch = diagonal[0].shape[:-1]
    first = 1 / diagonal[0].reshape(-1, diagonal[0].shape[-1])
    source = [None if b is None else _repeated(b, len(first)) for b in source]
    pending, behind = _driven(first, coupling[0], source[0])
    matrix = -_dressed(first, coupling[0])
    steps = []
    for k in range(1, len(diagonal)):
        matrix = matrix + _repeated(jnp.diag(diagonal[k]), len(first))
        pending = _sum(source[k], pending)
        if k == len(diagonal) - 1:
            break
        onward, own = _solved(matrix, coupling[k], pending)
        steps.append((onward, own))
        matrix = -_times(coupling[k].T, onward)
        pending = None if own is None else _times(coupling[k].T, own)
    amplitude = jnp.linalg.solve(matrix, pending)
    groups = [amplitude]
    for onward, own in reversed(steps):
        amplitude = _sum(own, onward @ amplitude)
        groups.append(amplitude)
    groups.append(_sum(behind, first[..., None] * _times(coupling[0], amplitude)))
    return tuple(a.reshape(*batch, *a.shape[1:]) for a in reversed(groups))


def matrix_cotangent(
    left: Complex[Array, "*batch n q"],
    right: Complex[Array, "*batch n q"],
    sizes: Sequence[int],
) -> tuple[tuple[Float[Array, "*batch _"], ...], tuple[Float[Array, "_ _"], ...]]:
    r"""From $\operatorname{Re}\sum_q l_{jq}\,\mathrm dH_{jk}\,r_{kq}$, of each group.

    **Returns:** what belongs to the detunings, an example each, and to the couplings,
    added up over the examples.
    """
    edges = np.cumsum(sizes)[:-1]
    # Side by side, so that real products can be used.
    a = jnp.split(jnp.concatenate([left.real, left.imag], -1), edges, axis=-2)
    b = jnp.split(jnp.concatenate([right.real, -right.imag], -1), edges, axis=-2)
    coupling = tuple(
        _overlap(a[k], b[k + 1]) + _overlap(a[k + 1], b[k]).T
        for k in range(len(sizes) - 1)
    )
    return tuple(jnp.sum(u * v, -1) for u, v in zip(a, b)), coupling


def _overlap(a, b):
    """The sum of products over examples and probes, between two groups of modes."""
    a, b = (z.reshape(-1, *z.shape[-2:]) for z in (a, b))
    return jnp.einsum("bjq,blq->jl", a, b)


def _driven(first, coupling, source):
    """What the first group's own source does to the second, and to itself."""
    if source is None:
        return None, None
    own = first[..., None] * source
    return _times(coupling.T, own), own


def _dressed(first, coupling):
    r"""$J^\top\operatorname{diag}(g)\,J$ of each example, by one product."""
    n = coupling.shape[1]
    pairs = (coupling[:, :, None] * coupling[:, None, :]).reshape(-1, n * n)
    parts = jnp.concatenate([first.real, first.imag]) @ pairs
    return lax.complex(*jnp.split(parts, 2)).reshape(-1, n, n)


def _solved(matrix, coupling, pending):
    """What answers the next group, and what the sources so far do, in one solve."""
    sides = _repeated(coupling.astype(matrix.dtype), len(matrix))
    if pending is None:
        return jnp.linalg.solve(matrix, sides), None
    both = jnp.linalg.solve(matrix, jnp.concatenate([sides, pending], -1))
    return both[..., : coupling.shape[1]], both[..., coupling.shape[1] :]


def _sum(*terms):
    """Of those that are not zero."""
    given = [term for term in terms if term is not None]
    return sum(given[1:], start=given[0]) if given else None


def _times(real, z):
    """A real matrix times complex ones: half the work of a complex product."""
    return lax.complex(*(jnp.einsum("ij,bjp->bip", real, u) for u in (z.real, z.imag)))


def _repeated(matrix, count):
    return jnp.broadcast_to(matrix, (count, *matrix.shape))
