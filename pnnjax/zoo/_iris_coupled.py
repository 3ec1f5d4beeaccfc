"""Iris flowers on a resistor network that trains by local rules, and is damaged."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, PRNGKeyArray

from .. import circuits, data, estimators, objectives, plots
from .._fit import FitResult, fit
from .._physical import Physical
from ..optimizers import quantized_update
from ._experiment import AbstractStudy, Outcome
from ._settings import setting

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FEATURES = 4
CLASSES = 3
LOW, HIGH = 1e-5, 1.28e-3
"""S: 128 multiples of 10 µS."""
BIAS = 1.0
"""V, of either sign, held beside the inputs."""


class IrisCoupled(AbstractStudy):
    """Adjustable resistors between the features' voltages and three outputs.

    Each feature is a voltage from -1 to 1 V and, since no conductance is negative, its
    negative too. In training the outputs are held a little nearer the right answer;
    each edge compares the two drops across it, and moves by whole steps of its digital
    potentiometer. Then a share of the edges is cut, and training goes on.
    """

    seeds: int = setting(5, "networks, each with its own flowers to test with", low=1)
    epochs: int = setting(40, "passes through the training flowers", low=1)
    again: int = setting(20, "passes after the damage", low=1)
    batch_size: int = setting(10, "flowers a step", low=1)
    learning_rate: float = setting(3e-5, "falling as a cosine (S²)", low=0)
    bits: int = setting(7, "of each conductance", low=1, high=16)
    hidden: int = setting(4, "nodes that are neither held nor read", low=0)
    lost: float = setting(0.1, "share of the edges that is cut", low=0, high=0.5)
    test_fraction: float = setting(0.4, "of the flowers", low=0.1, high=0.9)
    eta: float = setting(0.01, "by which the outputs are moved (V)", low=1e-4)
    scale: float = setting(20.0, "of the softmax over the outputs (1/V)", low=0)

    name: ClassVar[str] = "iris-coupled"
    summary: ClassVar[str] = (
        "resistor network with 7-bit conductances on Iris; coupled learning, damage"
    )
    reference: ClassVar[str] = (
        "Dillavou et al., Phys. Rev. Applied 18, 014040 (2022), "
        "doi:10.1103/PhysRevApplied.18.014040: about 95 %"
    )
    figure: ClassVar[str] = "mean test accuracy before the damage"
    published: ClassVar[float | None] = 0.95
    duration: ClassVar[float] = 60.0

    def run(
        self, *, seed: int, checkpoint: Path | None, resume: bool, progress: bool
    ) -> Outcome:
        if checkpoint is not None:
            checkpoint.mkdir(exist_ok=True)
        rows, results = [], []
        for own in _shown(range(seed, seed + self.seeds), progress):
            row, result = self._one_network(own, checkpoint, resume)
            rows.append(row)
            results.append(result)
        seeds, intact, damaged, retrained, seconds = zip(*rows, strict=True)
        model, history = results[0]
        return Outcome(
            value=float(np.mean(intact)),
            seconds=sum(seconds),
            model=model,
            history=None,
            table={
                "seed": seeds,
                "accuracy": intact,
                "damaged": damaged,
                "retrained": retrained,
            },
            pictures={
                "training": lambda: plots.learning_curve(history),
                "physics": lambda: self.picture(model, self.flowers(seed)),
            },
        )

    def flowers(self, seed: int) -> data.Dataset:
        """Voltages, with the flowers parted by `seed`."""
        raw = data.iris(test_fraction=self.test_fraction, seed=seed)
        scaled = data.rescaled(raw)
        return scaled._replace(
            train_x=_both_signs(scaled.train_x), test_x=_both_signs(scaled.test_x)
        )

    def network(self, *, key: PRNGKeyArray) -> circuits.ResistorNetwork:
        """Untrained: every source is joined to every output and hidden node."""
        sources = 2 * FEATURES + 2
        outputs = range(sources, sources + CLASSES)
        hidden = range(sources + CLASSES, sources + CLASSES + self.hidden)
        edges = [(a, b) for a in range(sources) for b in (*outputs, *hidden)]
        edges += [(a, b) for a in hidden for b in outputs]
        place = jax.random.randint(key, (len(edges),), 0, 2**self.bits)
        return circuits.ResistorNetwork(
            sources + CLASSES + self.hidden,
            edges,
            LOW + (HIGH - LOW) / (2**self.bits - 1) * place.astype(jnp.float32),
            inputs=range(2 * FEATURES),
            fixed={2 * FEATURES: BIAS, 2 * FEATURES + 1: -BIAS},
            outputs=outputs,
            low=LOW,
            high=HIGH,
        )

    def objective(self, predictions: Any, targets: Any) -> Array:
        """The outputs' voltages as logits."""
        return objectives.cross_entropy(self.scale * predictions, targets)

    def picture(self, model: Any, flowers: data.Dataset) -> "Figure":
        """The network while it sees the first flower of the test part."""
        return plots.circuit(model.layer, flowers.test_x[0])

    def _one_network(
        self, seed: int, checkpoint: Path | None, resume: bool
    ) -> tuple[tuple[int, float, float, float, float], FitResult]:
        flowers = self.flowers(seed)
        network_key, cut_key, key = jax.random.split(jax.random.key(seed), 3)

        def trained(network, epochs, label) -> FitResult:
            return fit(
                Physical(network, estimators.CoupledLearning(self.eta)),
                flowers,
                self.objective,
                self._optimizer(epochs * (len(flowers.train_x) // self.batch_size)),
                epochs=epochs,
                batch_size=self.batch_size,
                metrics={"accuracy": objectives.accuracy},
                evaluate_every=max(1, epochs // 10),
                noisy=False,
                key=key,
                checkpoint=None if checkpoint is None else checkpoint / label,
                resume=resume,
                progress=False,
            )

        intact = trained(self.network(key=network_key), self.epochs, f"{seed} intact")
        cut = self.damaged(intact.model.layer, key=cut_key)
        test = jnp.asarray(flowers.test_x), jnp.asarray(flowers.test_y)
        hurt = float(objectives.accuracy(eqx.filter_jit(cut)(test[0]), test[1]))
        healed = trained(cut, self.again, f"{seed} retrained")
        before, after = (r.history.final()["accuracy"] for r in (intact, healed))
        seconds = intact.history.seconds + healed.history.seconds
        row = (seed, float(before), hurt, float(after), seconds)
        return row, FitResult(healed.model, intact.history)

    def damaged(
        self, network: circuits.ResistorNetwork, *, key: PRNGKeyArray
    ) -> circuits.ResistorNetwork:
        """Without a share `lost` of its edges, drawn at random."""
        edges = len(network.graph.edges)
        order = jax.random.permutation(key, edges)
        return network.without(order[: math.ceil(self.lost * edges)].tolist())

    def _optimizer(self, steps: int) -> optax.GradientTransformation:
        return optax.chain(
            optax.sgd(optax.cosine_decay_schedule(self.learning_rate, steps)),
            quantized_update(self.bits, LOW, HIGH),
        )


def _both_signs(features: np.ndarray) -> np.ndarray:
    volts = 2 * features - 1
    return np.concatenate([volts, -volts], -1)


def _shown(seeds: range, progress: bool) -> Any:
    """The seeds, behind a progress bar."""
    if not progress:
        return seeds
    from rich.console import Console
    from rich.progress import track

    return track(seeds, "networks", console=Console(stderr=True))
