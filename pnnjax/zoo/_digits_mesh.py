"""Handwritten digits on two programmable photonic chips, trained in situ."""

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import equinox as eqx
import jax
import numpy as np
import optax
from jaxtyping import Array, PRNGKeyArray

from .. import data, estimators, objectives, optics, plots
from .._estimator import AbstractEstimator
from .._physical import attach
from ._experiment import AbstractExperiment
from ._settings import setting

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MODES = 64
CLASSES = 10
LASER = 0.01
"""W, shared by the modes."""
TAP = 0.1
"""The share of its power by which a mode modulates itself."""

RULES: Mapping[str, Callable[[], AbstractEstimator]] = {
    "in-situ": lambda: estimators.InSituBackprop(toggled=True),
    "in-situ-3": estimators.InSituBackprop,
    "autodiff": estimators.Autodiff,
}


class DigitsMesh(AbstractExperiment):
    """8 × 8 digits as the amplitudes of 64 modes: a rectangular mesh, an electro-optic
    activation on each mode, a second mesh, and detectors on ten of its outputs. Each
    training image is shown in five places, half a pixel apart.

    The toggled form of the in-situ measurement is the default: in single precision,
    the difference of two alike powers keeps two digits more than that of three.
    """

    epochs: int = setting(20, "passes through the training images", low=1)
    batch_size: int = setting(32, "images a step", low=1)
    learning_rate: float = setting(0.02, "of Adam, falling as a cosine (rad)", low=0)
    scale: float = setting(10.0, "of the softmax over the detectors' shares", low=0)
    estimator: Literal["in-situ", "in-situ-3", "autodiff"] = setting(
        "in-situ", "how the meshes' gradients are obtained"
    )

    name: ClassVar[str] = "digits-mesh"
    summary: ClassVar[str] = (
        "coherent chip, 64 modes, on 8 × 8 digits; in-situ backpropagation"
    )
    reference: ClassVar[str] = (
        "after Pai et al., Science 380, 398 (2023), doi:10.1126/science.ade8450"
    )
    figure: ClassVar[str] = "test accuracy"
    published: ClassVar[float | None] = None
    duration: ClassVar[float] = 25.0

    def data(self) -> data.Dataset:
        digits = data.digits()
        images = jittered(digits.train_x)
        return digits._replace(
            train_x=encoded(images.reshape(-1, *images.shape[2:])),
            train_y=np.tile(digits.train_y, len(images)),
            test_x=encoded(digits.test_x),
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
    """Two Haar-random meshes; half a turn of each modulator at its mean power."""
    first, second = jax.random.split(key)
    bright = LASER / MODES
    activation = optics.ElectroOpticActivation(
        MODES, tap=TAP, gain=math.pi / 2 / (TAP * bright)
    )
    return eqx.nn.Sequential(
        [
            optics.MZIMesh(MODES, key=first),
            activation,
            optics.MZIMesh(MODES, key=second),
            optics.Intensity(CLASSES),
        ]
    )


def jittered(images: np.ndarray) -> np.ndarray:
    """The images as they are, and half a pixel down, up, right and left of it."""
    framed = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    moved = [
        np.roll(framed, step, axis)[:, 1:-1, 1:-1]
        for axis in (1, 2)
        for step in (1, -1)
    ]
    return np.stack([images, *((images + other) / 2 for other in moved)])


def encoded(images: np.ndarray) -> np.ndarray:
    """Images as field amplitudes (√W), each with the whole laser's power."""
    rows = images.reshape(len(images), -1)
    return np.asarray(data.power_normalized(rows, LASER))
