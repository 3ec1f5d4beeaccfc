"""Rectangular meshes, batch 128, complex64: forward, gradient, in-situ gradient."""

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest
from jax import lax
from roofline import compile_for, copy_bytes_per_second, gemm_flops_per_second, measure

from pnnjax.optics import MZIMesh

BATCH = 128
MODES = [16, 32, 64, 128, 256]

# Real operations for one example in one interferometer: a complex 2 × 2 product each
# for the field and for its error, and the overlaps at both shifters.
FORWARD, BACKWARD = 28, 2 * 28 + 24


def power(field):
    """Summed over the batch, as the taps of an in-situ gradient are."""
    squares = field.real**2 + field.imag**2
    return jnp.ones(len(squares)) @ squares


def forward(mesh, x, y_bar):
    del y_bar
    return mesh(x)


def gradient(mesh, x, y_bar):
    def loss(mesh):
        return jnp.sum((y_bar * mesh(x)).real)

    return eqx.filter_value_and_grad(loss)(mesh)


def in_situ(mesh, x, y_bar):
    """Three runs: forwards, backwards, and forwards with both interfering."""
    y, forwards = mesh.transmit(x, power)
    returned, backwards = mesh.transmit_back(y_bar, power)
    _, both = mesh.transmit(x - 1j * jnp.conj(returned), power)
    twice = jax.tree.map(lambda p, f, b: p - f - b, both, forwards, backwards)
    overlap = jax.tree.map(lambda t: lax.complex(jnp.zeros_like(t), -t / 2), twice)
    return y, mesh.cotangent(overlap), returned


@pytest.mark.parametrize("modes", MODES)
@pytest.mark.parametrize(
    "function, runs, flops",
    [
        (forward, 1, FORWARD),
        (gradient, 2, FORWARD + BACKWARD),
        (in_situ, 3, 3 * (FORWARD + 20)),
    ],
)
def test_mesh(benchmark, function, runs, flops, modes):
    mesh = MZIMesh(modes, key=jax.random.key(0))
    x, y_bar = lax.complex(*jax.random.normal(jax.random.key(1), (2, 2, BATCH, modes)))
    cost = measure(function, mesh, x, y_bar, budget=0.1)
    run, _ = compile_for(function, mesh, x, y_bar)

    interferometers = modes * (modes - 1) // 2
    # A batch of more examples than modes is sent through the matrix instead.
    by_matrix = function is not in_situ and modes < BATCH
    examples = modes if by_matrix else BATCH
    operations = flops * interferometers * examples
    if by_matrix:
        operations += runs * 8 * modes**2 * BATCH
    # Memory that has to move if caches hold what is inside: fields and phases.
    moved = runs * 2 * x.nbytes + runs * 2 * mesh.theta.nbytes
    best = max(operations / gemm_flops_per_second(), moved / copy_bytes_per_second())

    benchmark(lambda: jax.block_until_ready(run()))
    benchmark.extra_info |= {
        "compile_seconds": cost["compile_seconds"],
        "temp_bytes": cost["temp_bytes"],
        "flops": operations,
        "bytes": moved,
        "roofline_fraction": best / cost["run_seconds"],
    }
