"""Waves among point dipoles of tunable resonance: a programmable cavity."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Complex, Float, Inexact, PRNGKeyArray

from .._frozen import Frozen
from .._layer import AbstractLayer, Facts

RADIATION = 0.25
r"""$\operatorname{Im} G(0)$ in two dimensions: what a dipole loses by radiating."""

NEAREST = 0.01
"""The least distance of two points, in wavelengths."""

Positions = Float[np.ndarray, "_ 2"]


class Walls(NamedTuple):
    """Dipoles that are never tuned."""

    positions: Positions  # m
    detuning: float


class Paths(NamedTuple):
    """The field at a point (row) of a unit source at another (column)."""

    among: Complex[Any, "dipoles dipoles"]
    """Between dipoles, and from each back to itself by way of the walls."""
    lit: Complex[Any, "dipoles transmitters"]
    seen: Complex[Any, "receivers dipoles"]
    direct: Complex[Any, "receivers transmitters"]


def green_function(
    at: Positions,  # m
    source: Positions,  # m
    wavelength: float,  # m
) -> Complex[np.ndarray, "points sources"]:
    r"""$\tfrac{i}{4} H_0^{(1)}(kr)$: $(\nabla^2 + k^2)\,G = -\delta$, outgoing.

    **Raises:** `ValueError` where two points are less than a hundredth of a wavelength
    apart.
    """
    from scipy.special import hankel1

    distance = np.linalg.norm(at[:, None] - source[None], axis=-1)
    if distance.size and distance.min() < NEAREST * wavelength:
        i, j = np.unravel_index(distance.argmin(), distance.shape)
        raise ValueError(
            f"points {at[i]} and {source[j]} m are {distance.min():.3g} m apart: move "
            f"them to at least {NEAREST * wavelength:.3g} m from each other."
        )
    return 0.25j * hankel1(0, 2 * np.pi * distance / wavelength)


def inverse_polarizability(
    detuning: Float[Array, "..."], loss: float
) -> Complex[Array, "..."]:
    r"""$1/\alpha = \delta - i(\tfrac14 + \gamma)$, dimensionless.

    A dipole under the field $E$ has the moment $p = \alpha E$. The $\tfrac14$ is what
    it radiates, as energy conservation demands; $\gamma$ is what it absorbs. At
    $\delta = 0$ it is on resonance, and scatters most.
    """
    return lax.complex(detuning, jnp.full_like(detuning, -(RADIATION + loss)))


def moments(
    inverse: Complex[Array, "*batch dipoles"],
    among: Complex[Array, "dipoles dipoles"],
    field: Complex[Array, "dipoles sources"],
) -> Complex[Array, "*batch dipoles sources"]:
    r"""Of dipoles that light each other: $p_i/\alpha_i = E_i + \sum_j G_{ij}\,p_j$."""
    eye = jnp.eye(among.shape[-1], dtype=among.dtype)
    alone = inverse[..., None] * jnp.expand_dims(eye, range(inverse.ndim - 1))
    matrix = alone - jnp.expand_dims(among, range(inverse.ndim - 1))
    field = jnp.broadcast_to(field, (*inverse.shape[:-1], *field.shape))
    return jnp.linalg.solve(matrix, field)


class DipoleCavity(AbstractLayer):
    r"""Amplitudes of transmitters to fields at receivers, by way of tunable dipoles.

    $$y = \left[G_{rt} + G_{rd} \left(\alpha^{-1} - G_{dd}\right)^{-1} G_{dt}\right] x$$

    in the plane, for a scalar wave: all multiple scattering is in it. The dipoles'
    detunings are trained; whatever they are, none creates energy. What the walls do, as
    `fence` makes them, is found once, when the layer is made. Antennas do not scatter.
    Fields have the unit of the transmitters' amplitudes.

    **Valid for:** elements far smaller than the wavelength, weakly coupled antennas.
    **Source:** Foldy, *Phys. Rev.* 67, 107 (1945), doi:10.1103/PhysRev.67.107; as a
    model of programmable cavities, Faqiri et al. (2022), arXiv:2202.02673.
    """

    detuning: Float[Array, " dipoles"]  # dimensionless, 1/4 is half a linewidth
    paths: Frozen[Paths]
    loss: float
    facts = Facts(linear=True, reciprocal=True)

    def __init__(
        self,
        detuning: Float[Array, " dipoles"],
        dipoles: Positions,  # m
        transmitters: Positions,  # m
        receivers: Positions,  # m
        *,
        wavelength: float,  # m
        walls: Walls | None = None,
        loss: float = 0.0,  # of 1/alpha, dimensionless
    ):
        """**Raises:** `ValueError` for a negative loss, points in one place, or
        detunings that are not one to a dipole.
        """
        if loss < 0:
            raise ValueError(f"`loss` must not be negative, but is {loss}.")
        if wavelength <= 0:
            raise ValueError(f"`wavelength` must be positive, not {wavelength} m.")
        if detuning.shape != (len(dipoles),):
            raise ValueError(
                f"{len(dipoles)} dipoles need as many detunings; `detuning` has shape "
                f"{detuning.shape}."
            )
        groups = dipoles, transmitters, receivers
        walls = Walls(np.zeros((0, 2)), 0.0) if walls is None else walls
        self.detuning = detuning
        self.paths = Frozen(_paths(*groups, walls, wavelength))
        self.loss = loss

    def __call__(
        self,
        x: Inexact[Array, "*batch transmitters"],
        *,
        key: PRNGKeyArray | None = None,
    ) -> Complex[Array, "*batch receivers"]:
        field = x if jnp.iscomplexobj(x) else lax.complex(x, jnp.zeros_like(x))
        matrix = self.transfer(self.detuning).astype(field.dtype)
        return jnp.matmul(field, matrix.T, precision=lax.Precision.HIGHEST)

    def transfer(
        self, detuning: Float[Array, "*batch dipoles"]
    ) -> Complex[Array, "*batch receivers transmitters"]:
        """The matrix from transmitters to receivers at these detunings."""
        inverse = inverse_polarizability(detuning, self.loss)
        paths = [path.astype(inverse.dtype) for path in self.paths.value]
        among, lit, seen, direct = paths
        p = moments(inverse, among, lit)
        scattered = jnp.einsum("rd,...dt->...rt", seen, p, precision="highest")
        return scattered + jnp.expand_dims(direct, range(detuning.ndim - 1))


class StructuralCavity(AbstractLayer):
    r"""A cavity whose dipoles are set by the data: a nonlinear map of linear optics.

    The first dipoles get the detunings $\delta_j + g x_j$, the others keep theirs; the
    transmitters send the same light at all times. The fields are linear in that light,
    but through multiple scattering they mix all products of the data.

    **Source:** after Yildirim et al., *Nat. Photonics* (2024),
    doi:10.1038/s41566-024-01494-z.
    """

    cavity: DipoleCavity
    drive: Frozen[Complex[Array, " transmitters"]]
    gain: float
    facts = Facts()

    def __init__(
        self,
        cavity: DipoleCavity,
        drive: Complex[Array, " transmitters"],
        gain: float = 1.0,  # detuning to a unit of the data
    ):
        self.cavity = cavity
        self.drive = Frozen(drive)
        self.gain = gain

    def __call__(
        self,
        x: Float[Array, "*batch inputs"],
        *,
        key: PRNGKeyArray | None = None,
    ) -> Complex[Array, "*batch receivers"]:
        own = self.cavity.detuning.astype(x.dtype)
        if x.shape[-1] > len(own):
            raise ValueError(
                f"{x.shape[-1]} inputs need as many dipoles; there are {len(own)}."
            )
        ends = [(0, 0)] * (x.ndim - 1) + [(0, len(own) - x.shape[-1])]
        shift = self.gain * jnp.pad(x, ends)
        detuning = jnp.expand_dims(own, range(x.ndim - 1)) + shift
        matrix = self.cavity.transfer(detuning)
        drive = self.drive.value.astype(matrix.dtype)
        return jnp.matmul(matrix, drive, precision=lax.Precision.HIGHEST)


def fence(
    corners: Float[np.ndarray, "corners 2"],  # m
    spacing: float,  # m
    wavelength: float,  # m
) -> Walls:
    r"""Walls of a cavity: dipoles along a closed polygon, at most `spacing` apart.

    A row of dipoles reflects all light that falls straight on it where its detuning is
    what their neighbors' light adds, $\tfrac1{2\pi} \ln(e^\gamma ka / 4\pi)$ for a
    small distance $a$.

    **Raises:** `ValueError` for a spacing above a quarter of a wavelength, through
    which light would pass.
    """
    if not 0 < spacing <= wavelength / 4:
        raise ValueError(
            f"`spacing` is {spacing:.4g} m; walls need {wavelength / 4:.4g} m or less."
        )
    pieces = []
    for start, end in zip(corners, np.roll(corners, -1, 0), strict=True):
        count = max(1, int(np.ceil(np.linalg.norm(end - start) / spacing)))
        pieces.append(start + (end - start) * np.arange(count)[:, None] / count)
    argument = np.exp(np.euler_gamma) * spacing / (2 * wavelength)
    return Walls(np.concatenate(pieces), float(np.log(argument) / (2 * np.pi)))


def _paths(dipoles, transmitters, receivers, walls, wavelength):
    """Free paths, and those by way of the walls."""

    def free(at, source):
        return green_function(at, source, wavelength)

    def within(points):
        """Between different ones of them."""
        n = len(points)
        among = np.zeros((n, n), complex)
        for i in range(1, n):
            among[i, :i] = among[:i, i] = free(points[i : i + 1], points[:i])[0]
        return among

    fixed, detuning = walls
    inverse = (detuning - 1j * RADIATION) * np.eye(len(fixed))
    resonant = inverse - within(fixed)
    to_walls = [free(fixed, points) for points in (dipoles, transmitters)]
    answers = [np.linalg.solve(resonant, path) for path in to_walls]
    from_dipoles, from_transmitters = answers
    back, onward = to_walls[0].T, free(receivers, fixed)
    paths = Paths(
        within(dipoles) + back @ from_dipoles,
        free(dipoles, transmitters) + back @ from_transmitters,
        free(receivers, dipoles) + onward @ from_dipoles,
        free(receivers, transmitters) + onward @ from_transmitters,
    )
    return Paths(*(jnp.asarray(path, complex) for path in paths))
