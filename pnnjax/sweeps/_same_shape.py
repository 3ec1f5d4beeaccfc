"""What trainings must have in common to be compiled together, and whether they do."""

import warnings
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, PyTree

from .. import zoo
from .._frozen import is_trainable
from .._parts import Parts, parts_of
from ._fleet import Family, Fleet, Lane, fleet_of, with_settings
from ._rule import WithRule


class ApartError(ValueError):
    """Why trainings can't be compiled together."""


def fleet_for(
    studies: Sequence[Any],
    seeds: Sequence[int],
    names: Sequence[str],
    exact: bool = False,
) -> tuple[Fleet, Lane]:
    """The programs in which the settings `names` are arrays; what each training has.

    If `exact`, trainings take turns, each rounded as if it were alone. Models are built
    in the program. Where that fails, as with those built by numpy, each is built
    beforehand, and their arrays are stacked.

    **Raises:** `ApartError`, or what the experiment or JAX raises when it is traced.
    """
    _check_kind(studies[0])
    lanes = lanes_of(studies, seeds, names)
    parts = _parts_without(studies[0], names)
    with warnings.catch_warnings():
        # A traced value where structure should be would upset JAX's caches.
        warnings.filterwarnings("error", "A JAX array is being set as static")
        try:
            trainable, static = _trainable(studies[0], names, first(lanes)), None
        except Exception:
            static, lanes = prebuilt(studies, lanes)
            model = studies[0].model(key=lanes.keys[0, 0])
            trainable = tuple(jax.tree.leaves(is_trainable(model)))
        family = Family(studies[0], tuple(names), parts, trainable, static, True, exact)
        return _traceable(family, lanes), lanes


def lanes_of(
    studies: Sequence[Any], seeds: Sequence[int], names: Sequence[str]
) -> Lane:
    """What each training has, but for a model that is built beforehand."""
    columns = [[getattr(inner(s), name) for s in studies] for name in names]
    keys = [jax.random.split(jax.random.key(seed)) for seed in seeds]
    return Lane(tuple(map(_numbers, columns)), jnp.stack(keys), None)


def prebuilt(studies: Sequence[Any], lanes: Lane) -> tuple[Any, Lane]:
    """What the models have in common, and the lanes with the rest.

    **Raises:** `ApartError` if they differ in anything that is no number.
    """
    models = [s.model(key=k[0]) for s, k in zip(studies, lanes.keys, strict=True)]
    structures = [jax.tree.structure(model) for model in models]
    if any(structure != structures[0] for structure in structures):
        raise ApartError("models differ in their structure")
    columns = zip(*[jax.tree.leaves(model) for model in models], strict=True)
    pairs = [_stacked(column) for column in columns]
    static = jax.tree.unflatten(structures[0], [pair[0] for pair in pairs])
    arrays = jax.tree.unflatten(structures[0], [pair[1] for pair in pairs])
    return static, lanes._replace(arrays=arrays)


def inner(study: Any) -> Any:
    """The experiment whose fields are the settings."""
    return study.study if isinstance(study, WithRule) else study


def first(lanes: Lane) -> Lane:
    """Of the lanes, without their axis."""
    return jax.tree.map(lambda leaf: leaf[0], lanes)


def programs(fleet: Fleet, lanes: Lane) -> list[tuple[Any, tuple[Any, ...]]]:
    """The compiled functions, and the shapes that they are called with."""
    parts = fleet.family.parts
    progress = jax.eval_shape(fleet.begin, parts, lanes)
    stop = jax.ShapeDtypeStruct((), jnp.int32)
    return [
        (fleet.begin, (parts, lanes)),
        (fleet.advance, (parts, lanes, progress, stop)),
        (fleet.evaluate, (parts, lanes, progress.trained, progress.step)),
    ]


def equations(jaxpr: Any) -> list[Any]:
    """All of them, those of inner programs included."""
    found = []
    for equation in jaxpr.eqns:
        found.append(equation)
        for leaf in jax.tree.leaves(equation.params, is_leaf=_is_jaxpr):
            if _is_jaxpr(leaf):
                found += equations(leaf)
    return found


def _check_kind(study: Any) -> None:
    if not isinstance(study, zoo.AbstractTraining):
        raise ApartError("it is no training of one model")
    if type(inner(study)).run is not zoo.AbstractTraining.run:
        raise ApartError("it has a `run` of its own")


def _parts_without(study: Any, names: Sequence[str]) -> Parts:
    """Its data, on the device; none of these settings may enter them."""
    made = []

    def look(values: Sequence[Any]) -> None:
        made.append(with_settings(study, names, values).data())

    # Without `jit`, what no setting enters is computed as ever.
    values = [_numbers([getattr(inner(study), name)]) for name in names]
    jax.vmap(look, axis_size=1)(values)
    if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(made)):
        raise ApartError("it enters the data")
    return parts_of(made[0])


def _trainable(study: Any, names: Sequence[str], lane: Lane) -> tuple[bool, ...]:
    """Which leaves of the model are trained where no setting is an array."""
    found = []

    def look(lane: Lane) -> PyTree:
        plain = study.model(key=lane.keys[0])
        model = with_settings(study, names, lane.settings).model(key=lane.keys[0])
        found[:] = jax.tree.leaves(is_trainable(plain))
        if len(found) != len(jax.tree.leaves(model)):
            raise ApartError("models differ in their structure")
        return eqx.filter(model, eqx.is_array)

    jax.eval_shape(look, lane)
    return tuple(found)


def _traceable(family: Family, lanes: Lane) -> Fleet:
    """With metrics in the program, if they can be there."""
    if not any(family.trainable):
        raise ApartError("the model has no trainable parameter")
    begin, advance, evaluate = programs(fleet := fleet_of(family), lanes)
    for function, shapes in (begin, advance):
        jaxpr = jax.make_jaxpr(function)(*shapes)
        if any(e.primitive.name == "io_callback" for e in equations(jaxpr)):
            raise ApartError("a device is in the loop, which makes one run at a time")
    try:
        jax.eval_shape(evaluate[0], *evaluate[1])
    except Exception:
        fleet = fleet_of(family._replace(measured=False))
        jax.eval_shape(fleet.evaluate, *evaluate[1])
    return fleet


def _stacked(column: Sequence[Any]) -> tuple[Any, Array | None]:
    """One leaf of all models: what it is in each, or an array."""
    leaf = column[0]
    if all(map(eqx.is_array, column)):
        if any(other.shape != leaf.shape for other in column):
            raise ApartError("models differ in the shape of their arrays")
        return None, jnp.stack(column)
    if all(other is leaf or other == leaf for other in column):
        return leaf, None
    if all(isinstance(other, float) for other in column):
        return None, _numbers(column)
    raise ApartError(f"models differ in `{leaf}`, which is no number")


def _numbers(values: Sequence[float]) -> Array:
    """Weakly typed, as Python's numbers are."""
    return jnp.stack([jnp.asarray(value) for value in values])


def _is_jaxpr(node: Any) -> bool:
    # Newer versions of JAX have one class of them, older ones two.
    return type(node).__name__ in ("Jaxpr", "ClosedJaxpr")
