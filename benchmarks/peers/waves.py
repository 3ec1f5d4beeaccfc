"""Waves on 150 x 100 cells, batch 6, 200 steps, float32: us beside wavetorch.

    pip install torch==2.13.0 && pip install --no-deps wavetorch==0.2.1
    python benchmarks/peers/waves.py

Forwards, and with the gradient of a loss on the energy at three probes; the time is
that of one step. wavetorch 0.2.1 needs an older scikit-image, and libraries that it
draws and loads sound with: where they are missing, empty modules stand in for them, and
a disk of scikit-image for its `circle`. The plain PyTorch is the same leapfrog on
slices, with autograd through its steps: what a user writes who has neither.
"""

import importlib.util
import sys
import types

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jitted import Jitted
from side_by_side import Here, begin, contest, finish, installed, versions

from pnnjax import is_trainable
from pnnjax.waves import WaveEquation2D

SHAPE, BATCH, PITCH, STEP = (100, 150), 6, 1.43, 1.0
SOURCE, PROBES = (50, 40), ((30, 90), (50, 90), (70, 90))
INSTALL = "pip install torch==2.13.0 && pip install --no-deps wavetorch==0.2.1"
CASES = "forward", "forward and gradient"


def ours(signal: np.ndarray) -> dict[str, Jitted]:
    layer = WaveEquation2D(
        SHAPE,
        pitch=PITCH,
        step=STEP,
        speeds=(1.0, 0.5),
        sources=(SOURCE,),
        probes=PROBES,
    )
    x = jnp.asarray(signal)
    trained, fixed = eqx.partition(layer, is_trainable(layer))
    arrays, static = eqx.partition(fixed, eqx.is_array)

    def energy(trained, arrays):
        return eqx.combine(trained, arrays, static)(x)

    def loss(trained, arrays):
        seen = energy(trained, arrays)
        return -jnp.mean(jnp.log(seen[:, 0] / jnp.sum(seen, axis=-1)))

    functions = energy, jax.value_and_grad(loss)
    return {
        name: Jitted(function, trained, arrays)
        for name, function in zip(CASES, functions, strict=True)
    }


def torch_cases(model, signal: np.ndarray) -> dict[str, Here]:
    """Of a model from signals to the energy at the probes."""
    import torch

    torch.set_num_threads(1)
    x = torch.tensor(signal)

    def forward():
        with torch.no_grad():
            return model(x)

    def gradient():
        energy = model(x)
        (-torch.log(energy[:, 0] / energy.sum(dim=-1)).mean()).backward()

    return dict(zip(CASES, (Here(forward), Here(gradient)), strict=True))


def wavetorch():
    _stand_in()
    from wavetorch.cell import WaveCell
    from wavetorch.geom import WaveGeometryFreeForm
    from wavetorch.probe import WaveIntensityProbe
    from wavetorch.rnn import WaveRNN
    from wavetorch.source import WaveSource

    (ny, nx), (y, x) = SHAPE, SOURCE
    model = WaveRNN(
        WaveCell(STEP, WaveGeometryFreeForm((nx, ny), PITCH, 1.0, 0.5)),
        [WaveSource(x, y)],
        [WaveIntensityProbe(x, y) for y, x in PROBES],
    )
    return lambda x: model(x).sum(dim=1)


def plain_torch():
    """Leapfrog with a trained speed, and walls that reflect."""
    import torch

    speed = torch.full(SHAPE, 0.8, requires_grad=True)
    (row, column), rows = SOURCE, [y for y, _ in PROBES]

    def model(x):
        stiff = (STEP / PITCH * speed) ** 2
        before = field = torch.zeros(len(x), *SHAPE)
        energy = 0.0
        for now in x.T:
            wide = torch.nn.functional.pad(field, (1, 1, 1, 1))
            around = wide[:, 2:, 1:-1] + wide[:, :-2, 1:-1]
            around = around + wide[:, 1:-1, 2:] + wide[:, 1:-1, :-2]
            after = 2 * field - before + stiff * (around - 4 * field)
            drive = torch.zeros_like(after)
            drive[:, row, column] = now
            before, field = field, after + drive
            energy = energy + field[:, rows, PROBES[0][1]] ** 2
        return energy

    return model


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
    found = importlib.util.find_spec("wavetorch")
    package = types.ModuleType("wavetorch")
    package.__path__ = list(found.submodule_search_locations)
    sys.modules["wavetorch"] = package


def main():
    options = begin(__doc__)
    steps = 50 if options.quick else 200
    signal = 0.1 * np.random.default_rng(0).standard_normal((BATCH, steps))
    signal = signal.astype(np.float32)
    runs = {"pnnjax": ours(signal)}
    if installed("wavetorch", INSTALL):
        runs["wavetorch"] = torch_cases(wavetorch(), signal)
    if installed("torch", "pip install torch==2.13.0"):
        runs["plain PyTorch"] = torch_cases(plain_torch(), signal)
    rows = []
    for case in CASES:
        cases = {name: own[case] for name, own in runs.items()}
        what = f"waves on 150 x 100 cells, batch 6, a step, {case}"
        rows += contest(what, cases, options.rounds, per=steps)
    finish(rows, options, versions("pnnjax", "jax", "wavetorch", "torch"))


if __name__ == "__main__":
    main()
