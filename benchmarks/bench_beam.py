"""Beams through a programmable slab: `taskset -c 0 pytest benchmarks/bench_beam.py`.

The 49 beams of `mnist-waveguide`, forwards or with the gradient of all pixels, on its
grid and on that of its preset `paper`. `extra_info` has the seconds of compilation, the
scratch memory (bytes), that of all fields on the way if they were kept, and `floors`:
the run time over that of the Fourier transforms alone, one there and one back for each
step forwards and two more backwards, timed in turn with it.
"""

import statistics
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest
from jax import lax
from roofline import compile_for, measure

from pnnjax.zoo._mnist_waveguide import MnistWaveguide

BEAMS = 49
GRIDS = {"default": {}, "paper": MnistWaveguide.presets["paper"]}


def forward(slab, x):
    return slab(x)


def gradient(slab, x):
    def loss(slab):
        out = slab(x)
        return jnp.sum((out.real**2 + out.imag**2)[:, ::3])

    return eqx.filter_value_and_grad(loss)(slab)


def transforms(x, pairs):
    """There and back, with nothing between them."""
    there_and_back = lambda x, _: (jnp.fft.fft(jnp.fft.ifft(x)), None)  # noqa: E731
    return lax.scan(there_and_back, x, None, length=pairs)[0]


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("function, passes", [(forward, 1), (gradient, 3)])
def test_beam(benchmark, function, passes, grid):
    experiment = MnistWaveguide(**GRIDS[grid])
    model = experiment.ideal(key=jax.random.key(0))
    x = model.modes(jnp.eye(BEAMS, dtype=jnp.float32))
    cost = measure(function, model.slab, x, budget=0.2)
    run, _ = compile_for(function, model.slab, x)
    alone, _ = compile_for(lambda x: transforms(x, passes * experiment.steps), x)
    ratios = []
    for _ in range(9):
        pair = []
        for timed in (run, alone):
            start = time.perf_counter()
            jax.block_until_ready(timed())
            pair.append(time.perf_counter() - start)
        ratios.append(pair[0] / pair[1])
    benchmark(lambda: jax.block_until_ready(run()))
    benchmark.extra_info |= {
        "compile_seconds": cost["compile_seconds"],
        "temp_bytes": cost["temp_bytes"],
        "kept_bytes": experiment.steps * x.nbytes,
        "floors": statistics.median(ratios),
    }
