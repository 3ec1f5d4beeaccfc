"""Handwritten digits by crossbars that are read, and written by pulses, on the chip."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, PRNGKeyArray

from .. import circuits, data, estimators, objectives, optimizers, plots
from .._analog_memory import AbstractPulsedDevice
from .._physical import attach
from ._experiment import AbstractExperiment
from ._settings import setting

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PIXELS = 28**2
CLASSES = 10


class MnistRRAMPulsed(AbstractExperiment):
    """Signals and errors are read from the two sides of the same cells, and pulses that
    coincide at a cell change it. Biases are digital.

    Steps that shrink towards each bound drag the weights of plain descent to zero.
    Tiki-Taka reaches 97.5 % (seeds 0 to 2: 97.6, 97.6, 97.4), on the same cells each
    time. Seed 0 reaches 92.7 % without it (`preset=sgd`), 97.8 % with equal steps
    (`preset=symmetric`) and 97.9 % with updates of any size (`preset=ideal`).
    """

    epochs: int = setting(8, "passes through the training images", low=1)
    batch_size: int = setting(64, "images a step", low=1)
    hidden: int = setting(256, "units between the pixels and the classes", low=1)
    updates: Literal["tiki-taka-2", "tiki-taka", "sgd", "ideal"] = setting(
        "tiki-taka-2", "how the cells are updated; `ideal`: by any amount"
    )
    device: Literal["soft-bounds", "constant-step"] = setting(
        "soft-bounds", "how a pulse depends on the state"
    )
    states: int = setting(1000, "pulses from bound to bound in the middle", low=3)
    weight_range: float = setting(0.6, "the largest weight", low=1e-6)
    learning_rate: float = setting(1.0, "constant for Tiki-Taka, else falling", low=0)
    bias_rate: float = setting(0.1, "of the digital biases, falling", low=0)

    transfer: float = setting(0.2, "of fast cells' states to slow cells", low=1e-9)
    columns: int = setting(56, "of fast cells, read at a time", low=1)

    name: ClassVar[str] = "mnist-rram-pulsed"
    summary: ClassVar[str] = (
        "crossbars, 784-256-10, on MNIST digits; backpropagation and pulses on the chip"
    )
    reference: ClassVar[str] = (
        "after Gokmen & Haensch, Front. Neurosci. 14, 103 (2020), "
        "doi:10.3389/fnins.2020.00103"
    )
    figure: ClassVar[str] = "test accuracy"
    published: ClassVar[float | None] = None
    duration: ClassVar[float] = 90.0
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "sgd": {"updates": "sgd", "learning_rate": 0.5},
        "symmetric": {
            "updates": "sgd",
            "learning_rate": 0.5,
            "device": "constant-step",
        },
        "ideal": {"updates": "ideal", "learning_rate": 0.5},
    }

    def data(self) -> data.Dataset:
        return flat(data.mnist())

    def model(self, *, key: PRNGKeyArray) -> Any:
        sizes = PIXELS, self.hidden, CLASSES
        stack = perceptron(sizes, self.weight_range, use_bias=True, key=key)
        return attach(stack, estimators.TransposedRead())

    def objective(self, predictions: Any, targets: Any) -> Array:
        return objectives.cross_entropy(predictions, targets)

    def optimizer(self, steps: int) -> optax.GradientTransformation:
        digital = optax.sgd(optax.cosine_decay_schedule(self.bias_rate, steps, 0.02))
        return optax.multi_transform(
            {True: self.of_cells(steps), False: digital}, circuits.is_conductance
        )

    def of_cells(self, steps: int) -> optax.GradientTransformation:
        """The optimizer of all but the biases."""
        # A weight is 2g - 1 times the range, and its slope by g is as much larger.
        peak = self.learning_rate / (2 * self.weight_range) ** 2
        falling = optax.sgd(optax.cosine_decay_schedule(peak, steps, 0.02))
        cell = self.cell()
        match self.updates:
            case "ideal":
                return falling
            case "sgd":
                return optax.chain(falling, optimizers.pulsed_update(cell))
            case "tiki-taka":
                taka = optimizers.tiki_taka
            case "tiki-taka-2":
                taka = optimizers.buffered_tiki_taka
        rate = optax.cosine_decay_schedule(self.transfer, steps, 0.05)
        pulsed = taka(cell, cell, rate=rate, columns=self.columns)
        return optax.chain(optax.sgd(peak), pulsed)

    def cell(self) -> AbstractPulsedDevice:
        """Of the device that each cell is, from 0 to 1."""
        kinds = {
            "soft-bounds": circuits.SoftBounds,
            "constant-step": circuits.ConstantStep,
        }
        return kinds[self.device](step=1 / self.states)

    def metrics(self) -> Mapping[str, Callable[[Any, Any], Any]]:
        return {"accuracy": objectives.accuracy}

    def picture(self, model: Any, data: Any) -> "Figure":
        """The cells before and after."""
        untrained = self.model(key=jax.random.key(0))
        return plots.conductance_histogram(
            cells({"before": untrained, "after": model}), "State (of the maximum)"
        )


def flat(images: data.Dataset) -> data.Dataset:
    """Images as rows of pixels."""
    train, test = images.train_x, images.test_x
    return images._replace(
        train_x=train.reshape(len(train), -1), test_x=test.reshape(len(test), -1)
    )


def perceptron(
    sizes: tuple[int, ...],
    weight_range: float,
    *,
    encoding: circuits.AbstractEncoding = circuits.Referenced(),
    use_bias: bool = False,
    counting: bool = True,
    key: PRNGKeyArray,
) -> eqx.nn.Sequential:
    """Crossbars, and a tanh between them."""
    keys = jax.random.split(key, len(sizes) - 1)
    layers: list[Any] = []
    for inputs, outputs, own in zip(sizes, sizes[1:], keys, strict=False):
        crossbar = circuits.Crossbar(
            inputs,
            outputs,
            key=own,
            encoding=encoding,
            weight_range=weight_range,
            use_bias=use_bias,
            counting=counting,
        )
        layers += [crossbar, eqx.nn.Lambda(jnp.tanh)]
    return eqx.nn.Sequential(layers[:-1])


def cells(models: Mapping[str, Any]) -> dict[str, dict[str, Array]]:
    """Crossbar to occasion to the states of its cells, for `conductance_histogram`."""
    found = {occasion: crossbars(model) for occasion, model in models.items()}
    count = len(next(iter(found.values())))
    return {
        f"crossbar {k + 1}": {w: found[w][k].conductance for w in found}
        for k in range(count)
    }


def crossbars(model: Any) -> list[circuits.Crossbar]:
    """Those of a model, from the input on."""
    nodes = jax.tree.leaves(model, is_leaf=_is_crossbar)
    return [node for node in nodes if _is_crossbar(node)]


def _is_crossbar(node: Any) -> bool:
    return isinstance(node, circuits.Crossbar)
