"""Handwritten digits by a deep network whose errors light carries through a medium."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import jax
import optax
from jaxtyping import Array, PRNGKeyArray

from .. import data, estimators, objectives, optics, plots
from .._physical import Physical
from ._experiment import AbstractExperiment
from ._mnist_dfa import CLASSES, PIXELS, compared, network, standardized
from ._schedules import rising_and_falling
from ._settings import setting

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class MnistOpticalDFA(AbstractExperiment):
    """784-800-800-10 with tanh and dropout. Its error, as -1, 0 or 1 for each class,
    is shown to a scattering medium, and the speckle behind it, of which a coherent
    receiver measures the field in shot noise, is the feedback of both hidden layers.

    Seed 0 reaches 97.8 %.
    """

    epochs: int = setting(20, "passes through the training images", low=1)
    batch_size: int = setting(128, "images a step", low=1)
    hidden: int = setting(800, "units of each hidden layer", low=1)
    learning_rate: float = setting(4e-3, "of Adam; rises, falls as a cosine", low=0)
    input_dropout: float = setting(0.1, "of the pixels", low=0, high=0.9)
    dropout: float = setting(0.25, "of the hidden units", low=0, high=0.9)
    threshold: float = setting(
        0.25, "below which an error is 0 (of the largest)", low=0, high=0.99
    )
    power: float = setting(1e-6, "of the light of one class (W)", low=1e-15)
    bandwidth: float = setting(1e9, "of the receiver (Hz)", low=0)

    name: ClassVar[str] = "mnist-optical-dfa"
    summary: ClassVar[str] = (
        "784-800-800-10 on MNIST digits; ternary errors through a scattering medium"
    )
    reference: ClassVar[str] = (
        "after Launay et al., Hardware beyond backpropagation (2020), arXiv:2012.06373"
    )
    figure: ClassVar[str] = "test accuracy"
    published: ClassVar[float | None] = None
    duration: ClassVar[float] = 270.0
    further_pictures: ClassVar[Mapping[str, Callable[[Any, Any], Any]]] = {
        "speckle": lambda model, data: shown_error(model),
    }

    def data(self) -> data.Dataset:
        return standardized(data.mnist())

    def model(self, *, key: PRNGKeyArray) -> Any:
        inner, own = jax.random.split(key)
        stack = network(self.hidden, self.input_dropout, self.dropout, key=inner)
        rule = estimators.DirectFeedbackAlignment(
            self.feedback(key=own), encoder=estimators.TernaryError(self.threshold)
        )
        return Physical(stack, rule)

    def feedback(self, *, key: PRNGKeyArray) -> estimators.PhysicalFeedback:
        """The medium, and the receiver behind it."""
        outputs = PIXELS + 2 * self.hidden
        medium = optics.gaussian_medium(outputs, CLASSES, 1.0, key=key)
        receiver = estimators.CoherentReceiver(self.power, self.bandwidth)
        return estimators.PhysicalFeedback(optics.ScatteringMedium(medium), receiver)

    def objective(self, predictions: Any, targets: Any) -> Array:
        return objectives.cross_entropy(predictions, targets)

    def optimizer(self, steps: int) -> optax.GradientTransformation:
        return optax.adam(rising_and_falling(self.learning_rate, steps))

    def metrics(self) -> Mapping[str, Callable[[Any, Any], Any]]:
        return {"accuracy": objectives.accuracy}

    def picture(self, model: Any, data: Any) -> "Figure":
        return compared(self.model(key=jax.random.key(0)), model, data)


def shown_error(model: Any) -> "Figure":
    """The measured speckle of the error of one confused image: two classes lit."""
    feedback = model.estimator.feedback
    error = jax.nn.one_hot(3, CLASSES) - jax.nn.one_hot(8, CLASSES)
    outputs = feedback.outputs(error).size
    field = feedback.send(error, outputs, key=jax.random.key(0))
    across = int(outputs**0.5)
    return plots.speckle(field[: across**2].reshape(across, across))
