"""Diffraction: `pytest benchmarks/bench_diffraction.py`, on as many cores as it gets.

Each case is one padded angular spectrum, forwards, or with the gradient of a phase mask
in front of it. `extra_info` has the seconds of compilation, the scratch memory (bytes),
and `rooflines`: the run time over that of the transforms alone, at the rate that this
machine reaches on unpadded 512 x 512 ones.
"""

import math

import jax
import jax.numpy as jnp
import pytest
from roofline import compile_for, fft_flops_per_second, measure

from pnnjax.optics import DiffractiveLayer, FreeSpace, PhaseMask


def power_behind(mask, field):
    out = DiffractiveLayer(mask, FreeSpace(0.03, 0.75e-3, 0.4e-3))(field)
    return jnp.sum(out.real**2 + out.imag**2, axis=(-1, -2))


def total_power(mask, field):
    return jnp.sum(power_behind(mask, field) ** 2)


def transform_flops(n, batch, passes):
    """Of padding to 2n without its zeros: 2n + 4n transforms of 2n points, twice."""
    points = 2 * n
    return passes * batch * 2 * (n + points) * 5 * points * math.log2(points)


@pytest.mark.parametrize("batch", [1, 8, 32])
@pytest.mark.parametrize("n", [64, 128, 200, 256, 512])
@pytest.mark.parametrize("passes", [1, 2], ids=["forward", "gradient"])
def test_diffraction(benchmark, passes, n, batch):
    key = jax.random.key(0)
    mask = PhaseMask(jax.random.uniform(key, (n, n), jnp.float32))
    field = jax.random.normal(key, (batch, n, n), jnp.complex64)
    function = power_behind if passes == 1 else jax.grad(total_power)
    measured = measure(function, mask, field, budget=0.2)
    floor = transform_flops(n, batch, passes) / fft_flops_per_second()
    benchmark.extra_info.update(
        compile_seconds=measured["compile_seconds"],
        temp_bytes=measured["temp_bytes"],
        rooflines=measured["run_seconds"] / floor,
    )
    run, _ = compile_for(function, mask, field)
    benchmark(lambda: jax.block_until_ready(run()))
