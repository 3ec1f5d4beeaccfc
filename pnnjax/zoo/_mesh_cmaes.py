"""A noisy chip that is trained by a population: CMA-ES, which only sees losses."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .. import imperfections, objectives, optics, plots
from .._fit import fit
from .._layer import AbstractLayer
from .._search import AbstractSearch
from ..data import Dataset, moons
from ..optimizers import evolution
from ._counted import counted
from ._experiment import AbstractStudy, Outcome
from ._moons_insitu import MODES, light_of, pair_powers, within
from ._noisy_detectors import NoisyDetectors
from ._settings import setting

if TYPE_CHECKING:
    from matplotlib.figure import Figure

REACH = 2.1
"""No point, and no corner of the picture, is farther from the center of the moons."""


class MeshCMAES(AbstractStudy):
    """Two moons on three meshes of four modes that are not what they are set to.

    Every phase shifter has a hidden error, the splitters are uneven, and each detector
    is noisy, in training and in testing. The optimizer sees nothing but the loss of
    each member of its population: a member costs one run of the chip for each point.
    """

    epochs: int = setting(120, "generations", low=1)
    batch_size: int = setting(200, "points that each member is tried with", low=1)
    population: int = setting(32, "members of a generation", low=4)
    spread: float = setting(0.3, "of the first generation (rad)", low=1e-6)
    scale: float = setting(20.0, "of the softmax over the pairs' shares", low=0)
    error: float = setting(0.3, "hidden errors of the phases (rad)", low=0)
    splitter_error: float = setting(0.05, "of the splitters' angles (rad)", low=0)
    noise: float = setting(0.02, "of each reading, in units of the laser", low=0)
    samples: int = setting(250, "points, a fifth of them to test with", low=20)
    split: int = setting(0, "seed of the points, and of which to test with", low=0)
    power: float = setting(1e-3, "of the laser (W)", low=1e-9)

    name: ClassVar[str] = "mesh-cmaes"
    summary: ClassVar[str] = (
        "noisy coherent chip, 4 modes, 3 layers, on two moons; CMA-ES, losses only"
    )
    reference: ClassVar[str] = (
        "task and chip after Pai et al., Science 380, 398 (2023), "
        "doi:10.1126/science.ade8450; CMA-ES after Hansen, arXiv:1604.00772"
    )
    figure: ClassVar[str] = "test accuracy"
    published: ClassVar[float | None] = None
    duration: ClassVar[float] = 30.0

    def run(
        self, *, seed: int, checkpoint: Path | None, resume: bool, progress: bool
    ) -> Outcome:
        model_key, key = jax.random.split(jax.random.key(seed))
        model, history = fit(
            self.chip(key=model_key),
            self.data(),
            objectives.PowerSoftmax(self.scale),
            self.optimizer(),
            epochs=self.epochs,
            batch_size=self.batch_size,
            metrics={"accuracy": objectives.accuracy},
            key=key,
            checkpoint=checkpoint,
            resume=resume,
            progress=progress,
        )
        runs = self.population * self.batch_size  # a generation
        return counted(model, history, runs, {"physics": lambda: self._picture(model)})

    def data(self) -> Dataset:
        """The points as light."""
        raw = self._points()
        return raw._replace(
            train_x=np.asarray(self._light(raw.train_x)),
            test_x=np.asarray(self._light(raw.test_x)),
        )

    def chip(self, *, key: PRNGKeyArray) -> eqx.nn.Sequential:
        """With errors that nobody knows."""
        spread = imperfections.Mismatch(sigma=jnp.asarray(self.error, float))

        def mesh(key: PRNGKeyArray) -> AbstractLayer:
            own, hidden = jax.random.split(key)
            made = optics.MZIMesh(MODES, key=own, splitter_error=self.splitter_error)
            return spread(made, key=hidden)

        magnitude = eqx.nn.Lambda(jnp.abs)
        first, second, third = map(mesh, jax.random.split(key, 3))
        detectors = NoisyDetectors(pair_powers, self.noise * self.power)
        layers = [first, magnitude, second, magnitude, third, detectors]
        return eqx.nn.Sequential(layers)

    def optimizer(self) -> AbstractSearch:
        """CMA-ES from where the chip is."""
        from evosax.algorithms import CMA_ES

        # Noise drives it apart, where phases soon are a turn from where they were.
        settings = {"std_max": 1.0}
        return evolution(CMA_ES, self.population, spread=self.spread, settings=settings)

    def _picture(self, model: Any) -> "Figure":
        raw = self._points()

        def powers(point: Float[Array, " 2"]) -> Float[Array, " 2"]:
            return model(self._light(within(point, REACH)))

        return plots.decision_regions(powers, (raw.test_x, raw.test_y))

    def _points(self) -> Dataset:
        return moons(self.samples, noise=0.1, seed=self.split)

    def _light(self, points: Any) -> Array:
        return light_of(jnp.asarray(points), REACH, self.power)
