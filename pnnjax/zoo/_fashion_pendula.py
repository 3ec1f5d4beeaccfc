"""Clothes on pendula that are not quite their model: in silico, and physics-aware."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from .. import data, estimators, imperfections, objectives, plots, waves
from .._fit import fit
from .._layer import AbstractLayer, Facts
from .._physical import Physical
from ..devices import SimulatedDevice
from ..plots._style import PALETTE, figure, style
from ._experiment import AbstractStudy, Outcome
from ._settings import setting

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIDE = 28
PATCH = 7
PATCHES = (SIDE // PATCH) ** 2
CLASSES = 10
IDEAL = "ideal pendula"
IN_SILICO = "in silico, deployed"
PHYSICS_AWARE = "physics-aware"
METHODS = (IDEAL, IN_SILICO, PHYSICS_AWARE)


class SideBySide(AbstractLayer):
    """Sets of pendula, each with an input of its own: what they make of them in a row.

    **Arguments:** `sets`: pendula whose arrays have one axis more, the sets.
    """

    sets: waves.CanonicalPendula
    facts: ClassVar[Facts] = Facts()

    def __call__(
        self, x: Float[Array, "*batch sets inputs"], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "*batch outputs"]:
        del key  # nothing is drawn
        axes = (eqx.if_array(0), -2)
        y = eqx.filter_vmap(_swing, in_axes=axes, out_axes=-2)(self.sets, x)
        return y.reshape(*y.shape[:-2], -1)


class Shaky(AbstractLayer):
    """Angles, with the error with which pendula are set to them."""

    noise: float  # rad
    facts: ClassVar[Facts] = Facts(linear=True)

    def __call__(
        self, x: Float[Array, "..."], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "..."]:
        if key is None:
            return x
        return x + self.noise * jax.random.normal(key, x.shape, x.dtype)


class Hierarchy(eqx.Module):
    """What the model believes of the pendula, or what they are."""

    lower: AbstractLayer
    upper: AbstractLayer


class FashionPendula(AbstractStudy):
    r"""Sixteen patches of a picture, each on pendula of its own, and more pendula on
    all that those show; of these the one that swings out most is the class.

    In reality the sine is that of $(1 + \eta)q$, couplings have hidden errors, and the
    starting angles are noisy, there as in the model. *In silico*: trained on the model,
    then deployed. *Physics-aware*: the real angles, the model's Jacobians. Both begin
    with the same couplings and see the same batches. The equations are the published
    ones, in steps of leapfrog. The preset `paper` has the published 100 pendula a patch
    and 1610 above them; by default, there are 49 and 266.
    """

    epochs: int = setting(3, "passes through the training images", low=1)
    batch_size: int = setting(64, "images a step", low=1)
    images: int = setting(60_000, "how many of them to train with", low=1, high=60_000)
    pendula: int = setting(49, "of each patch", low=PATCH**2)
    shown: int = setting(16, "of them, which the next pendula start at", low=1)
    nonlinearity: float = setting(0.1, "error of the angle in the sine", low=0)
    coupling_error: float = setting(
        0.2, "spread of the error matrix, before it is made symmetric", low=0
    )
    noise: float = setting(0.02, "of the starting angles (rad)", low=0)
    learning_rate: float = setting(5e-3, "of AdamW, falling as a cosine", low=0)
    decay: float = setting(0.1, "of the couplings, in units of that rate", low=0)
    scale: float = setting(20.0, "of the softmax over the angles (1/rad)", low=0)

    name: ClassVar[str] = "fashion-pendula"
    summary: ClassVar[str] = (
        "pendula with hidden errors on Fashion-MNIST; in silico and physics-aware"
    )
    reference: ClassVar[str] = (
        "Wright et al., Nature 601, 549 (2022), doi:10.1038/s41586-021-04223-6; the "
        "authors' Physics-Aware-Training, example 2: on validation images"
    )
    figure: ClassVar[str] = "physics-aware test accuracy"
    published: ClassVar[float | None] = 0.90
    duration: ClassVar[float] = 300.0
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"pendula": 100, "shown": 100}
    }

    def run(
        self, *, seed: int, checkpoint: Path | None, resume: bool, progress: bool
    ) -> Outcome:
        if checkpoint is not None:
            checkpoint.mkdir(exist_ok=True)
        own, key = jax.random.split(jax.random.key(seed))
        begin, errors = jax.random.split(own)
        every, model, real = self.data(), self.hierarchy(begin), self.reality(errors)

        def train(name: str, network: Any) -> Any:
            return fit(
                network,
                every,
                self.objective,
                self.optimizer(len(every.train_x)),
                epochs=self.epochs,
                batch_size=self.batch_size,
                metrics={"accuracy": objectives.accuracy},
                key=key,
                checkpoint=None if checkpoint is None else checkpoint / name,
                resume=resume,
                progress=progress,
            )

        believed, measured = estimators.Autodiff(), on(real)
        silico = train(IN_SILICO, self.network(model, lambda _: believed))
        aware = train(PHYSICS_AWARE, self.network(model, measured))
        _, lower, _, upper = silico.model.layers
        trained = Hierarchy(lower.layer, upper.layer)
        deployed = accuracy(self.network(trained, measured), every, key)
        ends = (
            silico.history.final()["accuracy"],
            deployed,
            aware.history.final()["accuracy"],
        )
        histories = {"on the model": silico.history, "physics-aware": aware.history}
        return Outcome(
            value=ends[-1],
            seconds=silico.history.seconds + aware.history.seconds,
            model=aware.model,
            history=None,
            table={"method": METHODS, "accuracy": ends},
            pictures={
                "training": lambda: plots.learning_curve(histories),
                "physics": lambda: draw(ends),
            },
        )

    def data(self) -> data.Dataset:
        every = data.fashion_mnist()
        return every._replace(
            train_x=patches(every.train_x[: self.images]),
            train_y=every.train_y[: self.images],
            test_x=patches(every.test_x),
        )

    def hierarchy(self, key: PRNGKeyArray, nonlinearity: float = 0.0) -> Hierarchy:
        """As they are trained, if `nonlinearity` is zero."""
        lower, upper = jax.random.split(key)

        def of_a_patch(key: PRNGKeyArray) -> waves.CanonicalPendula:
            return waves.CanonicalPendula(
                self.pendula,
                key=key,
                inputs=PATCH**2,
                outputs=self.shown,
                nonlinearity=nonlinearity,
            )

        sets = eqx.filter_vmap(of_a_patch)(jax.random.split(lower, PATCHES))
        inputs = PATCHES * self.shown
        last = waves.CanonicalPendula(
            inputs + CLASSES,
            key=upper,
            inputs=inputs,
            outputs=CLASSES,
            nonlinearity=nonlinearity,
        )
        return Hierarchy(SideBySide(sets), last)

    def reality(self, key: PRNGKeyArray) -> Hierarchy:
        """With the errors that `key` draws; its own couplings are never used."""
        start, lower, upper = jax.random.split(key, 3)
        ideal = self.hierarchy(start, self.nonlinearity)
        # Half of the sum of two normal numbers is narrower by the root of two.
        sigma = self.coupling_error / math.sqrt(2)
        of_sets = imperfections.Mismatch(sigma=sigma, where=lambda s: s.sets.coupling)
        of_one = imperfections.Mismatch(sigma=sigma, where=lambda p: p.coupling)
        return Hierarchy(
            of_sets(ideal.lower, key=lower), of_one(ideal.upper, key=upper)
        )

    def network(
        self, pendula: Hierarchy, rule: Callable[[str], Any]
    ) -> eqx.nn.Sequential:
        """Each of the two trained by the rule for its name in `Hierarchy`."""
        shaky = Shaky(self.noise)
        lower = Physical(pendula.lower, rule("lower"))
        upper = Physical(pendula.upper, rule("upper"))
        return eqx.nn.Sequential([shaky, lower, shaky, upper])

    def objective(self, predictions: Any, targets: Any) -> Array:
        return objectives.cross_entropy(self.scale * predictions, targets)

    def optimizer(self, images: int) -> optax.GradientTransformation:
        steps = self.epochs * (images // self.batch_size)
        rate = optax.cosine_decay_schedule(self.learning_rate, steps)
        return optax.adamw(rate, weight_decay=self.decay)


def on(real: Hierarchy) -> Callable[[str], estimators.PhysicsAware]:
    """Physics-aware training on these pendula."""
    return lambda name: estimators.PhysicsAware(SimulatedDevice(getattr(real, name)))


def patches(images: np.ndarray) -> np.ndarray:
    """Each image as rows, one a patch."""
    across = SIDE // PATCH
    cut = images.reshape(-1, across, PATCH, across, PATCH).swapaxes(2, 3)
    return cut.reshape(-1, PATCHES, PATCH**2)


def accuracy(network: Any, every: data.Dataset, key: PRNGKeyArray) -> float:
    """On the test images, with noise."""

    @eqx.filter_jit
    def scores(network, x, keys):
        return jax.vmap(lambda x, key: network(x, key=key))(x, keys)

    keys = jax.random.split(key, len(every.test_x))
    y = scores(network, jnp.asarray(every.test_x), keys)
    return float(objectives.accuracy(y, jnp.asarray(every.test_y)))


def draw(ends: tuple[float, float, float]) -> "Figure":
    """What each way of training ends at, and what deployment costs."""
    with style():
        fig = figure(5.0, 3.4)
        ax = fig.subplots()
        bars = ax.bar(METHODS, np.multiply(100, ends), color=PALETTE[:3], width=0.6)
        ax.bar_label(bars, fmt="%.1f")
        ax.set(ylabel="Test accuracy (%)", ylim=(0, 105))
        ax.grid(True, axis="y")
    return fig


def _swing(pendula: waves.CanonicalPendula, x: Array) -> Array:
    return pendula(x)
