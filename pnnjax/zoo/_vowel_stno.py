"""Seven vowels, told by which oscillators lock to which of two microwaves."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from .. import data, plots
from .._readout import Readout
from ..oscillators import SpinTorqueOscillators, synchronization_rule
from ._experiment import AbstractStudy, Outcome
from ._settings import setting

if TYPE_CHECKING:
    from matplotlib.figure import Figure


MHZ = 2e6 * np.pi
"""rad/s"""
VOWELS = ("ae", "ah", "aw", "er", "ih", "iy", "uw")
OPENNESS = np.array([2, 2, 2, 1, 1, 0, 1], dtype=int)
"""Close, between, open: the rows of the phoneticians' chart."""
FRONTNESS = np.array([2, 1, 0, 1, 2, 2, 0], dtype=int)
"""Back, central, front: its columns."""
A = np.asarray([320.0, 330.0, 340.0])
"""MHz, of the first microwave, by openness."""
B = np.asarray([360.0, 370.0, 380.0])
"""MHz, of the second one, by frontness."""
PARTNER_A = np.array([-1, 0, 1], dtype=int)
"""Which oscillator is to lock to the first microwave; -1 is none."""
PARTNER_B = np.array([-1, 2, 3], dtype=int)
FOUR = np.asarray([330.0, 340.0, 370.0, 380.0])
"""MHz, in the middle of what they should lock to."""


class Pattern(NamedTuple):
    """What the oscillators do, and what they should."""

    locked: Bool[Array, "examples n inputs"]
    wanted: Bool[Array, "examples n inputs"]


class VowelSTNO(AbstractStudy):
    """Two linear combinations of the formants are the frequencies of two microwaves,
    which four coupled oscillators receive. A vowel is recognized if exactly those lock
    that should, each to the microwave that it should. Where one does not, its current
    is changed, so that its frequency moves; nothing else is learned of the physics.
    The locking is that of the simulated motion.

    The combinations, the patterns (the chart of vowels, with an oscillator for all but
    the outermost rows) and the numbers of the oscillators are not those of the paper.
    """

    epochs: int = setting(10, "passes through the training vowels", low=1)
    batch_size: int = setting(7, "vowels heard between two changes", low=1)
    rate: float = setting(0.05, "by which a vowel moves one, falling (MHz)", low=0)
    astray: float = setting(6.0, "how far off the frequencies begin (MHz)", low=0)
    force: float = setting(0.8, "of each microwave (MHz)", low=0)
    coupling: float = setting(0.05, "of each pair of oscillators (MHz)", low=0)
    noise: float = setting(2e4, "thermal, of each oscillator (1/s)", low=0)
    threshold: float = setting(0.8, "of the locking", low=0, high=1)
    settle: int = setting(300, "steps of 2 ns before it is measured", low=0)
    measure: int = setting(600, "steps of 2 ns for which it is measured", low=1)

    name: ClassVar[str] = "vowel-stno"
    summary: ClassVar[str] = (
        "four coupled spin-torque oscillators on vowels; synchronization rule"
    )
    reference: ClassVar[str] = (
        "Romera et al., Nature 563, 230 (2018), doi:10.1038/s41586-018-0632-y"
    )
    figure: ClassVar[str] = "test accuracy"
    published: ClassVar[float | None] = 0.88
    duration: ClassVar[float] = 45.0

    def run(
        self, *, seed: int, checkpoint: Path | None, resume: bool, progress: bool
    ) -> Outcome:
        """A checkpoint is not written: it is a matter of a minute."""
        del checkpoint, resume, progress
        began = time.monotonic()
        spoken = microwaves(
            data.vowels(VOWELS, data.FORMANT_TRACK, talkers=("women",), seed=seed)
        )
        place, order, run = jax.random.split(jax.random.key(seed), 3)
        astray = self.astray * jax.random.uniform(place, (4,), minval=-1.0)
        network = self.network(jnp.asarray(FOUR, astray.dtype) + astray)
        network, course = self.trained(network, spoken, order)
        train, test = (
            self.accuracy(network, jnp.asarray(x), jnp.asarray(y), key=run)
            for x, y in (
                (spoken.train_x, spoken.train_y),
                (spoken.test_x, spoken.test_y),
            )
        )
        return Outcome(
            value=float(test),
            seconds=time.monotonic() - began,
            model=network,
            history=None,
            table={
                "epoch": np.arange(len(course)),
                **{f"frequency_{i} (MHz)": column for i, column in enumerate(course.T)},
                "train_accuracy": np.full(len(course), float(train)),
            },
            pictures={"physics": lambda: self.picture(network, spoken)},
        )

    def network(self, frequency: Float[Array, "4"]) -> SpinTorqueOscillators:
        """Four oscillators that are tuned to these frequencies (MHz)."""
        all_to_all = self.coupling * MHZ * (1 - np.eye(4))
        network = SpinTorqueOscillators(
            2.0 * jnp.ones_like(frequency),
            jnp.asarray((FOUR - 15) * MHZ, frequency.dtype),
            damping=5 * MHZ,
            nonlinear_damping=1.0,
            shift=45 * MHZ,
            force=self.force * MHZ,
            coupling=jax.lax.complex(
                *jnp.asarray([all_to_all, 0 * all_to_all], frequency.dtype)
            ),
            noise=self.noise,
            step=2e-9,
            settle=self.settle,
            measure=self.measure,
        )
        return retuned(network, frequency * MHZ)

    def trained(
        self, network: SpinTorqueOscillators, spoken: data.Dataset, key: PRNGKeyArray
    ) -> tuple[SpinTorqueOscillators, np.ndarray]:
        """After all epochs, and the frequencies at the end of each (MHz)."""
        x, y = jnp.asarray(spoken.train_x), jnp.asarray(spoken.train_y)
        batches = len(x) // self.batch_size
        total = self.epochs * batches

        def with_currents(currents):
            return eqx.tree_at(lambda k: k.supercriticality, network, currents)

        def step(currents, now):
            number, rows, key = now
            network = with_currents(currents)
            heard = self.pattern(network, x[rows], y[rows], key=key)
            rate = self.rate * MHZ * (1 - number / total).astype(x.dtype)
            wish = synchronization_rule(
                network.frequency, MHZ * x[rows], heard.locked, heard.wanted, rate
            )
            return retuned(network, wish).supercriticality, None

        @jax.jit
        def epoch(currents, key, number):
            order, run = jax.random.split(key)
            rows = jax.random.permutation(order, len(x))[: batches * self.batch_size]
            numbers = number * batches + jnp.arange(batches)
            now = numbers, rows.reshape(batches, -1), jax.random.split(run, batches)
            return jax.lax.scan(step, currents, now)[0]

        currents, course = network.supercriticality, [network.frequency / MHZ]
        for number, own in enumerate(jax.random.split(key, self.epochs)):
            currents = epoch(currents, own, jnp.asarray(number))
            course.append(with_currents(currents).frequency / MHZ)
        return with_currents(currents), np.stack(course)

    def pattern(
        self,
        network: SpinTorqueOscillators,
        x: Float[Array, "examples inputs"],  # MHz
        y: Any,
        *,
        key: PRNGKeyArray | None,
    ) -> Pattern:
        """Who locks to whom, and who should."""
        locked = network(MHZ * x, key=key) > self.threshold
        return Pattern(locked, jnp.asarray(wanted())[y])

    def accuracy(
        self, network: SpinTorqueOscillators, x: Array, y: Array, *, key: PRNGKeyArray
    ) -> Float[Array, ""]:
        """The share of the vowels whose whole pattern is right."""
        locked, target = eqx.filter_jit(self.pattern)(network, x, y, key=key)
        return jnp.mean(jnp.all(locked == target, axis=(1, 2)).astype(x.dtype))

    def picture(self, network: SpinTorqueOscillators, spoken: data.Dataset) -> "Figure":
        """The plane of the two microwaves, with the vowels to test with."""
        x = np.linspace(A[0] - 10, A[-1] + 10, 60, dtype=np.float32)
        y = np.linspace(B[0] - 10, B[-1] + 10, 60, dtype=np.float32)
        plane = jnp.stack(jnp.meshgrid(x, y), axis=-1)
        locked = eqx.filter_jit(network)(MHZ * plane) > self.threshold
        return plots.synchronization_map(
            x, y, np.asarray(locked), spoken.test_x, spoken.test_y, VOWELS
        )


def microwaves(vowels: data.Dataset) -> data.Dataset:
    """The two frequencies of each vowel (MHz).

    Linear in the logarithms of the formants, by ridge regression towards the place of
    each vowel in the chart.
    """
    place = np.stack([A[OPENNESS], B[FRONTNESS]], -1).astype(np.float32)
    train, test = np.log(vowels.train_x), np.log(vowels.test_x)
    combine = Readout.ridge(train, place[vowels.train_y], (1e-3, 1e-2, 1e-1, 1.0))
    train, test = (np.asarray(combine(jnp.asarray(x))) for x in (train, test))
    return vowels._replace(train_x=train, test_x=test)


def wanted() -> Bool[np.ndarray, "vowels n inputs"]:
    """Which oscillator should lock to which microwave, for each vowel."""
    pairs = np.stack([PARTNER_A[OPENNESS], PARTNER_B[FRONTNESS]], -1)
    return pairs[:, None, :] == np.arange(4)[None, :, None]


def retuned(
    network: SpinTorqueOscillators, frequency: Float[Array, " n"]
) -> SpinTorqueOscillators:
    """With the currents for these frequencies (rad/s), as far as they go: from a tenth
    above the threshold to five times it.
    """
    currents = network.currents_for(frequency)
    return eqx.tree_at(
        lambda k: k.supercriticality, network, jnp.clip(currents, 1.1, 5.0)
    )
