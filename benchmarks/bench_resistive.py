"""Deep resistive network, (2 x 784)-512-10, batch 64, 4 free and 4 nudged steps.

`extra_info` has the scratch memory (bytes) and `rooflines`: the run time over that of
the large matrix products alone, at the rate that this machine reaches on large ones.
The PyTorch energy-based-learning code takes 578 ms for the gradient on two cores.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest
from roofline import compile_for, gemm_flops_per_second, measure

import pnnjax as pnn

BATCH, INPUTS, HIDDEN, OUTPUTS = 64, 784, 512, 10


def forward(model, x, labels):
    del labels
    return jax.vmap(model)(x)


def gradient(model, x, labels):
    def loss(model):
        return pnn.objectives.cross_entropy(jax.vmap(model)(x), labels)

    return eqx.filter_value_and_grad(loss)(model)


# Inputs into the hidden layer once, and back into the conductances once a nudge.
@pytest.mark.parametrize("function, products", [(forward, 1), (gradient, 3)])
def test_resistive(benchmark, function, products):
    network = pnn.circuits.DeepResistiveNetwork(
        (INPUTS, HIDDEN, OUTPUTS),
        key=jax.random.key(0),
        input_gain=3000.0,
        relaxation=pnn.integrators.FixedSteps(4, 4),
    )
    rule = pnn.estimators.EquilibriumPropagation(3.0, centered=True)
    model = pnn.Physical(network, rule)
    x = jax.random.uniform(jax.random.key(1), (BATCH, INPUTS))
    labels = jnp.arange(BATCH) % OUTPUTS
    cost = measure(function, model, x, labels, budget=0.5)
    run, _ = compile_for(function, model, x, labels)
    flops = products * 2 * BATCH * INPUTS * HIDDEN
    benchmark(lambda: jax.block_until_ready(run()))
    benchmark.extra_info |= {
        "compile_seconds": cost["compile_seconds"],
        "temp_bytes": cost["temp_bytes"],
        "rooflines": cost["run_seconds"] * gemm_flops_per_second() / flops,
    }
