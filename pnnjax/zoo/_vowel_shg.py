"""Spoken vowels by second harmonics of shaped pulses, after Wright et al."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from .. import data, estimators, imperfections, objectives, optics, plots
from .._layer import AbstractLayer, Facts
from .._physical import Physical
from ..devices import SimulatedDevice
from ._experiment import AbstractExperiment
from ._settings import setting

if TYPE_CHECKING:
    from matplotlib.figure import Figure

VOWELS = ("ae", "ah", "aw", "er", "ih", "iy", "uw")
FORMANTS = len(data.FORMANT_TRACK)
TURN = 0.6
"""rad, of a channel, by one standard deviation of its input: the initial scale."""


class Reencoded(AbstractLayer):
    r"""Digital, between two crystals: what is read from one drives the next one.

    $\sqrt y$ over its mean, less one: a brighter laser changes nothing. Its scale and
    offset are the next shaper's, which are trained.
    """

    facts: ClassVar[Facts] = Facts()

    def __call__(
        self,
        x: Float[Array, "*batch bins"],
        *,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "*batch bins"]:
        # The root has no slope in the dark; bins are some 1e-5 of the pulse's energy.
        amplitude = jnp.sqrt(x + 1e-12)
        return amplitude / jnp.mean(amplitude, -1, keepdims=True) - 1


class VowelSHG(AbstractExperiment):
    """Twelve formant frequencies shape a pulse; its second harmonic's spectrum shapes
    the next one; of the last spectrum's seven bins, the brightest is the vowel.

    Seven vowels of women, tested with talkers that were not heard in training. Which
    vowels, talkers and split the paper had is not known to us: this is a
    reconstruction. Training vowels are shown several times, each time a bit blurred.
    With `mismatch`, the shapers have hidden errors, and training is physics-aware.
    """

    epochs: int = setting(10, "passes over the blurred vowels", low=1)
    batch_size: int = setting(32, "vowels a step", low=1)
    layers: int = setting(3, "crystals in sequence", low=1)
    hidden: int = setting(12, "bins of the spectra between", low=1)
    controls: int = setting(12, "free channels of a shaper", low=0)
    learning_rate: float = setting(0.03, "of Adam, falling as a cosine (rad)", low=0)
    scale: float = setting(14.0, "of the softmax over the bins' shares", low=0)
    copies: int = setting(20, "times that each training vowel is blurred", low=1)
    blur: float = setting(0.4, "of the formants (standard deviations)", low=0)
    mismatch: float = setting(0.0, "hidden errors of the shapers (rad)", low=0)
    split: int = setting(0, "seed of which talkers to test with", low=0)

    name: ClassVar[str] = "vowel-shg"
    summary: ClassVar[str] = (
        "second harmonics of shaped pulses, three crystals, on seven vowels"
    )
    reference: ClassVar[str] = (
        "Wright et al., Nature 601, 549 (2022), doi:10.1038/s41586-021-04223-6"
    )
    figure: ClassVar[str] = "test accuracy"
    published: ClassVar[float | None] = 0.93
    duration: ClassVar[float] = 15.0

    def data(self) -> data.Dataset:
        spoken = data.standardized(
            data.vowels(VOWELS, data.FORMANT_TRACK, talkers=("women",), seed=self.split)
        )
        x = np.tile(spoken.train_x, (self.copies, 1))
        blur = np.random.default_rng(self.split).normal(size=x.shape)
        return spoken._replace(
            train_x=x + (self.blur * blur).astype(x.dtype),
            train_y=np.tile(spoken.train_y, self.copies),
        )

    def model(self, *, key: PRNGKeyArray) -> Any:
        model_key, device_key = jax.random.split(key)
        stack = network(self.layers, self.hidden, self.controls, key=model_key)
        if self.mismatch == 0:
            return stack
        return on_device(stack, self.mismatch, key=device_key)

    def objective(self, predictions: Any, targets: Any) -> Array:
        return objectives.PowerSoftmax(self.scale)(predictions, targets)

    def optimizer(self, steps: int) -> optax.GradientTransformation:
        return optax.adam(optax.cosine_decay_schedule(self.learning_rate, steps))

    def metrics(self) -> Mapping[str, Callable[[Any, Any], Any]]:
        return {"accuracy": objectives.accuracy}

    def picture(self, model: Any, data: Any) -> "Figure":
        crystals = [getattr(layer, "layer", layer) for layer in model.layers]
        light = ("First pulse", "Last second harmonic")
        pair = first_and_last(crystals, jnp.asarray(data.test_x))
        dt, vowel = crystals[0].dt, np.asarray(data.test_y)
        return plots.spectra(dict(zip(light, pair)), dt, vowel, VOWELS)


@eqx.filter_jit
def first_and_last(
    crystals: list[Any], x: Float[Array, "examples formants"]
) -> tuple[Array, Array]:
    """Pulses that enter the first crystal, and harmonics that leave the last."""
    pulse = crystals[0].pulse(x)
    for layer in crystals[:-1]:
        x = layer(x)
    return pulse, crystals[-1].harmonic(x)


def network(
    layers: int, hidden: int, controls: int, *, key: PRNGKeyArray
) -> eqx.nn.Sequential:
    """Crystals, each with its shaper and spectrometer; digital in between."""
    sizes = [FORMANTS, *[hidden] * (layers - 1), len(VOWELS)]
    stack = []
    for inputs, outputs, own in zip(sizes, sizes[1:], jax.random.split(key, layers)):
        crystal = optics.SecondHarmonic(
            inputs, outputs, key=own, controls=controls, scale=TURN, samples=1
        )
        stack += [crystal, Reencoded()]
    return eqx.nn.Sequential(stack[:-1])


def on_device(
    stack: eqx.nn.Sequential, mismatch: float, *, key: PRNGKeyArray
) -> eqx.nn.Sequential:
    """Crystals whose shapers are wrong by `mismatch` (rad), trained physics-aware."""

    def real(layer, own):
        if not isinstance(layer, optics.SecondHarmonic):
            return layer
        errors = [imperfections.Mismatch(sigma=mismatch)]
        device = SimulatedDevice(layer, errors, key=own)
        return Physical(layer, estimators.PhysicsAware(device))

    keys = jax.random.split(key, len(stack.layers))
    return eqx.nn.Sequential([real(*pair) for pair in zip(stack.layers, keys)])
