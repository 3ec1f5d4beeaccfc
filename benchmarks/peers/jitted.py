"""A case that JAX compiles: the compiler says what memory a call takes."""

from collections.abc import Callable
from typing import Any

import jax
from side_by_side import Here


class Jitted:
    """`function(*arguments)`, compiled by the first call.

    JAX keeps what memory it once had from the system: no weighing from outside.
    """

    def __init__(self, function: Callable, *arguments: Any):
        self.function = jax.jit(function)
        self.arguments = arguments

    def run(self):
        return jax.block_until_ready(self.function(*self.arguments))

    def seconds(self, calls: int) -> list[tuple[float, float]]:
        return Here(self.run).seconds(calls)

    def memory(self) -> float | None:
        """Scratch and results of a call, in MiB."""
        compiled = self.function.lower(*self.arguments).compile()
        sizes = compiled.memory_analysis()
        if sizes is None:
            return None
        return (sizes.temp_size_in_bytes + sizes.output_size_in_bytes) / 2**20
