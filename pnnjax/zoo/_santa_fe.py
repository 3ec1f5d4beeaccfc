"""A chaotic laser, one reading ahead, by an echo-state network."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .. import data, oscillators, plots
from ._experiment import AbstractStudy, Outcome
from ._narma10 import Forecast, forecast, taps
from ._settings import setting

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COUNTS = 255.0
"""Of the largest reading."""


class SantaFe(AbstractStudy):
    """The next reading of the laser, from all before it.

    Of the first 4000 readings, 3000 to train with and the next 1000 to test with.
    Beside it, a shift register.
    """

    units: int = setting(1000, "of the network", low=10)
    seeds: int = setting(5, "networks", low=1)
    train: int = setting(3000, "readings to train with", low=20)
    test: int = setting(1000, "readings after these to test with", low=2)
    washout: int = setting(100, "first readings that are not trained with", low=0)
    spectral_radius: float = setting(0.9, "of the couplings", low=0)
    leak: float = setting(1.0, "of each unit", low=0.01, high=1)
    input_scaling: float = setting(1.0, "largest input weight", low=0)
    bias: float = setting(0.5, "largest bias", low=0)
    strength: float = setting(1e-4, "of the ridge penalty", low=1e-15)
    register: int = setting(50, "taps of the shift register", low=1)

    name: ClassVar[str] = "santa-fe"
    summary: ClassVar[str] = "echo-state network on a chaotic laser; ridge regression"
    reference: ClassVar[str] = (
        "after Rodan, Tiňo, IEEE Trans. Neural Netw. 22, 131 (2011), "
        "doi:10.1109/TNN.2010.2089641"
    )
    figure: ClassVar[str] = "test NMSE one step ahead, mean over the seeds"
    less_is_better: ClassVar[bool] = True
    published: ClassVar[float | None] = None
    duration: ClassVar[float] = 10.0

    def run(
        self, *, seed: int, checkpoint: Path | None, resume: bool, progress: bool
    ) -> Outcome:
        del checkpoint, resume, progress  # it takes seconds
        begun = time.perf_counter()
        series = jnp.asarray(self.series())
        predict = eqx.filter_jit(self.predict)
        seeds = range(seed, seed + self.seeds)
        found = [predict(jax.random.key(own), series) for own in seeds]
        errors = [float(one.error()) ** 2 for one in found]
        linear = self._learn(taps(series[:-1], self.register), series)
        return Outcome(
            value=float(np.mean(errors)),
            seconds=time.perf_counter() - begun,
            model=found[0].readout,
            history=None,
            table={
                "seed": [*seeds, seed],
                "system": [f"{self.units} units"] * self.seeds
                + [f"{self.register} taps"],
                "nmse": [*errors, float(linear.error()) ** 2],
            },
            pictures={"physics": lambda: _picture(found[0])},
        )

    def series(self) -> Float[np.ndarray, "time 1"]:
        """The readings in units of the largest."""
        return data.santa_fe()[: self.train + self.test + 1, None] / COUNTS

    def predict(self, key: PRNGKeyArray, series: Float[Array, "time 1"]) -> Forecast:
        """Train on the first part of the series, predict the other."""
        network = oscillators.EchoStateNetwork(
            1,
            self.units,
            key=key,
            spectral_radius=self.spectral_radius,
            leak=self.leak,
            input_scaling=self.input_scaling,
            bias=self.bias,
        )
        return self._learn(network(series[:-1]), series)

    def _learn(self, states, series) -> Forecast:
        return forecast(
            states,
            series[1:],
            washout=self.washout,
            train=self.train,
            strength=self.strength,
        )


def _picture(found: Forecast) -> "Figure":
    shown = min(400, len(found.target))
    return plots.prediction(
        COUNTS * np.asarray(found.target[:shown, 0]),
        {"predicted": COUNTS * np.asarray(found.prediction[:shown, 0])},
        states=np.asarray(found.states[:shown, :20]),
        label="Intensity (counts)",
    )
