"""What this machine can do, and what a function takes: the scale of every benchmark."""

import functools
import math
import time
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

clock = time.perf_counter
"""Where others work on the machine, `time.process_time` does not count them."""


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
        start = clock()
        jax.block_until_ready(run())
        times.append(clock() - start)
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
def chained_flops_per_second(rows: int, inner: int, columns: int) -> float:
    """Of float32 products of this shape and of its transpose, in turn, in one loop.

    What small or narrow products reach, without the time that it takes to call them.
    """
    there = jnp.full((inner, columns), 1 / inner, jnp.float32)
    back = jnp.full((columns, inner), 1 / columns, jnp.float32)
    x = jnp.ones((rows, inner), jnp.float32)
    flops = 2 * 2 * rows * inner * columns
    repeats = max(1, min(1000, int(2e8 / flops)))

    def chain(x, there, back):
        return jax.lax.fori_loop(0, repeats, lambda _, x: x @ there @ back, x)

    return repeats * flops / measure(chain, x, there, back, budget=0.1)["run_seconds"]


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


@functools.cache
def rows_fft_flops_per_second(n: int = 512, batch: int = 64) -> float:
    """Of FFTs of n complex64 numbers that stay in the cache, at $5n\\log_2 n$."""
    x, pairs = jnp.ones((batch, n), jnp.complex64), 20

    def there_and_back(x):
        pair = lambda _, x: jnp.fft.ifft(jnp.fft.fft(x))  # noqa: E731
        return jax.lax.fori_loop(0, pairs, pair, x)

    flops = 2 * pairs * batch * 5 * n * math.log2(n)
    return flops / measure(there_and_back, x, budget=0.3)["run_seconds"]


@functools.cache
def vector_flops_per_second(terms: int = 64) -> float:
    """Of four polynomials of numbers in the cache: a product and a sum a power."""

    def polynomials(x):
        totals = [x, x * x, x + 1.0, x - 1.0]
        for power in range(terms // len(totals)):
            totals = [total * x + 0.5 / (1 + power) for total in totals]
        return totals[0] * totals[1] + totals[2] * totals[3]

    return 2 * terms * applied_per_second(polynomials)


def applied_per_second(function: Callable, n: int = 2**14) -> float:
    """Numbers per second that `function` makes of `n` float32 ones in the cache."""
    x, repeats = jnp.linspace(0.1, 0.9, n, dtype=jnp.float32), 50

    def again(x):
        return jax.lax.fori_loop(0, repeats, lambda _, y: 0.5 * function(y) + 0.1, x)

    return repeats * n / measure(again, x, budget=0.2)["run_seconds"]


@functools.cache
def functions_per_second() -> float:
    """Exponential functions of float32 numbers: the cheapest transcendental ones."""
    return applied_per_second(jnp.exp)


@functools.cache
def turns_per_second() -> float:
    """Pairs of a cosine and a sine, by our own arithmetic."""
    from pnnjax._fast_angles import cos_sin

    return applied_per_second(lambda x: math.prod(cos_sin(x)))


@functools.cache
def bits_per_second(n: int = 2**16) -> float:
    """Random words of 32 bits, each a hash of a counter."""
    from pnnjax._fast_random import fast_bits

    def draw(key):
        def again(total, key):
            return total ^ fast_bits(key, (n,)), None

        keys = jax.random.split(key, 20)
        return jax.lax.scan(again, jnp.zeros(n, jnp.uint32), keys)[0]

    return 20 * n / measure(draw, jax.random.key(0), budget=0.2)["run_seconds"]


@functools.cache
def step_seconds(steps: int = 10_000) -> float:
    """Of one turn of a compiled loop whose body is a product of 8 × 8 numbers."""
    a = jnp.full((8, 8), 0.125, jnp.float32)

    def loop(x, a):
        return jax.lax.fori_loop(0, steps, lambda _, x: x @ a, x)

    return measure(loop, a, a, budget=0.2)["run_seconds"] / steps


@functools.cache
def call_seconds() -> float:
    """Of one call of a compiled function that does next to nothing."""
    return measure(jnp.negative, jnp.ones(8, jnp.float32), budget=0.1)["run_seconds"]
