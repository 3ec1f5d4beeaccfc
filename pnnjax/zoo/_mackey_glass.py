"""The Mackey-Glass series, one step ahead and 84, by an echo-state network."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .. import data, oscillators, plots
from .._readout import Readout
from ._experiment import AbstractStudy, Outcome
from ._narma10 import forecast
from ._settings import setting

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DELAY = 17
SHOWN = 1000
"""Steps of the free run in the picture."""


class Prophecy(NamedTuple):
    """Errors of one network, and how it goes on by itself."""

    one_step: Float[Array, ""]
    """NRMSE one step ahead."""
    far: Float[Array, ""]
    """NRMSE at the horizon."""
    free: Float[Array, " time"]
    """What it goes on with after the series has been taken away."""
    readout: Readout


class MackeyGlass(AbstractStudy):
    """One step ahead of the series; then, fed with its own predictions, 84 steps.

    The errors at the horizon are those of many free runs, each of which begins after
    the network has heard the series up to there.
    """

    units: int = setting(1000, "of the network", low=10)
    seeds: int = setting(5, "networks, each with a series of its own", low=1)
    train: int = setting(3000, "steps to train with", low=20)
    test: int = setting(2000, "steps after these to test with", low=200)
    washout: int = setting(200, "first steps that are not trained with", low=0)
    horizon: int = setting(84, "steps ahead", low=1)
    runs: int = setting(50, "free runs, at equal distances", low=1)
    spectral_radius: float = setting(0.95, "of the couplings", low=0)
    leak: float = setting(0.8, "of each unit", low=0.01, high=1)
    input_scaling: float = setting(0.5, "largest input weight", low=0)
    bias: float = setting(0.2, "largest bias", low=0)
    strength: float = setting(1e-9, "of the ridge penalty", low=1e-15)

    name: ClassVar[str] = "mackey-glass"
    summary: ClassVar[str] = "echo-state network on Mackey-Glass; ridge regression"
    reference: ClassVar[str] = (
        "after Jaeger, Haas, Science 304, 78 (2004), doi:10.1126/science.1091277: "
        "10^-4.2 at 84 steps, with feedback of the output"
    )
    figure: ClassVar[str] = "test NRMSE one step ahead, mean over the seeds"
    less_is_better: ClassVar[bool] = True
    published: ClassVar[float | None] = None
    duration: ClassVar[float] = 15.0

    def run(
        self, *, seed: int, checkpoint: Path | None, resume: bool, progress: bool
    ) -> Outcome:
        del checkpoint, resume, progress  # it takes seconds
        begun = time.perf_counter()
        prophesy = eqx.filter_jit(self.prophesy)
        seeds = range(seed, seed + self.seeds)
        found = [
            prophesy(jax.random.key(own), jnp.asarray(self.series(own)))
            for own in seeds
        ]
        one_step = [float(each.one_step) for each in found]
        last, target = np.asarray(found[-1].free), self.series(seeds[-1])[self.train :]
        return Outcome(
            value=float(np.mean(one_step)),
            seconds=time.perf_counter() - begun,
            model=found[-1].readout,
            history=None,
            table={
                "seed": list(seeds),
                "nrmse": one_step,
                f"nrmse_{self.horizon}": [float(each.far) for each in found],
            },
            pictures={"physics": lambda: _picture(target, last)},
        )

    def series(self, seed: int) -> Float[np.ndarray, " time"]:
        """Deviations from 1, where the equation is at rest."""
        steps = self.train + self.test + 1
        return data.mackey_glass(steps, start=1.2 + 0.01 * (seed % 50)) - 1

    def prophesy(self, key: PRNGKeyArray, series: Float[Array, " time"]) -> Prophecy:
        """Train on the first part of the series, look ahead in the other."""
        network = self.network(key=key)
        inputs = series[:-1, None]
        states = network(inputs)
        found = forecast(
            states,
            series[1:, None],
            washout=self.washout,
            train=self.train,
            strength=self.strength,
        )
        readout, ahead = found.readout, self.horizon
        starts = self.train + np.linspace(
            0, self.test - ahead, self.runs, dtype=np.int32
        )
        far = free_run(network, readout, states[starts - 1], ahead)[:, -1]
        target = series[starts + ahead - 1]
        error = jnp.sqrt(jnp.mean((far - target) ** 2) / jnp.var(series[self.train :]))
        free = free_run(network, readout, states[self.train - 1], min(SHOWN, self.test))
        return Prophecy(found.error(), error, free, readout)

    def network(self, *, key: PRNGKeyArray) -> oscillators.EchoStateNetwork:
        """One with the settings."""
        return oscillators.EchoStateNetwork(
            1,
            self.units,
            key=key,
            spectral_radius=self.spectral_radius,
            leak=self.leak,
            input_scaling=self.input_scaling,
            bias=self.bias,
        )


def free_run(
    network: oscillators.EchoStateNetwork,
    readout: Readout,
    state: Float[Array, "*batch units"],
    steps: int,
) -> Float[Array, "*batch time"]:
    """What the network predicts after `state`, hearing nothing but its predictions."""

    def step(state, _):
        value = readout(state)
        _, state = network.run(value[..., None, :], state)
        return state, value[..., 0]

    return jnp.moveaxis(jax.lax.scan(step, state, length=steps)[1], 0, -1)


def _picture(
    target: Float[np.ndarray, " time"], free: Float[np.ndarray, " steps"]
) -> "Figure":
    return plots.free_run(target[: len(free)], free, delay=DELAY)
