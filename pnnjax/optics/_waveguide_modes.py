"""Gaussian modes side by side: where light is sent into a slab, or collected."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Inexact, PRNGKeyArray

from .._frozen import Frozen
from .._layer import AbstractLayer, Facts


def gaussian_modes(
    positions: np.ndarray,  # m, "modes", from the middle of the window
    waist: float,  # m
    samples: int,
    pitch: float,  # m
) -> Float[np.ndarray, "modes nx"]:
    r"""Fields $\propto e^{-(x - x_j)^2/w^2}$ of unit power, one a row.

    **Raises:** `ValueError` where a mode is narrower than two samples, or leaves the
    window.
    """
    if waist < 2 * pitch:
        raise ValueError(
            f"`waist` is {waist:.4g} m: a pitch of {pitch:.4g} m samples modes of "
            f"{2 * pitch:.4g} m or more. Use a pitch of {waist / 2:.4g} m, or less."
        )
    positions = np.asarray(positions, float)
    reach = float(np.abs(positions).max()) + 2 * waist
    needed = needed_for(2 * reach, pitch)
    if samples < needed:
        raise ValueError(
            f"modes reach to {reach:.4g} m from the middle, but the window ends at "
            f"{samples * pitch / 2:.4g} m: it needs {needed} samples or more."
        )
    x = (np.arange(samples) - (samples - 1) / 2) * pitch
    profiles = np.exp(-(((x - positions[:, None]) / waist) ** 2))
    return profiles / np.linalg.norm(profiles, axis=-1, keepdims=True)


def needed_for(
    width: float,  # m
    pitch: float,  # m
) -> int:
    """How many samples cover a width, but for rounding."""
    return int(np.ceil(width / pitch * (1 - 1e-12)))


class GaussianModes(AbstractLayer):
    r"""Amplitudes of modes to the field of all of them, $u = \sum_j a_j u_j(x)$.

    Modes that overlap are not orthogonal: the power of the field is then not
    $\sum_j |a_j|^2$. Nothing here is trained.
    """

    profiles: Frozen[Float[Array, "modes nx"]]
    facts = Facts(linear=True, reciprocal=True)

    def __init__(
        self,
        positions: np.ndarray,  # m
        waist: float,  # m
        samples: int,
        pitch: float,  # m
    ):
        profiles = gaussian_modes(positions, waist, samples, pitch)
        self.profiles = Frozen(jnp.asarray(profiles, float))

    def __call__(
        self,
        x: Inexact[Array, "*batch modes"],  # √W
        *,
        key: PRNGKeyArray | None = None,
    ) -> Complex[Array, "*batch nx"]:  # √W
        return _times(x, self.profiles.value)

    def collect(
        self,
        field: Complex[Array, "*batch nx"],  # √W
    ) -> Complex[Array, "*batch modes"]:  # √W
        """The amplitude of each mode in a field: its overlap with the mode."""
        return _times(field, self.profiles.value.T)


def _times(x, matrix):
    matrix = matrix.astype(x.real.dtype)

    def real(part):
        return jnp.matmul(part, matrix, precision=jax.lax.Precision.HIGHEST)

    imaginary = x.imag if jnp.iscomplexobj(x) else jnp.zeros_like(x)
    return jax.lax.complex(real(x.real), real(imaginary))
