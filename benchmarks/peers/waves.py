"""Waves on 150 x 100 cells, batch 6, 200 steps, float32: us beside wavetorch.

    pip install torch wavetorch
    taskset -c 0 python benchmarks/peers_wave.py

Both run in turn, in one process, on one thread: forwards, and with the gradient of a
loss on the energy at three probes. wavetorch 0.2.1 needs an older scikit-image, and
libraries that it draws and loads sound with: where they are missing, empty modules
stand in for them, and a disk of scikit-image for its `circle`.
"""

import statistics
import sys
import time
import types

import equinox as eqx
import jax
import numpy as np
from bench_wave import BATCH, SHAPE, STEPS, forward, gradient, plate

ROUNDS = 7


def ours():
    layer = plate()
    x = 0.1 * jax.random.normal(jax.random.key(0), (BATCH, STEPS))
    arrays, static = eqx.partition(layer, eqx.is_array)
    runs = {}
    for function in (forward, gradient):
        run = jax.jit(lambda a, x, f=function: f(eqx.combine(a, static), x))
        runs[f"pnnjax {function.__name__}"] = lambda run=run: jax.block_until_ready(
            run(arrays, x)
        )
    return runs


def wavetorch_runs():
    import torch

    torch.set_num_threads(1)
    _stand_in()
    from wavetorch.cell import WaveCell
    from wavetorch.geom import WaveGeometryFreeForm
    from wavetorch.probe import WaveIntensityProbe
    from wavetorch.rnn import WaveRNN
    from wavetorch.source import WaveSource

    ny, nx = SHAPE
    geometry = WaveGeometryFreeForm((nx, ny), 1.43, 1.0, 0.5)
    model = WaveRNN(
        WaveCell(1.0, geometry),
        [WaveSource(40, 50)],
        [WaveIntensityProbe(90, y) for y in (30, 50, 70)],
    )
    x = 0.1 * torch.randn(BATCH, STEPS)

    def forwards():
        with torch.no_grad():
            return model(x).sum(dim=1)

    def with_gradient():
        energy = model(x).sum(dim=1)
        loss = -torch.log(energy[:, 0] / energy.sum(dim=-1)).mean()
        loss.backward()

    return {"wavetorch forward": forwards, "wavetorch gradient": with_gradient}


def _stand_in():
    """Empty modules for what wavetorch imports and this does not use."""

    def disk(row, column, radius):
        y, x = np.mgrid[: 2 * row + 1, : 2 * column + 1]
        return np.nonzero((y - row) ** 2 + (x - column) ** 2 < radius**2)

    for name in ("skimage", "skimage.draw", "seaborn", "librosa", "pandas"):
        try:
            __import__(name)
        except ImportError:
            sys.modules[name] = types.ModuleType(name)
    sys.modules["skimage.draw"].circle = disk
    # The package's face imports its plots and its training: only its parts are needed.
    import importlib.util

    found = importlib.util.find_spec("wavetorch")
    if found is None or found.submodule_search_locations is None:
        raise ImportError("wavetorch is not installed.")
    package = types.ModuleType("wavetorch")
    package.__path__ = list(found.submodule_search_locations)
    sys.modules["wavetorch"] = package


def main():
    runs = ours()
    try:
        runs |= wavetorch_runs()
    except ImportError as missing:
        print(f"without wavetorch: {missing}")
    times = {name: [] for name in runs}
    for run in runs.values():
        run()
    for _ in range(ROUNDS):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    for name, all_times in times.items():
        middle, least = statistics.median(all_times), min(all_times)
        print(
            f"{name:22} {1e3 * middle / STEPS:.3f} ms a step "
            f"(least {1e3 * least / STEPS:.3f})"
        )


if __name__ == "__main__":
    main()
