"""Kernels of rules on a network 784-256-10 of tanh, and of closed-form readouts."""

import equinox as eqx
import jax
import jax.numpy as jnp
from kernel_needs import Kernel, Needs, Product

import pnnjax as pnn

KEY = jax.random.key(0)
BATCH, SIZES = 64, (784, 256, 10)
WEIGHTS = SIZES[0] * SIZES[1] + SIZES[1] * SIZES[2]


def network():
    lower, upper = jax.random.split(KEY)
    return eqx.nn.Sequential(
        [
            eqx.nn.Linear(*SIZES[:2], key=lower),
            eqx.nn.Lambda(jnp.tanh),
            eqx.nn.Linear(*SIZES[1:], key=upper),
        ]
    )


def gradient(model, x):
    return eqx.filter_grad(lambda m: jnp.sum(pnn.respond(m, x, KEY) ** 2))(model)


WHY_SIGNS = (
    "JAX's generator takes 6.8 ns for a sign, which the bound has for a 32nd of a word "
    "of our own: 2.7 of SPSA's 4.0 ms, 5.5 of the 8.1 ms of four steps of MGD"
)


def rule(name: str, estimator, passes: float, words: float = 0.0, back: float = 0.0):
    # Each pass is a product a layer; a perturbation adds to and multiplies each weight.
    inputs, hidden, outputs = SIZES
    needs = Needs(
        products=(
            Product(BATCH, inputs, hidden, passes),
            Product(BATCH, hidden, outputs, passes + back),
        ),
        arithmetic=words * 4,
        functions=passes * BATCH * hidden,
        words=words / 32,
        moved=4 * WEIGHTS * (passes + 1) + 4 * BATCH * inputs * passes,
        spread=4 * WEIGHTS * 2,
    )

    def make():
        x = jax.random.uniform(KEY, (BATCH, inputs))
        return gradient, (pnn.Physical(network(), estimator()), x)

    why = WHY_SIGNS if words else ""
    return Kernel(name, f"784-256-10, batch {BATCH}", make, needs, why)


def alignment():
    feedback = pnn.estimators.RandomFeedback(key=KEY)
    return pnn.estimators.DirectFeedbackAlignment(feedback)


def multiplexed():
    code = pnn.estimators.RandomCode(4)
    return pnn.estimators.MultiplexedGradientDescent(code, 0.01, inputs=False)


def ridge(reservoirs: int, units: int = 500, steps: int = 1900) -> Kernel:
    # An orthogonal factorization of the states above a square, as exact as they are.
    rows = steps + units
    share = 1 - units / (3 * rows)
    needs = Needs(
        products=(Product(units, rows, units, reservoirs * share),),
        moved=reservoirs * 4 * 2 * units * rows,
        spread=4 * units * rows,
    )

    def run(states, targets):
        fit = lambda states: pnn.Readout.ridge(states, targets, 1e-6)  # noqa: E731
        return eqx.filter_vmap(fit)(states)

    def make():
        states = jax.random.normal(KEY, (reservoirs, steps, units))
        return run, (states, states[0, :, :1])

    return Kernel("ridge", f"{reservoirs} x {steps} x {units}", make, needs)


KERNELS = (
    rule("backpropagation", pnn.estimators.Autodiff, 2, back=1),
    rule("DFA", alignment, 2),
    rule("SPSA", lambda: pnn.estimators.SPSA(0.01, inputs=False), 2, words=WEIGHTS),
    rule("MGD, 4 steps", multiplexed, 4, words=4 * WEIGHTS),
    ridge(1),
    ridge(16),
)
