"""Handwritten digits by an annealed network of spins, as on a D-Wave machine."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Integer, PRNGKeyArray

from .. import data, estimators, objectives, spins
from .._physical import Physical
from ..plots._style import PALETTE, figure, style
from ._experiment import AbstractExperiment
from ._settings import setting

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PIXELS = 28 * 28
CLASSES = 10


def balanced_first(
    x: Float[np.ndarray, "examples ny nx"],
    y: Integer[np.ndarray, " examples"],
    count: int,
) -> tuple[np.ndarray, np.ndarray]:
    """The first images of each class, `count` in all, in their order, one row each."""
    of_class = [np.flatnonzero(y == c)[: count // CLASSES] for c in range(CLASSES)]
    rows = np.sort(np.concatenate(of_class))
    return x[rows].reshape(len(rows), -1), y[rows]


def signs_of(
    labels: Integer[Array, "*batch"], dtype: Any
) -> Float[Array, "*batch classes"]:
    """What the outputs should be: 1 in the class, -1 in the others."""
    return 2 * jax.nn.one_hot(labels, CLASSES, dtype=dtype) - 1


class MnistIsingEP(AbstractExperiment):
    """The first hundred training images and ten test images of each class, as in the
    paper. Four spins show one output.

    The cost is the squared error of the outputs: a right answer is not nudged, a wrong
    one only in the outputs that are wrong. In the paper, and with `cost=spins`, it is
    that of each spin, whose slope is the same everywhere: every output is nudged.

    Seeds 0 to 2 reach 89, 91 and 91 % of the test images and 99.4, 99.7 and 99.7 % of
    the training images; of the first 200 test images of each class, 84.0, 82.5 and
    84.4 %.
    """

    epochs: int = setting(40, "passes through the training images", low=1)
    batch_size: int = setting(10, "images a step", low=1)
    images: int = setting(1000, "of all classes alike, to train with", low=10)
    test_images: int = setting(100, "of all classes alike, to test with", low=10)
    hidden: int = setting(120, "spins between the pixels and the outputs", low=1)
    copies: int = setting(4, "spins that show one output", low=1)
    reads: int = setting(2, "anneals, of which the lowest is kept", low=1)
    sweeps: int = setting(20, "of an anneal", low=2)
    hot: float = setting(1.0, "temperature at its begin", low=1e-6)
    cold: float = setting(0.1, "temperature at its end", low=1e-6)
    fraction: float = setting(
        0.25, "of the sweeps that a reverse anneal leaves out", low=0.01, high=0.99
    )
    beta: float = setting(60.0, "length of a nudge", low=1e-6)
    learning_rate: float = setting(
        0.04, "of gradient descent, falling as a cosine; of biases a tenth", low=0
    )
    cost: Literal["outputs", "spins"] = setting(
        "outputs", "whose squared error is made small"
    )

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {
            "epochs": 50,
            "batch_size": 1,
            "reads": 10,
            "sweeps": 100,
            "beta": 5 * 4 * CLASSES**0.5,
            "learning_rate": 0.01,
            "cost": "spins",
        }
    }
    name: ClassVar[str] = "mnist-ising-ep"
    summary: ClassVar[str] = (
        "Ising machine, 784-120-40, on 1000 MNIST digits; equilibrium propagation with "
        "anneals"
    )
    reference: ClassVar[str] = (
        "Laydevant, Marković & Grollier, Nat. Commun. 15, 3671 (2024), "
        "doi:10.1038/s41467-024-46879-4"
    )
    figure: ClassVar[str] = "test accuracy"
    published: ClassVar[float | None] = 0.888
    duration: ClassVar[float] = 30.0

    def data(self) -> data.Dataset:
        every = data.mnist()
        train_x, train_y = balanced_first(every.train_x, every.train_y, self.images)
        test_x, test_y = balanced_first(every.test_x, every.test_y, self.test_images)
        return data.Dataset(train_x, train_y, test_x, test_y, every.classes)

    def model(self, *, key: PRNGKeyArray) -> Any:
        machine = spins.IsingMachine(
            (PIXELS, self.hidden, self.copies * CLASSES),
            copies=self.copies,
            reads=self.reads,
            sweeps=self.sweeps,
            hot=self.hot,
            cold=self.cold,
            fraction=self.fraction,
            key=key,
        )
        # The gains of the paper's code: strong outputs would hold the spins by
        # themselves, whatever the image.
        machine = eqx.tree_at(
            lambda m: (m.weight, m.couplings[0]),
            machine,
            (0.5 * machine.weight, 0.25 * machine.couplings[0]),
        )
        rule = estimators.EquilibriumPropagation(self.beta, centered=False)
        return Physical(machine, rule)

    def objective(self, predictions: Any, targets: Any) -> Array:
        wanted = signs_of(targets, predictions.dtype)
        if self.cost == "spins":
            # (s - t)^2 / 2 of spins s, which square to 1.
            error = 1 - wanted * predictions
        else:
            error = (predictions - wanted) ** 2 / 2
        return self.copies * jnp.sum(error, -1).mean()

    def optimizer(self, steps: int) -> optax.GradientTransformation:
        fast, slow = (
            optax.sgd(optax.cosine_decay_schedule(rate * self.learning_rate, steps))
            for rate in (1.0, 0.1)
        )
        return optax.multi_transform(
            {2: fast, 1: slow}, lambda model: jax.tree.map(jnp.ndim, model)
        )

    def metrics(self) -> Mapping[str, Callable[[Any, Any], Any]]:
        return {"accuracy": objectives.accuracy}

    def picture(self, model: Any, data: Any) -> "Figure":
        x, y = jnp.asarray(data.test_x), jnp.asarray(data.test_y)
        key = jax.random.key(0)
        wrong = np.flatnonzero(model.layer(x, key=key).argmax(-1) != y)
        row = int(wrong[0]) if len(wrong) else 0
        nudge = -self.beta / CLASSES**0.5 * signs_of(y[row], x.dtype)
        return _raster(model.layer, x[row], nudge, int(y[row]), key)


def _raster(
    machine: spins.IsingMachine,
    x: Float[Array, " pixels"],
    nudge: Float[Array, " classes"],
    label: int,
    key: PRNGKeyArray,
) -> "Figure":
    """The image, and every spin after each sweep: up (blue) or down (orange)."""
    from matplotlib.colors import ListedColormap

    start = machine.initial_state(x, key=key)
    free = machine.record(start, x, None)
    nudged = machine.record(machine.relax(start, x, None), x, nudge)
    both = np.concatenate([free, nudged]).T
    hidden = len(machine.biases[0])
    with style():
        fig = figure(7.2, 5.4)
        fig.set_layout_engine("constrained")
        grid = fig.add_gridspec(1, 2, width_ratios=(1, 3))
        left, right = fig.add_subfigure(grid[0]), fig.add_subfigure(grid[1])
        image = left.subplots()
        image.imshow(np.reshape(x, (28, 28)), cmap="gray_r")
        image.set_title(f"A {label}")
        image.axis("off")
        above, below = right.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        for ax, rows in ((above, both[:hidden]), (below, both[hidden:])):
            down_up = ListedColormap([PALETTE[1], PALETTE[0]])
            ax.imshow(rows, down_up, vmin=-1, vmax=1, aspect="auto")
            ax.axvline(len(free) - 0.5, color="black", linewidth=2)
        above.set(ylabel="Hidden spin", title="Annealed freely  |  in reverse, nudged")
        copies = machine.copies
        below.set(xlabel="Sweep", ylabel="Output")
        below.set_yticks(
            copies * np.arange(CLASSES) + (copies - 1) / 2, [*"0123456789"]
        )
    return fig
