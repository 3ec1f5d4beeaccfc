"""The scalar wave equation in the plane: sound, membranes, polarized light."""

import math
import sys
import warnings
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from ._wave_leapfrog import Grid, leapfrog

Cell = tuple[int, int]
"""Row and column."""
CELLS_PER_WAVELENGTH = 10
"""With which the phase velocity on the grid is off by less than 2 %."""


class UnderSampledWarning(UserWarning):
    """The grid is coarse for the shortest waves: they travel too slowly on it."""


class SaturableDamping(NamedTuple):
    r"""Loss $b_0/(1 + |u/u_\text{th}|^2)$, which strong waves wear off."""

    rate: Float[Array, "ny nx"]  # 1/s
    threshold: float  # unit of the field


class WaveRun(NamedTuple):
    """What is left of a run."""

    probes: Float[Array, "*batch time probes"]
    """The field at the probes, after each step."""
    field: Float[Array, "*batch ny nx"]
    """At the end."""
    previous: Float[Array, "*batch ny nx"]
    """One step before. Swapped with `field`, the waves run backwards."""


def wave_equation(
    drive: Float[Array, "*batch time sources"],  # unit of the field/s²
    speed: Float[Array, "ny nx"],  # m/s
    *,
    pitch: float,  # m
    step: float,  # s
    sources: tuple[Cell, ...],
    probes: tuple[Cell, ...],
    damping: Float[Array, "ny nx"] | None = None,  # 1/s
    saturable: SaturableDamping | None = None,
    kerr: Float[Array, "ny nx"] | None = None,  # m/s per squared unit of the field
    start: tuple[Float[Array, "*batch ny nx"], Float[Array, "*batch ny nx"]]
    | None = None,
) -> WaveRun:
    r"""$\ddot u + 2b\,\dot u = c^2\nabla^2 u + s$ in a box whose walls hold $u = 0$.

    The walls are one `pitch` beyond the outermost cells. $c$ is `speed + kerr * u**2`,
    and $b$ is `damping` plus what is `saturable`. The field $u$ may have any unit.

    **Arguments:**

    - `drive`: $s$ at the `sources`, at each time.
    - `start`: the field, and that of one step before; zero, unless given. Those that a
        run ends with continue it.

    **Raises:** `ValueError`, or an error at run time where `speed` is traced, if the
    step is not stable, naming the largest that is; `ValueError` for cells that are not
    on the grid.
    **Valid for:** waves of ten cells and more; see `grid_frequency` for shorter ones.
    **Error:** second order in `pitch` and `step`. Without damping and drive,
    `wave_energy` is kept to rounding. The derivative, in reverse mode, is that of these
    steps, and needs the memory of $O(\sqrt{T})$ fields.
    **Source:** Hughes, Williamson, Minkov, Fan, *Science Advances* 5, eaay6946 (2019),
    doi:10.1126/sciadv.aay6946, equations 4 to 7.
    """
    shape = (speed.shape[0], speed.shape[1])
    grid = Grid(shape, sources, probes)
    check_cells(shape, sources, "source")
    check_cells(shape, probes, "probe")
    if drive.shape[-1] != len(sources):
        raise ValueError(
            f"There are {len(sources)} sources, but `drive`, of shape {drive.shape}, "
            f"has {drive.shape[-1]} series on its last axis."
        )
    if drive.shape[-2] < 1:
        raise ValueError("`drive` has no time: its second last axis is empty.")
    speed = _checked_speed(speed, pitch, step)
    return run_waves(drive, speed, grid, pitch, step, damping, saturable, kerr, start)


def run_waves(
    drive: Float[Array, "*batch time sources"],
    speed: Float[Array, "ny nx"],
    grid: Grid,
    pitch: float,
    step: float,
    damping: Any,
    saturable: SaturableDamping | None,
    kerr: Any,
    start: Any,
) -> WaveRun:
    """`wave_equation`, where the arguments are known to be right."""
    batch, dtype = drive.shape[:-2], drive.dtype
    count = math.prod(batch)
    if start is None:
        start = (jnp.zeros((*batch, *grid.shape), dtype),) * 2
    rows = [grid.flat(u.reshape(count, *grid.shape).astype(dtype)) for u in start]
    speed = speed.astype(dtype)
    nothing = jnp.zeros(grid.shape, dtype)
    damping = nothing if damping is None else damping.astype(dtype)
    courant = step / pitch
    if saturable is None and kerr is None:
        coefficients = (
            2 / (1 + step * damping),
            (step * damping - 1) / (1 + step * damping),
            (courant * speed) ** 2 / (1 + step * damping),
        )
        update = _linear
    else:
        rate = nothing if saturable is None else saturable.rate.astype(dtype)
        threshold = 1.0 if saturable is None else saturable.threshold
        coefficients = (
            courant * speed,
            nothing if kerr is None else courant * kerr.astype(dtype),
            step * damping,
            step * rate,
        )
        update = jax.tree_util.Partial(_nonlinear, 1 / threshold**2)
    signal = step**2 * drive.reshape(count, *drive.shape[-2:])
    end, seen = leapfrog(
        update,
        grid,
        tuple(grid.flat(c)[None] for c in coefficients),
        (rows[0], rows[1]),
        jnp.swapaxes(signal, 0, 1),
    )
    if kerr is not None:
        seen = eqx.error_if(seen, ~jnp.isfinite(seen).all(), _DIVERGED)
    field, previous = (grid.square(u).reshape(*batch, *grid.shape) for u in end)
    seen = jnp.moveaxis(seen, 0, 1).reshape(*batch, *seen.shape[::2])
    return WaveRun(seen, field, previous)


def _linear(coefficients, field, previous, laplacian):
    here, before, neighbors = coefficients
    return here * field + before * previous + neighbors * laplacian


def _nonlinear(per_threshold, coefficients, field, previous, laplacian):
    speed, kerr, damping, rate = coefficients
    power = jnp.square(field)
    loss = damping + rate / (1 + per_threshold * power)
    c = speed + kerr * power
    return (2 * field - (1 - loss) * previous + c * c * laplacian) / (1 + loss)


def wave_energy(
    field: Float[Array, "*batch ny nx"],
    previous: Float[Array, "*batch ny nx"],
    speed: Float[Array, "ny nx"],  # m/s
    *,
    pitch: float,  # m
    step: float,  # s
) -> Float[Array, "*batch"]:  # squared unit of the field
    r"""What leapfrog steps keep, between two of them.

    $\tfrac{h^2}{2}\sum\frac{1}{c^2}\big(\frac{u_{n+1} - u_n}{\Delta t}\big)^2 +
    \tfrac12\sum_{\langle ij\rangle}(u_{n+1,i} - u_{n+1,j})(u_{n,i} - u_{n,j})$, bonds
    to the walls included: $\tfrac12\int \dot u^2/c^2 + |\nabla u|^2$ to second order.

    **Valid for:** no damping, no drive, no nonlinearity.
    """
    change = (field - previous) / jnp.broadcast_to(speed * step, field.shape)
    kinetic = jnp.sum(jnp.square(change), axis=(-2, -1)) * pitch**2

    def bonds(u, axis):
        margins = [(0, 0)] * u.ndim
        margins[axis] = (1, 1)
        return jnp.diff(jnp.pad(u, margins), axis=axis)

    elastic = [
        jnp.sum(bonds(field, axis) * bonds(previous, axis), axis=(-2, -1))
        for axis in (field.ndim - 2, field.ndim - 1)
    ]
    return 0.5 * (kinetic + elastic[0] + elastic[1])


def absorbing_profile(
    shape: tuple[int, int],
    cells: int = 20,
    strength: float = 3.0,  # 1/s
    order: float = 4.0,
) -> Float[np.ndarray, "ny nx"]:  # 1/s
    r"""Damping that rises towards the walls: $b = b_\text{max}\,(d/N)^p$ on $N$ cells.

    Where two walls are near, the root of the sum of squares. From one side to the wall
    and back, waves lose $2 b_\text{max} N h/(p + 1)c$ nepers.

    **Source:** Hughes *et al.* (2019), and their code: $N = 20$, $p = 4$ and
    $b_\text{max} = 3$ where $c = 1$ m/s and the pitch is 1 m.
    """
    if not (cells >= 0 and 2 * cells < min(shape)):
        raise ValueError(
            f"An absorber of {cells} cells on each side leaves nothing of a grid of "
            f"{shape}: take at most {(min(shape) - 1) // 2} cells."
        )

    def towards_walls(n):
        depth = np.maximum(cells - np.minimum(np.arange(n), np.arange(n)[::-1]), 0)
        return strength * (depth / max(cells, 1)) ** order

    return np.hypot(towards_walls(shape[0])[:, None], towards_walls(shape[1]))


def stable_step(
    speed: float,  # m/s
    pitch: float,  # m
) -> float:  # s
    r"""The largest stable step, $h/\sqrt2\,c$ (Courant, Friedrichs, Lewy)."""
    return pitch / (math.sqrt(2) * speed)


def grid_frequency(
    wavenumber: tuple[float, float],  # rad/m, along y and x
    speed: float,  # m/s
    *,
    pitch: float,  # m
    step: float,  # s
) -> float:  # rad/s
    r"""The frequency of a plane wave on the grid, $\omega \le ck$:

    $\sin^2\frac{\omega\Delta t}{2} = \big(\frac{c\Delta t}{h}\big)^2
    \big(\sin^2\frac{k_x h}{2} + \sin^2\frac{k_y h}{2}\big)$.
    """
    squares = [math.sin(k * pitch / 2) ** 2 for k in wavenumber]
    return 2 / step * math.asin(speed * step / pitch * math.sqrt(sum(squares)))


def check_step(speed: float, pitch: float, step: float) -> None:
    """**Raises:** `ValueError` naming the largest stable step, if this one is not."""
    if not (pitch > 0 and step > 0 and speed > 0):
        raise ValueError(
            f"`pitch` ({pitch} m), `step` ({step} s) and speeds ({speed} m/s) must be "
            "positive."
        )
    largest = stable_step(speed, pitch)
    # A hair of rounding is allowed to those who take the limit itself.
    if step > largest * (1 + 1e-6):
        raise ValueError(
            f"A step of {step:.6g} s is not stable: waves of {speed:.6g} m/s on a "
            f"pitch of {pitch:.6g} m need one of at most {largest:.6g} s (the pitch "
            "over √2 times the speed)."
        )


def check_sampling(highest_frequency: float, speed: float, pitch: float) -> None:
    """Is the pitch fine enough for the shortest wave, at the lowest speed?

    **Raises:** `ValueError` if the grid can't carry it: its wavelength is less than two
    cells. `UnderSampledWarning` if it is less than `CELLS_PER_WAVELENGTH`.
    """
    if not highest_frequency > 0:
        raise ValueError(f"`highest_frequency` must be > 0, not {highest_frequency}.")
    shortest = speed / highest_frequency
    fine = shortest / CELLS_PER_WAVELENGTH
    described = (
        f"at {highest_frequency:.4g} Hz and {speed:.4g} m/s the wavelength is "
        f"{shortest:.4g} m, {shortest / pitch:.3g} cells of the pitch of {pitch:.4g} m."
    )
    if shortest <= 2 * pitch:
        raise ValueError(
            f"The field is under-sampled: {described} Take a `pitch` of {fine:.4g} m, "
            f"and in no case above {shortest / 2:.4g} m."
        )
    if pitch > fine * (1 + 1e-6):
        warnings.warn(
            f"The field is sampled coarsely: {described} Such waves are slower on the "
            f"grid than they should be, by {_slowness(shortest, pitch):.2g} %. With a "
            f"`pitch` of {fine:.4g} m it is less than 2 %.",
            UnderSampledWarning,
            stacklevel=3,
        )


_DIVERGED = (
    "The field has grown without bound: where it is strong, the Kerr effect makes "
    "waves faster than the step can follow. Take a weaker drive, a smaller `kerr`, or "
    "a shorter `step`."
)


def _slowness(wavelength: float, pitch: float) -> float:
    """In percent, along an axis, for short steps: the worst case."""
    half = math.pi * pitch / wavelength
    return 100 * (1 - math.sin(half) / half)


def _checked_speed(speed: Array, pitch: float, step: float) -> Array:
    if not isinstance(speed, Tracer):
        lowest, highest = float(jnp.min(speed)), float(jnp.max(speed))
        check_step(highest if lowest > 0 else lowest, pitch, step)
        return speed
    check_step(sys.float_info.min, pitch, step)
    limit = pitch / (math.sqrt(2) * step)
    speed = eqx.error_if(speed, ~(speed > 0), "`speed` must be positive everywhere.")
    return eqx.error_if(
        speed,
        speed > limit * (1 + 1e-6),
        f"A step of {step:.6g} s is not stable: on a pitch of {pitch:.6g} m it can't "
        f"follow speeds above {limit:.6g} m/s. The largest stable step is the pitch "
        "over √2 times the highest speed.",
    )


def check_cells(shape: tuple[int, int], cells: tuple[Cell, ...], what: str) -> None:
    """**Raises:** `ValueError` naming the cell that is not on the grid."""
    for y, x in cells:
        if not (0 <= y < shape[0] and 0 <= x < shape[1]):
            raise ValueError(
                f"The {what} at {(y, x)} is not on the grid of {shape} cells: rows go "
                f"from 0 to {shape[0] - 1}, columns to {shape[1] - 1}."
            )
