"""256 x 256 cells from 10 kilohm to 1 megohm, lines of 1 ohm a segment.

`extra_info` has the largest error of a current, as a part of the largest current, and
what a sparse LU factorization (SuperLU) and one solve take for the same equations.
CrossSim 3.2 takes 376 ms for one input, lowering the relaxation of its iteration twice.

    taskset -c 0 pytest benchmarks/bench_line_resistance.py
"""

import functools
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from roofline import compile_for

from pnnjax.circuits import LineResistance, column_currents

ROWS, COLUMNS = 256, 256
LINES = LineResistance(1.0, 1.0)


def read(g, x):
    return column_currents(g, x, LINES)


def gradient(g, x):
    return jax.grad(lambda g, x: jnp.sum(read(g, x) ** 2), (0, 1))(g, x)


def cells():
    return np.random.default_rng(0).uniform(1e-6, 1e-4, (ROWS, COLUMNS))


@functools.cache
def by_sparse_lu():
    """The currents for a volt at every row, and the seconds that they took."""
    from scipy.sparse import csc_matrix
    from scipy.sparse.linalg import splu

    g, start = cells(), time.perf_counter()
    u = np.arange(g.size).reshape(g.shape)
    v = u + g.size
    pairs = [(u, v, g)]
    pairs += [(u[:, 1:], u[:, :-1], np.full((ROWS, COLUMNS - 1), 1 / LINES.word))]
    pairs += [(v[1:], v[:-1], np.full((ROWS - 1, COLUMNS), 1 / LINES.bit))]
    i, j, value = (np.concatenate([p[k].ravel() for p in pairs]) for k in range(3))
    ends = np.concatenate([u[:, 0], v[-1]])
    at_ends = np.concatenate(
        [np.full(ROWS, 1 / LINES.word), np.full(COLUMNS, 1 / LINES.bit)]
    )
    row = np.concatenate([i, j, i, j, ends])
    column = np.concatenate([j, i, i, j, ends])
    entry = np.concatenate([-value, -value, value, value, at_ends])
    drive = np.zeros(2 * g.size)
    drive[u[:, 0]] = 1 / LINES.word
    found = splu(csc_matrix((entry, (row, column)))).solve(drive)
    return found[v[-1]] / LINES.bit, time.perf_counter() - start


@pytest.mark.parametrize("batch", [1, 64])
@pytest.mark.parametrize("function", [read, gradient])
@pytest.mark.parametrize("dtype", [jnp.float64, jnp.float32])
def test_lines(benchmark, dtype, function, batch):
    with jax.enable_x64(dtype == jnp.float64):
        g, x = jnp.asarray(cells(), dtype), jnp.ones((batch, ROWS), dtype)
        exact, seconds = by_sparse_lu()
        error = np.abs(np.asarray(read(g, x[:1])[0]) - exact).max() / exact.max()
        start = time.perf_counter()
        run, _ = compile_for(function, g, x)
        compile_seconds = time.perf_counter() - start
        benchmark.pedantic(
            lambda: jax.block_until_ready(run()),
            rounds=9 if batch == 1 else 3,
            warmup_rounds=1,
        )
        benchmark.extra_info |= {
            "compile_seconds": compile_seconds,
            "error": float(error),
            "sparse_lu_seconds": seconds,
            "kept": float(jnp.mean(read(g, x[:1])[0] / jnp.sum(g, 0))),
        }
