"""Two moons on a chip of four modes, trained by in-situ backpropagation."""

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Complex, Float, Inexact, PRNGKeyArray

from .. import estimators, objectives, optics, plots
from .._physical import attach
from ..data import Dataset, moons, with_reference
from ._experiment import AbstractExperiment
from ._settings import setting

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MODES = 4
CENTER = (0.5, 0.25)
"""Of both moons."""
REACH = 1.53
"""The ends of the moons are at 1.521 from the center."""


def light_of(
    points: Float[Array, "*batch 2"],
    reach: float,
    power: float,  # W
) -> Complex[Array, "*batch 4"]:  # √W
    """The two coordinates as amplitudes, and two references with the rest of `power`.

    At `reach` from the center nothing is left for them; a point beyond is refused.
    """
    amplitudes = math.sqrt(power) / reach * _from_center(points)
    return with_reference(amplitudes, MODES - 2, power)


def pair_powers(
    field: Inexact[Array, "*batch 4"],  # √W
) -> Float[Array, "*batch 2"]:  # W
    """The power in modes 0 and 1, and in modes 2 and 3."""
    pairs = optics.intensity(field).reshape(*field.shape[:-1], 2, 2)
    return jnp.sum(pairs, axis=-1)


class MoonsInSitu(AbstractExperiment):
    r"""Three meshes with $|z|$ between them; the brighter pair of modes is the class.

    As in the paper, $|z|$ is digital: the field is detected, and sent into the next
    mesh without its phase. What the taps read is noisy, so the gradient is; the forward
    pass is not.
    """

    epochs: int = setting(100, "passes over the points", low=1)
    batch_size: int = setting(20, "points a step", low=1)
    learning_rate: float = setting(0.05, "of Adam, falling as a cosine (rad)", low=0)
    scale: float = setting(20.0, "of the softmax over the pairs' shares", low=0)
    samples: int = setting(250, "points, a fifth of them to test with", low=20)
    spread: float = setting(0.1, "standard deviation of the points", low=0, high=0.5)
    split: int = setting(0, "seed of the points, and of which to test with", low=0)
    power: float = setting(1e-3, "of the laser (W)", low=1e-9)
    bandwidth: float = setting(1e6, "of the taps (Hz); 0: without noise", low=0)

    name: ClassVar[str] = "moons-insitu"
    summary: ClassVar[str] = (
        "coherent chip, 4 modes, 3 layers, on two moons; in-situ backpropagation"
    )
    reference: ClassVar[str] = (
        "Pai et al., Science 380, 398 (2023), doi:10.1126/science.ade8450: above 94 % "
        "in every task"
    )
    figure: ClassVar[str] = "test accuracy"
    published: ClassVar[float | None] = 0.94
    duration: ClassVar[float] = 25.0

    def data(self) -> Dataset:
        raw = self._points()
        return raw._replace(
            train_x=np.asarray(self._light(raw.train_x)),
            test_x=np.asarray(self._light(raw.test_x)),
        )

    def model(self, *, key: PRNGKeyArray) -> Any:
        first, second, third = (
            optics.MZIMesh(MODES, key=own) for own in jax.random.split(key, 3)
        )
        magnitude = eqx.nn.Lambda(jnp.abs)
        readout = eqx.nn.Lambda(pair_powers)
        model = eqx.nn.Sequential([first, magnitude, second, magnitude, third, readout])
        noise = self.bandwidth > 0
        detector = estimators.TapDetector(bandwidth=self.bandwidth) if noise else None
        return attach(model, estimators.InSituBackprop(toggled=True, detector=detector))

    def objective(self, predictions: Any, targets: Any) -> Array:
        return objectives.PowerSoftmax(self.scale)(predictions, targets)

    def optimizer(self, steps: int) -> optax.GradientTransformation:
        return optax.adam(optax.cosine_decay_schedule(self.learning_rate, steps))

    def metrics(self) -> Mapping[str, Callable[[Any, Any], Any]]:
        return {"accuracy": objectives.accuracy}

    def picture(self, model: Any, data: Any) -> "Figure":
        del data  # light, where the picture is of points
        raw = self._points()

        def powers(point: Float[Array, " 2"]) -> Float[Array, " 2"]:
            # In the corners the modulators are at their limit.
            return model(self._light(within(point, self._reach)))

        return plots.decision_regions(powers, (raw.test_x, raw.test_y))

    @property
    def _reach(self) -> float:
        return REACH + 5 * self.spread

    def _points(self) -> Dataset:
        return moons(self.samples, noise=self.spread, seed=self.split)

    def _light(self, points: Any) -> Complex[Array, "*batch 4"]:
        return light_of(jnp.asarray(points), self._reach, self.power)


def _from_center(points: Float[Array, "*batch 2"]) -> Float[Array, "*batch 2"]:
    return points - jnp.broadcast_to(jnp.asarray(CENTER, points.dtype), points.shape)


def within(point: Float[Array, " 2"], reach: float) -> Float[Array, " 2"]:
    """The nearest point that light can show."""
    offset = _from_center(point)
    excess = jnp.maximum(jnp.hypot(offset[0], offset[1]) / reach, 1)
    return point + offset * (1 / excess - 1)
