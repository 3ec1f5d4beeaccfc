"""A small experiment of each kind, for the tests of the zoo and the command line."""

from typing import ClassVar, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

import pnnjax as pnn
from pnnjax.zoo import AbstractExperiment, AbstractStudy, Outcome, setting


def rings() -> pnn.data.Dataset:
    """Two rings of points, told apart by their radius."""
    angle = np.linspace(0, 40, 200)
    label = np.arange(200) % 2
    x = np.stack([np.cos(angle), np.sin(angle)], -1) * (1 + label)[:, None]
    x, y = x.astype(np.float32), label.astype(np.int32)
    return pnn.data.Dataset(x[:160], y[:160], x[160:], y[160:], ("inner", "outer"))


def field(figsize=(2, 2)):
    from matplotlib.figure import Figure

    return Figure(figsize=figsize)


class Rings(AbstractExperiment):
    """An ordinary training."""

    name = "toy-rings"
    summary = "A digital network on two rings [a test]"
    reference = "None."
    figure = "test accuracy"
    published = 0.9
    duration = 5.0
    presets: ClassVar = {"wide": {"width": 32, "epochs": 3}}

    epochs: int = setting(20, "passes over the points", low=1, high=100_000)
    batch_size: int = 32
    width: int = setting(16, "hidden units", low=1)
    rate: float = setting(0.05, "of learning", low=0.0)
    activation: Literal["tanh", "relu"] = setting("tanh", "between the layers")
    bias: bool = True
    clip: float | None = None

    def data(self):
        return rings()

    def model(self, *, key):
        activation = {"tanh": jnp.tanh, "relu": jax.nn.relu}[self.activation]
        return eqx.nn.MLP(
            2, 2, self.width, 1, activation, use_bias=self.bias, dtype=jnp.float32,
            key=key,
        )  # fmt: skip

    def objective(self, predictions, targets):
        return pnn.objectives.cross_entropy(predictions, targets)

    def optimizer(self, steps):
        return optax.adam(optax.cosine_decay_schedule(self.rate, steps))

    def metrics(self):
        return {"accuracy": pnn.objectives.accuracy}

    def picture(self, model, data):
        return field()


class Seeds(AbstractStudy):
    """A study over several trainings."""

    name = "toy-seeds"
    summary = "Rings, by several seeds"
    reference = "None."
    figure = "mean test accuracy"
    published = None
    duration = 100.0

    seeds: int = setting(2, "how many", low=1)

    def run(self, *, seed, checkpoint, resume, progress):
        values = []
        for i in range(self.seeds):
            file = None
            if checkpoint is not None:
                file = checkpoint / f"{i}"
            out = Rings(epochs=2).run(
                seed=seed + i, checkpoint=file, resume=resume, progress=progress
            )
            values.append(out.value)
        return Outcome(
            value=float(np.mean(values)), seconds=1.0, model=None, history=None,
            table={"seed": range(self.seeds), "accuracy": values},
            pictures={"spread": field},
        )  # fmt: skip
