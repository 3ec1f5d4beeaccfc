"""Clothes on banks of microrings that all wiggle at once, each by a code of its own."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PRNGKeyArray

from .. import estimators, imperfections, objectives, optics, optimizers, plots
from .._fit import fit
from .._frozen import is_trainable
from .._search import AbstractSearch
from ..data import Dataset, fashion_mnist
from ..devices import DeviceLayer, SimulatedDevice
from ..estimators import AbstractCode, RandomCode, SequentialCode, WalshCode
from ._counted import counted
from ._experiment import AbstractStudy, Outcome
from ._settings import setting

if TYPE_CHECKING:
    from matplotlib.figure import Figure

POOL = 4
"""Pixels along the side of what becomes one channel."""
CLASSES = 10
GRID = {"spacing": 50e9, "free_spectral_range": 2.6e12, "finesse": 260.0}
"""Channels 50 GHz apart, resonances 10 GHz wide."""
HALF = 5e9
"""Hz, the detuning at which a ring drops half of the light: a weight of zero."""
GAIN = 10.0
"""Of the electronics between the banks, per input of full scale."""


class FashionMGD(AbstractStudy):
    """Two ring weight banks, with sigmoid modulators between, as a black box: 7 × 7
    powers, a constant one, 16 hidden channels, ten balanced detectors. The resonances
    are off by what nobody knows.

    The rings' heaters wiggle by random codes while a mini-batch is shown, the one loss
    is demodulated for each of them, and then all are moved. `alignment` shows how the
    gradient so found turns to the exact one as the perturbations of each code go on.
    """

    epochs: int = setting(60, "passes over the training images", low=1)
    batch_size: int = setting(500, "images at each setting of the rings", low=1)
    perturbations: int = setting(32, "between two updates, of one batch", low=1)
    hidden: int = setting(16, "channels between the banks", low=1, high=51)
    rate: float = setting(0.02, "of Adam at first, as a cosine, by the rms", low=0)
    amplitude: float = setting(0.02, "of the perturbation, by the rms", low=1e-6)
    noise: float = setting(0.0, "of each reading of the loss (nat)", low=0)
    scale: float = setting(10.0, "of the softmax over the detectors", low=0)
    mismatch: float = setting(1e9, "hidden, of each resonance (Hz)", low=0)

    name: ClassVar[str] = "fashion-mgd"
    summary: ClassVar[str] = (
        "microring weight banks with hidden errors on Fashion-MNIST; multiplexed "
        "gradient descent on the loss alone"
    )
    reference: ClassVar[str] = (
        "McCaughan et al., APL Mach. Learn. 1, 026118 (2023), doi:10.1063/5.0157645; "
        "banks: Tait et al., Sci. Rep. 7, 7430 (2017), doi:10.1038/s41598-017-07754-z"
    )
    figure: ClassVar[str] = "test accuracy"
    published: ClassVar[float | None] = None
    duration: ClassVar[float] = 300.0

    def run(
        self, *, seed: int, checkpoint: Path | None, resume: bool, progress: bool
    ) -> Outcome:
        clothes, keys = self.images(), jax.random.split(jax.random.key(seed))
        steps = self.epochs * (len(clothes.train_x) // self.batch_size)
        model, history = fit(
            self.chip(key=keys[0]),
            clothes,
            self.objective,
            self.optimizer(steps),
            epochs=self.epochs,
            batch_size=self.batch_size,
            metrics={"accuracy": objectives.accuracy},
            evaluate_every=max(1, self.epochs // 20),
            noisy=False,
            key=keys[1],
            checkpoint=checkpoint,
            resume=resume,
            progress=progress,
        )
        runs = (1 + self.perturbations) * self.batch_size  # a step
        pictures = {
            "alignment": partial(self.alignment, seed, clothes),
            "physics": lambda: self.picture(model, clothes),
        }
        return counted(model, history, runs, pictures)

    def images(self) -> Dataset:
        """Powers (W) of the channels of each image, the last one constant."""
        clothes = fashion_mnist()
        return clothes._replace(
            train_x=pooled(clothes.train_x), test_x=pooled(clothes.test_x)
        )

    def chip(self, *, key: PRNGKeyArray) -> DeviceLayer:
        """A black box, programmed by the design."""
        design, real = self.design(key=key)
        device = SimulatedDevice(real)
        return DeviceLayer(design, device)

    def design(self, *, key: PRNGKeyArray) -> tuple[eqx.nn.Sequential, Any]:
        """The banks as they are meant to be, and with their resonances' errors."""
        first, second, hidden = jax.random.split(key, 3)
        channels = (28 // POOL) ** 2 + 1
        design = eqx.nn.Sequential(
            [
                _bank(self.hidden, channels, first),
                eqx.nn.Lambda(modulated),
                _bank(CLASSES, self.hidden + 1, second),
            ]
        )
        return design, imperfections.Mismatch(sigma=self.mismatch)(design, key=hidden)

    def objective(self, predictions: Any, targets: Any) -> Array:
        return objectives.cross_entropy(self.scale * predictions, targets)

    def optimizer(self, steps: int) -> AbstractSearch:
        """One update after the perturbations of each batch."""
        return optimizers.multiplexed_gradient_descent(
            RandomCode(self.perturbations),
            self.amplitude,
            optax.cosine_decay_schedule(self.rate, steps),
            perturbations=self.perturbations,
            integration=self.perturbations,
            noise=self.noise,
            direction=optax.scale_by_adam(),
            scales=estimators.typical_sizes,
        )

    def alignment(self, seed: int, clothes: Dataset) -> "Figure":
        """Cosines with the exact gradient as perturbations go on, of the first batch
        and the untrained chip, which who knows its errors can differentiate.
        """
        _, real = self.design(key=jax.random.split(jax.random.key(seed))[0])
        batch = clothes.train_x[: self.batch_size], clothes.train_y[: self.batch_size]
        count = _rings(real)[1].size
        turns = 2 ** np.arange(3, int(2 * count - 1).bit_length() + 1)
        last = int(turns[-1])
        codes: Mapping[str, AbstractCode] = {
            "random": RandomCode(last),
            "Walsh": WalshCode(),
            "one by one": SequentialCode(centered=True),
        }
        lines: dict[str, Any] = {
            name: self.cosines(real, code, batch, last)[turns // turns[0] - 1]
            for name, code in codes.items()
        }
        lines["random, in theory"] = np.sqrt(turns / (turns + count - 1))
        return plots.gradient_alignment(lines, turns.astype(float), "Perturbations")

    def cosines(
        self,
        real: Any,
        code: AbstractCode,
        batch: tuple[np.ndarray, np.ndarray],
        last: int,
    ) -> np.ndarray:
        """Of what is gathered with the exact gradient, every eight perturbations."""
        x, y = map(jnp.asarray, batch)
        unflatten, place = _rings(real)

        def loss(place: Array, key: PRNGKeyArray | None = None) -> Array:
            del key
            return self.objective(jax.vmap(unflatten(place))(x), y)

        search = optimizers.multiplexed_gradient_descent(
            code,
            self.amplitude,
            1.0,
            perturbations=8,
            integration=last + 8,  # none of the steps below updates
            noise=self.noise,
            scales=lambda tree: jnp.asarray(HALF, tree.dtype),
        )

        @jax.jit
        def course(place: Array, key: PRNGKeyArray) -> Array:
            exact = jax.grad(loss)(place)

            def listen(memory: Any, key: PRNGKeyArray) -> tuple[Any, Array]:
                _, memory, _ = search.step(loss, memory, place, key=key)
                found = memory.gathered
                lengths = jnp.linalg.norm(found) * jnp.linalg.norm(exact)
                return memory, found @ exact / lengths

            keys = jax.random.split(key, last // 8)
            return jax.lax.scan(listen, search.init(place), keys)[1]

        return np.asarray(course(place, jax.random.key(0)))

    def picture(self, model: Any, clothes: Dataset) -> "Figure":
        """What the trained chip takes the test images for."""
        predict = eqx.filter_jit(lambda chip, x: jnp.argmax(chip(x), -1))
        found = predict(model, jnp.asarray(clothes.test_x))
        return plots.confusion_matrix(
            np.asarray(found), clothes.test_y, clothes.classes
        )


def pooled(images: Float[np.ndarray, "n 28 28"]) -> Float[np.ndarray, "n channels"]:
    """Means over squares of pixels, and a constant one after them."""
    side = 28 // POOL
    squares = images.reshape(-1, side, POOL, side, POOL).mean((2, 4))
    rows = squares.reshape(len(images), -1)
    ones = np.ones((len(rows), 1), rows.dtype)
    return np.concatenate([rows, ones], 1)


def modulated(y: Float[Array, " hidden"]) -> Float[Array, " channels"]:
    """Detected currents drive modulators; one more channel is always open."""
    return jnp.concatenate([jax.nn.sigmoid(GAIN * y), jnp.ones(1, y.dtype)])


def _rings(real: Any) -> tuple[Callable[[Array], Any], Array]:
    """A chip as a function of its detunings in a row, and these."""
    trained, rest = eqx.partition(real, is_trainable(real))
    place, unflatten = ravel_pytree(trained)
    return lambda place: eqx.combine(unflatten(place), rest), place


def _bank(rows: int, channels: int, key: PRNGKeyArray) -> optics.RingWeightBank:
    """Weights around zero."""
    spread = 1 + 0.3 * jax.random.normal(key, (rows, channels))
    return optics.RingWeightBank(HALF * jnp.abs(spread), **GRID)
