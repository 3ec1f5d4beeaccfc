"""Handwritten digits on coupled phase oscillators, by equilibrium propagation."""

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from .. import data, estimators, integrators, objectives, oscillators, plots
from .._physical import Physical
from ._digits_mesh import jittered
from ._experiment import AbstractExperiment
from ._settings import setting

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PIXELS = 64
CLASSES = 10
RATE = 1.3
"""Of the relaxation: a little beyond each oscillator's field, which settles sooner."""
SHOWN = np.arange(4)
"""The classes in the picture."""


class DigitsKuramoto(AbstractExperiment):
    """8 × 8 digits as the phases of 64 held oscillators, black a quarter turn from
    white; hidden oscillators, and ten whose sine is the score of a class. Each training
    image is shown in five places, half a pixel apart.
    """

    epochs: int = setting(8, "passes through the training images", low=1)
    batch_size: int = setting(32, "images a step", low=1)
    hidden: int = setting(100, "hidden oscillators", low=1)
    learning_rate: float = setting(0.01, "of Adam, falling as a cosine", low=0)
    scale: float = setting(8.0, "of the softmax over the sines", low=0)
    turn: float = setting(0.5, "phase of a full pixel (half turns)", low=0, high=1)
    spread: float = setting(1.0, "of the initial couplings", low=0)
    beta: float = setting(0.2, "length of the nudge", low=1e-6)
    free: int = setting(15, "steps of the free relaxation", low=1)
    nudged: int = setting(6, "steps of each nudged relaxation", low=1)

    name: ClassVar[str] = "digits-kuramoto"
    summary: ClassVar[str] = (
        "coupled phase oscillators on 8 × 8 digits; equilibrium propagation"
    )
    reference: ClassVar[str] = (
        "after Wang, Wanjura, Marquardt, Neuromorph. Comput. Eng. (2024), "
        "doi:10.1088/2634-4386/ad9b7f"
    )
    figure: ClassVar[str] = "test accuracy"
    published: ClassVar[float | None] = None
    duration: ClassVar[float] = 25.0

    def data(self) -> data.Dataset:
        digits = data.digits()
        images = jittered(digits.train_x)
        return digits._replace(
            train_x=self.phases(images.reshape(-1, *images.shape[2:])),
            train_y=np.tile(digits.train_y, len(images)),
            test_x=self.phases(digits.test_x),
        )

    def phases(self, images: np.ndarray) -> np.ndarray:
        """Of the held oscillators (rad)."""
        return math.pi * self.turn * images.reshape(len(images), -1)

    def model(self, *, key: PRNGKeyArray) -> Any:
        network = oscillators.Kuramoto(
            (PIXELS, self.hidden, CLASSES),
            key=key,
            scale=self.spread,
            rate=RATE,
            relaxation=integrators.FixedSteps(self.free, self.nudged),
        )
        return Physical(network, estimators.EquilibriumPropagation(self.beta))

    def objective(self, predictions: Any, targets: Any) -> Array:
        return objectives.cross_entropy(self.scale * predictions, targets)

    def optimizer(self, steps: int) -> optax.GradientTransformation:
        return optax.adam(optax.cosine_decay_schedule(self.learning_rate, steps))

    def metrics(self) -> Mapping[str, Callable[[Any, Any], Any]]:
        return {"accuracy": objectives.accuracy}

    def picture(self, model: Any, data: Any) -> "Figure":
        shown = np.argmax(data.test_y[:, None] == SHOWN, axis=0)
        x = jnp.asarray(data.test_x[shown])
        course = settling(model.layer, x, self.free)
        titles = [f"a {label}" for label in data.test_y[shown]]
        return plots.oscillator_phases(course, CLASSES, titles)


def settling(
    network: oscillators.Kuramoto,
    x: Float[Array, "examples inputs"],  # rad
    steps: int,
) -> Float[Array, "times examples oscillators"]:  # rad
    """The phases at the start and after each of the steps."""
    network = eqx.tree_at(lambda k: k.relaxation, network, integrators.FixedSteps(1, 1))

    def step(state, _):
        return network.relax(state, x, None), jnp.concatenate(state, -1)

    start = network.initial_state(x)
    return jax.lax.scan(step, start, length=steps + 1)[1]
