"""Fast random numbers: distribution, independence, keys and transformations."""

import math
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from pnnjax._fast_random import fast_bits, fast_normal, fast_uniform

SIZE = 100_000


@pytest.fixture(scope="module")
def drawn():
    """Bits, uniform and normal numbers of the keys of four consecutive seeds."""

    @jax.jit
    @jax.vmap
    def draw(seed):
        key = jax.random.key(seed)
        return (
            fast_bits(key, (SIZE,)),
            fast_uniform(key, (SIZE,), jnp.float32),
            fast_normal(key, (SIZE,), jnp.float32),
        )

    return [np.asarray(part) for part in draw(jnp.arange(4))]


class TestDistribution:
    def test_each_bit_is_fair_and_independent_of_the_next_word(self, drawn):
        words = drawn[0][0]
        bits = (words[:, None] >> np.arange(32, dtype=np.uint32)) & 1
        # 32 shares, and 32 x 32 products: 5.5 standard errors hold for all of them
        bound = 5.5 / math.sqrt(SIZE)
        spins = 2.0 * bits - 1
        assert np.max(np.abs(spins.mean(0))) < bound
        assert np.max(np.abs(spins[1:].T @ spins[:-1])) / SIZE < bound
        assert np.max(np.abs(np.triu(spins.T @ spins, 1))) / SIZE < bound

    def test_uniform(self, drawn):
        values = drawn[1]
        assert values.min() >= 0 and values.max() < 1
        for row in values:
            assert stats.kstest(row, "uniform").pvalue > 1e-3
            counts, _ = np.histogram(row, 1000, (0, 1))
            assert stats.chisquare(counts).pvalue > 1e-3

    def test_normal_by_moments_and_by_kolmogorov_and_smirnov(self, drawn):
        normal = drawn[2].astype(np.float64)
        for row in normal:
            assert stats.kstest(row, "norm").pvalue > 1e-3
        everything = normal.ravel()
        # the variance of the k-th power of a normal number is E[x^2k] - E[x^k]^2
        for power, mean, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
            error = np.mean(everything**power) - mean
            assert abs(error) < 4 * math.sqrt(variance / everything.size)

    def test_tails(self, drawn):
        normal = np.abs(drawn[2].ravel())
        for bound in (3.0, 4.0):
            share = 2 * stats.norm.sf(bound)
            count = np.count_nonzero(normal > bound)
            expected = share * normal.size
            assert abs(count - expected) < 4 * math.sqrt(expected)

    def test_quantiles_are_those_of_the_words(self, drawn):
        words, normal = drawn[0][0], drawn[2][0]
        tail = ((words >> 1) + 0.5) * 2.0**-32
        sign = np.where(words & 1, -1.0, 1.0)
        np.testing.assert_allclose(
            normal, sign * stats.norm.isf(tail), rtol=2e-4, atol=1e-7
        )


class TestIndependence:
    def test_neighbors_and_keys_are_uncorrelated(self, drawn):
        bound = 4.5 / math.sqrt(SIZE)
        normal = drawn[2].astype(np.float64)
        squares = (normal**2 - 1) / math.sqrt(2)
        for rows in (normal, squares):
            for lag in (1, 2, 3, 8, 256, 784):
                assert abs(np.mean(rows[0, lag:] * rows[0, :-lag])) < bound
            for other in (1, 2, 3):
                for lag in (0, 1, 2):
                    product = rows[0, lag:] * rows[other, : SIZE - lag]
                    assert abs(np.mean(product)) < bound

    def test_keys_of_a_split_are_uncorrelated_and_no_shifts_of_each_other(self):
        keys = jax.random.split(jax.random.key(7), 300)
        rows = jax.jit(jax.vmap(lambda k: fast_normal(k, (1000,), jnp.float64)))(keys)
        products = np.asarray(rows @ rows.T / 1000)
        off = products[np.triu_indices(300, 1)]
        assert abs(off.mean()) < 4 * off.std() / math.sqrt(off.size)
        np.testing.assert_allclose(off.std(), 1 / math.sqrt(1000), rtol=0.02)
        words = np.asarray(jax.vmap(lambda k: fast_bits(k, (1000,)))(keys[:20])).ravel()
        # 20,000 words of 2^32: 0.05 pairs are expected to be equal
        assert words.size - np.unique(words).size <= 1


class TestUse:
    def test_the_same_key_gives_the_same_numbers_under_each_transformation(self):
        keys = jax.random.split(jax.random.key(1), 3)

        def draw(key):
            return fast_normal(key, (5, 7), jnp.float32)

        alone = jnp.stack([draw(key) for key in keys])
        assert alone.dtype == jnp.float32
        _, scanned = jax.lax.scan(lambda c, key: (c, draw(key)), None, keys)
        for rows in (jax.jit(jax.vmap(draw))(keys), scanned):
            np.testing.assert_allclose(rows, alone, rtol=1e-5, atol=1e-6)
        assert np.all(np.asarray(alone[0] != alone[1]))

    def test_dtypes_and_shapes(self):
        dtypes = jnp.bfloat16, jnp.float32, jnp.float64

        @jax.jit
        def draws(key):
            return [
                (draw(key, (), dtype), draw(key, (100, 20), dtype))
                for draw in (fast_normal, fast_uniform)
                for dtype in dtypes
            ]

        drawn = draws(jax.random.PRNGKey(3))
        expected = zip(drawn, 2 * dtypes, [0, 0, 0, 0.5, 0.5, 0.5], strict=True)
        for (scalar, values), dtype, mean in expected:
            assert scalar.shape == () and values.shape == (100, 20)
            assert scalar.dtype == values.dtype == dtype
            assert abs(np.mean(np.asarray(values).astype(float)) - mean) < 0.1

    def test_doubles_have_53_bits(self):
        values = np.asarray(fast_uniform(jax.random.key(0), (10_000,), jnp.float64))
        assert stats.kstest(values, "uniform").pvalue > 1e-3
        whole = values * 2.0**53
        np.testing.assert_array_equal(whole, np.floor(whole))
        last = np.mod(whole, 2)
        assert abs(last.mean() - 0.5) < 4 * 0.5 / math.sqrt(values.size)

    def test_too_many_for_a_key(self):
        with pytest.raises(ValueError, match="draw fewer"):
            jax.eval_shape(lambda k: fast_bits(k, (2**16, 2**16)), jax.random.key(0))


@pytest.mark.slow
def test_several_times_faster_than_threefry():
    shape = (784, 256)
    draws = {
        "ours": jax.jit(lambda k: fast_normal(k, shape, jnp.float32)),
        "theirs": jax.jit(lambda k: jax.random.normal(k, shape, jnp.float32)),
    }
    seconds = {name: [] for name in draws}
    for key in jax.random.split(jax.random.key(0), 30):
        for name, draw in draws.items():
            start = time.perf_counter()
            draw(key).block_until_ready()
            seconds[name].append(time.perf_counter() - start)
    assert 3 * np.median(seconds["ours"]) < np.median(seconds["theirs"])
