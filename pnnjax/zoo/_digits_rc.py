"""Handwritten digits as currents over time, remembered by resistors and capacitors."""

import itertools
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from .. import circuits, data, estimators, imperfections, objectives, plots
from .._physical import Physical, innermost
from ._digits_mesh import jittered
from ._experiment import AbstractExperiment
from ._settings import setting

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PIXELS = 64
CLASSES = 10
CURRENT = 1e-6
"""A, of a full pixel."""
STEP = 1e-3
"""s, for which each part of an image is held."""
UNITS = {"conductance": 1e-6, "capacitance": 1e-9}
"""S and F: with them, voltages are of order 1 V and times of order `STEP`."""
STRONGEST = 5e-6
"""S."""


class DigitsRC(AbstractExperiment):
    """An image enters as currents, a few rows at a time; when the last are in, ten
    voltage differences are the scores. What came first has decayed by then, and only
    the slow nodes still know of it. The gradient is that of a second run of the same
    circuit, into which the error flows backwards in time. Each training image is shown
    in five places, half a pixel apart.
    """

    epochs: int = setting(12, "passes through the training images", low=1)
    batch_size: int = setting(32, "images a step", low=1)
    rows: int = setting(4, "of the image that enter at a time", low=1, high=8)
    hidden: int = setting(40, "nodes that are neither fed nor read", low=1)
    learning_rate: float = setting(0.03, "of Adam, as a cosine (µS, nF)", low=0)
    scale: float = setting(1000.0, "of the softmax over the voltages (1/V)", low=0)
    mismatch: float = setting(0.0, "hidden error of each part, relative", low=0)

    name: ClassVar[str] = "digits-rc"
    summary: ClassVar[str] = (
        "resistors and capacitors on 8 × 8 digits over time; same-device adjoint"
    )
    reference: ClassVar[str] = (
        "exactness of same-device gradients in overdamped linear dynamics: Boesch et "
        "al. (2026); no published demonstration is known"
    )
    figure: ClassVar[str] = "test accuracy"
    published: ClassVar[float | None] = None
    duration: ClassVar[float] = 30.0

    def data(self) -> data.Dataset:
        digits = data.digits()
        images = jittered(digits.train_x)
        return digits._replace(
            train_x=self.currents(images.reshape(-1, *images.shape[2:])),
            train_y=np.tile(digits.train_y, len(images)),
            test_x=self.currents(digits.test_x),
        )

    def currents(self, images: np.ndarray) -> np.ndarray:
        """Over time, into the input nodes (A). The last rows may be dark."""
        steps = math.ceil(8 / self.rows)
        dark = ((0, 0), (0, steps * self.rows - 8), (0, 0))
        return CURRENT * np.pad(images, dark).reshape(len(images), steps, -1)

    def model(self, *, key: PRNGKeyArray) -> Any:
        network_key, error_key = jax.random.split(key)
        network: Any = self.network(key=network_key)
        if self.mismatch:
            wrong = imperfections.Mismatch(sigma=self.mismatch, relative=True)
            network = wrong(network, key=error_key)
        return Physical(network, estimators.SameDeviceAdjoint())

    def network(self, *, key: PRNGKeyArray) -> circuits.RCNetwork:
        """Every node that is fed or hidden is joined to every hidden and read one, and
        every node to the ground; time constants spread over two decades.
        """
        fed = range(8 * self.rows)
        hidden = range(len(fed), len(fed) + self.hidden)
        read = range(hidden.stop, hidden.stop + 2 * CLASSES)
        edges: list[tuple[int, int | None]] = [
            *itertools.product(fed, [*hidden, *read]),
            *itertools.combinations(hidden, 2),
            *itertools.product(hidden, read),
            *((node, None) for node in range(read.stop)),
        ]
        one, other = jax.random.split(key)
        weak = jax.random.uniform(one, (len(edges),), jnp.float32, -5.0, 0.0)
        slow = jax.random.uniform(other, (read.stop,), jnp.float32, -1.2, 3.4)
        return circuits.RCNetwork(
            edges,
            0.3 * UNITS["conductance"] * jnp.exp(weak),
            UNITS["capacitance"] * jnp.exp(slow),
            inputs=fed,
            outputs=list(zip(read[::2], read[1::2], strict=True)),
            step=STEP,
            high=STRONGEST,
            least_capacitance=0.1 * UNITS["capacitance"],
        )

    def objective(self, predictions: Any, targets: Any) -> Array:
        return objectives.cross_entropy(self.scale * predictions[:, -1], targets)

    def optimizer(self, steps: int) -> optax.GradientTransformation:
        def adam(unit):
            peak = self.learning_rate * unit
            return optax.adam(optax.cosine_decay_schedule(peak, steps))

        return optax.partition(
            {name: adam(unit) for name, unit in UNITS.items()},
            lambda tree: jax.tree_util.tree_map_with_path(
                lambda path, _: path[-1].name, tree
            ),
        )

    def metrics(self) -> Mapping[str, Callable[[Any, Any], Any]]:
        return {"accuracy": lambda y, labels: objectives.accuracy(y[:, -1], labels)}

    def picture(self, model: Any, data: Any) -> "Figure":
        """Both runs for the first image of the test part."""
        network = innermost(model.layer)
        x = jnp.asarray(data.test_x[0])
        voltages, error = responses(
            network, x, lambda y: self.objective(y[None], jnp.asarray(data.test_y[:1]))
        )
        return plots.two_runs(
            voltages,
            error,
            step=STEP,
            titles=(f"A {data.test_y[0]} flows in", "Its error, played backwards"),
            highlighted=[pair[0] for pair in network.wiring.outputs],
        )


def responses(
    network: circuits.RCNetwork,
    x: Float[Array, "time inputs"],  # A
    loss: Callable[[Float[Array, "time outputs"]], Float[Array, ""]],
) -> tuple[Float[Array, "time nodes"], Float[Array, "time nodes"]]:
    """What the nodes do when `x` flows in, and when the error does, in reversed time.

    The first is in volts; the second has the unit of the loss per ampere.
    """
    trajectory = network.evolve(network.drive(x))
    error = jax.grad(lambda v: loss(network.readout(v)))(trajectory)
    return trajectory, network.evolve(jnp.flip(error, 0))
