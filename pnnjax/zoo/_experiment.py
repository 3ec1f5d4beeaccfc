"""What a named, reproducible experiment is."""

import abc
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import optax
from jaxtyping import Array, PRNGKeyArray

from .._fit import fit
from .._history import History
from .._objective import AbstractLocalObjective, Objective
from ..plots import learning_curve

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Outcome(NamedTuple):
    """What an experiment found."""

    value: float
    """The figure to be compared with the published one."""
    seconds: float
    """How long it took, earlier sessions included (s)."""
    model: Any
    """With the trained parameters; a study may have several, or none."""
    history: History | None
    """Of the one training run, if there was one."""
    table: Mapping[str, Any]
    """Columns of equal length for `metrics.csv`, if there is no history."""
    pictures: Mapping[str, Callable[[], Any]]
    """Functions that draw a figure, by the name of its file without `.png`."""


class AbstractStudy(eqx.Module):
    """An experiment of any kind: what the runner and the command line need of it.

    Its fields are its settings: each an `int`, `float`, `bool`, `str` or a `Literal`
    with a default, plain or by `setting`.
    """

    name: eqx.AbstractClassVar[str]
    summary: eqx.AbstractClassVar[str]
    """One line: which physics, which task, which training."""
    reference: eqx.AbstractClassVar[str]
    """The paper, with its DOI."""
    figure: eqx.AbstractClassVar[str]
    """What `Outcome.value` is, such as `test accuracy`."""
    published: eqx.AbstractClassVar[float | None]
    """Its value in the paper."""
    duration: eqx.AbstractClassVar[float]
    """About how long it takes on two CPU cores, as it is by default (s)."""
    less_is_better: ClassVar[bool] = False
    """Of the figure."""
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Other defaults by name, for `--set preset=NAME`."""

    @abc.abstractmethod
    def run(
        self, *, seed: int, checkpoint: Path | None, resume: bool, progress: bool
    ) -> Outcome:
        """Do everything, reproducibly from `seed`.

        **Arguments:** `checkpoint`: a path in an existing folder, to make a file of, or
        a folder with several; with `resume`, go on from what is there.
        """


class AbstractTraining(AbstractStudy):
    """One training run. Its figure is the first of its metrics, at the end."""

    epochs: eqx.AbstractVar[int]
    batch_size: eqx.AbstractVar[int]
    further_pictures: ClassVar[Mapping[str, Callable[[Any, Any], Any]]] = {}
    """Figures besides those of every experiment, of the trained model and the data."""

    @abc.abstractmethod
    def data(self) -> Any:
        """A `pnnjax.data.Dataset`, encoded for the model."""

    @abc.abstractmethod
    def model(self, *, key: PRNGKeyArray) -> Any:
        """The untrained model."""

    @abc.abstractmethod
    def rule(self) -> Objective | AbstractLocalObjective:
        """What is minimized, as `fit` takes it."""

    @abc.abstractmethod
    def optimizer(self, steps: int) -> optax.GradientTransformation:
        """For a run of `steps` steps in all."""

    @abc.abstractmethod
    def metrics(self) -> Mapping[str, Callable[[Any, Any], Any]]:
        """`metric(predictions, targets)` by name; the first one is the figure."""

    @abc.abstractmethod
    def picture(self, model: Any, data: Any) -> "Figure":
        """The physics of the trained model."""

    def run(
        self, *, seed: int, checkpoint: Path | None, resume: bool, progress: bool
    ) -> Outcome:
        data, metrics = self.data(), self.metrics()
        model_key, key = jax.random.split(jax.random.key(seed))
        model, history = fit(
            self.model(key=model_key),
            data,
            self.rule(),
            self.optimizer(self.epochs * (len(data.train_x) // self.batch_size)),
            epochs=self.epochs,
            batch_size=self.batch_size,
            metrics=metrics,
            evaluate_every=max(1, self.epochs // 100),
            key=key,
            checkpoint=checkpoint,
            resume=resume,
            progress=progress,
        )
        return Outcome(
            value=history.final()[next(iter(metrics))],
            seconds=history.seconds,
            model=model,
            history=history,
            table={},
            pictures={
                "training": lambda: learning_curve(history),
                "physics": lambda: self.picture(model, data),
                **{
                    name: partial(draw, model, data)
                    for name, draw in self.further_pictures.items()
                },
            },
        )


class AbstractExperiment(AbstractTraining):
    """One training run that minimizes a function of predictions and targets."""

    @abc.abstractmethod
    def objective(self, predictions: Any, targets: Any) -> Array:
        """What is minimized: a scalar."""

    def rule(self) -> Objective:
        return self.objective
