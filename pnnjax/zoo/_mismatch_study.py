"""A chip that is not quite its model: four ways to train it."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

from .. import data, estimators, imperfections, objectives, optics, plots
from .._fit import fit
from .._layer import AbstractLayer
from .._physical import Physical, innermost
from ..devices import SimulatedDevice
from ._experiment import AbstractStudy, Outcome
from ._settings import setting

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LASER = 0.01
"""W, shared by the modes."""
TAP = 0.1
"""The share of its power by which a mode modulates itself."""
IDEAL = "ideal chip"
IN_SILICO = "in silico, deployed"
AWARE = "hardware-aware, deployed"
PHYSICS_AWARE = "physics-aware"
IN_SITU = "in situ"
METHODS = (IDEAL, IN_SILICO, AWARE, PHYSICS_AWARE, IN_SITU)


class Chip(NamedTuple):
    """Two meshes, as the model believes and as they are."""

    model: tuple[AbstractLayer, AbstractLayer]
    real: tuple[AbstractLayer, AbstractLayer]


class MismatchStudy(AbstractStudy):
    """Digits on two meshes with hidden phase errors and unequal splitters.

    *In silico*: trained on the ideal model, then programmed into the chip.
    *Hardware-aware*: the same, with fresh phase noise of the chip's size at each step.
    *Physics-aware*: the chip's outputs, the ideal model's Jacobians. *In situ*: the
    chip's own measured gradients. All begin with the same phases and see the same
    batches. The ideal chip is the model itself.
    """

    seeds: int = setting(5, "chips, each with its own phases and errors", low=1)
    size: int = setting(4, "low frequencies on a side; its square is the modes", low=4)
    smallest: float = setting(0.05, "hidden phase error (rad)", low=0)
    largest: float = setting(0.2, "hidden phase error (rad)", low=0)
    levels: int = setting(3, "phase errors, equally spaced on a log scale", low=2)
    splitter_error: float = setting(
        0.02, "of the splitter angle (rad): 2 % of the power", low=0
    )
    epochs: int = setting(40, "passes through the training images", low=1)
    batch_size: int = setting(32, "images a step", low=1)
    learning_rate: float = setting(0.02, "of Adam, falling as a cosine (rad)", low=0)

    name: ClassVar[str] = "mismatch-study"
    summary: ClassVar[str] = (
        "coherent chip with hidden errors; in silico, aware, and in situ"
    )
    reference: ClassVar[str] = (
        "after Wright et al., Nature 601, 549 (2022), doi:10.1038/s41586-021-04223-6"
    )
    figure: ClassVar[str] = "in-situ accuracy at the middle phase error"
    published: ClassVar[float | None] = None
    duration: ClassVar[float] = 300.0

    def run(
        self, *, seed: int, checkpoint: Path | None, resume: bool, progress: bool
    ) -> Outcome:
        if checkpoint is not None:
            checkpoint.mkdir(exist_ok=True)
        train = self._trainer(checkpoint, resume)
        errors = np.geomspace(self.smallest, self.largest, self.levels)
        jobs = [(s, e) for s in range(seed, seed + self.seeds) for e in errors]
        rows = []
        for chip_seed, error in _shown(jobs, progress):
            for method, accuracy, seconds in self._one_chip(train, chip_seed, error):
                rows.append((chip_seed, error, method, accuracy, seconds))
        seeds, levels, methods, accuracies, seconds = zip(*rows, strict=True)
        shape = (self.seeds, self.levels, len(METHODS))
        grid = np.reshape(accuracies, shape)
        return Outcome(
            value=float(grid[:, self.levels // 2, METHODS.index(IN_SITU)].mean()),
            seconds=sum(seconds),
            model=None,
            history=None,
            table={
                "seed": seeds,
                "phase_error": levels,
                "method": methods,
                "accuracy": accuracies,
            },
            pictures={"physics": lambda: self._picture(errors, grid)},
        )

    def chip(self, seed: int, error: float) -> Chip:
        """The chip of that seed: same phases and unit errors at any size of error."""
        modes = self.size**2
        keys = jax.random.split(jax.random.key(seed), 4)
        spread = imperfections.Mismatch(sigma=jnp.asarray(error, float))
        faulty = [
            optics.MZIMesh(modes, key=key, splitter_error=self.splitter_error)
            for key in keys[:2]
        ]
        first, second = (optics.MZIMesh(modes, key=key) for key in keys[:2])
        real = tuple(spread(m, key=k) for m, k in zip(faulty, keys[2:], strict=True))
        return Chip((first, second), (real[0], real[1]))

    def _one_chip(
        self, train: Callable, seed: int, error: float
    ) -> Iterator[tuple[str, float, float]]:
        chip = self.chip(seed, error)
        noise = imperfections.ReadNoise(sigma=jnp.asarray(error, float))
        autodiff, in_situ = estimators.Autodiff(), estimators.InSituBackprop(True)
        runs = {
            IDEAL: [Physical(mesh, autodiff) for mesh in chip.model],
            AWARE: [Physical(noise(mesh), autodiff) for mesh in chip.model],
            PHYSICS_AWARE: _on_chip(chip.model, chip),
            IN_SITU: [Physical(mesh, in_situ) for mesh in chip.real],
        }
        for method in METHODS:
            source = IDEAL if method == IN_SILICO else method
            # The ideal chip has no errors: one training for all of them.
            label = source if source == IDEAL else f"{source} {error:.4g}"
            result = train(runs[source], f"{seed} {label}", seed, source == AWARE)
            trained = [physical.layer for physical in result.model.layers[::2][:2]]
            if method in (IN_SILICO, AWARE):
                meshes = _on_chip(tuple(map(innermost, trained)), chip)
                accuracy = self._accuracy(eqx.tree_at(_meshes, result.model, meshes))
            else:
                accuracy = result.history.final()["accuracy"]
            yield method, float(accuracy), result.history.seconds

    def _trainer(self, folder: Path | None, resume: bool) -> Callable:
        """Trains a network once; asked again by the same label, recalls it."""
        digits = self._digits()
        steps = self.epochs * (len(digits.train_x) // self.batch_size)
        # One optimizer object for all runs: what was compiled is used again.
        optimizer = optax.adam(optax.cosine_decay_schedule(self.learning_rate, steps))
        objective = objectives.PowerSoftmax()
        activation = self._activation()
        known: dict[str, Any] = {}

        def train(meshes, label: str, seed: int, noisy: bool):
            if label not in known:
                first, second = meshes
                network = [first, activation, second, optics.Intensity(10)]
                known[label] = fit(
                    eqx.nn.Sequential(network),
                    digits,
                    objective,
                    optimizer,
                    epochs=self.epochs,
                    batch_size=self.batch_size,
                    metrics={"accuracy": objectives.accuracy},
                    evaluate_every=self.epochs,
                    noisy=noisy,
                    key=jax.random.key(seed),
                    checkpoint=None if folder is None else folder / label,
                    resume=resume,
                    progress=False,
                )
            return known[label]

        return train

    def _activation(self) -> optics.ElectroOpticActivation:
        modes = self.size**2
        gain = math.pi / 2 / (TAP * LASER / modes)
        return optics.ElectroOpticActivation(modes, tap=TAP, gain=gain)

    def _digits(self) -> data.Dataset:
        digits = data.digits()

        def encoded(images: np.ndarray) -> np.ndarray:
            waves = data.low_frequencies(images, self.size)
            flat = waves.reshape(len(images), -1)
            return np.asarray(data.power_normalized(flat, LASER))

        return digits._replace(
            train_x=encoded(digits.train_x), test_x=encoded(digits.test_x)
        )

    def _accuracy(self, network: eqx.nn.Sequential) -> Array:
        digits = self._digits()
        powers = eqx.filter_jit(lambda network, x: jax.vmap(network)(x))(
            network, jnp.asarray(digits.test_x)
        )
        return objectives.accuracy(powers, jnp.asarray(digits.test_y))

    def _picture(self, errors: np.ndarray, grid: np.ndarray) -> "Figure":
        by_method = {name: grid[..., i] for i, name in enumerate(METHODS)}
        return plots.robustness(
            errors, by_method, label="Hidden phase error (rad)", quantity="Accuracy"
        )


def _on_chip(model: tuple, chip: Chip) -> list[Physical]:
    """The model's phases, programmed into the chip."""
    rules = [estimators.PhysicsAware(SimulatedDevice(mesh)) for mesh in chip.real]
    return [Physical(mesh, rule) for mesh, rule in zip(model, rules, strict=True)]


def _meshes(network: eqx.nn.Sequential) -> list:
    return [network.layers[0], network.layers[2]]


def _shown(jobs: list, progress: bool) -> Iterator:
    """The jobs, behind a progress bar."""
    if not progress:
        return iter(jobs)
    from rich.console import Console
    from rich.progress import track

    return iter(track(jobs, "chips", console=Console(stderr=True)))
