"""A network in memory cells: what is hidden, what is fresh, and its compensation."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pnnjax as pnn
from pnnjax.circuits import (
    PCM,
    RRAM,
    Crossbar,
    DriftCompensation,
    MultilevelRRAM,
    Stored,
    conductances,
)

DAY = 86_400.0


def network(key):
    first, second = jax.random.split(key)
    return eqx.nn.Sequential(
        [
            Crossbar(30, 20, key=first, use_bias=True),
            eqx.nn.Lambda(jax.nn.relu),
            Crossbar(20, 4, key=second),
        ]
    )


@pytest.mark.slow
def test_it_is_the_memory_s_life_in_order(getkey):
    key, crossbar = getkey(), Crossbar(3, 2, key=getkey())
    states, memory = crossbar.conductance, PCM()
    (own,) = jax.random.split(key, 1)
    written, exponents = jax.random.split(own, 4)[:2]

    @jax.jit
    def by_hand():
        programmed = memory.program(25e-6 * states, key=written)
        return memory.drift(programmed, DAY, key=exponents) / 25e-6

    chip = Stored(memory, DAY)(crossbar, key=key)
    np.testing.assert_allclose(chip.realize(None).conductance, by_hand(), rtol=1e-9)


def test_cells_stay_and_reads_are_fresh(getkey):
    model, key, other = network(getkey()), getkey(), getkey()
    memory = MultilevelRRAM(read_noise=0.01)

    @eqx.filter_jit
    def shown(model, cells, run):
        chip = Stored(memory, DAY)(model, key=cells).realize(run)
        # Digital biases are not in the cells.
        return [layer.conductance for layer in chip.layers[::2]], chip.layers[0].bias

    (one, last), bias = shown(model, key, getkey())
    (two, _), _ = shown(model, key, getkey())
    (strange, _), _ = shown(model, other, getkey())
    np.testing.assert_array_equal(bias, model.layers[0].bias)
    read, cell = 0.01, 4.782321 / 225
    small = np.asarray(one > 0.1) & np.asarray(two > 0.1) & np.asarray(strange > 0.1)
    assert np.std((one - two)[small]) == pytest.approx(read * 2**0.5, rel=0.2)
    assert np.std((one - strange)[small]) > cell
    assert last.shape == (2, 4, 20) and len(conductances(model)) == 2


def test_compensation_restores_the_sum_and_with_one_exponent_everything(getkey):
    crossbar, key = Crossbar(40, 40, key=getkey()), getkey()

    @eqx.filter_jit
    def states(memory, time, compensation):
        chip = Stored(memory, time, compensation)(crossbar, key=key)
        return chip.realize(None).conductance

    quiet = PCM(programming_scale=0.0, read_scale=0.0)
    new = states(quiet, 20.0, None)
    old = states(quiet, 1e7, None)
    again = states(quiet, 1e7, DriftCompensation())
    assert float(old.sum() / new.sum()) < 0.6
    np.testing.assert_allclose(again.sum(), new.sum(), rtol=1e-9)
    factor = new.sum() / old.sum()
    np.testing.assert_allclose(again, factor * old, rtol=1e-9)
    # at the reference time, nothing is to be compensated
    now = states(quiet, 20.0, DriftCompensation())
    np.testing.assert_allclose(now, new, rtol=1e-9)


@pytest.mark.slow
def test_sweeps_over_times_and_chips_and_gradients(getkey):
    crossbar, x, key = Crossbar(5, 3, key=getkey()), jnp.ones(5), getkey()

    @eqx.filter_jit
    def outputs(crossbar, key):
        times = jnp.asarray([20.0, 1e4, 1e7])
        aged = jax.vmap(lambda t: Stored(PCM(), t)(crossbar, key=key)(x))(times)
        chips = eqx.filter_vmap(lambda k: Stored(PCM(), DAY)(crossbar, key=k)(x))
        slope = eqx.filter_grad(lambda c: jnp.sum(Stored(RRAM(), DAY)(c, key=key)(x)))
        return aged, chips(jax.random.split(key, 3)), slope(crossbar).conductance

    aged, chips, slope = outputs(crossbar, key)
    assert len(np.unique(np.asarray(aged)[:, 0])) == 3
    assert len(np.unique(np.asarray(chips)[:, 0])) == 3
    assert np.all(np.isfinite(slope)) and np.any(np.asarray(slope != 0))


def test_refusals(getkey):
    crossbar = Crossbar(3, 2, key=getkey())
    with pytest.raises(ValueError, match="call it with a key"):
        Stored(MultilevelRRAM(), 1.0)(crossbar)
    with pytest.raises(ValueError, match="no crossbar in Linear"):
        Stored(PCM(), 20.0)(eqx.nn.Linear(3, 2, key=getkey()), key=getkey())
    with pytest.raises(ValueError, match="such as 20 s"):
        Stored(PCM(), 0.0)
    with pytest.raises(ValueError, match="such as 20 s"):
        DriftCompensation(-1.0)
    # Cells of another kind of layer are named.
    linear = eqx.nn.Linear(3, 2, use_bias=False, key=getkey())
    anywhere = Stored(PCM(), 20.0, where=lambda layer: layer.weight)
    chip = anywhere(linear, key=getkey())
    assert eqx.filter_eval_shape(chip, jnp.ones(3)).shape == (2,)
    assert isinstance(chip, pnn.imperfections.ImperfectParameters)
