"""How near a rule comes to the gradient: on its model, and on what a chip is like."""

import warnings
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from .._estimator import AbstractEstimator, GradientBiasWarning, Unbiased
from .._frozen import is_trainable
from .._layer import AbstractWrapper, respond
from .._physical import Physical
from ..estimators import Autodiff, ImplicitDifferentiation, PhysicsAware
from ..estimators._knobs import typical_sizes
from ..imperfections import Mismatch
from ._measure_device import INSTRUMENTS, Chip, NoisyReadings
from ._measure_program import FAST_TO_COMPILE, compiled

LEVELS = (0.003, 0.01, 0.03, 0.1)
"""Of mismatch and of noise, both relative."""

DRAWS = {True: 64, False: 4}
"""Estimates on the perfect device: of a rule that is right in the mean only, or not."""

CHIPS = {True: 32, False: 8}
"""Devices, or draws of the noise, at each level."""

IN_SILICO = (Autodiff, ImplicitDifferentiation)
"""They run on the model, and see nothing of the device."""


class Chips(NamedTuple):
    """Devices made after one layer, and their true gradients."""

    model: Any
    """As intended."""
    base: Any
    """A bare device, whose parameters are to be replaced."""
    x: Array
    target: Array
    parameters: PyTree[Float[Array, "devices ..."]]
    """The perfect device's, and those of `max(CHIPS)` others at each of `LEVELS`."""
    truth: Float[np.ndarray, "devices n"]
    normal: Float[Array, " count"]
    """Numbers for the noise of readings."""


class Alignment(NamedTuple):
    """Of estimates with true gradients."""

    cosine: float
    """Mean of the cosines of single estimates."""
    relative_error: float
    """Mean of the relative errors of single estimates."""


class Fidelity(NamedTuple):
    """What was measured of a layer and a rule."""

    perfect: Alignment
    averaged: Alignment
    """Of the mean of all draws."""
    draws: int
    imperfect: dict[tuple[str, float], Alignment]
    """By what is wrong ("mismatch", "noise") and how much of it."""


def chips_of(layer: Any, x: Array, *, key: PRNGKeyArray) -> Chips:
    r"""Devices whose parameters are off by normal relative errors that nobody knows.

    The loss is $\tfrac12\sum|y - t|^2$, with a target $t$ that is as far from the
    model's output as the output is from zero. Gradients are those of all parameters
    and of the input, as one real vector in which each array is multiplied by its
    typical size: of one unit, whatever the arrays are in. The truth is the derivative
    of the device without noise.
    """
    args = layer, x, key
    target, normal, parameters, truth = compiled(_made, args, FAST_TO_COMPILE).call(
        *args
    )
    base = layer.realize(None) if isinstance(layer, AbstractWrapper) else layer
    return Chips(layer, base, x, target, parameters, np.asarray(truth), normal)


def fidelity(chips: Chips, rule: AbstractEstimator, *, key: PRNGKeyArray) -> Fidelity:
    """Compare the gradients of the rule with true ones.

    *Mismatch*: rules `IN_SILICO` have the parameters as intended; `PhysicsAware` has
    the device for the output and the intended model for the derivative; all others run
    on the device. *Noise*: every reading of the perfect device, as `NoisyReadings` has
    it; not measured for a rule whose readings it does not know.
    """
    random = isinstance(rule.claim, Unbiased)
    draws, count = DRAWS[random], CHIPS[random]
    known = readings_known(rule, chips.base)
    labels, device, noise = _settings(draws, count, known)
    if not jax.tree.leaves(chips.parameters):
        labels = {label: rows for label, rows in labels.items() if label[0] == "noise"}
    if isinstance(rule, IN_SILICO):
        args = chips.model, rule, chips.x, chips.target
        one = compiled(_in_silico, args, FAST_TO_COMPILE).call(*args)
        found = np.broadcast_to(np.asarray(one), (len(device), len(one)))
    else:
        levels = np.asarray(noise, chips.x.real.dtype)
        args = chips._replace(truth=None), rule, device, levels, key
        found = np.asarray(compiled(_on_devices, args, FAST_TO_COMPILE).call(*args))
    truth = chips.truth[device]
    cosines, errors = _aligned(truth, found)
    mean = found[:draws].mean(0, keepdims=True)

    def alignment(rows: slice) -> Alignment:
        return Alignment(float(cosines[rows].mean()), float(errors[rows].mean()))

    return Fidelity(
        alignment(slice(draws)),
        Alignment(*(float(v[0]) for v in _aligned(truth[:1], mean))),
        draws,
        {label: alignment(rows) for label, rows in labels.items()},
    )


def readings_known(rule: AbstractEstimator, layer: Any) -> bool:
    """Whether `NoisyReadings` has all that the rule reads of this layer."""
    capability = rule.conditions.capability
    if isinstance(layer, eqx.nn.Sequential) and capability is not eqx.Module:
        return False
    return capability in INSTRUMENTS or issubclass(capability, INSTRUMENTS[0])


def quiet(layer: Any, rule: AbstractEstimator) -> Physical:
    """`Physical(layer, rule)`, biased or not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GradientBiasWarning)
        return Physical(layer, rule)


def _settings(
    draws: int, count: int, known: bool
) -> tuple[dict[tuple[str, float], slice], Int[np.ndarray, " n"], list[float]]:
    """Which rows are what, and of each row: which device, and how much noise."""
    device, noise, labels = [0] * draws, [0.0] * draws, {}
    for i, level in enumerate(LEVELS):
        labels["mismatch", level] = slice(len(device), len(device) + count)
        first = 1 + i * max(CHIPS.values())
        device += range(first, first + count)
        noise += [0.0] * count
    for level in LEVELS if known else ():
        labels["noise", level] = slice(len(device), len(device) + count)
        device += [0] * count
        noise += [level] * count
    return labels, np.asarray(device), noise


def _made(
    layer: Any, x: Array, key: PRNGKeyArray
) -> tuple[Array, Array, PyTree, Array]:
    """The target, numbers for noise, and of each device parameters and gradient."""
    nominal = eqx.filter(layer, is_trainable(layer))
    y = respond(layer, x, None)
    size = jnp.sqrt(jnp.mean(jnp.abs(y) ** 2)).astype(y.dtype)
    for_target, for_noise, for_devices = jax.random.split(key, 3)
    target = y + size * jax.random.normal(for_target, y.shape, y.dtype)
    dtype = x.real.dtype
    levels = jnp.asarray([0.0, *np.repeat(LEVELS, max(CHIPS.values()))], dtype)

    def one(level_and_key: tuple[Array, PRNGKeyArray]) -> tuple[PyTree, Array]:
        level, key = level_and_key
        device = layer
        if jax.tree.leaves(nominal):
            device = Mismatch(sigma=level, relative=True)(layer, key=key).realize(None)
        gradient = _gradient(device, x, target, None)
        parameters = eqx.filter(device, is_trainable(device))
        return parameters, _flat(gradient, (nominal, x))

    normal = jax.random.normal(for_noise, (4096,), dtype)
    keys = jax.random.split(for_devices, len(levels))
    return target, normal, *lax.map(one, (levels, keys))


def _in_silico(model: Any, rule: AbstractEstimator, x: Array, target: Array) -> Array:
    nominal = eqx.filter(model, is_trainable(model))
    return _flat(_gradient(quiet(model, rule), x, target, None), (nominal, x))


def _on_devices(
    chips: Chips,
    rule: AbstractEstimator,
    device: Int[Array, " n"],
    noise: Float[Array, " n"],
    key: PRNGKeyArray,
) -> Float[Array, "n size"]:
    """The rule's estimate, each on one device at one level of noise."""
    rest = eqx.filter(chips.base, is_trainable(chips.base), inverse=True)
    nominal = eqx.filter(chips.model, is_trainable(chips.model))

    def one(setting: tuple[Array, Array, PRNGKeyArray]) -> Array:
        index, level, key = setting
        parameters = jax.tree.map(lambda leaf: leaf[index], chips.parameters)
        real = eqx.combine(parameters, rest)
        if readings_known(rule, real):
            real = NoisyReadings(real, level, key, chips.normal)
        if isinstance(rule, PhysicsAware):
            own = eqx.tree_at(lambda rule: rule.device, rule, Chip(real))
            model = quiet(chips.model, own)
        else:
            model = quiet(real, rule)
        return _flat(_gradient(model, chips.x, chips.target, key), (nominal, chips.x))

    return lax.map(one, (device, noise, jax.random.split(key, len(noise))))


def _gradient(model: Any, x: Array, target: Array, key: PRNGKeyArray | None) -> PyTree:
    trained, rest = eqx.partition(model, is_trainable(model))

    def loss(trained: PyTree, x: Array) -> Array:
        wrong = respond(eqx.combine(trained, rest), x, key) - target
        return 0.5 * jnp.sum(wrong.real**2 + wrong.imag**2)

    return jax.grad(loss, (0, 1))(trained, x)


def _flat(gradient: PyTree, like: PyTree) -> Float[Array, " n"]:
    """As real numbers, in units of the typical sizes of `like`."""
    sizes = jax.tree.leaves(typical_sizes(like))
    scaled = [
        leaf * size.astype(leaf.dtype)
        for leaf, size in zip(jax.tree.leaves(gradient), sizes, strict=True)
    ]
    parts = [
        part.ravel()
        for leaf in scaled
        for part in ([leaf.real, leaf.imag] if jnp.iscomplexobj(leaf) else [leaf])
    ]
    return jnp.concatenate(parts)


def _aligned(
    truth: Float[np.ndarray, "rows n"], found: Float[np.ndarray, "rows n"]
) -> tuple[Float[np.ndarray, " rows"], Float[np.ndarray, " rows"]]:
    """Cosines and relative errors, row by row."""
    norms, lengths = np.linalg.norm(truth, axis=1), np.linalg.norm(found, axis=1)
    cosines = np.sum(truth * found, 1) / np.maximum(norms * lengths, 1e-300)
    return cosines, np.linalg.norm(found - truth, axis=1) / norms
