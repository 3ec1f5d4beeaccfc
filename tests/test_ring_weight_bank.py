"""Microrings: resonances and what leaks between channels, against closed forms."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pnnjax.optics import RingWeightBank, add_drop_ring

BANK = {"spacing": 200e9, "free_spectral_range": 2e12, "finesse": 100.0}
PHASE = np.linspace(-3 * np.pi, 3 * np.pi, 301)


def ring(phase, finesse, loss=0.0):
    return tuple(map(np.asarray, add_drop_ring(jnp.asarray(phase), finesse, loss)))


@pytest.mark.parametrize("finesse", [1.8, 10.0, 500.0])
def test_a_lossless_ring_sends_all_light_to_one_port_or_the_other(finesse):
    through, drop = ring(PHASE, finesse)
    np.testing.assert_allclose(through + drop, 1, rtol=1e-12)
    resonant = ring(np.asarray([0.0, 2 * np.pi, np.pi]), finesse)
    np.testing.assert_allclose(resonant[1][:2], 1, rtol=1e-12)
    # Of an Airy peak: (1 + (2F/pi)^2)^-1 in the limit of a high finesse.
    if finesse > 5:
        np.testing.assert_allclose(
            resonant[1][2], 1 / (1 + (2 * finesse / np.pi) ** 2), rtol=1e-2
        )


@pytest.mark.parametrize("loss", [0.0, 0.01])
def test_the_full_width_at_half_maximum_is_the_period_over_the_finesse(loss):
    finesse = 40.0
    _, drop = ring(np.asarray([0, np.pi / finesse, -np.pi / finesse]), finesse, loss)
    np.testing.assert_allclose(drop[1:], drop[0] / 2, rtol=1e-12)


def test_a_lossy_ring_is_the_sum_of_its_round_trips():
    """Amplitudes of the light that has gone round 0, 1, 2, ... times."""
    finesse, loss = 12.0, 0.05
    sine = np.sin(np.pi / (2 * finesse))
    once = np.sqrt(1 - loss)
    r2 = (np.sqrt(sine**2 + 1) - sine) ** 2 / once
    trip = r2 * once * np.exp(1j * PHASE)
    trips = sum(trip**n for n in range(400))
    dropped = -(1 - r2) * np.sqrt(once) * np.exp(0.5j * PHASE) * trips
    passed = np.sqrt(r2) - (1 - r2) * np.sqrt(r2) * once * np.exp(1j * PHASE) * trips
    through, drop = ring(PHASE, finesse, loss)
    np.testing.assert_allclose(drop, np.abs(dropped) ** 2, rtol=1e-10)
    np.testing.assert_allclose(through, np.abs(passed) ** 2, rtol=1e-10)
    assert np.all(through + drop < 1)


def test_weights_go_from_minus_one_on_resonance_to_nearly_one():
    detuning = jnp.asarray([[0.0, 90e9, 10e9]])  # 10 GHz is half a linewidth
    bank = RingWeightBank(detuning, **BANK)
    ports = bank.ports()
    np.testing.assert_allclose(ports.through + ports.drop, 1, rtol=1e-12)
    np.testing.assert_allclose(bank.weights()[0], [-1, 0.97, 0], atol=0.02)
    x = jnp.asarray([[1.0, 2.0, 0.5], [0.0, 1.0, 0.0]])
    y = eqx.filter_jit(RingWeightBank(jnp.tile(detuning, (4, 1)), **BANK))(x)
    expected = np.asarray(x) @ np.asarray(bank.weights()).T / 4
    np.testing.assert_allclose(y, np.tile(expected, (1, 4)), rtol=1e-12)


@pytest.mark.parametrize("loss", [0.0, 0.005])
def test_a_bank_has_the_weights_that_it_is_made_of(loss):
    weights = np.random.default_rng(0).uniform(-0.7, 0.8, (3, 5))
    bank = RingWeightBank.from_weights(weights, **BANK, loss=loss)
    np.testing.assert_allclose(bank.weights(), weights, atol=1e-6)
    assert jnp.all((bank.detuning >= 0) & (bank.detuning <= 100e9))
    assert jnp.allclose(bank.project().detuning, bank.detuning)


@pytest.mark.parametrize("spacing", [100e9, 200e9])
@pytest.mark.parametrize("finesse", [50.0, 100.0])
def test_crosstalk_is_the_lorentzian_tail_of_the_neighbor(spacing, finesse):
    """Light dropped by the neighbor: (1 + (2 S F / FSR)^2)^-1, for S << FSR."""
    settings = BANK | {"spacing": spacing, "finesse": finesse}
    detuning = jnp.asarray([[0.0, 0.5 * settings["free_spectral_range"] - spacing]])
    dropped = RingWeightBank(detuning, **settings).ports().drop[0]
    linewidth = settings["free_spectral_range"] / finesse
    tail = 1 / (1 + (2 * spacing / linewidth) ** 2)
    far = 1 / (1 + (2 * finesse / np.pi) ** 2)
    np.testing.assert_allclose(dropped[1] - far, tail, rtol=0.08)


def test_weights_have_the_slope_of_finite_differences_and_stay_in_bounds():
    detuning = np.random.default_rng(1).uniform(5e9, 80e9, (2, 3))

    @jax.jit
    def total(detuning):
        return jnp.sum(RingWeightBank(detuning, **BANK).weights() ** 2)

    slope = jax.jit(jax.grad(total))(jnp.asarray(detuning))
    h = 1e5
    for at in [(0, 0), (1, 2)]:
        step = np.zeros((2, 3))
        step[at] = h
        ends = [total(jnp.asarray(detuning + s * step)) for s in (1, -1)]
        np.testing.assert_allclose((ends[0] - ends[1]) / (2 * h), slope[at], rtol=1e-5)
    outside = RingWeightBank(jnp.asarray([[-1e9, 3e12]]), **BANK).project()
    np.testing.assert_allclose(outside.detuning, [[0, 100e9]])


def test_single_precision_is_kept():
    bank = RingWeightBank(jnp.zeros((2, 3), jnp.float32), **BANK)
    assert bank(jnp.ones((4, 3), jnp.float32)).dtype == jnp.float32


class TestRefuses:
    def test_channels_that_meet_the_next_resonance(self):
        with pytest.raises(ValueError, match="range` of 2.2e"):
            RingWeightBank(jnp.zeros((1, 11)), **BANK)

    def test_rings_that_can_not_be(self):
        for bad in ({"finesse": 1.0}, {"loss": 1.0}):
            with pytest.raises(ValueError, match="above 1, and `loss`"):
                RingWeightBank(jnp.zeros((1, 2)), **(BANK | bad))
        with pytest.raises(ValueError, match="finesse of 100.0: at most 59.62"):
            RingWeightBank(jnp.zeros((1, 2)), **BANK, loss=0.05 * 2)

    def test_weights_out_of_reach(self):
        with pytest.raises(ValueError, match="from -1.0000 to 0.96"):
            RingWeightBank.from_weights(np.asarray([[0.2, 0.9999]]), **BANK)
