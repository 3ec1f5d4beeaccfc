"""Small digits by resistive memory, trained by what comes out of it alone."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import jax
import numpy as np
import optax
from jaxtyping import Array, PRNGKeyArray

from .. import circuits, data, estimators, objectives, optimizers, plots
from .._analog_memory import AbstractPulsedDevice
from .._physical import Physical
from ._digits_mesh import jittered
from ._experiment import AbstractExperiment
from ._mnist_rram_pulsed import cells, flat, perceptron
from ._settings import setting

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PIXELS = 64
CLASSES = 10


class SPSAOnRRAM(AbstractExperiment):
    """All cells are shaken at once, by the gates of their transistors, and the outputs
    are compared: no error is sent back, and nothing inside is measured. Each training
    image is shown in five places, half a pixel apart.

    Seeds 0, 1 and 2 reach 96.1, 96.4 and 97.5 %, and 96.9, 95.6 and 95.3 % with updates
    of any size (`preset=ideal`).
    """

    epochs: int = setting(60, "passes through the training images", low=1)
    batch_size: int = setting(64, "images a step", low=1)
    hidden: int = setting(32, "units between the pixels and the classes", low=1)
    updates: Literal["pulses", "ideal"] = setting("pulses", "what the cells take")
    samples: int = setting(64, "shakes a step", low=1)
    size: float = setting(1e-3, "of a shake (of the maximum)", low=1e-9)
    states: int = setting(1000, "pulses from bound to bound in the middle", low=3)
    weight_range: float = setting(2.0, "the largest weight", low=1e-6)
    learning_rate: float = setting(0.3, "falls as a cosine", low=0)
    memory: float = setting(0.9, "of earlier estimates, digital", low=0, high=0.999)

    name: ClassVar[str] = "spsa-on-rram"
    summary: ClassVar[str] = (
        "crossbars of resistive memory, 64-32-10, on 8 × 8 digits; simultaneous "
        "perturbation and pulses"
    )
    reference: ClassVar[str] = (
        "Spall, IEEE Trans. Autom. Control 37, 332 (1992), doi:10.1109/9.119632; the "
        "cells: Gokmen & Vlasov, Front. Neurosci. 10, 333 (2016), "
        "doi:10.3389/fnins.2016.00333"
    )
    figure: ClassVar[str] = "test accuracy"
    published: ClassVar[float | None] = None
    duration: ClassVar[float] = 20.0
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"ideal": {"updates": "ideal"}}

    def data(self) -> data.Dataset:
        digits = data.digits()
        images = jittered(digits.train_x)
        return flat(
            digits._replace(
                train_x=images.reshape(-1, *images.shape[2:]),
                train_y=np.tile(digits.train_y, len(images)),
            )
        )

    def model(self, *, key: PRNGKeyArray) -> Any:
        stack = perceptron(
            (PIXELS, self.hidden, CLASSES), self.weight_range, counting=False, key=key
        )
        rule = estimators.SPSA(self.size, self.samples, inputs=False)
        return Physical(stack, rule)

    def objective(self, predictions: Any, targets: Any) -> Array:
        return objectives.cross_entropy(predictions, targets)

    def optimizer(self, steps: int) -> optax.GradientTransformation:
        # A weight is 2g - 1 times the range, and its slope by g is as much larger.
        peak = self.learning_rate / (2 * self.weight_range) ** 2
        falling = optax.sgd(optax.cosine_decay_schedule(peak, steps, 0.02))
        descent = optax.chain(optax.ema(self.memory, debias=False), falling)
        if self.updates == "ideal":
            return descent
        return optax.chain(descent, optimizers.pulsed_update(self.cell()))

    def cell(self) -> AbstractPulsedDevice:
        """Of the device that each cell is, from 0 to 1."""
        return circuits.SoftBounds(step=1 / self.states)

    def metrics(self) -> Mapping[str, Callable[[Any, Any], Any]]:
        return {"accuracy": objectives.accuracy}

    def picture(self, model: Any, data: Any) -> "Figure":
        """The cells before and after."""
        untrained = self.model(key=jax.random.key(0))
        return plots.conductance_histogram(
            cells({"before": untrained, "after": model}), "State (of the maximum)"
        )
