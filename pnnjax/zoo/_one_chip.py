"""One simulated chip with hidden errors and noise, and the ways to train it."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Complex, Float, PRNGKeyArray

from .. import estimators, imperfections, optics, optimizers
from .._estimator import AbstractEstimator
from .._frozen import Frozen
from .._layer import AbstractLayer
from .._physical import Physical, innermost
from .._search import AbstractSearch
from ..devices import SimulatedDevice
from ._noisy_detectors import NoisyDetectors

LASER = 0.01
"""W, shared by the modes."""
TAP = 0.1
"""The share of its power by which a mode modulates itself."""
CLASSES = 10
MESHES = 2


class Chip(NamedTuple):
    """Two meshes as their model has them and as they are, and what is between."""

    model: tuple[AbstractLayer, ...]
    real: tuple[AbstractLayer, ...]
    activation: Frozen[optics.ElectroOpticActivation]
    detectors: NoisyDetectors

    def network(self, meshes: Any) -> eqx.nn.Sequential:
        """With these meshes."""
        first, second = meshes
        return eqx.nn.Sequential([first, self.activation, second, self.detectors])


class Method(NamedTuple):
    """One way to train the chip."""

    network: Any
    """What is trained."""
    optimizer: Callable[[int], optax.GradientTransformation | AbstractSearch]
    """For so many steps."""
    runs: float
    """Of the chip, for each example of a step."""
    epochs: int
    """As many as it is of use for."""
    batch_size: int = 32


def make_chip(
    modes: int,
    columns: int,
    *,
    error: float,  # rad
    splitter_error: float,  # rad
    noise: float,  # of a reading, in units of the laser
    key: PRNGKeyArray,
) -> Chip:
    """Meshes of random phases, whose errors nobody knows."""
    keys = jax.random.split(key, 2 * MESHES)
    spread = imperfections.Mismatch(sigma=jnp.asarray(error, float))
    made = partial(optics.MZIMesh, modes, columns)
    bright = LASER / modes
    return Chip(
        model=tuple(made(key=own) for own in keys[:MESHES]),
        real=tuple(
            spread(made(key=own, splitter_error=splitter_error), key=hidden)
            for own, hidden in zip(keys[:MESHES], keys[MESHES:], strict=True)
        ),
        activation=Frozen(
            optics.ElectroOpticActivation(
                modes, tap=TAP, gain=math.pi / 2 / (TAP * bright)
            )
        ),
        detectors=NoisyDetectors(class_powers, noise * LASER),
    )


def class_powers(
    field: Complex[Array, "*batch modes"],  # √W
) -> Float[Array, "*batch 10"]:  # W
    """Of the first ten modes."""
    return optics.intensity(field[..., :CLASSES])


def in_silico(chip: Chip) -> Method:
    """On the model, without any run of the chip, which then gets its phases."""
    meshes = [Physical(mesh, estimators.Autodiff()) for mesh in chip.model]
    return Method(chip.network(meshes), _adam(0.05), 0, 15)


def deployed(chip: Chip, network: eqx.nn.Sequential) -> eqx.nn.Sequential:
    """The phases of a trained model in the meshes as they are."""
    trained = [network.layers[0].layer, network.layers[2].layer]
    rules = [estimators.PhysicsAware(SimulatedDevice(mesh)) for mesh in chip.real]
    return chip.network([Physical(*pair) for pair in zip(trained, rules, strict=True)])


def _physics_aware(chip: Chip) -> Method:
    rules = [estimators.PhysicsAware(SimulatedDevice(mesh)) for mesh in chip.real]
    return _mesh_by_mesh(chip, chip.model, rules, 0.05, 20)


def _in_situ(chip: Chip) -> Method:
    return _mesh_by_mesh(chip, chip.real, [_taps()] * MESHES, 0.05, 20)


def _parameter_shift(chip: Chip) -> Method:
    # Nothing is before the first mesh: it needs no gradient of its input.
    rules = [
        estimators.ParameterShift(inputs=inputs, at_once=64) for inputs in (False, True)
    ]
    return _mesh_by_mesh(chip, chip.real, rules, 0.05, 12)


def _finite_difference(chip: Chip) -> Method:
    rule = estimators.FiniteDifference(0.3, inputs=False, at_once=64)
    return _whole(chip, rule, 0.05, 12)


def _multiplexed(chip: Chip) -> Method:
    rule = estimators.MultiplexedGradientDescent(
        estimators.WalshCode(), 0.02, inputs=False, at_once=64
    )
    return _whole(chip, rule, 0.05, 12)


def _feedback_alignment(chip: Chip) -> Method:
    feedback = estimators.RandomFeedback(key=jax.random.key(1))
    return _by_feedback(chip, estimators.FeedbackAlignment(feedback))


def _direct_feedback_alignment(chip: Chip) -> Method:
    feedback = estimators.RandomFeedback(key=jax.random.key(1))
    return _by_feedback(chip, estimators.DirectFeedbackAlignment(feedback))


def _spsa(chip: Chip) -> Method:
    def search(steps: int) -> AbstractSearch:
        return optimizers.spsa(
            0.005,
            0.05,
            rate_decay=0.0,
            size_decay=0.0,
            direction=optax.chain(
                optax.scale_by_adam(),
                optax.scale_by_schedule(optax.cosine_decay_schedule(1.0, steps)),
            ),
        )

    return Method(chip.network(chip.real), search, 2, 10_000)


def _cma_es(chip: Chip) -> Method:
    def search(steps: int) -> AbstractSearch:
        from evosax.algorithms import CMA_ES

        del steps
        # Noise drives it apart, where phases soon are a turn from where they were.
        return optimizers.evolution(CMA_ES, 64, spread=0.1, settings={"std_max": 1.0})

    return Method(chip.network(chip.real), search, 64, 10_000, 256)


def _open_es(chip: Chip) -> Method:
    def search(steps: int) -> AbstractSearch:
        from evosax.algorithms import Open_ES

        # In units of the spread.
        rate = optax.cosine_decay_schedule(0.2, steps)
        strategy = partial(Open_ES, optimizer=optax.adam(rate))
        return optimizers.evolution(strategy, 64, spread=0.05)

    return Method(chip.network(chip.real), search, 64, 10_000)


METHODS: Mapping[str, Callable[[Chip], Method]] = {
    "physics-aware": _physics_aware,
    "in situ": _in_situ,
    "feedback alignment": _feedback_alignment,
    "direct feedback": _direct_feedback_alignment,
    "parameter shift": _parameter_shift,
    "finite difference": _finite_difference,
    "multiplexed, Walsh": _multiplexed,
    "SPSA": _spsa,
    "OpenES": _open_es,
    "CMA-ES": _cma_es,
}
"""All that run the chip while they train it."""


def _adam(rate: float) -> Callable[[int], optax.GradientTransformation]:
    return lambda steps: optax.adam(optax.cosine_decay_schedule(rate, steps))


def _taps() -> estimators.InSituBackprop:
    return estimators.InSituBackprop(True, detector=estimators.TapDetector())


def _mesh_by_mesh(
    chip: Chip,
    meshes: tuple[AbstractLayer, ...],
    rules: list[Any],
    rate: float,
    epochs: int,
) -> Method:
    pairs = list(zip(meshes, rules, strict=True))
    x = _light(chip)
    # A pass through one of the meshes is that part of a run.
    runs = sum(rule.cost(innermost(mesh), x).runs for mesh, rule in pairs) / MESHES
    network = chip.network([Physical(*pair) for pair in pairs])
    return Method(network, _adam(rate), runs, epochs)


def _whole(chip: Chip, rule: AbstractEstimator, rate: float, epochs: int) -> Method:
    network = chip.network(chip.real)
    runs = rule.cost(network, _light(chip)).runs
    return Method(Physical(network, rule), _adam(rate), runs, epochs)


def _by_feedback(chip: Chip, rule: AbstractEstimator) -> Method:
    network = chip.network([Physical(mesh, _taps()) for mesh in chip.real])
    # One run of all, and what each mesh measures of its own, a part of a run each.
    own = rule.cost(network, _light(chip)).runs - 1
    return Method(Physical(network, rule), _adam(0.05), 1 + own / MESHES, 30)


def _light(chip: Chip) -> jax.ShapeDtypeStruct:
    modes = chip.activation.value.gain.size
    return jax.ShapeDtypeStruct((modes,), jnp.complex64)
