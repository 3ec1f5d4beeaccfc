"""What a kernel needs at least, and how long this machine takes for that at best."""

from collections.abc import Callable
from typing import Any, NamedTuple

from roofline import (
    bits_per_second,
    call_seconds,
    chained_flops_per_second,
    copy_bytes_per_second,
    functions_per_second,
    gemm_flops_per_second,
    rows_fft_flops_per_second,
    step_seconds,
    turns_per_second,
    vector_flops_per_second,
)


class Product(NamedTuple):
    """`count` real matrix products; a complex one is four."""

    rows: int
    inner: int
    columns: int
    count: float = 1

    @property
    def flops(self) -> float:
        return 2.0 * self.rows * self.inner * self.columns * self.count

    def seconds(self) -> float:
        if self.rows * self.inner * self.columns >= 2**24:
            return self.flops / gemm_flops_per_second()
        shape = self.rows, self.inner, self.columns
        # A narrow product may run faster alone than in turn with its transpose.
        best = max(gemm_flops_per_second(), chained_flops_per_second(*shape))
        return self.flops / best


class Needs(NamedTuple):
    """The least that a method has to do, as its equations say."""

    products: tuple[Product, ...] = ()
    arithmetic: float = 0.0
    """Real sums and products of numbers one by one."""
    transforms: float = 0.0
    r"""Operations of Fourier transforms, $5n\log_2 n$ each."""
    points: int = 512
    """Of each of them."""
    functions: float = 0.0
    """Exponential functions, logarithms, hyperbolic tangents, roots, quotients."""
    turns: float = 0.0
    """Pairs of a cosine and a sine."""
    words: float = 0.0
    """Random words of 32 bits; one makes a normal number, with one function."""
    moved: float = 0.0
    """Bytes read and written: of the state in every step, and of the inputs once."""
    spread: float = 0.0
    """Over how many bytes: what stays in a cache is moved faster."""
    steps: int = 0
    """Those that wait for each other."""

    @property
    def flops(self) -> float:
        return sum(p.flops for p in self.products) + self.arithmetic + self.transforms


class Kernel(NamedTuple):
    """`make()` is a function and its arguments; `why` says what the rest is made of."""

    name: str
    size: str
    make: Callable[[], tuple[Callable, tuple[Any, ...]]]
    needs: Needs
    why: str = ""


def seconds_of(needs: Needs) -> dict[str, float]:
    """By kind. One core does all but the bytes and the waiting one after the other."""
    pairs = max(8.0, needs.spread / 8)
    n = 2 ** min(26, max(12, round(pairs).bit_length()))
    return {
        "products": sum(product.seconds() for product in needs.products),
        "arithmetic": needs.arithmetic / vector_flops_per_second(),
        "FFT": needs.transforms / rows_fft_flops_per_second(needs.points),
        "functions": needs.functions / functions_per_second(),
        "sines": needs.turns / turns_per_second(),
        "random": needs.words / bits_per_second(),
        "bytes": needs.moved / copy_bytes_per_second(n, max(8, 2**22 // n)),
        "steps": needs.steps * step_seconds(),
        "call": call_seconds(),
    }


def bound(needs: Needs) -> tuple[float, str]:
    """The least time (s), and what takes most of it."""
    seconds = seconds_of(needs)
    waits = {kind: seconds.pop(kind) for kind in ("bytes", "steps", "call")}
    longest = max(waits, key=lambda kind: waits[kind])
    if sum(seconds.values()) >= waits[longest]:
        return sum(seconds.values()), max(seconds, key=lambda kind: seconds[kind])
    return waits[longest], longest
