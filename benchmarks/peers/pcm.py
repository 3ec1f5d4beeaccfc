"""Statistics of phase-change memory: us beside aihwkit's model of the same cells.

    pip install aihwkit torch==2.10.0
    python benchmarks/peers_pcm.py

Deviations (µS) after programming and of a read after a day, the mean and deviation of
the drift exponent, of 200,000 cells each.
"""

import jax
import jax.numpy as jnp
import numpy as np

from pnnjax.circuits import PCM

CELLS, DAY, START = 200_000, 86_400.0, 20.0
SHARES = 0.05, 0.3, 0.7, 1.0


def ours(share):
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


def theirs(share):
    import torch
    from aihwkit.inference.noise.pcm import PCMLikeNoiseModel

    torch.manual_seed(0)
    model, target = PCMLikeNoiseModel(g_max=25.0), torch.full((CELLS,), 25 * share)
    programmed = model.apply_programming_noise_to_conductance(target)
    exponents = model.generate_drift_coefficients(target)
    still = torch.zeros(CELLS)
    read = model.apply_drift_noise_to_conductance(target, still, DAY - START)
    parts = programmed.std(), exponents.mean(), exponents.std(), read.std()
    return tuple(float(part) for part in parts)


def main():
    print("share   programmed   exponent   its deviation   read   (ours / aihwkit)")
    for share in SHARES:
        pairs = zip(ours(share), theirs(share), strict=True)
        print(share, *(f"  {a:.4f} / {b:.4f}" for a, b in pairs))


if __name__ == "__main__":
    main()
