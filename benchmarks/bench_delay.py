"""Delay loops: blocks of triangular products against the usual ways to a recurrence."""

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest

import pnnjax as pnn
from pnnjax.oscillators._loop_filter import decaying_sum

NODES, STEPS, DECAY = 400, 200, 0.8
KEY = jax.random.key(0)


def in_blocks(terms):
    return decaying_sum(terms, jnp.zeros(terms.shape[:-1], terms.dtype), DECAY)


def in_a_scan(terms):
    def step(carried, term):
        carried = DECAY * carried + term
        return carried, carried

    start = jnp.zeros(terms.shape[:-1], terms.dtype)
    return jnp.moveaxis(jax.lax.scan(step, start, jnp.moveaxis(terms, -1, 0))[1], 0, -1)


def in_an_associative_scan(terms):
    def join(first, second):
        return first[0] * second[0], second[0] * first[1] + second[1]

    decays = jnp.full_like(terms, DECAY)
    return jax.lax.associative_scan(join, (decays, terms), axis=-1)[1]


@pytest.mark.parametrize("examples", (1, 100))
@pytest.mark.parametrize("way", (in_blocks, in_a_scan, in_an_associative_scan))
def test_recurrence(benchmark, way, examples):
    terms = jax.random.normal(KEY, (examples, NODES))

    @jax.jit
    def many(terms):
        step = lambda terms, _: (jnp.tanh(way(terms)), None)  # noqa: E731
        return jax.lax.scan(step, terms, length=STEPS)[0]

    jax.block_until_ready(many(terms))
    benchmark(lambda: jax.block_until_ready(many(terms)))


@pytest.mark.parametrize("examples", (1, 100))
@pytest.mark.parametrize("response", (0.0, 0.25e-6))
def test_reservoir(benchmark, response, examples):
    reservoir = pnn.oscillators.DelayReservoir(
        pnn.oscillators.IkedaNode(),
        pnn.oscillators.binary_mask(NODES, key=KEY),
        delay=NODES * 50e-9,
        response=pnn.oscillators.LowPass(response),
    )
    x = jax.random.normal(KEY, (examples, STEPS, 1))
    run = eqx.filter_jit(lambda x: reservoir(x))
    jax.block_until_ready(run(x))
    benchmark(lambda: jax.block_until_ready(run(x)))
