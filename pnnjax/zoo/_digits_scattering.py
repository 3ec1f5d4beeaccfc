"""Handwritten digits on linear resonators, by scattering backpropagation."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, PRNGKeyArray

from .. import data, estimators, objectives, optics, plots
from .._physical import Physical
from ._digits_mesh import jittered
from ._experiment import AbstractExperiment
from ._settings import setting

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PIXELS = 64
CLASSES = 10
SHOWN = (0, 1, 8)
"""The classes in the pictures of the physics."""
BAND = np.linspace(-6.0, 6.0, 241)
"""The frequencies in the spectrum, in units of the decay."""


class DigitsScattering(AbstractExperiment):
    """8 × 8 digits as detunings of resonators, black far from resonance; a hidden group
    of resonators, and ten of which each reflects light: the reflection's imaginary part
    is the score of a class. Each training image is shown in five places, half a pixel
    apart. Rates are in units of the decay into each port.
    """

    epochs: int = setting(25, "passes through the training images", low=1)
    batch_size: int = setting(100, "images a step", low=1)
    hidden: int = setting(60, "hidden resonators", low=1)
    replicas: int = setting(2, "resonators for each pixel", low=1)
    learning_rate: float = setting(0.05, "of Adam, falling as a cosine", low=0)
    scale: float = setting(8.0, "of the softmax over the reflections", low=0)
    contrast: float = setting(5.0, "detuning of a black pixel", low=0)
    offset: float = setting(0.0, "by which the replicas are first detuned", low=0)
    spread: float = setting(1.0, "of the initial couplings", low=0)
    loss: float = setting(0.0, "decay of each resonator that no port sees", low=0)

    name: ClassVar[str] = "digits-scattering"
    summary: ClassVar[str] = (
        "linear resonators on 8 × 8 digits, detuned by the pixels; scattering "
        "backpropagation"
    )
    reference: ClassVar[str] = (
        "Wanjura, Marquardt, Nat. Phys. 20, 1434 (2024), "
        "doi:10.1038/s41567-024-02534-9: 97.1 % of 1,797 test digits, of 3,823 others"
    )
    figure: ClassVar[str] = "test accuracy"
    published: ClassVar[float | None] = 0.971
    duration: ClassVar[float] = 45.0

    further_pictures: ClassVar[Mapping[str, Callable[[Any, Any], Any]]] = {
        "spectrum": lambda model, digits: spectrum_of(model.layer, digits),
        "confusion": lambda model, digits: confusion_of(model.layer, digits),
    }

    def data(self) -> data.Dataset:
        digits = data.digits()
        images = jittered(digits.train_x)
        return digits._replace(
            train_x=self.detunings(images.reshape(-1, *images.shape[2:])),
            train_y=np.tile(digits.train_y, len(images)),
            test_x=self.detunings(digits.test_x),
        )

    def detunings(self, images: np.ndarray) -> np.ndarray:
        """Of the resonators, in units of their decay."""
        return self.contrast * (1 - images.reshape(len(images), -1))

    def model(self, *, key: PRNGKeyArray) -> Any:
        network = optics.ResonatorNetwork(
            (self.replicas * PIXELS, self.hidden, CLASSES),
            key=key,
            replicas=self.replicas,
            loss=self.loss,
            scale=self.spread,
            offset=self.offset,
        )
        return Physical(network, estimators.ScatteringBackprop())

    def objective(self, predictions: Any, targets: Any) -> Array:
        return objectives.cross_entropy(self.scale * predictions, targets)

    def optimizer(self, steps: int) -> optax.GradientTransformation:
        return optax.adam(optax.cosine_decay_schedule(self.learning_rate, steps))

    def metrics(self) -> Mapping[str, Callable[[Any, Any], Any]]:
        return {"accuracy": objectives.accuracy}

    def picture(self, model: Any, data: Any) -> "Figure":
        return scattering_of(model.layer, data)


def scattering_of(network: optics.ResonatorNetwork, digits: data.Dataset) -> "Figure":
    """The whole scattering matrix while the network sees one digit of each kind."""
    x, titles = _shown(digits)
    elements = np.asarray(eqx.filter_jit(network.scattering_matrix)(x))
    return plots.scattering_map(np.abs(elements) ** 2, network.sizes, titles)


def spectrum_of(network: optics.ResonatorNetwork, digits: data.Dataset) -> "Figure":
    """What the outputs would show at other frequencies."""
    x, titles = _shown(digits)

    @eqx.filter_jit
    def reflected(band):
        at = lambda w: eqx.tree_at(lambda r: r.frequency, network, w)(x)  # noqa: E731
        return jax.lax.map(at, band)

    values = reflected(jnp.asarray(BAND, x.dtype))
    return plots.reflection_spectrum(
        BAND,
        np.moveaxis(np.asarray(values), 0, 1),
        titles,
        probe=network.frequency,
        unit=r"$\kappa$",
    )


def confusion_of(network: optics.ResonatorNetwork, digits: data.Dataset) -> "Figure":
    """Of the test digits."""
    scores = eqx.filter_jit(network)(jnp.asarray(digits.test_x))
    return plots.confusion_matrix(np.argmax(np.asarray(scores), -1), digits.test_y)


def _shown(digits):
    first = [int(np.argmax(digits.test_y == label)) for label in SHOWN]
    return jnp.asarray(digits.test_x[first]), [f"a {label}" for label in SHOWN]
