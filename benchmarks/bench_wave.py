"""Waves on 150 x 100 cells, batch 6, 200 steps, float32: one step, with its gradient.

Pin it to one core for the single-threaded figure: `taskset -c 0 pytest ...`.

What a step must do, per cell and example: forwards, read two fields and write one, with
9 operations. With the gradient, forwards twice (once to keep the fields of a segment),
one field kept, and backwards read four and write three: 14 fields in all.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest
from roofline import compile_for, copy_bytes_per_second, measure

from pnnjax import is_trainable
from pnnjax.waves import WaveEquation2D

SHAPE, BATCH, STEPS = (100, 150), 6, 200
FIELD_BYTES = 4 * BATCH * SHAPE[0] * SHAPE[1]
FIELDS = {"forward": 3, "gradient": 14, "autodiff": 14}
MEDIA = {"linear": {}, "nonlinear": {"saturable": (0.01, 0.3), "kerr": -0.01}}


def plate(**medium):
    return WaveEquation2D(
        SHAPE,
        pitch=1.43,
        step=1.0,
        speeds=(1.0, 0.5),
        sources=((50, 40),),
        probes=((30, 90), (50, 90), (70, 90)),
        **medium,
    )


def forward(layer, x):
    return layer(x)


def gradient(layer, x):
    return _gradient(layer, lambda layer: layer(x))


def autodiff(layer, x):
    """Through plain steps on whole arrays: what the adjoint saves."""
    return _gradient(layer, lambda layer: _plain(layer, x))


def _gradient(layer, run):
    trained, fixed = eqx.partition(layer, is_trainable(layer))

    def loss(trained):
        energy = run(eqx.combine(trained, fixed))
        return -jnp.mean(jnp.log(energy[:, 0] / jnp.sum(energy, axis=-1)))

    return jax.value_and_grad(loss)(trained)


def _plain(layer, x):
    damping = layer.step * layer.damping.value
    stiff = (layer.step / layer.pitch * layer.speed()) ** 2

    def step(state, now):
        field, before = state
        wide = jnp.pad(field, ((0, 0), (1, 1), (1, 1)))
        around = wide[:, 2:, 1:-1] + wide[:, :-2, 1:-1]
        around = around + wide[:, 1:-1, 2:] + wide[:, 1:-1, :-2]
        after = 2 * field - (1 - damping) * before + stiff * (around - 4 * field)
        after = (after / (1 + damping)).at[:, 50, 40].add(now)
        return (after, field), after[:, (30, 50, 70), 90]

    still = jnp.zeros((BATCH, *SHAPE), x.dtype)
    seen = jax.lax.scan(step, (still, still), x.T)[1]
    return jnp.sum(seen**2, axis=0)


CASES = {"forward": forward, "gradient": gradient, "autodiff": autodiff}
PAIRS = [(case, medium) for case in ("forward", "gradient") for medium in MEDIA]


@pytest.mark.parametrize("case, medium", [*PAIRS, ("autodiff", "linear")])
def test_wave(benchmark, case, medium):
    layer = plate(**MEDIA[medium])
    x = 0.1 * jax.random.normal(jax.random.key(0), (BATCH, STEPS))
    cost = measure(CASES[case], layer, x)
    run, _ = compile_for(CASES[case], layer, x)

    benchmark(lambda: jax.block_until_ready(run()))
    floor = FIELDS[case] * FIELD_BYTES / copy_bytes_per_second()
    milliseconds = 1e3 * cost["run_seconds"] / STEPS
    benchmark.extra_info |= {
        "compile_seconds": cost["compile_seconds"],
        "temp_bytes": cost["temp_bytes"],
        "milliseconds_per_step": milliseconds,
        "ratio_to_memory_floor": milliseconds / (1e3 * floor),
    }
