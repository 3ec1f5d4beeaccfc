"""Diffractive networks that classify images: what such experiments share."""

import abc
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Complex, Float, PRNGKeyArray

from .. import data, objectives, optics, plots
from .._layer import AbstractLayer, Facts
from ._experiment import AbstractExperiment
from ._settings import setting

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CLASSES = 10

Encoder = Callable[..., Complex[Array, "..."]]
"""`encode(image, power, axis=...)`, such as `pnnjax.data.amplitude`."""


class Object(AbstractLayer):
    """An image in a dark plane, lit by a plane wave of which 1 W meets the image."""

    encode: Encoder = eqx.field(static=True)
    grid: int
    magnification: int
    facts = Facts()

    def __init__(self, encode: Encoder, grid: int, magnification: int):
        """A plane of `grid` x `grid` pixels, `magnification` to one of the image."""
        self.encode = encode
        self.grid = grid
        self.magnification = magnification

    def __call__(
        self, x: Float[Array, "*batch my mx"], *, key: PRNGKeyArray | None = None
    ) -> Complex[Array, "*batch ny nx"]:  # √W
        field = self.encode(x, 1 / self.magnification**2, axis=(-2, -1))
        return data.on_grid(field, (self.grid, self.grid), self.magnification)


class AbstractDiffractiveNetwork(AbstractExperiment):
    """An object, phase masks with free space around each, and ten square detectors.

    The class is the detector that receives the most light. The planes are as far apart
    as lets the steepest light that the pixels diffract cross them from edge to edge, as
    in the paper, where 200 pixels across are 30 mm apart. All masks begin flat, so that
    the seed draws nothing but the order of the images.
    """

    epochs: int = setting(2, "passes through the training images", low=1)
    batch_size: int = setting(16, "images a step", low=1)
    images: int = setting(60_000, "how many of them to train with", low=1, high=60_000)
    layers: int = setting(5, "masks", low=1)
    grid: int = setting(56, "pixels on each side of a plane", low=28)
    magnification: int = setting(2, "pixels of a plane to one of an image", low=1)
    wavelength: float = setting(0.75e-3, "of the light (m)", low=1e-12)
    pitch: float = setting(0.4e-3, "of the pixels (m)", low=1e-12)
    spacing: float = setting(9e-3, "of the planes (m)", low=0)
    detector_size: int = setting(6, "pixels on each side of a detector", low=1)
    detector_spacing: int = setting(11, "pixels from detector to detector", low=1)
    balanced: bool = setting(False, "two detectors a class, and their difference")
    learning_rate: float = setting(0.05, "of Adam, falling as a cosine (rad)", low=0)
    scale: float = setting(40.0, "of the softmax over the detectors' shares", low=1e-9)

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {
            "grid": 200,
            "spacing": 30e-3,
            "magnification": 4,
            "detector_size": 12,
            "detector_spacing": 40,
        }
    }
    figure: ClassVar[str] = "test accuracy"

    @abc.abstractmethod
    def dataset(self) -> data.Dataset:
        """Images from 0 to 1, and what they show."""

    @abc.abstractmethod
    def encoder(self) -> Encoder:
        """What a pixel of an image does to light."""

    def data(self) -> data.Dataset:
        every = self.dataset()
        return every._replace(
            train_x=every.train_x[: self.images], train_y=every.train_y[: self.images]
        )

    def model(self, *, key: PRNGKeyArray) -> eqx.nn.Sequential:
        space = optics.FreeSpace(self.spacing, self.wavelength, self.pitch)
        # Random phases learn as well, but scatter three quarters of the light away.
        mask = optics.PhaseMask(jnp.zeros((self.grid, self.grid), jnp.float32))
        return eqx.nn.Sequential(
            [
                Object(self.encoder(), self.grid, self.magnification),
                space,
                *[optics.DiffractiveLayer(mask, space) for _ in range(self.layers)],
                self._detector(),
            ]
        )

    def objective(self, predictions: Any, targets: Any) -> Array:
        if self.balanced:
            return objectives.cross_entropy(self.scale * predictions, targets)
        return objectives.PowerSoftmax(self.scale)(predictions, targets)

    def optimizer(self, steps: int) -> optax.GradientTransformation:
        return optax.adam(optax.cosine_decay_schedule(self.learning_rate, steps))

    def metrics(self) -> Mapping[str, Callable[[Any, Any], Any]]:
        return {"accuracy": objectives.accuracy}

    def picture(self, model: Any, data: Any) -> "Figure":
        elements = model.layers
        masks = np.stack([e.mask.phase for e in elements[2:-1]])
        label = int(data.test_y[0]) * (2 if self.balanced else 1)
        intensity = plots.stack(
            _fields(elements[:-1], data.test_x[0]), self._regions(), label, self.pitch
        )
        return _below(plots.phase_masks(masks, self.pitch), intensity)

    def _regions(self) -> tuple[tuple[int, int, int, int], ...]:
        n = CLASSES * (2 if self.balanced else 1)
        shape = self.grid, self.grid
        return optics.detector_grid(shape, n, self.detector_size, self.detector_spacing)

    def _detector(self) -> AbstractLayer:
        regions = self._regions()
        if not self.balanced:
            return optics.Detector(regions)
        pairs = optics.Detector(regions[::2]), optics.Detector(regions[1::2])
        return optics.BalancedDetector(*pairs, normalized=True)


def _fields(elements: tuple[Any, ...], image: np.ndarray) -> np.ndarray:
    """The light behind the object, at each mask, and at the detectors (√W)."""
    light, fields = jnp.asarray(image), []
    for element in elements:
        light = element(light)
        fields.append(light)
    return np.stack(fields)


def _below(upper: "Figure", lower: "Figure") -> "Figure":
    """Two pictures as one."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    images = []
    for figure in (upper, lower):
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        images.append(np.asarray(canvas.buffer_rgba()))
    height = sum(image.shape[0] for image in images)
    width = max(image.shape[1] for image in images)
    both = Figure(figsize=(width / 100, height / 100), dpi=100, facecolor="white")
    top = height
    for image in images:
        top -= image.shape[0]
        both.figimage(image, (width - image.shape[1]) // 2, top)
    return both
