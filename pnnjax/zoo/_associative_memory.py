"""Memories made of spins: how much they hold, and what they make of a bad cue."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .. import data, plots, spins
from ._experiment import AbstractStudy, Outcome
from ._settings import setting

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ONE_BY_ONE = "one spin after the other"
STEEPEST = "steepest descent"
RECALLS = {ONE_BY_ONE: spins.zero_temperature, STEEPEST: spins.steepest_descent}
HEBB = "Hebb's rule"
PROJECTION = "projection"
CAVITY = "confocal cavity"
WAIST = 35e-6
"""m, of the cavity's fundamental mode. Only the ensembles' places in units of it
matter."""
RECALLED = 0.7
"""An overlap between the 0.97 of a memory at its limit, and the 0.35 of none."""


class AssociativeMemoryStudy(AbstractStudy):
    """The capacity of Hopfield's memory, and digits that three memories recall.

    *Capacity*: random patterns by Hebb's rule, asked for with perfect cues. The figure
    is the load at which half of them are lost, on the way from one spin after the other
    to rest; steepest descent is beside it.

    *Digits*: the ten digits, two-colored, are correlated. Hebb's rule mixes them up;
    the projection rule and the attractors of a confocal cavity hold them.

    *Basins*: the cavity's own minima, asked for with wrong spins in the cue.
    """

    neurons: int = setting(2000, "spins of the memory that is filled", low=50)
    lowest: float = setting(0.1, "load: patterns per spin", low=0.01, high=1)
    highest: float = setting(0.2, "load: patterns per spin", low=0.01, high=1)
    levels: int = setting(11, "loads, equally spaced", low=2)
    probes: int = setting(32, "patterns asked for at each load", low=1)
    memories: int = setting(3, "memories that are filled, by consecutive seeds", low=1)
    ensembles: int = setting(64, "of atoms in the cavity", low=16)
    width: float = setting(1.5, "of the atoms' places, in mode waists", low=0.1)
    flipped: float = setting(0.15, "of a digit's pixels in a cue", low=0, high=0.5)

    name: ClassVar[str] = "associative-memory"
    summary: ClassVar[str] = (
        "Hopfield's memory and a confocal cavity's; capacity, and digits recalled"
    )
    reference: ClassVar[str] = (
        "Amit, Gutfreund & Sompolinsky, Phys. Rev. Lett. 55, 1530 (1985), "
        "doi:10.1103/PhysRevLett.55.1530: 0.138 with infinitely many spins; Marsh et "
        "al., Phys. Rev. X 11, 021048 (2021), doi:10.1103/PhysRevX.11.021048"
    )
    figure: ClassVar[str] = "critical load"
    published: ClassVar[float | None] = 0.138
    duration: ClassVar[float] = 120.0

    def run(
        self, *, seed: int, checkpoint: Path | None, resume: bool, progress: bool
    ) -> Outcome:
        del checkpoint, resume, progress  # it takes two minutes
        begun = time.perf_counter()
        loads = np.linspace(self.lowest, self.highest, self.levels)
        curves = {name: self.capacity(loads, name, seed) for name in RECALLS}
        digits = self.digits(jax.random.key(seed))
        errors, basins = self.basins(seed)
        half = {
            name: np.array([half_lost(loads, memory) for memory in curve])
            for name, curve in curves.items()
        }
        return Outcome(
            value=float(half[ONE_BY_ONE].mean()),
            seconds=time.perf_counter() - begun,
            model=None,
            history=None,
            table=self._table(loads, curves, half, seed),
            pictures={
                "physics": lambda: draw(loads, curves),
                "recall": lambda: recall_of_digits(digits),
                "basins": lambda: plots.robustness(
                    errors,
                    basins,
                    label="Wrong spins in the cue",
                    quantity="Recalled exactly",
                ),
            },
        )

    def capacity(
        self, loads: Float[np.ndarray, " loads"], dynamics: str, seed: int
    ) -> Float[np.ndarray, "memories loads probes"]:
        """The overlaps of what is recalled with what was asked for."""
        curves = [
            spins.capacity_curve(
                self.neurons,
                loads,
                key=jax.random.key(own),
                probes=self.probes,
                recall=RECALLS[dynamics],
            )
            for own in range(seed, seed + self.memories)
        ]
        return np.asarray(jnp.stack(curves))

    def digits(self, key: PRNGKeyArray) -> Mapping[str, Float[Array, "digits pixels"]]:
        """One image of each digit, a cue to it, and what each memory recalls."""
        place_key, find_key, cue_key = jax.random.split(key, 3)
        images = first_of_each(data.digits())
        cues = spins.corrupt(images, self.flipped, key=cue_key)
        cavity = spins.CavityAssociativeMemory.random(
            self.ensembles, self.width * WAIST, WAIST, key=place_key
        )
        attractors = cavity.attractors(len(images), key=find_key)
        memories = {
            HEBB: spins.AssociativeMemory(spins.hebbian(images)),
            PROJECTION: spins.AssociativeMemory(spins.pseudo_inverse(images)),
            CAVITY: spins.EncodedMemory(cavity, images, attractors),
        }
        recalled = {name: memory(cues) for name, memory in memories.items()}
        return {"stored": images, "cue": cues, **recalled}

    def basins(
        self, seed: int
    ) -> tuple[Float[np.ndarray, " errors"], Mapping[str, np.ndarray]]:
        """From how far the cavity's own minima are found, by either dynamics.

        The minima are those that spins one after the other reach most often.
        """
        errors = np.array([0.05, 0.1, 0.2, 0.3])
        shares = {name: np.zeros((self.memories, len(errors))) for name in RECALLS}
        for row, own in enumerate(range(seed, seed + self.memories)):
            place_key, find_key, cue_key = jax.random.split(jax.random.key(own), 3)
            cavity = spins.CavityAssociativeMemory.random(
                self.ensembles,
                self.width * WAIST,
                WAIST,
                key=place_key,
                recall=spins.zero_temperature,
            )
            minima = jnp.repeat(cavity.attractors(8, key=find_key), 50, axis=0)
            for column, error in enumerate(errors):
                cues = spins.corrupt(minima, float(error), key=cue_key)
                for name, recall in RECALLS.items():
                    right = jnp.all(recall(cavity.problem, cues) == minima, axis=-1)
                    shares[name][row, column] = float(jnp.mean(right))
        return errors, shares

    def _table(
        self,
        loads: np.ndarray,
        curves: Mapping[str, np.ndarray],
        half: Mapping[str, np.ndarray],
        seed: int,
    ) -> dict[str, Any]:
        rows = [
            (name, seed + i, load, overlaps.mean(), (overlaps > RECALLED).mean(), lost)
            for name, curve in curves.items()
            for i, (memory, lost) in enumerate(zip(curve, half[name], strict=True))
            for load, overlaps in zip(loads, memory, strict=True)
        ]
        columns = ("dynamics", "seed", "load", "overlap", "recalled", "critical_load")
        return dict(zip(columns, zip(*rows, strict=True), strict=True))


def half_lost(
    loads: Float[np.ndarray, " loads"], overlaps: Float[np.ndarray, "loads probes"]
) -> float:
    """The least load from which fewer than half of the patterns are recalled.

    Between two loads the share is taken to change evenly; where none or all are
    recalled, it is the end of the range.
    """
    share = np.mean(overlaps > RECALLED, axis=1)
    below = np.flatnonzero(share < 0.5)
    if not below.size:
        return float(loads[-1])
    i = int(below[0])
    if i == 0:
        return float(loads[0])
    return float(np.interp(0.5, share[[i, i - 1]], loads[[i, i - 1]]))


def first_of_each(digits: data.Dataset) -> Float[Array, "digits pixels"]:
    """The first image of each class, pixels of more than half the range being +1."""
    which = [int(np.argmax(digits.train_y == label)) for label in range(10)]
    bright = jnp.asarray(digits.train_x[which].reshape(len(which), -1)) > 0.5
    return 2 * bright.astype(float) - 1


def draw(
    loads: Float[np.ndarray, " loads"], curves: Mapping[str, np.ndarray]
) -> "Figure":
    """The overlaps against the load, beside the mean-field theory."""
    fine = np.linspace(loads[0], loads[-1], 400)
    theory = np.array([spins.mean_field_overlap(float(load)) for load in fine])
    return plots.capacity(
        loads,
        {name: curve.mean(axis=-1) for name, curve in curves.items()},
        theory=(fine, theory),
        critical=spins.critical_load(),
    )


def recall_of_digits(
    digits: Mapping[str, Float[Array, "digits pixels"]],
) -> "Figure":
    """What was stored, the cues, and what each memory makes of them."""
    images = {name: np.asarray(rows).reshape(-1, 8, 8) for name, rows in digits.items()}
    stored, cues = images.pop("stored"), images.pop("cue")
    return plots.recall(stored, cues, images)
