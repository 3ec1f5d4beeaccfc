"""A twin's unknown numbers, fitted to what its device answered."""

import operator
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Inexact, Int, PRNGKeyArray

from .._frozen import Frozen, thawed
from .._layer import respond
from ._probes import Probes, programmed


def calibrated(
    twin: Any,
    where: Callable[[Any], Any],
    probes: Probes,
    outputs: Inexact[np.ndarray, "settings inputs ..."],
    *,
    optimizer: optax.GradientTransformation,
    steps: int,
    key: PRNGKeyArray,
    progress: bool,
) -> Any:
    """`twin` with those of its numbers that `where` picks fitted, all else the same.

    Each number is in units of what the array that it is in begins with (root mean
    square), or of 1 where that is zero. Every step sees all probes.
    """
    # Here, since `fit` stands on devices itself.
    from .._fit import fit
    from ..objectives import mean_squared_error

    model = _Fitted.of(twin, where, probes)
    numbers = jnp.arange(len(outputs))
    result = fit(
        model,
        (numbers, outputs),
        mean_squared_error,
        optimizer,
        epochs=steps,
        key=key,
        batch_size=len(outputs),
        noisy=False,
        progress=progress,
    )
    return result.model.with_types_of(twin)


def predictions(twin: Any, probes: Probes) -> Inexact[np.ndarray, "..."]:
    """What the twin says in the device's place."""
    settings = [jnp.asarray(values) for values in probes.settings]
    return np.asarray(_predictions(twin, settings, jnp.asarray(probes.inputs)))


@eqx.filter_jit
def _predictions(twin: Any, settings: list[Array], inputs: Array) -> Array:
    def one(settings: list[Array], x: Array) -> Array:
        return respond(programmed(twin, settings), x, None)

    return jax.vmap(one)(settings, inputs)


class _Fitted(eqx.Module):
    """From the number of a probe to the twin's answer; only what is fitted, trains."""

    free: list[Array]
    units: Frozen[list[Array]]
    rest: Frozen[Any]
    structure: Any = eqx.field(static=True)
    probes: Frozen[tuple[list[Array], Array]]

    @classmethod
    def of(cls, twin: Any, where: Callable[[Any], Any], probes: Probes) -> "_Fitted":
        chosen, rest = eqx.partition(twin, _picked(twin, where))
        values, structure = jax.tree.flatten(chosen)
        values = [jnp.asarray(value) for value in values]
        units = [_unit(value) for value in values]
        settings = [jnp.asarray(array) for array in probes.settings]
        return cls(
            free=[value / unit for value, unit in zip(values, units, strict=True)],
            units=Frozen(units),
            rest=Frozen(rest),
            structure=structure,
            probes=Frozen((settings, jnp.asarray(probes.inputs))),
        )

    def twin(self) -> Any:
        pairs = zip(self.free, self.units.value, strict=True)
        values = [value * unit for value, unit in pairs]
        return eqx.combine(jax.tree.unflatten(self.structure, values), self.rest.value)

    def __call__(self, number: Int[Array, ""]) -> Inexact[Array, "..."]:
        settings, inputs = self.probes.value
        layer = programmed(self.twin(), [array[number] for array in settings])
        return respond(thawed(layer), inputs[number], None)

    def with_types_of(self, twin: Any) -> Any:
        """The twin, in which a number that was a float is one again."""

        def restored(old: Any, new: Any) -> Any:
            return float(new) if isinstance(old, float) else new

        return jax.tree.map(restored, twin, self.twin())


def _picked(twin: Any, where: Callable[[Any], Any]) -> Any:
    """A mask of the numbers that `where` picks.

    **Raises:** `ValueError` if there are none, or if one is not in `Frozen`.
    """
    nothing = jax.tree.map(lambda _: False, twin)
    chosen = eqx.tree_at(where, nothing, replace_fn=_all_true)
    fixed = jax.tree.map(
        lambda node: _all_true(node) if isinstance(node, Frozen) else False,
        twin,
        is_leaf=lambda node: isinstance(node, Frozen),
    )
    number = jax.tree.map(
        lambda leaf: eqx.is_inexact_array(leaf) or isinstance(leaf, float), twin
    )
    mask = jax.tree.map(operator.and_, chosen, number)
    if not any(jax.tree.leaves(mask)):
        raise ValueError(
            "`where` picks no number of the twin: it must return floats, inexact "
            "arrays, or nodes that hold some, as `lambda twin: twin.hidden` does."
        )
    known = jax.tree.map(lambda own, other: own and not other, mask, fixed)
    if any(jax.tree.leaves(known)):
        raise ValueError(
            "`where` picks a number that is not in `Frozen`: one that is trained is "
            "set on the device, and known; any other has to be put into `Frozen`."
        )
    return mask


def _all_true(node: Any) -> Any:
    return jax.tree.map(lambda _: True, node)


def _unit(value: Array) -> Array:
    size = jnp.sqrt(jnp.mean(value.real**2 + value.imag**2))
    return jnp.where(size > 0, size, 1)
