"""A soliton through a fiber: 1024 samples, 500 steps, batch 16, complex64.

The scale is a split-step loop in NumPy with SciPy's FFT, run in between.
Pin it to one core for the single-threaded figure: `taskset -c 0 pytest ...`.
"""

import math
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.fft
from roofline import compile_for, measure

from pnnjax.optics import frequency_grid, nonlinear_schrodinger, time_grid

NT, STEPS, BATCH = 1024, 500, 16
DT, LENGTH = 30e-12 / NT, 289.5
BETA2, GAMMA = -21.7e-27, 1.3e-3
POWER = -BETA2 / (GAMMA * 1e-24)


def forward(x):
    settings = {"dt": DT, "beta2": BETA2, "gamma": GAMMA, "steps": STEPS}
    return nonlinear_schrodinger(x, LENGTH, **settings)


def gradient(x):
    return jax.grad(lambda x: jnp.sum(forward(x).real ** 4))(x)


def by_numpy(x):
    """The same steps, without the checks of the grid."""
    step = LENGTH / STEPS
    turn = BETA2 / 2 * frequency_grid(NT, DT) ** 2 * step
    half, whole = (np.exp(1j * f * turn).astype(x.dtype) for f in (0.5, 1.0))
    kerr = np.float32(GAMMA * step)
    x = scipy.fft.ifft(half * scipy.fft.fft(x))
    for _ in range(STEPS):
        x = x * np.exp(1j * kerr * (x.real**2 + x.imag**2))
        x = scipy.fft.ifft(whole * scipy.fft.fft(x))
    return scipy.fft.ifft(half.conj() * scipy.fft.fft(x))


def seconds(x):
    """Median of three."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        by_numpy(x)
        times.append(time.perf_counter() - start)
    return sorted(times)[1]


@pytest.mark.parametrize("function", [forward, gradient])
def test_fiber(benchmark, function):
    pulse = math.sqrt(POWER) / np.cosh(time_grid(NT, DT) / 1e-12)
    x = np.tile(pulse.astype(np.complex64), (BATCH, 1))
    before = seconds(x)
    cost = measure(function, jnp.asarray(x))
    scale = (before + seconds(x)) / 2
    run, _ = compile_for(function, jnp.asarray(x))

    benchmark(lambda: jax.block_until_ready(run()))
    benchmark.extra_info |= cost | {
        "numpy_seconds": scale,
        "ratio_to_numpy": cost["run_seconds"] / scale,
    }
