"""Modes of a graded-index fiber, and light that is coupled into them and out."""

import math
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Complex, Float, Inexact, Int, PRNGKeyArray

from .._layer import AbstractLayer, Facts
from ._sampling import Pitch, pitches


class GradedIndexModes(eqx.Module):
    r"""Hermite-Gauss modes of the parabolic index $n^2 = n_0^2 (1 - g^2 r^2)$.

    With $k = 2\pi n_0/\lambda$ they are eigenfunctions of
    $\nabla_\perp^2/2k - kg^2r^2/2$ with the eigenvalues $-g\,(m_x + m_y + 1)$: the
    propagation constants, from $k$ on, of equidistant groups. So a field repeats itself
    every $2\pi/g$, and is upside down halfway.

    **Valid for:** weak guidance ($g^2 r^2 \ll 1$), one polarization, and groups far
    below the cladding's cut.
    **Source:** Ghatak and Thyagarajan, *Introduction to Fiber Optics* (1998),
    doi:10.1017/CBO9781139174770.
    """

    groups: int = eqx.field(static=True)
    wavelength: float = eqx.field(static=True)  # m
    index: float = eqx.field(static=True)
    gradient: float = eqx.field(static=True)  # 1/m

    def __init__(
        self,
        groups: int,
        *,
        wavelength: float = 1.03e-6,  # m
        index: float = 1.45,
        radius: float = 25e-6,  # m
        contrast: float = 0.01,
    ):
        r"""All modes of the lowest `groups`, of which group $j$ has $j$ modes.

        **Arguments:** `radius` $a$ and `contrast` $\Delta$ of the core make the
        gradient $g = \sqrt{2\Delta}/a$.
        **Raises:** `ValueError` for what is not positive, or more groups than the core
        guides: $\beta$ would be below that of the cladding.
        """
        if groups < 1 or min(wavelength, index, radius, contrast) <= 0:
            raise ValueError(
                f"groups={groups}, wavelength={wavelength} m, index={index}, "
                f"radius={radius} m and contrast={contrast} must all be positive."
            )
        self.groups = groups
        self.wavelength = wavelength
        self.index = index
        self.gradient = math.sqrt(2 * contrast) / radius
        guided = int(contrast * self.wavenumber / self.gradient)
        if groups > guided:
            raise ValueError(
                f"This core guides {guided} groups of modes, not {groups}: take fewer, "
                "or a larger `radius` or `contrast`."
            )

    @property
    def wavenumber(self) -> float:
        """$k$ in the glass (rad/m)."""
        return self.index * self.vacuum_wavenumber

    @property
    def vacuum_wavenumber(self) -> float:
        """$k_0$ (rad/m)."""
        return 2 * math.pi / self.wavelength

    @property
    def waist(self) -> float:
        r"""$w = \sqrt{2/kg}$ (m): the fundamental mode is $e^{-r^2/w^2}$."""
        return math.sqrt(2 / (self.wavenumber * self.gradient))

    @property
    def orders(self) -> Int[np.ndarray, "modes 2"]:
        """$m_x, m_y$ of each mode, group by group."""
        return np.asarray(
            [
                (total - my, my)
                for total in range(self.groups)
                for my in range(total + 1)
            ]
        )

    @property
    def constants(self) -> Float[np.ndarray, " modes"]:
        r"""Propagation constants against that of the fundamental mode (rad/m)."""
        return -self.gradient * self.orders.sum(1).astype(float)

    def profiles(
        self, position: Float[np.ndarray, " points"]
    ) -> Float[np.ndarray, "groups points"]:
        r"""Of each order along one axis at `position` (m), with $\int\psi^2 dx = 1$.

        Their products in x and y are the modes (1/m).
        """
        x = math.sqrt(2) * position / self.waist
        rows = [np.exp(-(x**2) / 2) * (2 / math.pi) ** 0.25 / math.sqrt(self.waist)]
        for n in range(1, self.groups):
            before = rows[-2] if n > 1 else 0
            rows.append(
                math.sqrt(2 / n) * x * rows[-1] - math.sqrt((n - 1) / n) * before
            )
        return np.stack(rows)

    def quadrature(self) -> tuple[Float[np.ndarray, "modes nodes"], np.ndarray]:
        """Modes at points of the plane (1/m), and weights (m²) of these.

        Integrals of four modes are exact with them, to rounding.
        """
        nodes, weights = np.polynomial.hermite.hermgauss(2 * self.groups - 1)
        # Four modes are a polynomial times e^{-4 x^2 / w^2}.
        along = self.profiles(nodes * self.waist / 2)
        weights = weights * np.exp(nodes**2) * self.waist / 2
        mx, my = self.orders.T
        modes = along[my][:, :, None] * along[mx][:, None, :]
        return modes.reshape(len(mx), -1), np.outer(weights, weights).reshape(-1)


class ModeProjector(AbstractLayer):
    r"""A field at the fiber's input face to the amplitudes of its modes.

    $a_p = \int \psi_p E\,d^2r$: light that fits no mode is lost.
    """

    modes: GradedIndexModes
    shape: tuple[int, int] = eqx.field(static=True)
    pitch: Pitch = eqx.field(static=True)  # m
    facts = Facts(linear=True)

    def __init__(self, modes: GradedIndexModes, shape: tuple[int, int], pitch: Pitch):
        """Of fields of `shape` pixels of size `pitch` (m), centered on the core.

        **Raises:** `ValueError` where the pixels do not resolve the modes.
        """
        _check_grid(modes, shape, pitch)
        self.modes = modes
        self.shape = shape
        self.pitch = pitch

    def __call__(
        self,
        x: Complex[Array, "*batch ny nx"],  # √W a pixel
        *,
        key: PRNGKeyArray | None = None,
    ) -> Complex[Array, "*batch modes"]:  # √W
        if x.shape[-2:] != self.shape:
            raise ValueError(
                f"The fields at the fiber have {self.shape} pixels, but the shape of "
                f"`x` is {x.shape}."
            )
        rows, columns = _sampled(self.modes, self.shape, self.pitch, x.dtype)
        strips = _einsum("...yx,mx->...ym", x, columns)
        both = _einsum("...ym,ny->...nm", strips, rows)
        mx, my = self.modes.orders.T
        return both[..., my, mx]


class ModeImager(AbstractLayer):
    """The amplitudes of modes to the field at the fiber's output face."""

    modes: GradedIndexModes
    shape: tuple[int, int] = eqx.field(static=True)
    pitch: Pitch = eqx.field(static=True)  # m
    facts = Facts(linear=True)

    def __init__(self, modes: GradedIndexModes, shape: tuple[int, int], pitch: Pitch):
        """To fields of `shape` pixels of size `pitch` (m), centered on the core.

        **Raises:** `ValueError` where the pixels do not resolve the modes.
        """
        _check_grid(modes, shape, pitch)
        self.modes = modes
        self.shape = shape
        self.pitch = pitch

    def __call__(
        self,
        x: Complex[Array, "*batch modes"],  # √W
        *,
        key: PRNGKeyArray | None = None,
    ) -> Complex[Array, "*batch ny nx"]:  # √W a pixel
        rows, columns = _sampled(self.modes, self.shape, self.pitch, x.dtype)
        mx, my = self.modes.orders.T
        if x.shape[-1] != len(mx):
            raise ValueError(
                f"The fiber has {len(mx)} modes, but the shape of `x` is {x.shape}."
            )
        square = (*x.shape[:-1], self.modes.groups, self.modes.groups)
        both = jnp.zeros(square, x.dtype).at[..., my, mx].set(x)
        strips = _einsum("...nm,mx->...nx", both, columns)
        return _einsum("...nx,ny->...yx", strips, rows)


def _sampled(modes, shape, pitch, dtype):
    """Profiles times the root of the pixel's size, along y and along x."""
    return tuple(
        jnp.asarray(
            modes.profiles((np.arange(n) - (n - 1) / 2) * d) * math.sqrt(d), dtype
        )
        for n, d in zip(shape, pitches(pitch))
    )


def _einsum(formula: str, *operands: Inexact[Array, "..."]) -> Any:
    return jnp.einsum(formula, *operands, precision=lax.Precision.HIGHEST)


def _check_grid(modes: GradedIndexModes, shape: tuple[int, int], pitch: Pitch) -> None:
    for n, d in zip(shape, pitches(pitch)):
        along = modes.profiles((np.arange(n) - (n - 1) / 2) * d)
        wrong = np.abs(along @ along.T * d - np.eye(modes.groups)).max()
        if wrong > 0.01:
            reach = modes.waist * math.sqrt(modes.groups)
            raise ValueError(
                f"{n} pixels of {d:.3g} m do not resolve the modes, which are "
                f"{2 * reach:.3g} m wide and have a waist of {modes.waist:.3g} m: "
                f"take a `pitch` of {modes.waist / math.sqrt(modes.groups):.3g} m or "
                f"less, and pixels enough for {4 * reach:.3g} m."
            )
