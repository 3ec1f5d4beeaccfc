"""Small handwritten digits by a Hopfield network, trained by its equilibria."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import jax.numpy as jnp
import optax
from jaxtyping import Array, PRNGKeyArray

from .. import data, estimators, integrators, objectives, spins
from .._physical import Physical
from ._experiment import AbstractExperiment
from ._mnist_ep import couplings, descent
from ._settings import setting

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PIXELS = 64


class DigitsEP(AbstractExperiment):
    """mnist-ep in small: one hidden layer, images of 8 × 8 pixels that are not moved,
    seconds of training. Many of them train side by side in a sweep.
    """

    epochs: int = setting(20, "passes through the training images", low=1)
    batch_size: int = setting(32, "images a step", low=1)
    hidden: int = setting(32, "units between the pixels and the classes", low=1)
    learning_rate: float = setting(5e-3, "of Adam, falling as a cosine", low=0)
    beta: float = setting(0.5, "length of a nudge", low=1e-6)
    free: int = setting(15, "steps of the free relaxation", low=1)
    nudged: int = setting(6, "steps of each nudged one", low=1)

    name: ClassVar[str] = "digits-ep"
    summary: ClassVar[str] = (
        "Hopfield network, 64-32-10, on 8 × 8 digits; equilibrium propagation"
    )
    reference: ClassVar[str] = (
        "after Scellier & Bengio, Front. Comput. Neurosci. 11, 24 (2017), "
        "doi:10.3389/fncom.2017.00024"
    )
    figure: ClassVar[str] = "test accuracy"
    published: ClassVar[float | None] = None
    duration: ClassVar[float] = 5.0

    def data(self) -> data.Dataset:
        digits = data.digits()
        return digits._replace(
            train_x=digits.train_x.reshape(-1, PIXELS),
            test_x=digits.test_x.reshape(-1, PIXELS),
        )

    def model(self, *, key: PRNGKeyArray) -> Any:
        network = spins.HopfieldNetwork(
            couplings(PIXELS, self.hidden, key),
            relaxation=integrators.FixedSteps(self.free, self.nudged),
        )
        return Physical(network, estimators.EquilibriumPropagation(self.beta))

    def objective(self, predictions: Any, targets: Any) -> Array:
        return objectives.mean_squared_error(predictions, targets)

    def optimizer(self, steps: int) -> optax.GradientTransformation:
        return optax.adam(optax.cosine_decay_schedule(self.learning_rate, steps))

    def metrics(self) -> Mapping[str, Callable[[Any, Any], Any]]:
        return {"accuracy": objectives.accuracy}

    def picture(self, model: Any, data: Any) -> "Figure":
        """On digits that the network finds hard."""
        x = jnp.asarray(data.test_x)
        return descent(model.layer, x, data.test_y, self.beta)
