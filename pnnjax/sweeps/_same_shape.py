"""Which points can be compiled together, and in which settings they may differ."""

import warnings
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from .. import zoo
from .._frozen import is_trainable
from .._parts import Parts, parts_of
from ._fleet import Family, Lane, with_settings
from ._point import Point
from ._rule import WithRule


class ApartError(ValueError):
    """Points that can't be compiled together."""


def inner(study: Any) -> Any:
    """The experiment whose fields are the settings."""
    return study.study if isinstance(study, WithRule) else study


def family_of(
    studies: Sequence[zoo.AbstractTraining], seeds: Sequence[int], traced: Sequence[str]
) -> tuple[Family, Lane]:
    """What such trainings share, and what each has to itself.

    Models are built in the compiled program. Where that fails, as with those built by
    numpy, each is built before, and their arrays are stacked.

    **Raises:** `ApartError`, or whatever the experiment itself raises.
    """
    study = studies[0]
    check_kind(study)
    parts = parts_without(study, traced)
    lanes = Lane(
        tuple(_numbers([getattr(inner(s), name) for s in studies]) for name in traced),
        jnp.stack([jax.random.split(jax.random.key(seed)) for seed in seeds]),
        None,
    )
    names = tuple(traced)
    try:
        trainable = _trainable(study, names, jax.tree.map(lambda leaf: leaf[0], lanes))
        static = None
    except Exception:
        models = [s.model(key=k[0]) for s, k in zip(studies, lanes.keys, strict=True)]
        static, arrays = stacked(models)
        trainable = tuple(jax.tree.leaves(is_trainable(models[0])))
        lanes = lanes._replace(arrays=arrays)
    return Family(study, names, parts, trainable, static, True), lanes


def check_kind(study: Any) -> None:
    """**Raises:** `ApartError` if it is not run as any training is."""
    if not isinstance(study, zoo.AbstractTraining):
        raise ApartError("it is no training run of one model")
    if type(inner(study)).run is not zoo.AbstractTraining.run:
        raise ApartError("it has a `run` of its own")


def parts_without(study: Any, traced: Sequence[str]) -> Parts:
    """Its data, on the device.

    **Raises:** `ApartError` if they depend on a setting that is to be an array.
    """
    made = []

    def look(values: Sequence[Any]) -> None:
        # Outside of a `jit`, what no setting enters is computed as ever.
        made.append(with_settings(study, traced, values).data())

    values = [_numbers([getattr(inner(study), name)]) for name in traced]
    jax.vmap(look, axis_size=1)(values)
    if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(made)):
        raise ApartError("the data depend on it")
    return parts_of(made[0])


def stacked(models: Sequence[Any]) -> tuple[Any, PyTree]:
    """What the models have in common, and the arrays of all, with a leading axis.

    **Raises:** `ApartError` if they differ in anything that is no number.
    """
    structures = [jax.tree.structure(model) for model in models]
    if any(structure != structures[0] for structure in structures):
        raise ApartError("models differ in their structure")
    columns = list(zip(*[jax.tree.leaves(model) for model in models], strict=True))
    arrays, static = [], []
    for column in columns:
        if all(eqx.is_array(leaf) for leaf in column):
            arrays.append(jnp.stack(column))
            static.append(None)
        elif all(leaf is column[0] or leaf == column[0] for leaf in column):
            arrays.append(None)
            static.append(column[0])
        elif all(isinstance(leaf, float) for leaf in column):
            arrays.append(_numbers(column))
            static.append(None)
        else:
            raise ApartError(f"models differ in `{column[0]}` and the like")
    whole = structures[0]
    return jax.tree.unflatten(whole, static), jax.tree.unflatten(whole, arrays)


def _trainable(study: Any, traced: Sequence[str], lane: Lane) -> tuple[bool, ...]:
    """Which leaves of the model are trained where no setting is an array."""
    found = []

    def look(lane: Lane) -> PyTree:
        plain = study.model(key=lane.keys[0])
        model = with_settings(study, traced, lane.settings).model(key=lane.keys[0])
        found[:] = jax.tree.leaves(is_trainable(plain))
        if len(found) != len(jax.tree.leaves(model)):
            raise ApartError("models differ in their structure")
        return eqx.filter(model, eqx.is_array)

    jax.eval_shape(look, lane)
    return tuple(found)


def _numbers(values: Sequence[float]) -> jax.Array:
    """Weakly typed, as Python's numbers are."""
    return jnp.stack([jnp.asarray(value) for value in values])
