"""A digital twin: a model fitted to its device, and anew when that has drifted."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np
import optax
from jaxtyping import Inexact, PRNGKeyArray

from ._calibration import calibrated, predictions
from ._device import AbstractDevice
from ._probes import Probes, measure_probes
from ._twin import Twin


class TwinErrors(NamedTuple):
    """Root mean square of what a twin misses, as a part of that of the answers.

    Of probes that were held out.
    """

    unfitted: float
    physics: float
    """With its numbers fitted, without a network."""
    fitted: float


class TwinFit(NamedTuple):
    """A fitted twin, and what is known of it."""

    twin: Twin
    """With the parameters that it came with, so that it can take its own place."""
    errors: TwinErrors
    probes: Probes
    """All that were measured."""
    outputs: Inexact[np.ndarray, "settings inputs ..."]
    """What the device answered."""
    held_out: int
    """How many settings at the end were not fitted to."""

    def held_out_probes(self) -> tuple[Probes, Inexact[np.ndarray, "..."]]:
        """What was not fitted to, and the answers."""
        part = slice(len(self.outputs) - self.held_out, None)
        return self.probes.part(part), self.outputs[part]


def fit_twin(
    device: AbstractDevice,
    twin: Any,
    where: Callable[[Any], Any],
    probes: Probes,
    *,
    key: PRNGKeyArray,
    held_out: int | None = None,
    steps: int = 1000,
    learning_rate: float = 0.05,
    network: int | None = None,
    progress: bool = True,
) -> TwinFit:
    """Measure the probes, and fit the twin's unknown numbers to the answers.

    First the numbers of the physics alone, then, if wanted, those of a network for what
    physics leaves; by Adam, in full batches, with a learning rate that ends at zero.

    To measure a device that has drifted and begin where the last fit ended, give the
    fitted `Twin`: `where` then still picks from the physics, and a network goes on too.

    **Arguments:**

    - `device`: a `RecordedDevice` keeps the runs of a calibration that is killed.
    - `twin`: a layer whose trainable parameters are those of the device.
    - `where`: picks the unknown numbers, as in `eqx.tree_at`: floats, or arrays in
        `Frozen` (pick the `Frozen` itself).
    - `probes`: of `sobol_probes`, `latin_hypercube_probes`, or your own.
    - `held_out`: how many of the last settings only test the twin; a quarter.
    - `steps`, `learning_rate`: of both fits. The latter is in units of what an array of
        numbers begins with (root mean square), or of 1 where that is zero.
    - `network`: units of each of its two hidden layers. It needs many probes: where it
        makes the held-out answers worse, it is left out.

    **Raises:** `DeviceError` if the device fails; `ValueError` for what can't work.
    """
    settings = len(probes.inputs)
    held_out = max(1, settings // 4) if held_out is None else held_out
    if not 1 <= held_out < settings:
        raise ValueError(
            f"`held_out` must be from 1 to {settings - 1} of the {settings} settings, "
            f"but is {held_out}."
        )
    measuring, *fitting = jax.random.split(key, 4)
    outputs = measure_probes(device, twin, probes, key=measuring, progress=progress)
    seen, test = slice(0, settings - held_out), slice(settings - held_out, None)

    def error(twin: Any) -> float:
        return _relative(predictions(twin, probes.part(test)), outputs[test])

    def fitted(twin: Any, where: Callable[[Any], Any], key: PRNGKeyArray) -> Any:
        return calibrated(
            twin,
            where,
            probes.part(seen),
            outputs[seen],
            optimizer=_adam(learning_rate, steps),
            steps=steps,
            key=key,
            progress=progress,
        )

    measured = probes, outputs, held_out
    before = error(twin)
    known = twin if isinstance(twin, Twin) else Twin(twin)
    physics = Twin(fitted(known.layer, where, fitting[0]))
    errors = TwinErrors(before, *[error(physics)] * 2)
    if known.residual is not None:
        start = eqx.tree_at(lambda t: t.layer, known, physics.layer)
    elif network is not None:
        said = predictions(physics, probes.part(seen))
        start = physics.with_network(
            probes.part(seen), said, outputs[seen] - said, width=network, key=fitting[1]
        )
    else:
        return TwinFit(physics, errors, *measured)
    whole = fitted(start, _network, fitting[2])
    errors = errors._replace(fitted=error(whole))
    if errors.fitted > errors.physics:
        return TwinFit(physics, errors._replace(fitted=errors.physics), *measured)
    return TwinFit(whole, errors, *measured)


def twin_error(device: AbstractDevice, fit: TwinFit, *, key: PRNGKeyArray) -> float:
    """What the twin misses of its device as that is now: held-out probes, run again."""
    probes, _ = fit.held_out_probes()
    answers = measure_probes(device, fit.twin, probes, key=key, progress=False)
    return _relative(predictions(fit.twin, probes), answers)


class TwinTraining(NamedTuple):
    """A model that was trained with a twin that was watched."""

    model: Any
    fit: TwinFit
    """The last one."""
    errors: list[float]
    """Of the twin, before each segment, as it was found."""
    refitted: list[int]
    """Before which segments the twin was fitted anew."""
    results: list[Any]
    """What `train` returned for each segment."""


def train_with_twin(
    model: Any,
    device: AbstractDevice,
    fit: TwinFit,
    train: Callable[[Any, PRNGKeyArray], Any],
    refit: Callable[[Any, PRNGKeyArray], TwinFit],
    *,
    twin_of: Callable[[Any], Any],
    segments: int,
    threshold: float,
    key: PRNGKeyArray,
) -> TwinTraining:
    """Train in segments; before each, see whether the device is still the twin's.

    The held-out probes are run again, and where the error is above `threshold`, the
    twin is fitted anew, beginning from what it was. Optimizers begin anew with each
    segment.

    **Arguments:**

    - `model`: holds `fit.twin`, where `twin_of` finds it: `lambda m: m.layer` in
        `Physical(fit.twin, PhysicsAware(device))`.
    - `train`: `train(model, key) -> FitResult`, one segment: a call of `pnn.fit`.
    - `refit`: `refit(twin, key) -> TwinFit`: a call of `fit_twin`.
    - `threshold`: of `twin_error`; above what noise makes of it.
    """
    if segments < 1 or not threshold > 0:
        raise ValueError(
            "There must be at least 1 segment and a positive threshold, not "
            f"{segments} and {threshold}."
        )
    errors, refitted, results = [], [], []
    for segment in range(segments):
        watching, fitting, training = jax.random.split(
            jax.random.fold_in(key, segment), 3
        )
        errors.append(twin_error(device, fit, key=watching))
        if errors[-1] > threshold:
            refitted.append(segment)
            fit = refit(twin_of(model), fitting)
            model = eqx.tree_at(twin_of, model, fit.twin)
        results.append(train(model, training))
        model = results[-1].model
    return TwinTraining(model, fit, errors, refitted, results)


def _network(twin: Twin) -> Any:
    assert twin.residual is not None
    # The node itself: `value` would make a new one.
    return twin.residual._value.network


@functools.cache
def _adam(learning_rate: float, steps: int) -> optax.GradientTransformation:
    """One object for one setting, so that to fit again compiles nothing."""
    return optax.adam(optax.cosine_decay_schedule(learning_rate, steps))


def _relative(guess: np.ndarray, answer: np.ndarray) -> float:
    missed, size = np.abs(guess - answer) ** 2, np.abs(answer) ** 2
    return float(np.sqrt(missed.mean() / size.mean()))
