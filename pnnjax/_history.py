"""What a training run records."""

import csv
import os
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np


class History(NamedTuple):
    """The loss of every finished step, and the metrics of every evaluation."""

    loss: np.ndarray
    """`loss[i]` belongs to step `i + 1`, and is of the parameters before its update."""
    steps: np.ndarray
    """After how many steps each evaluation was made."""
    metrics: Mapping[str, np.ndarray]
    """By name, one value an evaluation."""
    seconds: float
    """How long training took, compilation and earlier sessions included (s)."""

    @classmethod
    def empty(cls, loss_dtype: np.dtype, metrics: Mapping[str, object]) -> "History":
        """Before the first step."""
        none = np.zeros(0)
        return cls(
            loss=np.zeros(0, loss_dtype),
            steps=np.zeros(0, np.int64),
            metrics={name: none for name in metrics},
            seconds=0.0,
        )

    def with_losses(self, losses: np.ndarray, seconds: float) -> "History":
        """After more steps."""
        return self._replace(loss=np.concatenate([self.loss, losses]), seconds=seconds)

    def with_metrics(self, values: Mapping[str, float], seconds: float) -> "History":
        """After an evaluation at the present step."""
        metrics = {
            name: np.append(old, values[name]) for name, old in self.metrics.items()
        }
        steps = np.append(self.steps, len(self.loss))
        return self._replace(steps=steps, metrics=metrics, seconds=seconds)

    def final(self) -> dict[str, float]:
        """The metrics of the last evaluation."""
        return {name: float(values[-1]) for name, values in self.metrics.items()}

    def write_csv(self, path: str | os.PathLike[str]) -> None:
        """One row a step; the metrics are empty where no evaluation was made."""
        rows = {int(step): i for i, step in enumerate(self.steps)}
        with open(path, "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["step", "loss", *self.metrics])
            for step, loss in enumerate(self.loss, start=1):
                row = rows.get(step)
                values = [
                    "" if row is None else float(values[row])
                    for values in self.metrics.values()
                ]
                writer.writerow([step, float(loss), *values])
