"""How many trainings a compiled program holds: what fits the memory."""

import functools
import math
import os
from pathlib import Path
from typing import Any

import jax

from ._fleet import Fleet, Lane
from ._same_shape import equations, programs


def size_of(fleet: Fleet, lanes: Lane, count: int, at_most: int) -> int:
    """How many of `count` trainings to have in a program, so that it fits."""
    wanted = min(count, at_most)
    fitting = int(memory() // bound(fleet, lanes))
    if fitting < wanted:
        fitting = int(memory() // measured(fleet, lanes, max(1, fitting)))
    return equal_parts(count, at_most, fitting)


def equal_parts(count: int, at_most: int, fitting: int) -> int:
    """The size of equal programs for `count`, of a power of two if not all fit."""
    wanted = min(count, at_most)
    if fitting < wanted:
        wanted = 2 ** int(math.log2(max(1, fitting)))
    return math.ceil(count / math.ceil(count / wanted))


def bound(fleet: Fleet, lanes: Lane) -> float:
    """No more than these bytes a training: of all that is ever computed, together."""
    each = [
        _bytes(jax.make_jaxpr(function)(*shapes))
        for function, shapes in programs(fleet, lanes)
    ]
    return max(each) / len(lanes.keys)


def measured(fleet: Fleet, lanes: Lane, size: int) -> float:
    """Bytes a training of programs that hold `size`, as the compiler has them."""
    lanes = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct((size, *leaf.shape[1:]), leaf.dtype), lanes
    )
    # Machine code is not needed to see what will be allocated.
    options: Any = {"xla_backend_optimization_level": 0}
    found = [
        function.lower(*shapes).compile(options).memory_analysis()
        for function, shapes in programs(fleet, lanes)
    ]
    return max(a.temp_size_in_bytes + a.output_size_in_bytes for a in found) / size


@functools.cache
def memory() -> float:
    """Half of what a worker has (bytes), whatever is free of it now."""
    device = jax.devices()[0]
    if device.platform != "cpu":
        return (device.memory_stats() or {}).get("bytes_limit", 2**33) / 2
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.exists() and (text := limit.read_text().strip()).isdecimal():
        total = min(total, int(text))
    return total / (os.cpu_count() or 1) / 2


def _bytes(jaxpr: Any) -> int:
    made = [out.aval for equation in equations(jaxpr) for out in equation.outvars]
    return sum(aval.size * aval.dtype.itemsize for aval in made)
