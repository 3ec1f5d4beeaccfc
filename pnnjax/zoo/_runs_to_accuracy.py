"""What each way to train a chip costs: physical runs until the digits are learned."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .. import data, objectives, plots
from .._fit import fit
from ._experiment import AbstractStudy, Outcome
from ._one_chip import LASER, METHODS, Chip, Method, deployed, in_silico, make_chip
from ._settings import setting

if TYPE_CHECKING:
    from matplotlib.figure import Figure

IN_SILICO = "in silico, deployed"
IN_SITU = "in situ"


class Curve(NamedTuple):
    """How one method went."""

    runs: np.ndarray
    """Physical runs until each evaluation."""
    accuracy: np.ndarray
    seconds: float

    def reached(self, target: float) -> float:
        """Runs until the accuracy first was that of the target; infinite if never."""
        at = np.flatnonzero(self.accuracy >= target)
        return float(self.runs[at[0]]) if len(at) else math.inf


class RunsToAccuracy(AbstractStudy):
    """Digits on one chip with hidden errors and noise, by every method there is.

    The chip: low frequencies of an image as amplitudes of light in a mesh, an
    electro-optic activation on each mode, a second mesh, ten noisy detectors. All
    methods begin with the same phases. A physical run is one example's light once
    through both meshes, in either direction; through one of them, half a run. Those
    that only test are not counted. Each method stops at the budget, if not before.

    Forward-forward and physical local learning are not among them: the label would be
    part of the light, and the chip read at ten labels.
    """

    budget: float = setting(3e7, "physical runs of a method, at most", low=1)
    target: float = setting(0.95, "accuracy to be reached", low=0, high=1)
    methods: str = setting("all", "names of methods, by commas; or `all`")
    size: int = setting(5, "low frequencies on a side; its square is the modes", low=4)
    columns: int = setting(16, "of each mesh", low=1)
    error: float = setting(0.1, "hidden errors of the phases (rad)", low=0)
    splitter_error: float = setting(0.02, "of the splitters' angles (rad)", low=0)
    noise: float = setting(0.001, "of each reading, in units of the laser", low=0)
    examples: int = setting(1437, "training images, at most", low=256)

    name: ClassVar[str] = "runs-to-accuracy"
    summary: ClassVar[str] = (
        "noisy coherent chip, 25 modes, on 8 × 8 digits; physical runs of every method"
    )
    reference: ClassVar[str] = (
        "methods as compared by Momeni et al., Nature 645, 53 (2025), "
        "doi:10.1038/s41586-025-09384-2"
    )
    figure: ClassVar[str] = "physical runs to the target, in situ"
    less_is_better: ClassVar[bool] = True
    published: ClassVar[float | None] = None
    duration: ClassVar[float] = 900.0

    def run(
        self, *, seed: int, checkpoint: Path | None, resume: bool, progress: bool
    ) -> Outcome:
        if checkpoint is not None:
            checkpoint.mkdir(exist_ok=True)
        curves = dict(self._curves(seed, checkpoint, resume, progress))
        rows = [
            (name, runs, accuracy, curve.reached(self.target))
            for name, curve in curves.items()
            for runs, accuracy in zip(curve.runs, curve.accuracy, strict=True)
        ]
        methods, runs, accuracies, reached = zip(*rows, strict=True)
        return Outcome(
            value=curves[IN_SITU].reached(self.target) if IN_SITU in curves else 0.0,
            seconds=sum(curve.seconds for curve in curves.values()),
            model=None,
            history=None,
            table={
                "method": methods,
                "physical_runs": runs,
                "accuracy": accuracies,
                "runs_to_target": reached,
            },
            pictures={"physics": lambda: self._picture(curves)},
        )

    def chip(self, seed: int) -> Chip:
        """The same one for all methods."""
        return make_chip(
            self.size**2,
            self.columns,
            error=self.error,
            splitter_error=self.splitter_error,
            noise=self.noise,
            key=jax.random.key(seed),
        )

    def chosen(self) -> tuple[str, ...]:
        """Names of the methods to compare.

        **Raises:** `ValueError` for one that is not known.
        """
        known = (IN_SILICO, *METHODS)
        if self.methods == "all":
            return known
        # A comma is in one of the names too, so they are looked for.
        names = tuple(name for name in known if name in self.methods)
        rest = self.methods
        for name in names:
            rest = rest.replace(name, "")
        if rest.strip(", ") or not names:
            raise ValueError(
                f"`methods` is {self.methods!r}, but can be any of {', '.join(known)}."
            )
        return names

    def digits(self) -> data.Dataset:
        """As light."""
        digits = data.digits()
        return digits._replace(
            train_x=self._light(digits.train_x[: self.examples]),
            train_y=digits.train_y[: self.examples],
            test_x=self._light(digits.test_x),
        )

    def _curves(
        self, seed: int, folder: Path | None, resume: bool, progress: bool
    ) -> Iterator[tuple[str, Curve]]:
        chip, digits = self.chip(seed), self.digits()
        for name in self.chosen():
            method = in_silico(chip) if name == IN_SILICO else METHODS[name](chip)
            if progress:
                _announce(name)
            result = self._trained(
                method,
                digits,
                seed,
                None if folder is None else folder / name,
                resume,
                progress,
            )
            history = result.history
            runs = method.runs * method.batch_size * history.steps
            accuracy = history.metrics["accuracy"]
            if name == IN_SILICO:
                network = deployed(chip, result.model)
                runs, accuracy = runs[-1:], np.asarray([_accuracy(network, digits)])
            yield name, Curve(1.0 * runs, accuracy, history.seconds)

    def _trained(
        self,
        method: Method,
        digits: data.Dataset,
        seed: int,
        checkpoint: Path | None,
        resume: bool,
        progress: bool,
    ) -> Any:
        steps = len(digits.train_x) // method.batch_size
        each = steps * method.batch_size * method.runs
        epochs = method.epochs
        if each:
            epochs = max(1, min(epochs, int(self.budget // each)))
        return fit(
            method.network,
            digits,
            objectives.PowerSoftmax(),
            method.optimizer(epochs * steps),
            epochs=epochs,
            batch_size=method.batch_size,
            metrics={"accuracy": objectives.accuracy},
            evaluate_every=max(1, epochs // 60),
            key=jax.random.fold_in(jax.random.key(seed), 1),
            checkpoint=checkpoint,
            resume=resume,
            progress=progress,
        )

    def _light(self, images: np.ndarray) -> np.ndarray:
        waves = data.low_frequencies(images, self.size)
        flat = waves.reshape(len(images), -1)
        return np.asarray(data.power_normalized(flat, LASER))

    def _picture(self, curves: dict[str, Curve]) -> "Figure":
        return plots.runs_to_accuracy(
            {name: (curve.runs, curve.accuracy) for name, curve in curves.items()},
            target=self.target,
        )


def _accuracy(network: eqx.nn.Sequential, digits: data.Dataset) -> float:
    powers = eqx.filter_jit(lambda network, x: jax.vmap(network)(x))(
        network, jnp.asarray(digits.test_x)
    )
    found: Array = objectives.accuracy(powers, jnp.asarray(digits.test_y))
    return float(found)


def _announce(name: str) -> None:
    from rich.console import Console

    Console(stderr=True).print(name)
