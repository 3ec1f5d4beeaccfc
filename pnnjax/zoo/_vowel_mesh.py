"""Spoken vowels on a coherent chip of six modes, after Bandyopadhyay et al."""

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Complex, Float, PRNGKeyArray

from .. import estimators, objectives, optics, plots
from .._estimator import AbstractEstimator
from .._physical import attach
from ..data import Dataset, amplitude, standardized, vowels
from ._experiment import AbstractExperiment
from ._settings import setting

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MODES = 6
LAYERS = 3
LASER = 0.01
"""W, shared by the modulators."""
TAP = 0.1
"""The share of its power by which a mode modulates itself."""

RULES: Mapping[str, Callable[[], AbstractEstimator]] = {
    "in-situ": lambda: estimators.InSituBackprop(toggled=True),
    "autodiff": estimators.Autodiff,
}


class VowelMesh(AbstractExperiment):
    """Three meshes, electro-optic activations between; the brightest mode is the vowel.

    Each of six formant frequencies sets the amplitude of one mode. The chip is tested
    with talkers that it was not trained with. Which six vowels, and whether its talkers
    were apart, the paper's main text does not say: see `pnnjax.data.vowels`.
    """

    epochs: int = setting(100, "passes over the vowels", low=1)
    batch_size: int = setting(32, "vowels a step", low=1)
    learning_rate: float = setting(0.05, "of Adam, falling as a cosine (rad)", low=0)
    scale: float = setting(20.0, "of the softmax over the detectors' shares", low=0)
    contrast: float = setting(0.3, "of the light, by standard deviation", low=0)
    split: int = setting(0, "seed of which talkers to test with", low=0)
    estimator: Literal["in-situ", "autodiff"] = setting(
        "in-situ", "how the meshes' gradients are obtained"
    )

    name: ClassVar[str] = "vowel-mesh"
    summary: ClassVar[str] = (
        "coherent chip, 6 modes, 3 layers, on six vowels; in-situ backpropagation"
    )
    reference: ClassVar[str] = (
        "Bandyopadhyay et al., Nat. Photonics 18, 1335 (2024), "
        "doi:10.1038/s41566-024-01567-z; vowels on a chip first by Shen et al., "
        "Nat. Photonics 11, 441 (2017), doi:10.1038/nphoton.2017.93"
    )
    figure: ClassVar[str] = "test accuracy"
    published: ClassVar[float | None] = 0.925
    duration: ClassVar[float] = 25.0

    def data(self) -> Dataset:
        formants = standardized(vowels(seed=self.split))
        return formants._replace(
            train_x=np.asarray(light_of(formants.train_x, self.contrast)),
            test_x=np.asarray(light_of(formants.test_x, self.contrast)),
        )

    def model(self, *, key: PRNGKeyArray) -> Any:
        return attach(network(key), RULES[self.estimator]())

    def objective(self, predictions: Any, targets: Any) -> Array:
        return objectives.PowerSoftmax(self.scale)(predictions, targets)

    def optimizer(self, steps: int) -> optax.GradientTransformation:
        return optax.adam(optax.cosine_decay_schedule(self.learning_rate, steps))

    def metrics(self) -> Mapping[str, Callable[[Any, Any], Any]]:
        return {"accuracy": objectives.accuracy}

    def picture(self, model: Any, data: Any) -> "Figure":
        return plots.mesh(model.layers[0].layer)


def network(key: PRNGKeyArray) -> eqx.nn.Sequential:
    """Haar-random meshes; a quarter turn where a mode has its share of the laser."""
    bright = LASER / MODES
    layers = []
    for own in jax.random.split(key, LAYERS):
        layers += [
            optics.MZIMesh(MODES, key=own),
            optics.ElectroOpticActivation(MODES, TAP, math.pi / 2 / (TAP * bright)),
        ]
    return eqx.nn.Sequential([*layers[:-1], optics.Intensity()])


def light_of(
    formants: Float[Array | np.ndarray, "*batch n"],  # standard deviations
    contrast: float,
) -> Complex[Array, "*batch n"]:  # √W
    """Modulators that transmit half the amplitude at the mean frequency."""
    transmitted = (1 + contrast * jnp.asarray(formants)) / 2
    return amplitude(jnp.clip(transmitted, 0, 1), LASER)
