"""The tenth-order moving average, by echo-state networks and by a shift register."""

import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .. import data, objectives, oscillators, plots
from .._readout import Readout
from ._experiment import AbstractStudy, Outcome
from ._settings import setting

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PROBE = 6000
"""Steps of white noise with which memory is measured."""
PROBED = 100
"""Delays at which it is measured, and units whose memory it is."""


class Forecast(NamedTuple):
    """What a trained readout makes of the part of a series that it has not seen."""

    target: Float[Array, "time outputs"]
    prediction: Float[Array, "time outputs"]
    states: Float[Array, "time units"]
    readout: Readout

    def error(self) -> Float[Array, ""]:
        """Normalized root-mean-square error."""
        return objectives.nrmse(self.prediction, self.target)


def forecast(
    states: Float[Array, "time units"],
    targets: Float[Array, "time outputs"],
    *,
    washout: int,
    train: int,
    strength: float,
) -> Forecast:
    """Ridge regression on the first `train` steps but the `washout`, then the others.

    The states go on from the one part into the other.
    """
    seen = slice(washout, train)
    readout = Readout.ridge(states[seen], targets[seen], strength)
    return Forecast(targets[train:], readout(states[train:]), states[train:], readout)


def taps(
    inputs: Float[Array, "time inputs"], count: int
) -> Float[Array, "time features"]:
    """A shift register: the last `count` inputs, zero before the first."""
    before = jnp.zeros((count - 1, inputs.shape[1]), inputs.dtype)
    steps = np.arange(len(inputs))[:, None] + np.arange(count)
    return jnp.concatenate([before, inputs])[steps].reshape(len(inputs), -1)


class Narma10(AbstractStudy):
    """A network of many units, one of few, and as many taps of a shift register.

    All of them drive a linear readout, by ridge regression. Each seed draws a series
    and the networks. The taps show what a system without any nonlinearity achieves:
    50 units hardly beat them.
    """

    units: int = setting(500, "of the large network", low=10)
    few: int = setting(50, "units of the small network, taps of the register", low=1)
    seeds: int = setting(5, "series, each with networks of its own", low=1)
    train: int = setting(2000, "steps to train with", low=20)
    test: int = setting(1000, "steps after these to test with", low=2)
    washout: int = setting(100, "first steps that are not trained with", low=0)
    spectral_radius: float = setting(0.95, "of the couplings", low=0)
    input_scaling: float = setting(0.05, "largest input weight", low=0)
    bias: float = setting(0.2, "largest bias", low=0)
    degree: int = setting(10, "units that each unit hears", low=1)
    strength: float = setting(1e-9, "of the ridge penalty", low=1e-15)

    name: ClassVar[str] = "narma10"
    summary: ClassVar[str] = "echo-state network on NARMA10; ridge regression"
    reference: ClassVar[str] = (
        "after Rodan, Tiňo, IEEE Trans. Neural Netw. 22, 131 (2011), "
        "doi:10.1109/TNN.2010.2089641"
    )
    figure: ClassVar[str] = "test NRMSE, mean over the seeds"
    less_is_better: ClassVar[bool] = True
    published: ClassVar[float | None] = None
    duration: ClassVar[float] = 15.0

    def run(
        self, *, seed: int, checkpoint: Path | None, resume: bool, progress: bool
    ) -> Outcome:
        del checkpoint, resume, progress  # it takes seconds
        begun = time.perf_counter()
        systems = self.systems()
        large = next(iter(systems))
        rows = [
            (own, label, system(*self._draw(own)))
            for own in range(seed, seed + self.seeds)
            for label, system in systems.items()
        ]
        seeds, labels, found = zip(*rows, strict=True)
        errors = [float(each.error()) for each in found]
        of_large = [e for e, label in zip(errors, labels) if label == large]
        return Outcome(
            value=float(np.mean(of_large)),
            seconds=time.perf_counter() - begun,
            model=found[0].readout,
            history=None,
            table={"seed": seeds, "system": labels, "nrmse": errors},
            pictures={
                "physics": lambda: _picture(large, found[0]),
                "memory": lambda: plots.memory_curves(memories(jax.random.key(seed))),
            },
        )

    def systems(self) -> dict[str, Callable[..., Forecast]]:
        """What turns a key, inputs and targets into a forecast; the large one first."""
        learn = functools.partial(
            forecast, washout=self.washout, train=self.train, strength=self.strength
        )

        def network(units: int, key, inputs, targets):
            return learn(self.network(units, key=key)(inputs), targets)

        def register(key, inputs, targets):
            del key  # nothing about it is random
            return learn(taps(inputs, self.few), targets)

        return {
            f"{self.units} units": eqx.filter_jit(
                functools.partial(network, self.units)
            ),
            f"{self.few} units": eqx.filter_jit(functools.partial(network, self.few)),
            f"{self.few} taps": eqx.filter_jit(register),
        }

    def network(self, units: int, *, key: PRNGKeyArray) -> oscillators.EchoStateNetwork:
        """One with the settings."""
        return oscillators.EchoStateNetwork(
            1,
            units,
            key=key,
            spectral_radius=self.spectral_radius,
            input_scaling=self.input_scaling,
            bias=self.bias,
            degree=self.degree,
        )

    def _draw(self, seed: int) -> tuple[PRNGKeyArray, Array, Array]:
        series = data.narma10(self.train + self.test, seed=seed)
        inputs, targets = jnp.asarray(series.inputs), jnp.asarray(series.targets)
        return jax.random.key(seed), inputs, targets


def memories(key: PRNGKeyArray) -> dict[str, Float[np.ndarray, " delays"]]:
    """What networks of `PROBED` units remember of each past input."""
    net_key, input_key = jax.random.split(key)
    noise = jax.random.uniform(input_key, (PROBE, 1), minval=-1.0)
    kinds = {
        "random, small signal": (oscillators.EchoStateNetwork, 0.01),
        "random, large signal": (oscillators.EchoStateNetwork, 1.0),
        "orthogonal, small signal": (oscillators.EchoStateNetwork.orthogonal, 0.01),
    }
    curves = {}
    for label, (kind, scaling) in kinds.items():
        network = kind(
            1, PROBED, key=net_key, spectral_radius=0.98, input_scaling=scaling
        )
        states = network(noise)[PROBE // 6 :]
        curves[label] = np.asarray(
            objectives.memory_curve(states, noise[PROBE // 6 :, 0], 2 * PROBED)
        )
    return curves


def _picture(label: str, found: Forecast) -> "Figure":
    shown = min(200, len(found.target))
    return plots.prediction(
        np.asarray(found.target[:shown, 0]),
        {label: np.asarray(found.prediction[:shown, 0])},
        states=np.asarray(found.states[:shown, :20]),
    )
