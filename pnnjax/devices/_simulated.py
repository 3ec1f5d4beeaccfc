"""A simulated chip: a layer with imperfections that nobody sees."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
from jaxtyping import Array, Inexact, PRNGKeyArray

from .._frozen import Frozen, is_trainable
from .._layer import respond
from ._device import AbstractDevice, parameters_of, without_gradient
from ._limits import Limits


class SimulatedDevice(AbstractDevice):
    """A chip in JAX: it takes the parameters of a layer, and has errors of its own.

    Everything that is not trainable (splitter errors, mismatch, `Frozen`) is that of
    the chip, whatever the layer believes. Runs without a callback, with noise if there
    is a key.
    """

    limits: ClassVar[Limits] = Limits()
    chip: Frozen[Any]

    def __init__(
        self,
        template: Any,
        imperfections: Sequence[Callable[..., Any]] = (),
        *,
        key: PRNGKeyArray | None = None,
    ):
        """`template` with `imperfections`, the first innermost; `key` draws them.

        **Raises:** `ValueError` if an imperfection needs the key and there is none.
        """
        number = len(imperfections)
        keys = [None] * number if key is None else jax.random.split(key, number)
        for imperfection, own in zip(imperfections, keys, strict=True):
            template = imperfection(template, key=own)
        self.chip = Frozen(template)

    def __call__(
        self,
        layer: Any,
        x: Inexact[Array, "..."],
        *,
        key: PRNGKeyArray | None = None,
    ) -> Inexact[Array, "..."]:
        """**Raises:** `ValueError` if the parameters don't fit the chip."""
        chip = _program(self.chip.value, without_gradient(parameters_of(layer)))
        return jax.lax.stop_gradient(respond(chip, jax.lax.stop_gradient(x), key))


def _program(chip: Any, parameters: list[Array]) -> Any:
    own, rest = eqx.partition(chip, is_trainable(chip))
    places, structure = jax.tree.flatten(own)
    given, expected = [_kind(p) for p in parameters], [_kind(p) for p in places]
    if given != expected:
        raise ValueError(
            f"The layer's {len(given)} trainable arrays don't fit the device's "
            f"{len(expected)}: {_first_difference(given, expected)}. Give the device a "
            "layer like the template it was made from."
        )
    return eqx.combine(jax.tree.unflatten(structure, parameters), rest)


def _kind(parameter: Array) -> str:
    return f"{parameter.dtype}{list(parameter.shape)}"


def _first_difference(given: list[str], expected: list[str]) -> str:
    for index, (ours, theirs) in enumerate(zip(given, expected, strict=False)):
        if ours != theirs:
            return f"array {index} is {ours}, the device has {theirs}"
    return f"{given} against {expected}"
