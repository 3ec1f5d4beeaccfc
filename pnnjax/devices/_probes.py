"""What a device is asked in order to learn how it differs from its model."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact, PRNGKeyArray

from .._frozen import is_trainable
from ._device import AbstractDevice, parameters_of
from ._error import raising_device_errors
from ._limits import Range


class Probes(NamedTuple):
    """Settings of a device's parameters, and inputs for each: one run a setting."""

    settings: list[Inexact[Array | np.ndarray, "settings ..."]]
    """A leading axis on each array that the device receives, in their order."""
    inputs: Inexact[Array | np.ndarray, "settings inputs ..."]

    def part(self, which: slice) -> "Probes":
        """Some of the settings, with their inputs."""
        return Probes([values[which] for values in self.settings], self.inputs[which])


def sobol_probes(
    device: AbstractDevice,
    layer: Any,
    x: Inexact[Array | np.ndarray, "..."],
    *,
    settings: int,
    inputs: int,
    parameter_range: Range | None = None,
    input_range: Range | None = None,
    seed: int = 0,
) -> Probes:
    """Points of a scrambled Sobol sequence: any first part of them is spread evenly.

    The modulus of a complex number fills the range, and its phase the circle.

    **Arguments:** `layer`: what the device runs; `x`: any example; `settings` of its
    parameters with `inputs` each. The ranges are the device's own, unless given.
    **Raises:** `ValueError` where a range has no end, or for more than 21,201 numbers
    in a setting: take `latin_hypercube_probes`.
    """
    from scipy.stats import qmc

    def draw(number: int, dimensions: int, seed: int) -> np.ndarray:
        if dimensions > qmc.Sobol.MAXDIM:
            raise ValueError(
                f"A Sobol sequence has up to {qmc.Sobol.MAXDIM} dimensions, not "
                f"{dimensions}: take `latin_hypercube_probes`."
            )
        engine = qmc.Sobol(dimensions, rng=seed)
        # Whole powers of two, for which it is balanced.
        return engine.random_base2(math.ceil(math.log2(number)))[:number]

    ranges = _ranges(device, parameter_range, input_range)
    return _probes(draw, layer, x, settings, inputs, ranges, seed)


def latin_hypercube_probes(
    device: AbstractDevice,
    layer: Any,
    x: Inexact[Array | np.ndarray, "..."],
    *,
    settings: int,
    inputs: int,
    parameter_range: Range | None = None,
    input_range: Range | None = None,
    seed: int = 0,
) -> Probes:
    """Points that meet, in each single number, every one of equal strata once.

    **Arguments:** and the rest: see `sobol_probes`; for any size.
    """
    from scipy.stats import qmc

    def draw(number: int, dimensions: int, seed: int) -> np.ndarray:
        return qmc.LatinHypercube(dimensions, rng=seed).random(number)

    ranges = _ranges(device, parameter_range, input_range)
    return _probes(draw, layer, x, settings, inputs, ranges, seed)


def measure_probes(
    device: AbstractDevice,
    layer: Any,
    probes: Probes,
    *,
    key: PRNGKeyArray,
    progress: bool = True,
) -> Inexact[np.ndarray, "settings inputs ..."]:
    """What the device answers, one run for each setting, in their order.

    **Arguments:** `key`: for the noise of a device that is simulated.
    **Raises:** `DeviceError` if a run fails. With a `RecordedDevice`, those before it
    need not be made again.
    """
    from rich.progress import track

    _check(layer, probes)
    answers = []
    steps = range(len(probes.inputs))
    with raising_device_errors():
        for i in track(steps, "probes", disable=not progress, transient=True):
            settings = [jnp.asarray(values[i]) for values in probes.settings]
            x = jnp.asarray(probes.inputs[i])
            own = jax.random.fold_in(key, i)
            answers.append(np.asarray(_run(device, layer, settings, x, own)))
    return np.stack(answers)


def programmed(layer: Any, parameters: list[Inexact[Array, "..."]]) -> Any:
    """`layer` with these in the place of what a device receives."""
    own, rest = eqx.partition(layer, is_trainable(layer))
    structure = jax.tree.structure(own)
    return eqx.combine(jax.tree.unflatten(structure, parameters), rest)


@eqx.filter_jit
def _run(
    device: AbstractDevice, layer: Any, settings: list, x: Array, key: PRNGKeyArray
) -> Array:
    return device(programmed(layer, settings), x, key=key)


Draw = Callable[[int, int, int], Float[np.ndarray, "points dimensions"]]


def _probes(
    draw: Draw,
    layer: Any,
    x: Any,
    settings: int,
    inputs: int,
    ranges: tuple[Range, Range],
    seed: int,
) -> Probes:
    if settings < 2 or inputs < 1:
        raise ValueError(
            "Probes need 2 settings or more, and at least 1 input for each, not "
            f"{settings} and {inputs}."
        )
    arrays = parameters_of(layer)
    if not arrays:
        raise ValueError("The layer has no trainable parameter that could be set.")
    points = draw(settings, sum(_numbers(a) for a in arrays), 2 * seed)
    ends = np.cumsum([_numbers(a) for a in arrays])[:-1]
    columns = np.split(points, ends, axis=1)
    signals = draw(settings * inputs, _numbers(x), 2 * seed + 1)
    return Probes(
        [_scaled(c, a, ranges[0]) for c, a in zip(columns, arrays, strict=True)],
        _scaled(signals, x, ranges[1]).reshape(settings, inputs, *x.shape),
    )


def _numbers(array: Any) -> int:
    return array.size * (1 + jnp.issubdtype(array.dtype, jnp.complexfloating))


def _scaled(points: np.ndarray, like: Any, ends: Range) -> np.ndarray:
    """From the unit cube to arrays like `like`."""
    low, high = ends
    if jnp.issubdtype(like.dtype, jnp.complexfloating):
        size, turn = np.split(points, 2, axis=1)
        least = max(low, 0.0)
        values = (least + (high - least) * size) * np.exp(2j * np.pi * turn)
    else:
        values = low + (high - low) * points
    return values.astype(like.dtype).reshape(len(points), *like.shape)


def _ranges(
    device: AbstractDevice, parameters: Range | None, inputs: Range | None
) -> tuple[Range, Range]:
    limits = device.limits
    given = {
        "parameter_range": limits.parameter_range if parameters is None else parameters,
        "input_range": limits.input_range if inputs is None else inputs,
    }
    for name, (low, high) in given.items():
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ValueError(
                f"`{name}` must be `(low, high)`, finite, but is ({low}, {high}): the "
                "device states none, so say where it is to be probed, as (-1.0, 1.0)."
            )
    return given["parameter_range"], given["input_range"]


def _check(layer: Any, probes: Probes) -> None:
    expected = [array.shape for array in parameters_of(layer)]
    shapes = [values.shape[1:] for values in probes.settings]
    lengths = {len(values) for values in (*probes.settings, probes.inputs)}
    if shapes != expected or len(lengths) != 1:
        raise ValueError(
            f"The layer's parameters are of shapes {expected}, the settings of {shapes}"
            f"; there are {sorted(lengths)} of settings and of inputs."
        )
