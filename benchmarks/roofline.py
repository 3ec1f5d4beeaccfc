"""What this machine can do, and what a function takes: the scale of every benchmark."""

import functools
import math
import time
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp


def measure(function: Callable, *args: Any, budget: float = 1.0) -> dict[str, float]:
    """Compile `function` for `args` (any pytrees), and time it.

    `compile_seconds` covers tracing, lowering and compiling; `run_seconds` is the
    median of at least 5 runs that fill `budget` seconds; `temp_bytes` is the scratch
    memory that the compiled program allocates beyond its inputs and outputs.
    """
    start = time.perf_counter()
    run, compiled = compile_for(function, *args)
    compile_seconds = time.perf_counter() - start
    jax.block_until_ready(run())
    times = []
    while len(times) < 5 or sum(times) < budget:
        start = time.perf_counter()
        jax.block_until_ready(run())
        times.append(time.perf_counter() - start)
    return {
        "compile_seconds": compile_seconds,
        "run_seconds": sorted(times)[len(times) // 2],
        "temp_bytes": compiled.memory_analysis().temp_size_in_bytes,
    }


def compile_for(function: Callable, *args: Any) -> tuple[Callable[[], Any], Any]:
    """`function(*args)` without arguments, compiled; and the executable behind it."""
    arrays, rest = eqx.partition(args, eqx.is_array)

    @jax.jit
    def on_arrays(arrays):
        outputs = function(*eqx.combine(arrays, rest))
        return eqx.filter(outputs, eqx.is_array)

    compiled = on_arrays.lower(arrays).compile()
    return lambda: compiled(arrays), compiled


@functools.cache
def gemm_flops_per_second(n: int = 1536) -> float:
    """Of an n × n float32 matrix product, at $2n^3$ operations."""
    a = jnp.ones((n, n), jnp.float32)
    return 2 * n**3 / measure(jnp.matmul, a, a)["run_seconds"]


@functools.cache
def copy_bytes_per_second(n: int = 2**26, repeats: int = 8) -> float:
    """Of changing the sign of `n` float32 numbers: each is read once, written once.

    Repeated inside one program, so that the system's first touch of new pages is no
    part of it.
    """
    x = jnp.ones(n, jnp.float32)

    def negate(x):
        return jax.lax.fori_loop(0, repeats, lambda _, y: -y, x)

    return 2 * repeats * x.nbytes / measure(negate, x)["run_seconds"]


@functools.cache
def fft_flops_per_second(n: int = 512, batch: int = 8) -> float:
    """Of n × n complex64 FFTs, at $5n^2\\log_2 n^2$ operations each."""
    x = jnp.ones((batch, n, n), jnp.complex64)
    flops = batch * 5 * n**2 * math.log2(n**2)
    return flops / measure(jnp.fft.fft2, x)["run_seconds"]
