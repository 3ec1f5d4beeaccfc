"""Spin-torque oscillators: power, frequency, relaxation, locking, reservoir."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import pnnjax as pnn
from pnnjax.oscillators import (
    SpinTorqueOscillators,
    SpinTorqueReservoir,
    free_flow,
    injection_locking_range,
    power_after,
    stationary_power,
)

DAMPING, Q, SHIFT = 2.0, 0.5, 6.0
MATERIAL = {"damping": DAMPING, "nonlinear_damping": Q}


def oscillators(currents, resonance, force, coupling=None, shift=SHIFT, **settings):
    return SpinTorqueOscillators(
        jnp.asarray(currents),
        jnp.asarray(resonance),
        **MATERIAL,
        **{"step": 0.2, "settle": 3000, "measure": 8000, **settings},
        shift=shift,
        force=force,
        coupling=coupling,
    )


def test_power_grows_to_the_stationary_one_and_relaxes_at_its_rate():
    current = jnp.asarray([0.5, 1.0, 1.5, 3.0])
    rest = stationary_power(current, Q)
    np.testing.assert_allclose(rest, [0, 0, 0.25, 2 / 3.5])
    late = power_after(jnp.full(4, 0.1) * 1.0, current, 20.0, **MATERIAL)
    np.testing.assert_allclose(late[2:], rest[2:], rtol=1e-12)
    # At the threshold it falls as 1/t, and below it exponentially.
    assert late[0] < 1e-17
    np.testing.assert_allclose(1 / late[1], 10 + 2 * DAMPING * (1 + Q) * 20, rtol=1e-12)
    near = power_after(rest[2:] * (1 + 1e-6), current[2:], 0.7, **MATERIAL)
    decay = (near / rest[2:] - 1) / 1e-6
    rate = 2 * DAMPING * (current[2:] - 1)
    np.testing.assert_allclose(decay, np.exp(-0.7 * rate), rtol=1e-5)


def test_power_with_thermal_motion_solves_its_equation():
    def slope(_, p, zeta):
        return 0.3 + 2 * DAMPING * ((zeta - 1) * p - (zeta + Q) * p**2)

    for zeta in (0.2, 1.0, 2.5):
        reference = solve_ivp(
            slope, (0, 0.4), [0.05], args=(zeta,), rtol=1e-10, atol=1e-13
        )
        power = power_after(
            jnp.asarray(0.05), jnp.asarray(zeta), 0.4, **MATERIAL, thermal=0.3
        )
        np.testing.assert_allclose(power, reference.y[0, -1], rtol=1e-8)


def test_free_flow_solves_the_equation_of_the_amplitude():
    def slope(_, c, zeta):
        p = np.abs(c) ** 2
        rate = DAMPING * (zeta * (1 - p) - (1 + Q * p))
        return (rate - 1j * (0.7 + SHIFT * p)) * c

    for zeta in (0.4, 1.0, 2.5):
        start = np.asarray([0.3 - 0.1j])
        reference = solve_ivp(
            slope, (0, 0.9), start, args=(zeta,), rtol=1e-10, atol=1e-13
        )
        c = free_flow(
            jnp.asarray(start),
            jnp.asarray([zeta]),
            jnp.asarray([0.7]),
            0.9,
            **MATERIAL,
            shift=SHIFT,
        )
        np.testing.assert_allclose(c, reference.y[:, -1], rtol=1e-7)


def test_currents_tune_the_frequencies():
    layer = oscillators([1.5, 3.0], [10.0, 20.0], 0.0)
    np.testing.assert_allclose(layer.frequency, [10 + 6 / 4, 20 + 6 * 2 / 3.5])
    np.testing.assert_allclose(layer.currents_for(layer.frequency), [1.5, 3.0])


def test_a_weak_microwave_locks_in_the_range_of_adler():
    """Beyond it, by how much less than in step is in closed form too."""
    layer = oscillators([2.0], [10.0], 0.02)
    width = injection_locking_range(
        0.02, layer.supercriticality, **MATERIAL, shift=SHIFT
    )
    ratio = jnp.asarray([-3.0, -1.5, -1.1, -0.95, -0.5, 0.5, 0.95, 1.1, 1.5, 3.0])
    locking = eqx.filter_jit(layer)(
        layer.frequency[None] + width[None] * ratio[:, None]
    )
    inside = np.abs(ratio) < 1
    np.testing.assert_allclose(locking[inside], 1.0, rtol=5e-3)
    beyond = np.abs(ratio[~inside])
    expected = beyond - np.sqrt(beyond**2 - 1)
    np.testing.assert_allclose(locking[~inside, 0, 0], expected, atol=0.04)


def test_two_oscillators_lock_each_other():
    """Where they differ by less than twice their coupling; with no shift, midway."""
    coupling = jnp.asarray([[0.0, 0.02], [0.02, 0.0]], complex)
    lockings = []
    run = eqx.filter_jit(lambda layer: layer(jnp.zeros(1)))
    for difference in (0.038, 0.043):
        apart = difference * np.asarray([-0.5, 0.5])
        layer = oscillators([2.0, 2.0], apart, 0.0, coupling, shift=0.0)
        lockings.append(run(layer)[:, 0])
    np.testing.assert_allclose(lockings[0], 1.0, rtol=1e-3)
    assert lockings[1].max() < 0.8


def test_currents_below_the_threshold_have_slopes():
    def output(currents):
        layer = oscillators(currents, [1.0, 1.3, 1.1], 0.3, settle=4, measure=4)
        return jnp.sum(jnp.square(layer(jnp.asarray([1.2, 0.9]))))

    # The last one damps what it is to sustain.
    currents = jnp.asarray([[1.7, 0.8, -0.9]])
    nearby = currents + 1e-5 * jnp.concatenate([jnp.eye(3), -jnp.eye(3)])
    outputs, slopes = jax.jit(jax.vmap(jax.value_and_grad(output)))(nearby)
    found = (outputs[:3] - outputs[3:]) / 2e-5
    np.testing.assert_allclose(slopes.mean(0), found, rtol=1e-5)


@pytest.mark.slow
def test_noise_diffuses_the_phase():
    r"""$\langle\Delta\phi^2\rangle = (1 + \nu^2)\,D t/p_0$, long after the power."""
    layer = oscillators([2.0], [0.0], 0.0, noise=1e-3, settle=0, measure=500)
    time, power = 500 * 0.2, stationary_power(jnp.asarray(2.0), Q)
    nu = SHIFT / (DAMPING * (2 + Q))
    spread = (1 + nu**2) * 1e-3 * time / power
    x = jnp.broadcast_to(layer.frequency, (2000, 1))
    locking = eqx.filter_jit(layer)(x, key=jax.random.key(0))[:, 0, 0]
    # Of a Brownian phase, the mean square of the time average is in closed form.
    rate = spread / 2
    expected = 2 * (rate - 1 + np.exp(-rate)) / rate**2
    np.testing.assert_allclose(np.mean(locking**2), expected, rtol=0.05)


def test_reservoir_holds_each_current_for_its_interval(getkey):
    mask = jax.random.normal(getkey(), (3, 2)) * 0.2
    reservoir = SpinTorqueReservoir(mask, 0.1, **MATERIAL, thermal=1e-3)
    x = jax.random.uniform(getkey(), (2, 5, 2))
    run = eqx.filter_jit(lambda r, x, s, key=None: r.run(x, s, key=key))
    start = reservoir.initial_state(x)
    nodes, _ = run(reservoir, x, start)
    power = reservoir.initial_state(x)[0]
    hold = jax.jit(lambda p, z: power_after(p, z, 0.1, **MATERIAL, thermal=1e-3))
    for node, current in zip(nodes[0].ravel(), (2.0 + x[0] @ mask.T).ravel()):
        power = hold(power, current)
        np.testing.assert_allclose(node**2, power, rtol=1e-12)
    # In two parts it is the same, and in silence it stays what it was.
    first, state = run(reservoir, x[:, :2], start)
    rest, _ = run(reservoir, x[:, 2:], state)
    np.testing.assert_allclose(jnp.concatenate([first, rest], 1), nodes, rtol=1e-12)
    silence, _ = run(reservoir, 0.0 * x, start)
    np.testing.assert_allclose(silence, np.sqrt(start[0]))
    assert not any(jax.tree.leaves(pnn.is_trainable(reservoir)))
    noisy = eqx.tree_at(lambda r: r.noise, reservoir, 0.1)
    shaken, _ = run(noisy, x, start, getkey())
    np.testing.assert_allclose(np.std(shaken - nodes), 0.1, rtol=0.5)


@pytest.mark.slow
def test_reservoir_and_readout_tell_a_sine_from_a_square():
    """The first task of such an oscillator: linear readouts of the input alone fail."""
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 2, 120)
    sine = np.sin(2 * np.pi * np.arange(8) / 8)
    waves = np.concatenate([np.sign(sine + 1e-9) if kind else sine for kind in kinds])
    x, y = jnp.asarray(waves[:, None]), np.repeat(kinds, 8)[:, None] * 1.0
    mask = 0.4 * pnn.oscillators.binary_mask(24, key=jax.random.key(0))
    reservoir = SpinTorqueReservoir(mask, 0.25, **MATERIAL)
    states = eqx.filter_jit(reservoir)(x)

    def accuracy(states):
        readout = pnn.Readout.ridge(states[8:640], y[8:640], 1e-6)
        guess = readout(states[640:]).reshape(-1, 8).mean(1) > 0.5
        return np.mean(np.asarray(guess) == kinds[80:])

    assert accuracy(states) == 1.0
    assert accuracy(x) < 0.8


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match="must be positive"):
        oscillators([2.0], [1.0], 0.1, step=0.0)
    with pytest.raises(ValueError, match="1 or more"):
        oscillators([2.0], [1.0], 0.1, measure=0)
    with pytest.raises(ValueError, match="above 1"):
        SpinTorqueReservoir(jnp.ones((2, 1)), 0.1, **MATERIAL, supercriticality=0.9)
    with pytest.raises(ValueError, match="negative"):
        SpinTorqueReservoir(jnp.ones((2, 1)), 0.1, **MATERIAL, noise=-1.0)
    reservoir = SpinTorqueReservoir(jnp.ones((2, 1)), 0.1, **MATERIAL)
    with pytest.raises(ValueError, match="for 1 inputs"):
        reservoir(jnp.ones((4, 3)))
