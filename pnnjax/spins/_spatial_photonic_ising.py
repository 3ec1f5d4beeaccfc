"""Spatial photonic Ising machine: spins on a light modulator, energies on a camera."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ._ising import IsingProblem
from ._solver import AbstractIsingSolver, starting_spins

_PLANCK_TIMES_LIGHT = 6.62607015e-34 * 299792458  # J m, exact in the SI
_REFINEMENTS = 50


def mattis_brightness(
    amplitudes: Float[Array, "*#batch n"], spins: Float[Array, "*#batch n"]
) -> Float[Array, "*batch"]:
    r"""Brightness of the camera's center, $\big|\tfrac1n \sum_i \xi_i s_i\big|^2$.

    The modulator transmits the share $\xi_i$, within $\pm1$, of the field at pixel $i$,
    with the phase 0 or $\pi$ of the spin; a lens adds the fields up. It is 1 where all
    interfere constructively. This is the energy of a Mattis magnet, whose couplings are
    $J_{ij} = \xi_i \xi_j$, times $-2/n^2$.

    **Source:** Pierangeli, Marcucci & Conti, *Phys. Rev. Lett.* 122, 213902 (2019),
    doi:10.1103/PhysRevLett.122.213902.
    """
    return jnp.mean(amplitudes * spins, axis=-1) ** 2


class Camera(eqx.Module):
    r"""A pixel that counts photoelectrons, with shot noise and read noise.

    At the brightness $b$ it counts $N = b\,\eta P T\lambda/(hc)$ on average, with the
    variance $N + \sigma^2$.

    **Valid for:** Gaussian noise: $\sigma$ of a few electrons or more, or many photons.
    """

    power: float
    wavelength: float
    exposure: float
    read_noise: float
    efficiency: float

    def __init__(
        self,
        *,
        power: float,  # W
        wavelength: float,  # m
        exposure: float,  # s
        read_noise: float,  # electrons, root mean square
        efficiency: float,
        full_well: float,  # electrons
    ):
        r"""A pixel that receives `power` at the brightness 1.

        **Arguments:** `efficiency`: $\eta$, photoelectrons for each photon;
        `full_well`: how many it can hold.
        **Raises:** `ValueError` naming the number that can't be, or if the pixel would
        saturate.
        """
        for name, value in (
            ("power", power),
            ("wavelength", wavelength),
            ("exposure", exposure),
        ):
            if not value > 0:
                raise ValueError(f"`{name}` must be positive, not {value}.")
        if read_noise < 0:
            raise ValueError(f"`read_noise` can't be negative: {read_noise}.")
        if not 0 < efficiency <= 1:
            raise ValueError(f"`efficiency` is in (0, 1], not {efficiency}.")
        self.power = power
        self.wavelength = wavelength
        self.exposure = exposure
        self.read_noise = read_noise
        self.efficiency = efficiency
        if self.electrons > full_well:
            raise ValueError(
                f"The pixel holds {full_well:g} electrons, and {self.electrons:.3g} "
                "would come: expose it for less time, or to less power."
            )

    @property
    def electrons(self) -> float:
        """Counted on average at the brightness 1."""
        photons = self.power * self.exposure * (self.wavelength / _PLANCK_TIMES_LIGHT)
        return self.efficiency * photons

    def __call__(
        self, brightness: Float[Array, "..."], *, key: PRNGKeyArray
    ) -> Float[Array, "..."]:
        """The brightness as it is measured."""
        variance = self.electrons * brightness + self.read_noise**2
        noise = jax.random.normal(key, brightness.shape, brightness.dtype)
        return brightness + jnp.sqrt(variance) * noise / self.electrons


class MattisSum(eqx.Module):
    r"""An Ising problem as a weighted sum of Mattis magnets.

    $E = c - \tfrac12 \sum_k w_k |\sum_i \xi^k_i s_i|^2$ with amplitudes that the
    modulator can show, $|\xi| \le 1$. The first spin is one more, always +1: its
    couplings are the field.
    """

    weights: Float[Array, " rank"]
    amplitudes: Float[Array, "rank spins"]
    constant: Float[Array, ""]

    def energy(self, brightness: Float[Array, "*batch rank"]) -> Float[Array, "*batch"]:
        """Of the configuration that is so bright with each of the magnets."""
        square = self.amplitudes.shape[-1] ** 2
        return self.constant - square / 2 * (brightness @ self.weights)


def mattis_sum(problem: IsingProblem, rank: int | None = None) -> MattisSum:
    r"""A problem of $n$ spins, its field included, as `rank` Mattis magnets.

    They are the eigenvectors of the greatest $|\lambda|$ of $J + D$. The diagonal $D$
    is the same energy for all configurations, and is chosen so that few suffice: it
    becomes that of its own best approximation, over and over. All $n + 1$ eigenvectors
    of $J$ itself are taken if no rank is given.

    **Raises:** `ValueError` for a rank below one or above $n + 1$.
    **Error:** for a rank that is too low, at most $\tfrac12(n + 1)$ times the greatest
    $|\lambda|$ left out.
    """
    size = problem.size + 1
    if rank is not None and not 1 <= rank <= size:
        raise ValueError(f"The rank is in 1 to {size}, not {rank}.")
    field = problem.field[None]
    corner = jnp.zeros_like(field[:, :1])
    top = jnp.concatenate([corner, field], axis=1)
    below = jnp.concatenate([field.T, problem.couplings.matrix()], axis=1)
    matrix = jnp.concatenate([top, below])
    diagonal = jnp.zeros_like(matrix[0])
    if rank is not None:

        def refine(_: Array, diagonal: Array) -> Array:
            values, vectors = _largest(matrix + jnp.diag(diagonal), rank)
            return vectors**2 @ values

        diagonal = jax.lax.fori_loop(0, _REFINEMENTS, refine, diagonal)
    values, vectors = _largest(matrix + jnp.diag(diagonal), rank or size)
    peaks = jnp.max(jnp.abs(vectors), axis=0)
    constant = jnp.sum(diagonal) / 2
    return MattisSum(values * peaks**2, (vectors / peaks[None]).T, constant)


class SpatialPhotonicIsing(AbstractIsingSolver):
    r"""Flip a spin on the modulator, look at the camera, keep it or take it back.

    The problem is shown as its Mattis magnets one after the other, or side by side:
    as many intensities are measured for each flip as the problem's rank. A flip is
    kept by Metropolis' rule on the *measured* energies; noise acts as a temperature.

    **Error:** the energy of a configuration has the standard deviation
    $\tfrac12 (n+1)^2\sqrt{\sum_k w_k^2 \sigma_k^2}$, where $\sigma_k$ is that of the
    $k$-th brightness.
    **Source:** Pierangeli, Marcucci & Conti, *Phys. Rev. Lett.* 122, 213902 (2019),
    doi:10.1103/PhysRevLett.122.213902; with noise: Pierangeli, Marcucci, Brunner &
    Conti, *Nanophotonics* 9, 4109 (2020), doi:10.1515/nanoph-2020-0119.
    """

    first: float
    last: float
    sweeps: int = eqx.field(static=True)
    camera: Camera | None
    rank: int | None = eqx.field(static=True)

    def __init__(
        self,
        first: float,
        last: float,
        sweeps: int,
        *,
        camera: Camera | None = None,
        rank: int | None = None,
    ):
        r"""Try every spin `sweeps` times.

        **Arguments:** `first`, `last`: the inverse temperature $\beta$ in units of
        1/energy, which rises evenly; `camera`: none is one without noise; `rank`: of
        `mattis_sum`.
        **Raises:** `ValueError` for a negative temperature or less than one sweep.
        """
        if min(first, last) < 0:
            raise ValueError(f"Inverse temperatures can't be < 0: {first}, {last}.")
        if sweeps < 1:
            raise ValueError(f"Each spin is tried at least once, not {sweeps} times.")
        self.first = first
        self.last = last
        self.sweeps = sweeps
        self.camera = camera
        self.rank = rank

    def intensities(self, problem: IsingProblem) -> int:
        """How many are measured in a run: the rank for each flip, and for the start."""
        rank = problem.size + 1 if self.rank is None else self.rank
        return rank * (1 + self.sweeps * problem.size)

    def __call__(
        self,
        problem: IsingProblem,
        *,
        key: PRNGKeyArray,
        replicas: int = 1,
        start: Float[Array, "replicas n"] | None = None,
    ) -> Float[Array, "replicas n"]:
        start_key, look_key, key = jax.random.split(key, 3)
        spins = starting_spins(problem, replicas, start, start_key)
        magnets = mattis_sum(problem, self.rank)
        shown = jnp.concatenate([jnp.ones_like(spins[:, :1]), spins], axis=1)
        energy = self._look(magnets, shown @ magnets.amplitudes.T, look_key)

        def sweep(state: tuple[Array, Array], now: tuple[Array, Array]):
            return self._sweep(magnets, *state, *now), None

        betas = jnp.linspace(self.first, self.last, self.sweeps, dtype=spins.dtype)
        keys = jax.random.split(key, self.sweeps)
        (shown, _), _ = jax.lax.scan(sweep, (shown, energy), (betas, keys))
        return shown[:, 1:]

    def _look(
        self, magnets: MattisSum, sums: Float[Array, "replicas rank"], key: PRNGKeyArray
    ) -> Float[Array, " replicas"]:
        """The energy as it is measured, from what the lens adds up."""
        brightness = (sums / magnets.amplitudes.shape[-1]) ** 2
        if self.camera is not None:
            brightness = self.camera(brightness, key=key)
        return magnets.energy(brightness)

    def _sweep(
        self, magnets: MattisSum, shown: Array, energy: Array, beta: Array, key: Array
    ) -> tuple[Array, Array]:
        """Each spin is tried once, in turn."""

        def attempt(state, now):
            shown, sums, energy = state
            which, key = now
            look_key, draw_key = jax.random.split(key)
            old = shown[:, which]
            flipped = sums - 2 * old[:, None] * magnets.amplitudes[:, which][None]
            after = self._look(magnets, flipped, look_key)
            draw = jax.random.exponential(draw_key, after.shape, after.dtype)
            kept = beta * (after - energy) <= draw
            state = (
                shown.at[:, which].set(jnp.where(kept, -old, old)),
                jnp.where(kept[:, None], flipped, sums),
                jnp.where(kept, after, energy),
            )
            return state, None

        n = shown.shape[1]
        turns = jnp.arange(1, n), jax.random.split(key, n - 1)
        # Added up anew in each sweep, lest rounding errors grow.
        state = shown, shown @ magnets.amplitudes.T, energy
        (shown, _, energy), _ = jax.lax.scan(attempt, state, turns)
        return shown, energy


def _largest(matrix: Array, rank: int) -> tuple[Array, Array]:
    """Eigenvalues of the greatest magnitude, and their eigenvectors as columns."""
    values, vectors = jnp.linalg.eigh(matrix)
    kept = jnp.argsort(-jnp.abs(values))[:rank]
    return values[kept], vectors[:, kept]
