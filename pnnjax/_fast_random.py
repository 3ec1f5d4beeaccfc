"""Random numbers for noise that is drawn anew in every step: a hash of a counter."""

import math

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, DTypeLike, Float, PRNGKeyArray, UInt32

# Fitted here, the highest power first: the greatest error is the least possible.
MINUS_LOG2 = 0.3264632821, -0.5188853145, 0.7259151936, -1.4416385889, -4.7638423e-5
RATIO = (
    -8.165732534592962e-10,
    3.383355107189345e-08,
    -3.337355281018972e-07,
    -3.5593432130553992e-06,
    0.00012915721163153648,
    -0.003275909461081028,
    0.1694643646478653,
    3.8423092365264893,
)


def fast_bits(key: PRNGKeyArray, shape: tuple[int, ...]) -> UInt32[Array, "*shape"]:
    """Words of 32 random bits, each a hash of its place in the array and of the key.

    One core writes them as fast as memory takes them, where those of `jax.random.bits`
    cost a hundred operations each. Not for secrets.

    **Raises:** `ValueError` for $2^{32}$ words or more, after which they would repeat.
    **Source:** the shape of the hash is that of Steele, Lea, Flood, *ACM SIGPLAN
    Notices* 49, 453 (2014), doi:10.1145/2714064.2660195, with the constants that
    C. Wellons found for 32 bits (*Prospecting for hash functions*, 2018).
    """
    size = math.prod(shape)
    if size >= 2**32:
        raise ValueError(f"{size} words are too many for one key: draw fewer, by 2^32.")
    words = jax.random.key_data(key).ravel()
    counter = lax.iota(jnp.uint32, size) + _absorbed(words, 0x9E3779B9)
    mixed = _stirred(counter, 16, 0x7FEB352D) ^ _absorbed(words, 0x85EBCA6B)
    mixed = _stirred(_stirred(mixed, 15, 0x846CA68B), 15, 0x7FEB352D)
    return (mixed ^ (mixed >> jnp.uint32(16))).reshape(shape)


def fast_uniform(
    key: PRNGKeyArray, shape: tuple[int, ...], dtype: DTypeLike
) -> Float[Array, "*shape"]:
    """Numbers from 0 (included) to 1 (excluded).

    **Error:** they are multiples of $2^{-24}$, or of $2^{-53}$ in double precision.
    """
    if jnp.dtype(dtype) != jnp.float64:
        return _natural(fast_bits(key, shape), 8, 2.0**-24).astype(dtype)
    coarse, fine = fast_bits(key, (2, *shape))
    fine = (fine >> jnp.uint32(11)).astype(jnp.float64)
    return (coarse.astype(jnp.float64) * 2.0**21 + fine) * 2.0**-53


def fast_normal(
    key: PRNGKeyArray, shape: tuple[int, ...], dtype: DTypeLike
) -> Float[Array, "*shape"]:
    r"""Numbers of mean 0 and variance 1, normally distributed.

    A uniform number, its lowest bit set aside for the sign, goes through the normal
    quantile function.

    **Error:** the quantiles are within a share $2 \times 10^{-4}$; none is beyond
    $\pm 6.3$. Those in double precision have single precision's values.
    """
    bits = fast_bits(key, shape)
    tail = (_natural(bits, 1, 1.0) + 0.5) * 2.0**-32
    negative = (bits & jnp.uint32(1)) == 1
    quantile = _quantile(tail)
    return jnp.where(negative, -quantile, quantile).astype(dtype)


def hashed(word: UInt32[Array, "*shape"]) -> UInt32[Array, "*shape"]:
    """Another word for each, every bit of which depends on every bit of it."""
    word = _stirred(_stirred(word, 16, 0x7FEB352D), 15, 0x846CA68B)
    return word ^ (word >> jnp.uint32(16))


def _quantile(tail: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    r"""The $x$ above which there is the probability `tail`, at most one half.

    With $q$ for it, $x = (1 - 2q)\,r(w)$, where $w = -\log_2 4q(1 - q)$ goes from 0 to
    31 and $r$ is smooth: a polynomial whose greatest relative error is least.
    """
    depth = _minus_log2(4.0 * tail * (1.0 - tail))
    return (1.0 - 2.0 * tail) * _polynomial(depth - 12.0, RATIO)


def _minus_log2(values: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    r"""$-\log_2$ of single-precision numbers, to 9e-5.

    XLA's own logarithm takes as long as everything else here.
    """
    half_root = jnp.uint32(0x3F3504F3)  # the bits of the square root of one half
    bits = lax.bitcast_convert_type(values, jnp.uint32) - half_root
    exponent = (bits.astype(jnp.int32) >> 23).astype(jnp.float32)
    mantissa = (bits & jnp.uint32(0x007FFFFF)) + half_root
    excess = lax.bitcast_convert_type(mantissa, jnp.float32) - 1.0
    return _polynomial(excess, MINUS_LOG2) - exponent


def _polynomial(
    x: Float[Array, "*shape"], coefficients: tuple[float, ...]
) -> Float[Array, "*shape"]:
    total = jnp.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        total = total * x + coefficient
    return total


def _natural(
    bits: UInt32[Array, "*shape"], shift: int, unit: float
) -> Float[Array, "*shape"]:
    # Only signed words are converted by one instruction.
    whole = (bits >> jnp.uint32(shift)).astype(jnp.int32)
    return whole.astype(jnp.float32) * unit


def _stirred(
    word: UInt32[Array, "*shape"], shift: int, factor: int
) -> UInt32[Array, "*shape"]:
    return (word ^ (word >> jnp.uint32(shift))) * jnp.uint32(factor)


def _absorbed(words: UInt32[Array, " words"], start: int) -> UInt32[Array, ""]:
    """One word that depends on each bit of the key."""
    total = jnp.uint32(start)
    for word in words:
        total = hashed(total ^ word)
    return total
