"""Handwritten digits by a network of resistors and diodes."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from .. import circuits, data, estimators, objectives, plots
from .._layer import AbstractLayer, Facts
from .._physical import Physical
from ._experiment import AbstractExperiment
from ._settings import setting

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIDE = 28
CLASSES = 10
MILLIVOLTS = 1e3  # in a volt


class Shaken(AbstractLayer):
    """Images as rows of pixels; while training, moved at random.

    By `reach` pixels at most in each direction; what leaves on one side comes back on
    the other, where these images are blank.
    """

    reach: int
    inference: bool
    facts = Facts()

    def __init__(self, reach: int, inference: bool = False):
        self.reach = reach
        self.inference = inference

    def __call__(
        self, x: Float[Array, "*batch ny nx"], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "*batch pixels"]:
        if key is not None and not self.inference and self.reach > 0:
            by = jax.random.randint(key, (2,), -self.reach, self.reach + 1)
            x = jnp.roll(x, by, (-2, -1))
        return x.reshape(*x.shape[:-2], -1)


class MnistDRN(AbstractExperiment):
    """Each pixel drives two sources; the output node of highest voltage is the class.

    Trained by the cross-entropy of the output voltages, in millivolts, on images that
    are moved by up to a pixel. Only ratios count: kilovolts with volts in the softmax
    are the same network.
    """

    epochs: int = setting(12, "passes through the training images", low=1)
    batch_size: int = setting(64, "images a step", low=1)
    images: int = setting(60_000, "how many of them to train with", low=1, high=60_000)
    hidden: int = setting(512, "nodes with a diode", low=2)
    shift: int = setting(1, "pixels by which training images are moved", low=0, high=4)
    input_gain: float = setting(3.0, "volts of a white pixel", low=1e-9)
    beta: float = setting(3e-3, "size of the nudging currents (A)", low=1e-9)
    learning_rate: float = setting(1e-3, "of Adam, falling as a cosine (S)", low=0)

    name: ClassVar[str] = "mnist-drn"
    summary: ClassVar[str] = (
        "deep resistive network, one hidden layer, on MNIST; equilibrium propagation"
    )
    reference: ClassVar[str] = (
        "Scellier, ICML (PMLR 235, 2024), arXiv:2402.11674: 32,768 hidden nodes"
    )
    figure: ClassVar[str] = "test accuracy"
    published: ClassVar[float | None] = 0.9867
    duration: ClassVar[float] = 150.0

    def data(self) -> data.Dataset:
        every = data.mnist()
        return every._replace(
            train_x=every.train_x[: self.images], train_y=every.train_y[: self.images]
        )

    def model(self, *, key: PRNGKeyArray) -> eqx.nn.Sequential:
        network = circuits.DeepResistiveNetwork(
            (SIDE * SIDE, self.hidden, CLASSES), key=key, input_gain=self.input_gain
        )
        rule = estimators.EquilibriumPropagation(self.beta, centered=True)
        return eqx.nn.Sequential([Shaken(self.shift), Physical(network, rule)])

    def objective(self, predictions: Any, targets: Any) -> Array:
        return objectives.cross_entropy(predictions * MILLIVOLTS, targets)

    def optimizer(self, steps: int) -> optax.GradientTransformation:
        return optax.adam(optax.cosine_decay_schedule(self.learning_rate, steps))

    def metrics(self) -> Mapping[str, Callable[[Any, Any], Any]]:
        return {"accuracy": objectives.accuracy}

    def picture(self, model: Any, data: Any) -> "Figure":
        shaken, physical = eqx.nn.inference_mode(model).layers
        network = physical.layer
        x = shaken(jnp.asarray(data.test_x[:1000]))
        state = network.relax(network.initial_state(x), x, None)
        return plots.node_voltages(state, data.test_y[:1000])
