"""Spoken digits, told apart by what they leave in a loop of light."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from .. import data, plots
from .._readout import Readout
from ..oscillators import DelayReservoir, SineNode, binary_mask
from ._experiment import AbstractStudy, Outcome
from ._settings import setting

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LOW, HIGH = 100.0, 3600.0  # Hz
GROUP = 100  # recordings in the loop side by side
PARTS = 10  # of a recording, for the ear's own figure


class DelayClassifier(eqx.Module):
    """The mean of each virtual node over a recording, and a linear readout of it."""

    reservoir: DelayReservoir
    readout: Readout

    def __call__(
        self,
        x: Float[Array, "examples frames channels"],
        lengths: Int[Array, " examples"],
    ) -> Float[Array, "examples classes"]:
        return self.readout(mean_states(self.reservoir, x, lengths))


@eqx.filter_jit
def mean_states(
    reservoir: DelayReservoir,
    x: Float[Array, "examples frames channels"],
    lengths: Int[Array, " examples"],
) -> Float[Array, "examples nodes"]:
    """Of each virtual node, over the frames that a recording has."""

    def mean(example):
        x, length = example
        running = (jnp.arange(len(x), dtype=length.dtype) < length).astype(x.dtype)
        return running @ reservoir(x) / length.astype(x.dtype)

    return jax.lax.map(mean, (x, lengths), batch_size=GROUP)


class SpokenDigitsDelay(AbstractStudy):
    """Ten words, six voices; nothing but a linear readout is trained.

    The readout has one number for each virtual node: its mean over the recording, so
    that what was said when is only known by what the loop remembers. The same is done
    with the channels of the ear themselves, and with their means over ten parts of the
    recording, to tell what the loop adds.
    """

    name = "spoken-digits-delay"
    summary = "spoken digits by an opto-electronic delay reservoir and ridge regression"
    reference = (
        "Paquot et al., Sci. Rep. 2, 287 (2012), doi:10.1038/srep00287 (of other "
        "recordings, TI-46); why the ear is to be measured too: Abreu Araujo et al., "
        "Sci. Rep. 10, 328 (2020), doi:10.1038/s41598-019-56991-x"
    )
    figure = "test accuracy"
    published = None
    duration = 40.0
    presets: ClassVar = {"quick": {"nodes": 50, "channels": 16}}

    nodes: int = setting(400, "virtual nodes", low=1)
    channels: int = setting(32, "of the ear", low=1)
    frame: float = setting(10e-3, "of the cochleagram, s", low=1e-3)
    delay: float = setting(20e-6, "of the loop, s", low=1e-12)
    gain: float = setting(0.8, "of the feedback")
    input_gain: float = setting(0.4, "of the input")
    bias: float = setting(0.4, "phase of the modulator, rad")
    density: float = setting(1.0, "share of the mask that is not zero", low=0.0, high=1)
    strength: float = setting(1e-3, "of the ridge regression", low=0.0)
    validate: bool = setting(False, "test on takes 5 to 9, which are of the training")

    def run(
        self, *, seed: int, checkpoint: Path | None, resume: bool, progress: bool
    ) -> Outcome:
        del checkpoint, resume, progress  # it takes less than a minute
        begin = time.monotonic()
        digits = data.spoken_digits()
        sounds = digits.cochleagrams(
            self.channels, low=LOW, high=HIGH, frame=self.frame
        )
        reservoir = self.reservoir(jax.random.key(seed))
        x, lengths = jnp.asarray(sounds.x), jnp.asarray(sounds.lengths)
        found = {
            "mean of the channels": part_means(sounds, 1),
            f"means over {PARTS} parts": part_means(sounds, PARTS),
            "delay reservoir": np.asarray(mean_states(reservoir, x, lengths)),
        }
        train, test = self.parts(digits)
        readouts = {
            name: Readout.ridge(states[train], _one_hot(digits)[train], self.strength)
            for name, states in found.items()
        }
        scores = {
            name: np.asarray(readouts[name](jnp.asarray(states)))
            for name, states in found.items()
        }
        right = {name: s.argmax(1) == digits.y for name, s in scores.items()}
        own = "delay reservoir"
        model = DelayClassifier(reservoir, readouts[own])
        return Outcome(
            value=float(right[own][test].mean()),
            seconds=time.monotonic() - begin,
            model=model,
            history=None,
            table={
                "readout of": list(found),
                "numbers": [states.shape[1] for states in found.values()],
                "training accuracy": [float(r[train].mean()) for r in right.values()],
                "test accuracy": [float(r[test].mean()) for r in right.values()],
            },
            pictures={
                "physics": lambda: self.picture(model, digits, sounds),
                "confusion": lambda: plots.confusion_matrix(
                    scores[own].argmax(1)[test], digits.y[test], digits.classes
                ),
            },
        )

    def reservoir(self, key: Array) -> DelayReservoir:
        """The loop, its mask drawn at random."""
        return DelayReservoir(
            SineNode(self.gain, self.input_gain, self.bias),
            binary_mask(self.nodes, self.channels, key=key, density=self.density),
            delay=self.delay,
        )

    def parts(self, digits: data.SpokenDigits) -> tuple[np.ndarray, np.ndarray]:
        """Which recordings are to train with, and which to test."""
        if not self.validate:
            return ~digits.is_test, digits.is_test
        held = ~digits.is_test & (digits.takes < 10)
        return ~digits.is_test & ~held, held

    def picture(
        self,
        model: DelayClassifier,
        digits: data.SpokenDigits,
        sounds: data.Cochleagrams,
    ) -> "Figure":
        """The first test recording of a seven."""
        row = int(np.flatnonzero(digits.is_test & (digits.y == 7))[0])
        heard = sounds.x[row, : sounds.lengths[row]]
        states = model.reservoir(jnp.asarray(heard))
        count = jnp.arange(1, len(heard) + 1, dtype=states.dtype)
        so_far = jnp.cumsum(states, 0) / count[:, None]
        return plots.cochleagram(
            heard,
            data.erb_spaced(LOW, HIGH, self.channels),
            self.frame,
            states=states,
            scores=model.readout(so_far),
            names=digits.classes,
            title=f"A {digits.classes[digits.y[row]]}, said by {digits.speakers[row]}",
        )


def part_means(
    sounds: data.Cochleagrams, parts: int
) -> Float[np.ndarray, "examples numbers"]:
    """The mean of each channel over each of so many equal parts of a recording."""
    sums = np.cumsum(sounds.x, 1, dtype=np.float64)
    sums = np.pad(sums, ((0, 0), (1, 0), (0, 0)))
    rows, means = np.arange(len(sums)), []
    for part in range(parts):
        first = sounds.lengths * part // parts
        last = np.maximum(sounds.lengths * (part + 1) // parts, first + 1)
        means.append((sums[rows, last] - sums[rows, first]) / (last - first)[:, None])
    return np.concatenate(means, 1).astype(sounds.x.dtype)


def _one_hot(digits: data.SpokenDigits) -> np.ndarray:
    return np.eye(len(digits.classes), dtype=np.float32)[digits.y]
