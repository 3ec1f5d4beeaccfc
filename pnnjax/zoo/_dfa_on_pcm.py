"""Handwritten digits by phase-change cells, whose errors are sent past the weights."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, PRNGKeyArray

from .. import (
    circuits,
    data,
    estimators,
    imperfections,
    objectives,
    optimizers,
    plots,
)
from .._layer import respond
from .._physical import Physical, attach
from ._experiment import AbstractExperiment
from ._mnist_rram_pulsed import CLASSES, PIXELS, cells, flat, perceptron
from ._settings import setting

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CELL = circuits.PCMPulses()
TIMES = np.array([60.0, 3600.0, 86_400.0, 2_629_800.0])  # s
"""A minute, an hour, a day and a month."""


class DFAOnPCM(AbstractExperiment):
    """Each weight is a pair of phase-change cells that pulses only move up, by steps of
    a thirtieth of their range or more, and as random as they are long; between two
    steps they drift. Errors go to each layer through random fixed weights, wanted
    changes add up in digital memory until they are worth a pulse, and pairs that are
    full are reset to their difference.

    Seed 0 reaches 96.1 %, and 95.6 % at the same rate with updates of any size
    (`preset=ideal`).
    """

    epochs: int = setting(6, "passes through the training images", low=1)
    batch_size: int = setting(64, "images a step", low=1)
    hidden: int = setting(256, "units of each of two hidden layers", low=1)
    updates: Literal["pulses", "ideal"] = setting("pulses", "what the cells take")
    weight_range: float = setting(1.0, "the largest weight", low=1e-6)
    learning_rate: float = setting(0.3, "falls as a cosine", low=0)
    read_noise: float = setting(0.02, "of each cell, of what it conducts", low=0)
    seconds: float = setting(0.1, "from step to step, in which cells drift", low=0)

    name: ClassVar[str] = "dfa-on-pcm"
    summary: ClassVar[str] = (
        "pairs of phase-change cells, two hidden layers, on MNIST digits; direct "
        "feedback alignment by pulses"
    )
    reference: ClassVar[str] = (
        "after Nandakumar et al., Front. Neurosci. 14, 406 (2020), "
        "doi:10.3389/fnins.2020.00406: backpropagation, 97.73 %"
    )
    figure: ClassVar[str] = "test accuracy"
    published: ClassVar[float | None] = None
    duration: ClassVar[float] = 150.0
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"ideal": {"updates": "ideal"}}
    further_pictures: ClassVar[Mapping[str, Callable[[Any, Any], Any]]] = {
        "drift": lambda model, data: drifting(model, data)
    }

    def data(self) -> data.Dataset:
        return flat(data.mnist())

    def model(self, *, key: PRNGKeyArray) -> Any:
        inner, own = jax.random.split(key)
        sizes = (PIXELS, self.hidden, self.hidden, CLASSES)
        stack = perceptron(
            sizes,
            self.weight_range,
            encoding=circuits.DifferentialPair(),
            counting=False,
            key=inner,
        )
        noise = imperfections.ReadNoise(sigma=self.read_noise, relative=True)
        noisy = [noise(n) if _is_crossbar(n) else n for n in stack.layers]
        stack = attach(eqx.nn.Sequential(noisy), estimators.TransposedRead())
        feedback = estimators.RandomFeedback(key=own)
        return Physical(stack, estimators.DirectFeedbackAlignment(feedback))

    def objective(self, predictions: Any, targets: Any) -> Array:
        return objectives.cross_entropy(predictions, targets)

    def optimizer(self, steps: int) -> optax.GradientTransformation:
        # A weight falls and rises with two cells: each has half of its change.
        peak = self.learning_rate / (2 * self.weight_range**2)
        descent = optax.sgd(optax.cosine_decay_schedule(peak, steps, 0.02))
        if self.updates == "ideal":
            return descent
        pulsed = optimizers.mixed_precision(CELL, seconds=self.seconds)
        refreshed = optimizers.refreshed(
            pulsed, CELL, threshold=0.6, tolerance=0.03, every=200
        )
        return optax.chain(descent, refreshed)

    def metrics(self) -> Mapping[str, Callable[[Any, Any], Any]]:
        return {"accuracy": objectives.accuracy}

    def picture(self, model: Any, data: Any) -> "Figure":
        """The cells before and after."""
        untrained = self.model(key=jax.random.key(0))
        return plots.conductance_histogram(
            cells({"before": untrained, "after": model}), "State (of the maximum)"
        )


def drifting(model: Any, images: data.Dataset) -> "Figure":
    """Accuracy after training ends, as cells drift apart from each other."""
    x, y = jnp.asarray(images.test_x), jnp.asarray(images.test_y)
    memory = circuits.PCM(programming_scale=0.0)
    runs = {"as it is": None, "compensated": circuits.DriftCompensation()}

    @eqx.filter_jit
    def accuracy(model: Any, time: Array, key: PRNGKeyArray, how: Any) -> Array:
        stored = circuits.Stored(memory=memory, time=time, compensation=how)
        return objectives.accuracy(respond(stored(model, key=key), x, None), y)

    keys = jax.random.split(jax.random.key(0), 3)
    found = {
        name: np.array(
            [[accuracy(model, jnp.asarray(t), k, how) for t in TIMES] for k in keys]
        )
        for name, how in runs.items()
    }
    return plots.accuracy_over_time(TIMES, found)


def _is_crossbar(node: Any) -> bool:
    return isinstance(node, circuits.Crossbar)
