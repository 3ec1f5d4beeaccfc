"""A plate that waves travel through, whose local wave speed is trained."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .._frozen import Frozen
from .._layer import AbstractBoundedLayer, Facts
from ._wave_equation import (
    Cell,
    SaturableDamping,
    WaveRun,
    absorbing_profile,
    check_cells,
    check_sampling,
    check_step,
    run_waves,
)
from ._wave_leapfrog import Grid

Rectangle = tuple[int, int, int, int]
"""Cells `(y, y_end, x, x_end)`; the ends are outside."""


def projected_density(
    density: Float[Array, "ny nx"],
    *,
    blur: int,  # cells
    sharpness: float,
    threshold: float,
) -> Float[Array, "ny nx"]:
    r"""From any gray to nearly black and white, in features that can be made.

    The density is averaged over squares of $2r + 1$ cells, where $r$ is `blur`, with
    nothing beyond the edge; then $\frac{\tanh\beta\eta + \tanh\beta(\rho - \eta)}
    {\tanh\beta\eta + \tanh\beta(1 - \eta)}$, with $\beta$ the `sharpness` and $\eta$
    the `threshold`. From 0 to 1, whatever the density is.

    **Source:** Hughes *et al.*, *Science Advances* 5, eaay6946 (2019), supplementary
    materials; Wang, Lazarov, Sigmund, *Struct. Multidisc. Optim.* 43, 767 (2011),
    doi:10.1007/s00158-010-0602-y.
    """
    for axis in range(2 if blur else 0):
        n = density.shape[axis]
        margins = [(0, 0), (0, 0)]
        margins[axis] = (blur, blur)
        wide = jnp.pad(density, margins)
        parts = [
            jax.lax.slice_in_dim(wide, i, i + n, axis=axis) for i in range(2 * blur + 1)
        ]
        density = jnp.sum(jnp.stack(parts), axis=0) / (2 * blur + 1)
    low = np.tanh(sharpness * threshold).item()
    high = np.tanh(sharpness * (1 - threshold)).item()
    gray = jnp.clip(density, 0, 1)
    return (low + jnp.tanh(sharpness * (gray - threshold))) / (low + high)


class WaveEquation2D(AbstractBoundedLayer):
    r"""Sources, a plate of two materials, and probes that collect what arrives.

    The output is $\int |u|^2\,dt$ at each probe, by `wave_equation` from rest. Trained
    is a density between 0 and 1 in a rectangle of the plate: blurred and projected, it
    says where the second material is, and only that has saturable damping and a Kerr
    effect. All else is the first material. Speeds stay between those of the two, so a
    stable layer stays stable.

    **Source:** Hughes, Williamson, Minkov, Fan, *Science Advances* 5, eaay6946 (2019),
    doi:10.1126/sciadv.aay6946.
    """

    density: Float[Array, "dy dx"]
    damping: Frozen[Float[Array, "ny nx"]]
    design: Rectangle = eqx.field(static=True)
    sources: tuple[Cell, ...] = eqx.field(static=True)
    probes: tuple[Cell, ...] = eqx.field(static=True)
    speeds: tuple[float, float] = eqx.field(static=True)
    pitch: float = eqx.field(static=True)
    step: float = eqx.field(static=True)
    blur: int = eqx.field(static=True)
    sharpness: float = eqx.field(static=True)
    threshold: float = eqx.field(static=True)
    saturable: tuple[float, float] | None = eqx.field(static=True)
    kerr: float | None = eqx.field(static=True)
    normalized: bool = eqx.field(static=True)
    facts = Facts()

    def __init__(
        self,
        shape: tuple[int, int],
        *,
        pitch: float,  # m
        step: float,  # s
        speeds: tuple[float, float],  # m/s
        sources: tuple[Cell, ...],
        probes: tuple[Cell, ...],
        highest_frequency: float | None = None,  # Hz
        design: Rectangle | None = None,
        density: float | Float[Array, "dy dx"] = 0.5,
        damping: Float[np.ndarray, "ny nx"] | None = None,  # 1/s
        blur: int = 1,  # cells
        sharpness: float = 100.0,
        threshold: float = 0.5,
        saturable: tuple[float, float] | None = None,  # 1/s, unit of the field
        kerr: float | None = None,  # m/s per squared unit of the field
        normalized: bool = False,
    ):
        r"""A plate of `shape` cells.

        **Arguments:**

        - `speeds`: of the first material and of the second.
        - `highest_frequency`: of the input; with it, the pitch is checked.
        - `design`: where the density is trained; all that does not damp, unless given.
        - `density`: to begin with, one for all cells or one for each.
        - `damping`: of the plate itself, `absorbing_profile(shape, 20, 3 * c / pitch)`
            unless given, with $c$ the first speed.
        - `blur`, `sharpness`, `threshold`: see `projected_density`.
        - `saturable`: $b_0$ and $u_\text{th}$ of `SaturableDamping`, in the second
            material. `kerr`: by how much its speed changes with $u^2$.
        - `normalized`: the outputs are shares, of sum 1.

        **Raises:** `ValueError` naming the largest stable step, a pitch that is fine
        enough, or the source or probe that is in the absorber; `UnderSampledWarning`.
        """
        if damping is None:
            strength = 3 * speeds[0] / pitch
            damping = absorbing_profile(shape, min(20, (min(shape) - 1) // 2), strength)
        where = _quiet(damping) if design is None else design
        check_step(min(speeds) if min(speeds) <= 0 else max(speeds), pitch, step)
        if highest_frequency is not None:
            check_sampling(highest_frequency, min(speeds), pitch)
        _check_plate(shape, damping, where, sources, probes)
        _check_material(blur, sharpness, threshold, saturable)
        size = (where[1] - where[0], where[3] - where[2])
        is_array = isinstance(density, jax.Array)
        gray = density if is_array else density * jnp.ones(size)
        if gray.shape != size:
            raise ValueError(
                f"`density` has shape {gray.shape}, but the design is {size} cells."
            )
        self.density = gray
        self.damping = Frozen(jnp.asarray(damping))
        self.design, self.sources, self.probes = where, sources, probes
        self.speeds, self.pitch, self.step = speeds, pitch, step
        self.blur, self.sharpness, self.threshold = blur, sharpness, threshold
        self.saturable, self.kerr = saturable, kerr
        self.normalized = normalized

    def __call__(
        self,
        x: Float[Array, "*batch"],  # unit of the field/s²
        *,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "*outputs"]:  # squared unit of the field times s, or 1
        r"""`x` is `"*batch time"` with one source, `"*batch time sources"` with more.

        **Returns:** `"*batch probes"`.
        """
        seen = self.run(x).probes
        energy = self.step * jnp.sum(jnp.square(seen), axis=-2)
        if not self.normalized:
            return energy
        total = jnp.sum(energy, axis=-1, keepdims=True)
        heard = total > 0
        shares = energy / jnp.where(heard, total, 1)
        return jnp.where(heard, shares, 1 / energy.shape[-1])

    def run(
        self,
        x: Float[Array, "*batch"],  # unit of the field/s²
        start: Any = None,
    ) -> WaveRun:
        """The whole run; `start` as in `wave_equation`."""
        if x.ndim == 0 or x.shape[-1] == 0:
            raise ValueError(f"`x` has no time: its shape is {x.shape}.")
        drive = x[..., None] if len(self.sources) == 1 else x
        if drive.shape[-1] != len(self.sources) or drive.ndim < 2:
            raise ValueError(
                f"{len(self.sources)} sources need as many series, on the last axis of "
                f"`x` behind time; its shape is {x.shape}."
            )
        material = self.material().astype(x.dtype)
        saturable = None
        if self.saturable is not None:
            rate, level = self.saturable
            saturable = SaturableDamping(rate * material, level)
        return run_waves(
            drive,
            self._speed(material),
            Grid(self._shape, self.sources, self.probes),
            self.pitch,
            self.step,
            self.damping.value,
            saturable,
            None if self.kerr is None else self.kerr * material,
            start,
        )

    def material(self) -> Float[Array, "ny nx"]:
        """How much of the second material is where, from 0 to 1."""
        (ny, nx), (y, y_end, x, x_end) = self._shape, self.design
        plate = jnp.pad(self.density, ((y, ny - y_end), (x, nx - x_end)))
        return projected_density(
            plate,
            blur=self.blur,
            sharpness=self.sharpness,
            threshold=self.threshold,
        )

    def speed(self) -> Float[Array, "ny nx"]:  # m/s
        """Of weak waves."""
        return self._speed(self.material())

    def project(self) -> "WaveEquation2D":
        """The density, from 0 to 1."""
        return eqx.tree_at(
            lambda plate: plate.density, self, jnp.clip(self.density, 0, 1)
        )

    @property
    def _shape(self):
        ny, nx = self.damping.value.shape
        return (ny, nx)

    def _speed(self, material):
        return self.speeds[0] + (self.speeds[1] - self.speeds[0]) * material


def _quiet(damping: np.ndarray) -> Rectangle:
    """The rectangle around all that does not damp."""
    rows, columns = (np.flatnonzero((damping == 0).any(axis)) for axis in (1, 0))
    if len(rows) == 0:
        raise ValueError("The plate damps everywhere: there is no room for a design.")
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def _check_plate(shape, damping, design, sources, probes):
    if damping.shape != shape or not (damping >= 0).all():
        raise ValueError(
            f"`damping` must be of the shape {shape} and nowhere negative; its shape "
            f"is {damping.shape}, its least value {damping.min()}."
        )
    y, y_end, x, x_end = design
    if not (0 <= y < y_end <= shape[0] and 0 <= x < x_end <= shape[1]):
        raise ValueError(f"The design {design} is no rectangle of a grid of {shape}.")
    for what, cells in (("source", sources), ("probe", probes)):
        if len(cells) == 0:
            raise ValueError(f"Give the plate at least one {what}.")
        for cell in cells:
            _check_cell(shape, damping, what, cell)


def _check_cell(shape, damping, what, cell):
    check_cells(shape, (cell,), what)
    if damping[cell] > 0:
        y, y_end, x, x_end = _quiet(damping)
        raise ValueError(
            f"The {what} at {cell} is in the absorber: rows {y} to {y_end - 1} and "
            f"columns {x} to {x_end - 1} are outside of it."
        )


def _check_material(blur, sharpness, threshold, saturable):
    if blur < 0:
        raise ValueError(f"`blur` can't be negative, but is {blur} cells.")
    if not (sharpness > 0 and 0 <= threshold <= 1):
        raise ValueError(
            f"`sharpness` must be > 0 and `threshold` from 0 to 1, not {sharpness} "
            f"and {threshold}."
        )
    if saturable is not None and not (saturable[0] >= 0 and saturable[1] > 0):
        raise ValueError(
            "`saturable` is a rate that is not negative and a level above 0, not "
            f"{saturable}."
        )
