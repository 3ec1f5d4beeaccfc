"""Handwritten digits by two sets of coupled pendula."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from .. import data, integrators, objectives, plots, waves
from .._layer import AbstractLayer, Facts, respond
from ._experiment import AbstractExperiment
from ._settings import setting

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIDE = 28
STRIDE = 2
PIXELS = (SIDE // STRIDE) ** 2
CLASSES = 10
DURATION = 0.5
SHOWN = np.arange(4)
"""The classes in the picture."""


class Tilted(AbstractLayer):
    """Every other pixel of an image, which while training is turned, scaled and moved.

    All at random, about the image's middle: by up to `turn`, by up to the share
    `zoom`, and by up to `shift` in each direction. It is dark outside.
    """

    turn: float  # rad
    zoom: float
    shift: float  # pixels
    inference: bool = False
    facts: ClassVar[Facts] = Facts(linear=True)

    def __call__(
        self, x: Float[Array, "*batch ny nx"], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "*batch pixels"]:
        if key is None or self.inference:
            x = x[..., ::STRIDE, ::STRIDE]
            return x.reshape(*x.shape[:-2], -1)
        turn, zoom, *shift = jax.random.uniform(key, (4,), x.dtype, -1)
        move = self.shift * jnp.stack(shift)
        return resampled(x, self.turn * turn, 1 + self.zoom * zoom, move)


def resampled(
    x: Float[Array, "*batch ny nx"],
    turn: Float[Array, ""],  # rad
    zoom: Float[Array, ""],
    shift: Float[Array, "2"],  # pixels
) -> Float[Array, "*batch pixels"]:
    """Every other pixel of the moved image, by bilinear interpolation."""
    middle = (SIDE - 1) / 2
    place = jnp.arange(0, SIDE, STRIDE, dtype=x.dtype) - middle
    down, right = jnp.meshgrid(place, place, indexing="ij")
    cos, sin = jnp.cos(turn) / zoom, jnp.sin(turn) / zoom
    rows = (cos * down - sin * right + shift[0] + middle).ravel()
    columns = (sin * down + cos * right + shift[1] + middle).ravel()
    return jnp.einsum("pi,...ij,pj->...p", _tent(rows), x, _tent(columns))


def _tent(places: Float[Array, " points"]) -> Float[Array, "points pixels"]:
    """How much of each pixel is at a place."""
    gap = places[:, None] - jnp.arange(SIDE, dtype=places.dtype)[None]
    return jnp.maximum(1 - jnp.abs(gap), 0)


class PendulaPAT(AbstractExperiment):
    """196 pendula start at the pixels of a digit; where they are after half a unit of
    time, 206 others start, of which the last ten hang: the one that swings out most is
    the class. The equations are the published ones, in steps of leapfrog in place of
    Runge and Kutta's. Model and reality are the same here: see `fashion-pendula`.
    """

    epochs: int = setting(16, "passes through the training images", low=1)
    batch_size: int = setting(128, "images a step", low=1)
    images: int = setting(60_000, "how many of them to train with", low=1, high=60_000)
    learning_rate: float = setting(1e-2, "of AdamW, falling as a cosine", low=0)
    decay: float = setting(0.02, "of the couplings, in units of that rate", low=0)
    steps: int = setting(10, "of leapfrog, in half a unit of time", low=1)
    spread: float = setting(0.4, "of the initial couplings", low=0)
    scale: float = setting(20.0, "of the softmax over the angles (1/rad)", low=0)
    turn: float = setting(0.1, "by which training images are turned (rad)", low=0)
    zoom: float = setting(0.05, "by which they are scaled", low=0, high=0.9)
    shift: float = setting(1.0, "pixels by which they are moved", low=0)

    name: ClassVar[str] = "pendula-pat"
    summary: ClassVar[str] = "two sets of coupled pendula on MNIST digits; autodiff"
    reference: ClassVar[str] = (
        "Wright et al., Nature 601, 549 (2022), doi:10.1038/s41586-021-04223-6; the "
        "authors' Physics-Aware-Training, example 1: on validation images"
    )
    figure: ClassVar[str] = "test accuracy"
    published: ClassVar[float | None] = 0.98
    duration: ClassVar[float] = 200.0

    def data(self) -> data.Dataset:
        every = data.mnist()
        return every._replace(
            train_x=every.train_x[: self.images], train_y=every.train_y[: self.images]
        )

    def model(self, *, key: PRNGKeyArray) -> eqx.nn.Sequential:
        first, second = jax.random.split(key)
        tilted = Tilted(self.turn, self.zoom, self.shift)
        splitting = integrators.Splitting(DURATION, self.steps)
        lower = waves.CanonicalPendula(
            PIXELS, key=first, splitting=splitting, spread=self.spread
        )
        upper = waves.CanonicalPendula(
            PIXELS + CLASSES,
            key=second,
            inputs=PIXELS,
            outputs=CLASSES,
            splitting=splitting,
            spread=self.spread,
        )
        return eqx.nn.Sequential([tilted, lower, upper])

    def objective(self, predictions: Any, targets: Any) -> Array:
        return objectives.cross_entropy(self.scale * predictions, targets)

    def optimizer(self, steps: int) -> optax.GradientTransformation:
        rate = optax.cosine_decay_schedule(self.learning_rate, steps)
        return optax.adamw(rate, weight_decay=self.decay)

    def metrics(self) -> Mapping[str, Callable[[Any, Any], Any]]:
        return {"accuracy": objectives.accuracy}

    def picture(self, model: Any, data: Any) -> "Figure":
        """Of the second set, in finer steps than those trained with."""
        shown = np.argmax(data.test_y[:, None] == SHOWN, axis=0)
        still = eqx.nn.inference_mode(model)
        angle, momentum = eqx.filter_jit(course)(still, jnp.asarray(data.test_x[shown]))
        titles = [f"a {label}" for label in data.test_y[shown]]
        names = "Angle (rad)", "Momentum"
        return plots.phase_portrait(angle, momentum, CLASSES, titles, names=names)


def course(
    network: eqx.nn.Sequential, images: Float[Array, "examples ny nx"], finer: int = 10
) -> tuple[Float[Array, "times examples n"], Float[Array, "times examples n"]]:
    """Angles (rad) and momenta of the last pendula, from where they are let go."""
    *before, last = network.layers
    x = respond(eqx.nn.Sequential(before), images, None)
    time = last.splitting
    steps = integrators.Splitting(time.duration, finer * time.steps)
    start = last.initial_state(x)
    last = eqx.tree_at(lambda pendula: pendula.splitting, last, steps)
    path = last.trajectory(start, None)
    angle, momentum = (
        jnp.concatenate([begin[None], then])
        for begin, then in zip(start, path, strict=True)
    )
    return angle, momentum
