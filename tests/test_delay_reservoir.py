"""Delay loops, against closed forms and an integration that shares no code."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import needs_files  # noqa: F401

import pnnjax as pnn
from pnnjax.oscillators import (
    BandPass,
    DelayReservoir,
    IkedaNode,
    LowPass,
    MackeyGlassNode,
    SineNode,
    binary_mask,
    sine_mask,
    uniform_mask,
)
from pnnjax.oscillators._loop_filter import decaying_sum, step_weights

KEY = jax.random.key(7)
DELAY = 20e-6  # s
respond = eqx.filter_jit(lambda reservoir, x: reservoir(x))
resume = eqx.filter_jit(lambda reservoir, x, state: reservoir.run(x, state))


def loop(node, nodes=4, inputs=1, **settings):
    mask = uniform_mask(nodes, inputs, key=KEY)
    return DelayReservoir(node, mask, delay=DELAY, **settings)


def fine(reservoir, x, parts):
    """The delay equation by Heun's method, with so many steps to a node spacing."""
    node, mask = reservoir.node, np.asarray(reservoir.mask.value)
    (mode,) = reservoir.response.modes()
    lag = (reservoir.nodes + reservoir.offset) * parts
    h = reservoir.spacing / parts / mode.time
    drive = np.repeat((x @ mask.T).ravel(), parts)
    signal, past = np.zeros(drive.size + 1), np.zeros(drive.size + lag + 1)

    def f(z, j):
        phase = z + node.input_gain * j + node.bias
        return node.gain * math.sin(phase) ** 2

    for i, j in enumerate(drive):
        slope = f(past[i], j) - signal[i]
        guess = signal[i] + h * slope
        signal[i + 1] = signal[i] + 0.5 * h * (slope + f(past[i + 1], j) - guess)
        past[lag + i + 1] = signal[i + 1]
    return signal[parts::parts].reshape(len(x), -1)


def test_a_slow_node_follows_the_delay_equation_to_second_order():
    x = np.random.default_rng(0).normal(size=(8, 1))
    setting = {"response": LowPass(3e-6), "offset": 1}
    exact = fine(loop(IkedaNode(1.1), **setting), x, 400)
    errors = [
        np.abs(respond(loop(IkedaNode(1.1), substeps=n, **setting), x) - exact).max()
        for n in (2, 8)
    ]
    assert errors[0] / errors[1] == pytest.approx(16, rel=0.15) and errors[1] < 2e-3
