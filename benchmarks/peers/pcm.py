"""Phase-change memory: times and statistics of us beside aihwkit's same cells.

    pip install aihwkit==1.1.0 torch==2.10.0
    python benchmarks/peers/pcm.py

Programming 200,000 cells, drawing their drift exponents and reading them after a day is
what is timed. The statistics at four shares of the full conductance follow: deviations
(µS) after programming and of a read after a day, mean and deviation of the drift
exponent. They must agree to 5 % or 0.002, whichever is more.
"""

import jax
import jax.numpy as jnp
import numpy as np
from side_by_side import Here, begin, contest, finish, installed, versions

from pnnjax.circuits import PCM

CELLS, DAY, START = 200_000, 86_400.0, 20.0
SHARES = 0.05, 0.3, 0.7, 1.0


class Ours:
    def __init__(self):
        memory = PCM()

        @jax.jit
        def shown(target, key):
            program, drift, read = jax.random.split(key, 3)
            left = memory.drift(memory.program(target, key=program), DAY, key=drift)
            return memory.read(left, DAY, key=read)

        self.target = jnp.linspace(0, memory.maximum, CELLS)
        self.shown = shown

    def run(self):
        jax.block_until_ready(self.shown(self.target, jax.random.key(0)))

    def statistics(self, share):
        memory, undrifted = PCM(), PCM(drift_scale=0.0)
        target = jnp.full(CELLS, share * memory.maximum)
        keys = jax.random.split(jax.random.key(0), 3)
        left = memory.drift(target, 1e6, key=keys[1])
        exponents = -jnp.log(left / target) / jnp.log(1e6 / START)
        return (
            1e6 * np.std(memory.program(target, key=keys[0])),
            np.mean(exponents),
            np.std(exponents),
            1e6 * np.std(undrifted.read(target, DAY, key=keys[2])),
        )


class Theirs:
    def __init__(self):
        import torch
        from aihwkit.inference.noise.pcm import PCMLikeNoiseModel

        torch.set_num_threads(1)
        torch.manual_seed(0)
        self.model, self.torch = PCMLikeNoiseModel(g_max=25.0), torch
        self.target = torch.linspace(0, 25, CELLS)

    def run(self):
        programmed = self.model.apply_programming_noise_to_conductance(self.target)
        exponents = self.model.generate_drift_coefficients(self.target)
        self.model.apply_drift_noise_to_conductance(programmed, exponents, DAY - START)

    def statistics(self, share):
        model, target = self.model, self.torch.full((CELLS,), 25 * share)
        programmed = model.apply_programming_noise_to_conductance(target)
        exponents = model.generate_drift_coefficients(target)
        still = self.torch.zeros(CELLS)
        read = model.apply_drift_noise_to_conductance(target, still, DAY - START)
        parts = programmed.std(), exponents.mean(), exponents.std(), read.std()
        return tuple(float(part) for part in parts)


def largest_difference(ours: Ours, theirs: Theirs) -> str:
    """Prints the statistics, holds them to 5 %, and says how far they are apart."""
    print("share   programmed   exponent   its deviation   read   (ours / aihwkit)")
    worst = 0.0
    for share in SHARES:
        pairs = list(zip(ours.statistics(share), theirs.statistics(share), strict=True))
        print(share, *(f"  {a:.4f} / {b:.4f}" for a, b in pairs))
        for a, b in pairs:
            assert abs(a - b) < max(0.05 * abs(b), 2e-3), f"{share}: {a} and {b}"
            worst = max(worst, abs(a - b) / abs(b) if abs(b) > 0.02 else 0.0)
    return f"statistics differ by {100 * worst:.1f} % at most"


def main():
    options = begin(__doc__)
    ours = Ours()
    cases, notes = {"pnnjax": Here(ours.run, weighed=False)}, {}
    if installed("aihwkit", "pip install aihwkit==1.1.0 torch==2.10.0"):
        theirs = Theirs()
        cases["aihwkit"] = Here(theirs.run)
        notes["aihwkit"] = largest_difference(ours, theirs)
    what = f"PCM, {CELLS} cells programmed, drifted, read"
    rows = contest(what, cases, options.rounds)
    rows = [row._replace(note=notes[row.peer]) for row in rows]
    finish(rows, options, versions("pnnjax", "jax", "aihwkit", "torch"))


if __name__ == "__main__":
    main()
