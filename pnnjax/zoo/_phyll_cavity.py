"""Digits in cavities that are set by the data, by physical local learning."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from .. import data, objectives, optics, plots
from .._frozen import Frozen
from .._objective import AbstractLocalObjective, Objective
from ..objectives import LocalContrast
from ._digits_mesh import jittered
from ._experiment import AbstractTraining
from ._settings import setting

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PIXELS = 64
CLASSES = 10
WAVELENGTH = 0.12
"""m: 2.5 GHz."""
SIDE = 4.0
"""Of the square cavity, in wavelengths."""
RESONANCE = -0.5
"""The dipoles' detuning without data, in units of twice their width."""
RASTER = 80
"""Points of the picture, along each side."""
NEAREST = 0.25
"""The least distance of two elements, in wavelengths."""
WALL = 0.2
"""The distance of the dipoles of a wall, in wavelengths."""


class PhyLLCavity(AbstractTraining):
    """Digits of 8 × 8 pixels as detunings of the dipoles in a cavity: linear waves,
    which mix all products of the data. A linear layer sees the power at the receivers,
    and its input beside that, as in the code of the paper; its activities set the next
    cavity.

    With `training=backprop`, the same cavities and layers are trained as a whole, the
    first ten outputs being logits, and the waves being differentiated.
    """

    epochs: int = setting(15, "passes through the training images", low=1)
    batch_size: int = setting(32, "images a step", low=1)
    training: Literal["phyll", "backprop"] = setting("phyll", "rule of learning")
    task: Literal["digits", "mnist"] = setting(
        "digits", "scikit-learn's, or the middle of MNIST's, pooled"
    )
    blocks: int = setting(1, "cavities, with a linear layer after each", low=1)
    receivers: int = setting(64, "antennas at which power is measured", low=1)
    units: int = setting(64, "outputs of each linear layer", low=CLASSES, high=74)
    gain: float = setting(0.3, "detuning of a dipole by a full pixel", low=0)
    label: float = setting(5.0, "of the input of a label; a full pixel is 1", low=0)
    loss: float = setting(0.1, "of each dipole, 0.25 is what it radiates", low=0)
    learning_rate: float = setting(0.01, "of Adam, falling as a cosine", low=0)
    sharpness: float = setting(20.0, "of the loss: a margin's inverse", low=0)
    wrong: Literal["random", "likely"] = setting("random", "choice of wrong labels")

    name: ClassVar[str] = "phyll-cavity"
    summary: ClassVar[str] = (
        "structurally nonlinear cavities on 8 × 8 digits; physical local learning"
    )
    reference: ClassVar[str] = (
        "after Momeni et al., Science 382, 1297 (2023), doi:10.1126/science.adi8474"
    )
    figure: ClassVar[str] = "test accuracy"
    published: ClassVar[float | None] = None
    duration: ClassVar[float] = 60.0
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "mnist": {"task": "mnist", "epochs": 4, "batch_size": 64},
    }

    def data(self) -> data.Dataset:
        if self.task == "mnist":
            full = data.mnist()
            return full._replace(
                train_x=pooled(full.train_x), test_x=pooled(full.test_x)
            )
        digits = data.digits()
        images = jittered(digits.train_x)
        return digits._replace(
            train_x=images.reshape(-1, PIXELS),
            train_y=np.tile(digits.train_y, len(images)),
            test_x=digits.test_x.reshape(-1, PIXELS),
        )

    def model(self, *, key: PRNGKeyArray) -> Any:
        keys = jax.random.split(key, self.blocks)
        first = PIXELS + CLASSES if self.training == "phyll" else PIXELS
        inputs = [first] + [self.units] * (self.blocks - 1)
        blocks = [self.block(n, key) for n, key in zip(inputs, keys)]
        if self.training == "phyll":
            return eqx.nn.Sequential(blocks)
        between = eqx.nn.Lambda(lambda h: objectives.unit_range(h[None])[0])
        first = eqx.nn.Lambda(lambda h: h[:CLASSES])
        chain = [part for block in blocks for part in (block, between)]
        return eqx.nn.Sequential([*chain[:-1], first])

    def block(self, inputs: int, key: PRNGKeyArray) -> eqx.nn.Sequential:
        """A cavity of its own, what its receivers show, and a linear layer."""
        placing, weights = jax.random.split(key)
        seed = int(jax.random.randint(placing, (), 0, 2**31 - 1))
        places = scattered(seed, PIXELS + CLASSES + 1 + self.receivers)
        scatterer = cavity(places, self.gain, self.loss)
        return eqx.nn.Sequential(
            [
                Beside(Frozen(scatterer), Frozen(places)),
                eqx.nn.Linear(self.receivers + inputs, self.units, key=weights),
            ]
        )

    def rule(self) -> Objective | AbstractLocalObjective:
        if self.training == "backprop":
            return objectives.cross_entropy
        return local(self)

    def optimizer(self, steps: int) -> optax.GradientTransformation:
        return optax.adam(optax.cosine_decay_schedule(self.learning_rate, steps))

    def metrics(self) -> Mapping[str, Callable[[Any, Any], Any]]:
        return {"accuracy": objectives.accuracy}

    def picture(self, model: Any, data: Any) -> "Figure":
        """The wave in the first cavity, of a digit with three labels."""
        if self.training == "backprop":
            shown, titles = data.test_x[:3], [f"a {y}" for y in data.test_y[:3]]
        else:
            label = int(data.test_y[0])
            labels = [label, (label + 1) % CLASSES, (label + 2) % CLASSES]
            titles = [f"a {label}, shown as a {other}" for other in labels]
            titles[0] = f"a {label}, shown as such"
            shown = objectives.LabelAppended(CLASSES, self.label)(
                jnp.tile(jnp.asarray(data.test_x[:1]), (3, 1)),
                jnp.asarray(labels, jnp.int32),
            )
        return waves_of(model.layers[0].layers[0], np.asarray(shown), titles)


def pooled(images: Float[np.ndarray, "n 28 28"]) -> Float[np.ndarray, "n pixels"]:
    """Without the frame of two pixels, the means of squares of 3 × 3."""
    squares = images[:, 2:-2, 2:-2].reshape(-1, 8, 3, 8, 3).mean((2, 4))
    return squares.reshape(len(images), PIXELS)


def waves_of(block: "Beside", x: np.ndarray, titles: Sequence[str]) -> "Figure":
    """All over the cavity, for each input."""
    scatterer, places = block.cavity.value, np.asarray(block.places.value)
    dipoles, source, _ = np.split(places, [PIXELS + CLASSES, PIXELS + CLASSES + 1])
    everywhere = np.concatenate([dipoles, source, raster(dipoles)])
    x = np.minimum(x, 1)
    wave = cavity(everywhere, scatterer.gain, scatterer.cavity.loss)(jnp.asarray(x))
    power = np.asarray(optics.intensity(wave)).reshape(-1, RASTER, RASTER)
    shift = scatterer.gain * np.pad(x, ((0, 0), (0, len(dipoles) - x.shape[1])))
    side = SIDE * WAVELENGTH
    return plots.cavity_fields(power, dipoles, shift, source[0], side, titles)


def local(experiment: PhyLLCavity) -> LocalContrast:
    """How the blocks learn."""
    contrast = objectives.ReferenceCosine(experiment.sharpness, jax.random.key(0))
    embedding = objectives.LabelAppended(CLASSES, experiment.label)
    wrong = objectives.RandomLabels()
    if experiment.wrong == "likely":
        wrong = objectives.LikelyLabels(experiment.sharpness)
    return objectives.physical_local(embedding, contrast, wrong_labels=wrong)


class Beside(eqx.Module):
    """The power at each receiver over the mean, less one, and then the inputs.

    A dipole is shifted by one unit at most: a label may be a stronger input than that.
    """

    cavity: Frozen[optics.StructuralCavity]
    places: Frozen[np.ndarray]  # m
    """Of the dipoles, the transmitter and the receivers."""

    def __call__(
        self, x: Float[Array, " inputs"], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, " both"]:
        power = optics.intensity(self.cavity(jnp.minimum(x, 1), key=key))
        return jnp.concatenate([power / jnp.mean(power) - 1, x])


def cavity(places: np.ndarray, gain: float, loss: float) -> optics.StructuralCavity:
    """A square with a dipole for each pixel and label, and one transmitter."""
    dipoles = PIXELS + CLASSES
    half = SIDE * WAVELENGTH / 2
    corners = half * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    inner = optics.DipoleCavity(
        jnp.full(dipoles, RESONANCE),
        *np.split(places, [dipoles, dipoles + 1]),
        wavelength=WAVELENGTH,
        walls=optics.fence(corners, WALL * WAVELENGTH, WAVELENGTH),
        loss=loss,
    )
    return optics.StructuralCavity(inner, jnp.ones(1, complex), gain)


def scattered(seed: int, count: int) -> np.ndarray:
    """Random points in the cavity (m), none too close to another."""
    random = np.random.default_rng(seed)
    points = np.zeros((0, 2))
    while len(points) < count:
        new = random.uniform(-1, 1, 2) * (SIDE / 2 - NEAREST)
        if not len(points) or np.hypot(*(points - new).T).min() > NEAREST:
            points = np.vstack([points, new])
    return WAVELENGTH * points


def raster(places: np.ndarray) -> np.ndarray:
    """Points all over the cavity (m), moved away from the dipoles where too close."""
    along = WAVELENGTH * SIDE / 2 * np.linspace(-1, 1, 2 * RASTER + 1)[1::2]
    points = np.stack(np.meshgrid(along, along), -1).reshape(-1, 2)
    least = 0.03 * WAVELENGTH
    for place in places:
        away = points - place
        distance = np.hypot(*away.T)
        near = distance < least
        points[near] = place + away[near] / distance[near, None] * least
    return points
