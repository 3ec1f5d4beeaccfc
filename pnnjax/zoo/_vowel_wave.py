"""Spoken vowels, told apart by a plate that their sound travels through."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from .. import data, objectives, plots, waves
from .._fit import FitResult, fit
from .._step import predict
from ._experiment import AbstractStudy, Outcome
from ._settings import setting

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RATE = 10_000  # Hz
CLASSES = 3
GAP = 5
"""Cells from the source to the design, and from there to the probes."""
FRAMES = 5


class Fold(NamedTuple):
    """What one of the trainings reached, and what it was trained with."""

    result: FitResult
    data: data.Dataset
    train: float
    """Accuracy on its own training examples."""
    test: float


class VowelWave(AbstractStudy):
    """A vowel is played to a plate at one point; the probe that collects the most says
    which one it was.

    Units are those in which a sample lasts 1, and the sound travels 1 in it. The plate
    is trained once for each fold of a cross-validation, from the same gray start, and
    tested on the recordings of its fold after the last epoch. As in the paper, the
    grid is coarse for all but the first formants: what computes is the grid, rather
    than the continuous plate that it stands for. `preset=paper` has the
    plate, the batches and the training of the paper's code.
    """

    epochs: int = setting(10, "passes through the training recordings", low=1)
    batch_size: int = setting(9, "recordings a step", low=1)
    folds: int = setting(5, "parts, each of which is tested on once", low=2)
    by_talker: bool = setting(False, "test on voices that were not trained with")
    samples: int = setting(1000, "in the middle of each recording, at 10 kHz", low=8)
    height: int = setting(64, "cells of the plate", low=8)
    width: int = setting(90, "cells of the plate, on the way of the sound", low=24)
    absorber: int = setting(10, "cells along each wall", low=0)
    margin: int = setting(5, "cells between absorber and source, or probes", low=0)
    spacing: int = setting(18, "cells from probe to probe", low=1)
    courant: float = setting(0.7, "cells that sound travels in a step", low=1e-3)
    speed: float = setting(0.5, "in the second material, over the first", low=1e-3)
    sharpness: float = setting(20.0, "of the projection on two materials", low=1e-3)
    learning_rate: float = setting(0.03, "of Adam, falling as a cosine", low=0)
    scale: float = setting(10.0, "of the softmax over the probes' shares", low=1e-9)

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {
            "epochs": 20,
            "height": 140,
            "width": 140,
            "absorber": 20,
            "margin": 20,
            "spacing": 35,
            "speed": 0.8,
            "sharpness": 100.0,
            "learning_rate": 4e-4,
            "scale": 1.0,
        }
    }
    name: ClassVar[str] = "vowel-wave"
    summary: ClassVar[str] = (
        "recorded vowels through a plate of trained wave speed, cross-validated"
    )
    reference: ClassVar[str] = (
        "Hughes, Williamson, Minkov, Fan, Sci. Adv. 5, eaay6946 (2019), "
        "doi:10.1126/sciadv.aay6946"
    )
    figure: ClassVar[str] = "mean test accuracy over the folds"
    published: ClassVar[float | None] = 0.863
    duration: ClassVar[float] = 240.0

    def run(
        self, *, seed: int, checkpoint: Path | None, resume: bool, progress: bool
    ) -> Outcome:
        if checkpoint is not None:
            checkpoint.mkdir(exist_ok=True)
        recordings = data.vowel_recordings(self.samples, RATE)
        # One optimizer and one objective for all folds, which then share one program.
        objective, optimizer = self.objective(), self.optimizer(len(recordings.y))
        done = []
        for index in range(self.folds):
            part = recordings.fold(
                index, self.folds, by_talker=self.by_talker, seed=seed
            )
            result = fit(
                self.model(),
                part,
                objective,
                optimizer,
                epochs=self.epochs,
                batch_size=self.batch_size,
                metrics={"accuracy": objectives.accuracy},
                noisy=False,
                key=jax.random.fold_in(jax.random.key(seed), index),
                checkpoint=None if checkpoint is None else checkpoint / f"fold {index}",
                resume=resume,
                progress=progress,
            )
            train = self._accuracy(result.model, part.train_x, part.train_y)
            test = result.history.final()["accuracy"]
            done.append(Fold(result, part, train, test))
            _report(done, progress)
        return self._outcome(done)

    def model(self) -> waves.WaveEquation2D:
        """The plate before training: half of the second material everywhere."""
        middle, first = self.height // 2, self.absorber + self.margin
        last = self.width - 1 - first
        offsets = [i - (CLASSES - 1) / 2 for i in range(CLASSES)]
        top, start = self.absorber, first + GAP
        return waves.WaveEquation2D(
            (self.height, self.width),
            pitch=1 / self.courant,
            step=1.0,
            speeds=(1.0, self.speed),
            sources=((middle, first),),
            probes=tuple((middle + round(i * self.spacing), last) for i in offsets),
            design=(top, self.height - top, start, self.width - start),
            damping=waves.absorbing_profile(
                (self.height, self.width), self.absorber, 3 * self.courant
            ),
            sharpness=self.sharpness,
        )

    def objective(self) -> objectives.PowerSoftmax:
        return objectives.PowerSoftmax(self.scale)

    def optimizer(self, examples: int) -> optax.GradientTransformation:
        trained = examples - -(-examples // self.folds)
        steps = self.epochs * (trained // self.batch_size)
        return optax.adam(optax.cosine_decay_schedule(self.learning_rate, steps))

    def _accuracy(self, model: Any, x: np.ndarray, y: np.ndarray) -> float:
        energies = predict(
            self.objective(), model, jnp.asarray(x), None, self.batch_size
        )
        return float(objectives.accuracy(energies, jnp.asarray(y)))

    def _outcome(self, done: Sequence[Fold]) -> Outcome:
        best = done[0]
        return Outcome(
            value=float(np.mean([fold.test for fold in done])),
            seconds=sum(fold.result.history.seconds for fold in done),
            model=[fold.result.model for fold in done],
            history=None,
            table={
                "fold": list(range(len(done))),
                "test_accuracy": [fold.test for fold in done],
                "train_accuracy": [fold.train for fold in done],
                "seconds": [fold.result.history.seconds for fold in done],
            },
            pictures={
                "training": lambda: plots.learning_curve(
                    [fold.result.history for fold in done]
                ),
                "physics": lambda: self.map(best.result.model, best.data.classes),
                "movie": lambda: self.movie(best.result.model, best.data),
            },
        )

    def map(self, model: waves.WaveEquation2D, names: Sequence[str]) -> "Figure":
        """What the plate has become."""
        return plots.wave_speed(model.speed(), model.sources, model.probes, names)

    def movie(self, model: waves.WaveEquation2D, part: data.Dataset) -> "Figure":
        """The first test recording of each vowel on its way, at equal times."""
        rows = [int(np.argmax(part.test_y == label)) for label in range(CLASSES)]
        frames = field_frames(model, jnp.asarray(part.test_x[rows]), FRAMES)
        step = self.samples // FRAMES / RATE * 1e3
        return plots.wave_movie(
            frames,
            part.classes,
            [f"{(i + 1) * step:.3g} ms" for i in range(FRAMES)],
            sources=model.sources,
            probes=model.probes,
            names=part.classes,
            outline=model.material(),
        )


@eqx.filter_jit
def field_frames(
    model: waves.WaveEquation2D,
    x: Float[Array, "examples time"],
    frames: int,
) -> Float[Array, "examples frames ny nx"]:
    """$|u|^2$ at the ends of `frames` equal parts of the time."""
    pieces = x[:, : x.shape[1] // frames * frames].reshape(len(x), frames, -1)

    def piece(state, now):
        end = model.run(now, state)
        return (end.field, end.previous), jnp.square(end.field)

    still = jnp.zeros((len(x), *model.speed().shape), x.dtype)
    _, shown = jax.lax.scan(piece, (still, still), jnp.swapaxes(pieces, 0, 1))
    return jnp.swapaxes(shown, 0, 1)


def _report(done: Sequence[Fold], progress: bool) -> None:
    """The mean over the folds so far, and their spread."""
    if not progress:
        return
    from rich.console import Console

    tests = 100 * np.asarray([fold.test for fold in done])
    trains = 100 * np.asarray([fold.train for fold in done])
    spread = f" ± {tests.std(ddof=1):.1f}" if len(done) > 1 else ""
    Console(stderr=True).print(
        f"Fold {len(done)}: test {tests[-1]:.1f} %, train {trains[-1]:.1f} %. Mean "
        f"over the folds: test {tests.mean():.1f}{spread} %, "
        f"train {trains.mean():.1f} %."
    )
