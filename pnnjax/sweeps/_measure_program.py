"""Functions compiled ahead of time: called, timed, and asked for their memory."""

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax

FAST_TO_COMPILE: Mapping[str, Any] = {"xla_backend_optimization_level": 0}
FAST_TO_RUN: Mapping[str, Any] = {"xla_backend_optimization_level": 3}


class Program(NamedTuple):
    """A compiled function."""

    call: Callable[..., Any]
    """With arguments of the shapes that it was compiled for."""
    seconds: float
    """Tracing, lowering and compiling."""
    scratch: int
    """Bytes that it allocates beyond its inputs and outputs."""


def compiled(
    function: Callable[..., Any], args: tuple, options: Mapping[str, Any]
) -> Program:
    """`function`, for arguments like `args`: pytrees of arrays, and of what is fixed.

    **Arguments:** `options`: of XLA.
    """
    arrays, rest = eqx.partition(args, eqx.is_array)

    def on_arrays(arrays: Any) -> Any:
        return eqx.filter(function(*eqx.combine(arrays, rest)), eqx.is_array)

    start = time.perf_counter()
    if jax.default_backend() != "cpu":
        options = {}
    made = jax.jit(on_arrays).lower(arrays).compile(compiler_options=dict(options))
    seconds = time.perf_counter() - start
    memory = made.memory_analysis()

    def call(*args: Any) -> Any:
        return made(eqx.filter(args, eqx.is_array))

    return Program(call, seconds, memory.temp_size_in_bytes if memory else 0)


def median_seconds(program: Program, args: tuple, budget: float = 0.2) -> float:
    """Of at least 7 calls, after the first, that fill `budget` seconds."""
    arrays = eqx.filter(args, eqx.is_array)
    jax.block_until_ready(program.call(*arrays))
    times: list[float] = []
    while len(times) < 7 or (sum(times) < budget and len(times) < 100):
        start = time.perf_counter()
        jax.block_until_ready(program.call(*arrays))
        times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2]
