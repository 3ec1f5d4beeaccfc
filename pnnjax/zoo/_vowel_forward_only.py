"""Spoken vowels on a coherent chip that is trained by its loss alone."""

from pathlib import Path
from typing import Any, ClassVar

import jax
import optax
from jaxtyping import PRNGKeyArray

from .. import estimators, imperfections, objectives, optimizers, plots
from .._fit import fit
from .._search import AbstractSearch
from ..data import Dataset
from ..devices import DeviceLayer, SimulatedDevice
from ._counted import counted
from ._experiment import AbstractStudy, Outcome
from ._settings import setting
from ._vowel_mesh import VowelMesh, network


class VowelForwardOnly(AbstractStudy):
    """The chip of `vowel-mesh`, with phase errors that nobody knows, as a black box.

    All that is measured is the loss of a batch of vowels at two settings of the chip:
    every parameter a little to one side of where it is, and to the other, by coin toss.
    The difference is a directional derivative, along which all parameters move. Light
    only ever goes forwards; no field inside the chip is read; there is no model.
    """

    epochs: int = setting(1000, "passes over the vowels", low=1)
    batch_size: int = setting(128, "vowels at each setting of the chip", low=1)
    samples: int = setting(3, "pairs of settings a step", low=1)
    rate: float = setting(0.02, "of Adam at first, share of a parameter", low=0)
    size: float = setting(0.02, "of a perturbation at first, likewise", low=1e-6)
    decay: float = setting(1.0, "power of the step at which the rate falls", low=0)
    scale: float = setting(20.0, "of the softmax over the detectors' shares", low=0)
    contrast: float = setting(0.3, "of the light, by standard deviation", low=0)
    split: int = setting(0, "seed of which talkers to test with", low=0)
    phase_error: float = setting(0.1, "hidden, of each phase in the chip (rad)", low=0)

    name: ClassVar[str] = "vowel-forward-only"
    summary: ClassVar[str] = (
        "coherent chip, 6 modes, 3 layers, with hidden errors, on six vowels; "
        "random-direction differences of the loss"
    )
    reference: ClassVar[str] = (
        "Bandyopadhyay et al., Nat. Photonics 18, 1335 (2024), "
        "doi:10.1038/s41566-024-01567-z"
    )
    figure: ClassVar[str] = "test accuracy of the chip"
    published: ClassVar[float | None] = 0.925
    duration: ClassVar[float] = 35.0

    def run(
        self, *, seed: int, checkpoint: Path | None, resume: bool, progress: bool
    ) -> Outcome:
        vowels, keys = self.light(), jax.random.split(jax.random.key(seed))
        steps = self.epochs * (len(vowels.train_x) // self.batch_size)
        model, history = fit(
            self.chip(key=keys[0]),
            vowels,
            objectives.PowerSoftmax(self.scale),
            self.optimizer(steps),
            epochs=self.epochs,
            batch_size=self.batch_size,
            metrics={"accuracy": objectives.accuracy},
            evaluate_every=max(1, self.epochs // 40),
            noisy=False,
            key=keys[1],
            checkpoint=checkpoint,
            resume=resume,
            progress=progress,
        )
        runs = 2 * self.samples * self.batch_size  # a step
        pictures = {"physics": lambda: plots.mesh(model.layer.layers[0])}
        return counted(model, history, runs, pictures)

    def light(self) -> Dataset:
        """Light of the formants, as for `vowel-mesh`."""
        return VowelMesh(contrast=self.contrast, split=self.split).data()

    def chip(self, *, key: PRNGKeyArray) -> DeviceLayer:
        """Programmed by whoever knows nothing of its phase errors."""
        own, hidden = jax.random.split(key)
        design = network(own)
        error = imperfections.Mismatch(sigma=self.phase_error, where=_phases)
        device = SimulatedDevice(design, [error], key=hidden)
        return DeviceLayer(design, device)

    def optimizer(self, steps: int) -> AbstractSearch:
        """Spall's gains, with a tenth of the steps before the rate falls."""
        stability = steps / 10
        return optimizers.spsa(
            self.rate * (1 + stability) ** self.decay,
            self.size,
            stability=stability,
            rate_decay=self.decay,
            samples=self.samples,
            direction=optax.scale_by_adam(),
            scales=estimators.typical_sizes,
        )


def _phases(network: Any) -> list:
    """Those in the interferometers of the three meshes."""
    meshes = network.layers[::2][:3]
    return [phase for mesh in meshes for phase in (mesh.theta, mesh.phi)]
