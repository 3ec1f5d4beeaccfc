"""Layers that learn alone, forward-forward, each behind a nonlinear multimode fiber."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jaxtyping import Array, Complex, Float, PRNGKeyArray

from .. import data, objectives, optics, plots
from .._fit import fit
from .._frozen import Frozen
from .._layer import AbstractLayer, Facts
from ..objectives import LocalContrast
from ._experiment import AbstractStudy, Outcome
from ._mnist_ff import ScaledSquares, rectifying, scores_of
from ._schedules import rising_and_falling
from ._settings import setting

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIDE = 14
"""Pixels of an image, half as many as in MNIST."""
CLASSES = 10
SCREEN = 20
"""Pixels of the modulator and of the camera, on a side."""
PITCH = 0.4
"""Of these pixels at the fiber, in waists of its fundamental mode."""
BEAM = 3.0
"""Waist of the beam on the modulator, in waists of the fundamental mode."""
HILLS = 5
"""Of the patterns, along each side."""
WITH, WITHOUT = "fiber", "no fiber"


class FFFiber(AbstractStudy):
    """MNIST at 14 × 14 pixels. Each block begins with light whose phase is set by its
    input, a fiber, and a camera; the weights see the camera's image, and the input too.
    The same layers without the fibers learn the same images in the same order.

    The value is the mean accuracy with fibers; the table has both. A layer behind a
    fiber sees the camera's image in addition, so it has more weights, too.
    """

    seeds: int = setting(3, "networks of each kind, and fibers", low=1)
    epochs: int = setting(12, "passes through the training images", low=1)
    batch_size: int = setting(50, "images a step", low=1)
    images: int = setting(20_000, "of MNIST to train with", low=1, high=60_000)
    tests: int = setting(10_000, "of MNIST to test with", low=1, high=10_000)
    blocks: int = setting(2, "layers, each behind a fiber", low=1)
    units: int = setting(36, "in each layer", low=1)
    learning_rate: float = setting(0.01, "of Adam; rises, falls as a cosine", low=0)
    threshold: float = setting(20.0, "of the goodness", low=0)
    phase: float = setting(1.0, "of a full pixel on the modulator (rad)", low=0)
    label: float = setting(5.0, "of a label's input; 1 is ink", low=1e-6)
    hills: float = setting(2.0, "of a label's pattern on the modulator (rad)", low=0)
    beside: bool = setting(True, "whether a layer sees its input too")
    groups: int = setting(8, "of modes in the fiber; n (n + 1) / 2 modes", low=2)
    power: float = setting(2e4, "of the pulses' peak (W)", low=0)
    length: float = setting(0.01, "of the fiber (m)", low=0)
    coupling: float = setting(1000.0, "of modes, standard deviation (rad/m)", low=0)
    steps: int = setting(10, "of the propagation", low=1)

    name: ClassVar[str] = "ff-fiber"
    summary: ClassVar[str] = (
        "small layers behind nonlinear multimode fibers on MNIST; forward-forward"
    )
    reference: ClassVar[str] = (
        "after Oguz et al., Opt. Lett. 48, 5249 (2023), doi:10.1364/OL.496884"
    )
    figure: ClassVar[str] = "mean test accuracy with fibers"
    published: ClassVar[float | None] = None
    duration: ClassVar[float] = 270.0

    def run(
        self, *, seed: int, checkpoint: Path | None, resume: bool, progress: bool
    ) -> Outcome:
        if checkpoint is not None:
            checkpoint.mkdir(exist_ok=True)
        images, rows, models = self.data(), [], {}
        for own in range(seed, seed + self.seeds):
            model_key, key = jax.random.split(jax.random.key(own))
            for kind in (WITH, WITHOUT):
                file = None if checkpoint is None else checkpoint / f"{own} {kind}"
                model, history = fit(
                    self.model(kind == WITH, key=model_key),
                    images,
                    self.rule(),
                    self.optimizer(self.epochs * (self.images // self.batch_size)),
                    epochs=self.epochs,
                    batch_size=self.batch_size,
                    metrics={"accuracy": objectives.accuracy},
                    evaluate_every=self.epochs,
                    key=key,
                    checkpoint=file,
                    resume=resume,
                    progress=progress,
                )
                accuracy = history.final()["accuracy"]
                rows.append((own, kind, accuracy, history.seconds))
                models.setdefault(kind, model)
        seeds, kinds, accuracies, seconds = zip(*rows, strict=True)
        return Outcome(
            value=float(np.mean(accuracies[::2])),
            seconds=sum(seconds),
            model=models,
            history=None,
            table={
                "seed": seeds,
                "network": kinds,
                "accuracy": accuracies,
                "seconds": seconds,
            },
            pictures={
                "physics": lambda: self.picture(models[WITH], images),
                "scores": lambda: scores_of(
                    self.rule(), models[WITH], images, (SIDE, SIDE)
                ),
            },
        )

    def picture(self, model: eqx.nn.Sequential, images: data.Dataset) -> "Figure":
        """What the modulator and the camera show of a digit, with three labels."""
        label = int(images.test_y[0])
        shown = jnp.asarray([label, (label + 1) % CLASSES, (label + 2) % CLASSES])
        x = jnp.tile(jnp.asarray(images.test_x[:1]), (3, 1))
        x = objectives.LabelAppended(CLASSES, self.label)(x, shown.astype(jnp.int32))
        setup = model.layers[0].layers[0].optics.value.layers
        screen = setup[0](x)
        camera = screen
        for part in setup[1:-2]:
            camera = part(camera)
        fields = np.concatenate([np.asarray(screen), np.asarray(camera)])
        titles = [f"Shown as a {int(c)}" for c in shown]
        titles[0] += ", which it is"
        modes = optics.GradedIndexModes(self.groups)
        return plots.labeled_fields(
            fields.reshape(2, 3, SCREEN, SCREEN), titles, PITCH * modes.waist
        )

    def data(self) -> data.Dataset:
        """Every image's 2 × 2 pixels are averaged."""
        full = data.mnist()

        def halved(images):
            small = images.reshape(-1, SIDE, 2, SIDE, 2).mean((2, 4))
            return small.reshape(-1, SIDE**2)

        return full._replace(
            train_x=halved(full.train_x[: self.images]),
            train_y=full.train_y[: self.images],
            test_x=halved(full.test_x[: self.tests]),
            test_y=full.test_y[: self.tests],
        )

    def model(self, optical: bool, *, key: PRNGKeyArray) -> eqx.nn.Sequential:
        """The same layers, at first, with the fibers and without."""
        blocks, inputs = [], SIDE**2 + CLASSES
        for own in jax.random.split(key, self.blocks):
            weights, fiber = jax.random.split(own)
            block = rectifying(inputs, self.units, key=weights)
            if optical:
                seen = SIDE**2 + inputs * self.beside
                block = rectifying(seen, self.units, key=weights)
                setup = self.optics(inputs, fiber)
                if self.beside:
                    setup = Beside(setup)
                block = eqx.nn.Sequential([setup, *block.layers])
            blocks.append(block)
            inputs = self.units
        return eqx.nn.Sequential(blocks)

    def optics(self, inputs: int, key: PRNGKeyArray) -> Frozen:
        """From `inputs` phase patterns to what a camera shows behind a fiber."""
        modes = optics.GradedIndexModes(self.groups)
        grid = (SCREEN, SCREEN), PITCH * modes.waist
        mixing, drawing = jax.random.split(key)
        patterns = smooth_patterns(min(inputs, self.units + CLASSES), drawing)
        if inputs == SIDE**2 + CLASSES:
            hills = self.hills / self.label * patterns[:CLASSES]
            shown = jnp.concatenate([self.phase * pixels(), hills])
        else:
            shown = self.phase * patterns[:inputs] / math.sqrt(inputs)
        setup = eqx.nn.Sequential(
            [
                Modulator(shown, self.power),
                optics.ModeProjector(modes, *grid),
                optics.MultimodeFiber(
                    modes,
                    self.length,
                    steps=self.steps,
                    coupling=self.coupling,
                    key=mixing,
                ),
                optics.ModeImager(modes, *grid),
                optics.Intensity(),
            ]
        )
        background = eqx.filter_jit(setup)(jnp.zeros(inputs))
        return Frozen(eqx.nn.Sequential([*setup.layers, Camera(background)]))

    def rule(self) -> LocalContrast:
        """Of the training, with fibers or without."""
        return objectives.forward_forward(
            objectives.LabelAppended(CLASSES, self.label),
            goodness=ScaledSquares(self.threshold),
            threshold=self.threshold,
            normalize=objectives.unit_mean_square,
            skip=0,
        )

    def optimizer(self, steps: int) -> optax.GradientTransformation:
        return optax.adam(rising_and_falling(self.learning_rate, steps))


def pixels() -> Float[Array, "pixels ny nx"]:
    """The pattern of each pixel of an image: itself, in the middle of the screen."""
    edge = (SCREEN - SIDE) // 2
    square = jnp.eye(SIDE**2).reshape(-1, SIDE, SIDE)
    return jnp.pad(square, ((0, 0), (edge, edge), (edge, edge)))


def smooth_patterns(count: int, key: PRNGKeyArray) -> Float[Array, "count ny nx"]:
    """Random hills and valleys, of about one radian."""
    coarse = jax.random.normal(key, (count, HILLS, HILLS))
    return jax.image.resize(coarse, (count, SCREEN, SCREEN), "cubic")


class Modulator(AbstractLayer):
    """A Gaussian beam to whose phase each input adds a pattern of its own."""

    patterns: Frozen[Float[Array, "inputs ny nx"]]  # rad
    power: float  # W
    facts: ClassVar[Facts] = Facts()

    def __init__(self, patterns: Float[Array, "inputs ny nx"], power: float):
        self.patterns = Frozen(patterns)
        self.power = power

    def __call__(
        self, x: Float[Array, "*batch inputs"], *, key: PRNGKeyArray | None = None
    ) -> Complex[Array, "*batch ny nx"]:  # √W a pixel
        patterns = self.patterns.value.astype(x.dtype)
        phase = jnp.einsum("...i,iyx->...yx", x, patterns)
        along = PITCH * (jnp.arange(SCREEN, dtype=x.dtype) - (SCREEN - 1) / 2)
        beam = jnp.exp(-((along[:, None] / BEAM) ** 2) - (along[None, :] / BEAM) ** 2)
        beam = beam * jnp.sqrt(self.power / jnp.sum(beam**2))
        beam = jnp.broadcast_to(beam, phase.shape)
        return lax.complex(beam * jnp.cos(phase), beam * jnp.sin(phase))


class Beside(eqx.Module):
    """What the optics make of an input, and the input itself."""

    optics: Frozen

    def __call__(
        self, x: Float[Array, " inputs"], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, " both"]:
        return jnp.concatenate([self.optics(x, key=key), x])


class Camera(AbstractLayer):
    """The middle of an image, less the background, in units of its root mean square."""

    background: Frozen[Float[Array, "ny nx"]]  # W
    facts: ClassVar[Facts] = Facts()

    def __init__(self, background: Float[Array, "ny nx"]):
        self.background = Frozen(background)

    def __call__(
        self, x: Float[Array, "*batch ny nx"], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "*batch outputs"]:
        edge = (SCREEN - SIDE) // 2
        middle = slice(edge, edge + SIDE)
        change = x - jnp.broadcast_to(self.background.value.astype(x.dtype), x.shape)
        rows = change[..., middle, middle].reshape(*x.shape[:-2], SIDE**2)
        square = jnp.mean(rows**2, -1, keepdims=True)
        return rows / jnp.sqrt(jnp.where(square > 0, square, 1))
