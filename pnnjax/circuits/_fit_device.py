"""A model of a memory cell, fitted to pulses that were measured."""

import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from ._constant_step import ConstantStep
from ._exponential_step import ExponentialStep
from ._linear_step import LinearStep
from ._power_step import PowerStep
from ._pulse_data import PulseData, checked_pulses, read_pulses
from ._soft_bounds import SoftBounds
from ._step_device import IDENTICAL, AbstractStepDevice


class FittedDevice(NamedTuple):
    """A cell as measured, and how well the model describes it."""

    device: AbstractStepDevice
    """Its states are parts of `maximum`; all its cells are alike, and without noise."""
    maximum: float
    """What a state of 1 stands for (S)."""
    residual: float
    """Root mean square of what the course of the model misses (S)."""
    step_noise: float
    """Deviation of one measured step from the law, that of reading included (S)."""
    predicted: Float[np.ndarray, " reads"]
    """The course of the model from the fitted beginning (S)."""


def fit_device(
    data: str | os.PathLike[str] | PulseData,
    kind: type[AbstractStepDevice],
    *,
    maximum: float | None = None,  # S
) -> FittedDevice:
    r"""The `kind` of cell that comes nearest to the measured course.

    Least squares of the whole course, from a beginning that is fitted too; then again
    with the loss $2(\sqrt{1 + r^2} - 1)$, where $r$ is in deviations of the first fit,
    so that reads that went wrong have little weight.

    **Arguments:**

    - `data`: a file for `read_pulses`, or its contents.
    - `kind`: `ConstantStep`, `LinearStep`, `SoftBounds`, `ExponentialStep` or
        `PowerStep`, the class itself.
    - `maximum`: the conductance of which states are parts; the largest measured.

    **Raises:** `ValueError` for data that make no sense, naming the row, or that don't
    determine the model: they must have more reads than it has numbers, and pulses of
    both directions. `TypeError` for another kind.
    **Valid for:** cells that were driven near their bounds; bounds that the data stay
    far from are a guess.
    """
    from scipy.optimize import least_squares

    if kind not in _LAWS:
        known = ", ".join(cls.__name__ for cls in _LAWS)
        raise TypeError(f"`kind` must be one of {known}, not {kind}.")
    law = _LAWS[kind]
    data = checked_pulses(data) if isinstance(data, PulseData) else read_pulses(data)
    directions, reads = _pulse_by_pulse(data)
    start, lower, upper = law.start()
    _check(data, len(start))
    low, full = data.conductance.min(), np.ptp(data.conductance)
    measured = jnp.asarray((data.conductance - low) / full)

    def misses(numbers: np.ndarray) -> np.ndarray:
        return np.asarray(_misses(law.step, numbers, directions, reads, measured))

    def slope(numbers: np.ndarray) -> np.ndarray:
        return np.asarray(_slope(law.step, numbers, directions, reads, measured))

    own: Any = {"jac": slope, "bounds": (lower, upper), "x_scale": "jac"}
    start[0] = np.clip(measured[0], lower[0], upper[0])
    first = least_squares(misses, start, **own)
    deviation = max(1.4826 * float(np.median(np.abs(first.fun))), 1e-9)
    robust = least_squares(misses, first.x, loss="soft_l1", f_scale=deviation, **own)
    numbers = robust.x
    left = misses(numbers)
    maximum = float(low + full) if maximum is None else maximum
    return FittedDevice(
        device=kind(**law.fields(numbers, low / maximum, full / maximum)),
        maximum=maximum,
        residual=float(full * np.sqrt(np.mean(left**2))),
        step_noise=float(full * _step_noise(law.step, numbers, data, measured)),
        predicted=low + full * (np.asarray(measured) + left),
    )


Numbers = Float[Array, " numbers"]
"""Beginning, low, high, logarithms of the steps in the middle, and of the law's own."""
Step = Callable[[Array, Array, Numbers], Array]
"""The state after a pulse from (state, direction, numbers)."""


class _Law(NamedTuple):
    """How a kind of cell is described by numbers, from 0 to 1 between the reads."""

    shape: Callable[[Array, Array], tuple[Array, Array]]
    """Steps up and down, relative to the middle, by place (-1 to 1) and own numbers."""
    names: tuple[str, ...] = ()
    own: tuple[float, ...] = ()
    """Where its own numbers begin."""
    within: tuple[float, float] = (-jnp.inf, jnp.inf)
    logarithmic: bool = False
    fixed: Mapping[str, float] = {}

    def start(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Where to begin, and between which bounds to stay."""
        step, n = np.log(0.05), len(self.own)
        own = np.log(self.own) if self.logarithmic else np.asarray(self.own)
        return (
            np.asarray([0.5, -0.05, 1.05, step, step, *own]),
            np.asarray([-0.5, -2.0, 0.6, -14.0, -14.0, *[self.within[0]] * n]),
            np.asarray([1.5, 0.4, 3.0, 0.0, 0.0, *[self.within[1]] * n]),
        )

    def step(self, state: Array, direction: Array, numbers: Numbers) -> Array:
        low, high = numbers[1], numbers[2]
        place = (2 * state - low - high) / (high - low)
        own = jnp.exp(numbers[5:]) if self.logarithmic else numbers[5:]
        rise, fall = self.shape(place, own)
        up, down = jnp.exp(numbers[3]) * rise, jnp.exp(numbers[4]) * fall
        moved = state + jnp.where(direction > 0, up, -down)
        return jnp.where(direction == 0, state, jnp.clip(moved, low, high))

    def fields(self, numbers: np.ndarray, offset: float, scale: float) -> dict:
        """Of the device, whose states are `offset + scale` times ours."""
        up, down = np.exp(numbers[3:5])
        own = np.exp(numbers[5:]) if self.logarithmic else numbers[5:]
        values = {
            "step": scale * (up + down) / 2,
            "low": offset + scale * numbers[1],
            "high": offset + scale * numbers[2],
            "asymmetry": (up - down) / (up + down),
            **dict(zip(self.names, own, strict=True)),
            **self.fixed,
        }
        return {n: float(v) for n, v in values.items()} | {"variation": IDENTICAL}


def _equal(place: Array, own: Array) -> tuple[Array, Array]:
    return jnp.ones_like(place), jnp.ones_like(place)


def _linear(place: Array, own: Array) -> tuple[Array, Array]:
    return 1 - own[0] * place, 1 + own[1] * place


def _soft(place: Array, own: Array) -> tuple[Array, Array]:
    return 1 - place, 1 + place


def _exponential(place: Array, own: Array) -> tuple[Array, Array]:
    rise = 1 - own[0] * jnp.exp(own[2] * place)
    fall = 1 - own[1] * jnp.exp(-own[3] * place)
    return jnp.maximum(rise, 0), jnp.maximum(fall, 0)


def _power(place: Array, own: Array) -> tuple[Array, Array]:
    above, below = (jnp.clip((1 + s * place) / 2, 1e-9, 1) for s in (-1, 1))
    return above ** own[0], below ** own[1]


_LAWS: Mapping[type[AbstractStepDevice], _Law] = {
    ConstantStep: _Law(_equal),
    LinearStep: _Law(
        _linear,
        ("slope_up", "slope_down"),
        (0.1, 0.1),
        (-1.0, 1.0),
        fixed={"slope_spread": 0.0},
    ),
    SoftBounds: _Law(_soft),
    ExponentialStep: _Law(
        _exponential,
        ("amplitude_up", "amplitude_down", "exponent_up", "exponent_down"),
        (0.02, 0.02, 3.0, 3.0),
        (-12.0, 2.5),
        logarithmic=True,
        fixed={"slope": 1.0, "offset": 0.0},
    ),
    PowerStep: _Law(
        _power,
        ("exponent_up", "exponent_down"),
        (1.0, 1.0),
        (-2.5, 2.0),
        logarithmic=True,
        fixed={"exponent_spread": 0.0},
    ),
}


@partial(jax.jit, static_argnums=0)
def _misses(step: Step, numbers: Any, directions: Any, reads: Any, measured: Any):
    """The course less what was measured."""

    def pulse(state: Array, direction: Array) -> tuple[Array, Array]:
        state = step(state, direction, numbers)
        return state, state

    start = numbers[0]
    _, course = lax.scan(pulse, start, directions)
    return jnp.concatenate([start[None], course])[reads] - measured


_slope = jax.jit(jax.jacfwd(_misses, argnums=1), static_argnums=0)


def _pulse_by_pulse(data: PulseData) -> tuple[Array, Array]:
    """The direction of each single pulse, and after how many of them a read was."""
    gaps = np.diff(data.pulse, prepend=0)
    return jnp.asarray(np.repeat(data.direction, gaps)), jnp.asarray(data.pulse)


def _step_noise(
    step: Step, numbers: np.ndarray, data: PulseData, measured: Array
) -> float:
    """Of reads that follow each other by one pulse; the median is not led astray."""
    single = np.flatnonzero(np.diff(data.pulse) == 1) + 1
    if len(single) == 0:
        return float("nan")
    law = jax.vmap(step, (0, 0, None))
    after = law(
        measured[single - 1], jnp.asarray(data.direction[single]), jnp.asarray(numbers)
    )
    return 1.4826 * float(np.median(np.abs(np.asarray(measured[single] - after))))


def _check(data: PulseData, unknown: int) -> None:
    if len(data.pulse) <= unknown or not {-1, 1} <= set(data.direction.tolist()):
        raise ValueError(
            f"{len(data.pulse)} reads, of directions {sorted(set(data.direction))}, "
            f"can't determine {unknown} numbers: there must be more reads, of pulses "
            "in both directions."
        )
    if not np.ptp(data.conductance) > 0:
        raise ValueError(f"The conductance is {data.conductance[0]} S everywhere.")
