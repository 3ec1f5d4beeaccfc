"""Second harmonics, against Manley and Rowe, Armstrong, and autoconvolutions."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pnnjax as pnn
from pnnjax.optics import (
    SecondHarmonic,
    frequency_grid,
    second_harmonic,
    time_grid,
    undepleted_second_harmonic,
)

NT, DT = 128, 12.5e-15
TIME = time_grid(NT, DT)
KAPPA, POWER = 8.0, 2e4
DEPTH = 1 / (KAPPA * math.sqrt(POWER))
"""m: where tanh has its argument 1."""


def pulse(width=120e-15, chirp=0.0):
    shape = np.exp(-(0.5 - 1j * chirp) * (TIME / width) ** 2)
    return jnp.asarray(math.sqrt(POWER) * shape)


@eqx.filter_jit
def _crystal(fundamental, length, mismatch, walkoff, steps, **settings):
    return second_harmonic(
        fundamental,
        length,
        dt=DT,
        coupling=KAPPA,
        steps=steps,
        mismatch=mismatch,
        walkoff=walkoff,
        **settings,
    )


def crystal(fundamental, length, steps=200, mismatch=0.0, walkoff=0.0, **settings):
    """With numbers as arrays, for which nothing is compiled anew."""
    numbers = map(jnp.asarray, (length, mismatch, walkoff))
    return _crystal(fundamental, *numbers, steps, **settings)


@eqx.filter_jit
def _undepleted(fundamental, length, mismatch, walkoff):
    return undepleted_second_harmonic(
        fundamental,
        length,
        dt=DT,
        coupling=KAPPA,
        mismatch=mismatch,
        walkoff=walkoff,
    )


def undepleted(fundamental, length, mismatch=0.0, walkoff=0.0):
    return _undepleted(fundamental, *map(jnp.asarray, (length, mismatch, walkoff)))


def beam(power):
    """Continuous light, which fills the window."""
    return jnp.full(NT, math.sqrt(power), complex)


@eqx.filter_jit
def response(layer, x):
    return layer(x), layer.pulse(x), layer.harmonic(x)


def power(field):
    return np.abs(field) ** 2


def test_a_phase_matched_beam_follows_tanh_and_sech():
    """Of Armstrong: |A2|^2 = P tanh^2, |A1|^2 = P sech^2; the error is of order 2."""
    for z in (0.5, 1.0, 2.5):
        a1, a2 = crystal(beam(POWER), z * DEPTH, tolerance=1.0)
        np.testing.assert_allclose(power(a2), POWER * math.tanh(z) ** 2, rtol=1e-4)
        np.testing.assert_allclose(power(a1), POWER / math.cosh(z) ** 2, rtol=4e-4)
        np.testing.assert_allclose(np.angle(a2), math.pi / 2, atol=1e-12)

    def error(steps):
        a2 = crystal(beam(POWER), DEPTH, steps, tolerance=1.0)[1]
        return abs(power(a2)[0] / POWER - math.tanh(1) ** 2)

    assert abs(math.log2(error(100) / error(200)) - 2) < 0.1


def test_a_mismatched_weak_beam_goes_to_and_fro():
    """sin^2 of half the mismatch, with its phase, from the undepleted closed form."""
    length, weak = 1e-2, beam(1e-6)
    for mismatch in (0.0, 200.0, 2 * math.pi / length):
        a1, a2 = crystal(weak, length, mismatch=mismatch, tolerance=1.0)
        x = mismatch * length / 2
        expected = 1j * KAPPA * 1e-6 * length * np.exp(-1j * x) * np.sinc(x / math.pi)
        np.testing.assert_allclose(a2, expected, atol=1e-4 * KAPPA * 1e-6 * length)
        closed = undepleted(weak, length, mismatch)
        np.testing.assert_allclose(closed, expected, atol=1e-15)


def test_two_photons_for_one_at_each_instant_and_in_all():
    """Manley and Rowe: what the fundamental loses is the harmonic's, to rounding."""
    start = pulse(chirp=0.7)
    local = crystal(start, 3 * DEPTH)
    np.testing.assert_allclose(
        power(local[0]) + power(local[1]), power(start), rtol=1e-11, atol=1e-9
    )
    strong = {"walkoff": 6e-11, "mismatch": 500.0, "beta2": (8e-26, (1e-25, 1e-39))}
    a1, a2 = crystal(start, 2 * DEPTH, **strong)
    total = np.sum(power(a1) + power(a2))
    np.testing.assert_allclose(total, np.sum(power(start)), rtol=1e-12)
    assert 0.2 < np.sum(power(a2)) / total < 0.8


def test_undepleted_harmonic_is_the_spectrum_convolved_with_itself():
    """Through sinc(D2 L / 2); written out as a sum, and met by weak split steps."""
    start, length = 1e-3 * pulse(chirp=0.7), DEPTH
    settings = {"walkoff": 5e-11, "mismatch": 700.0}
    closed = undepleted(start, length, **settings)
    spectrum = np.fft.fft(np.asarray(start)) / NT
    both = np.asarray(
        [np.sum(spectrum * spectrum[(n - np.arange(NT)) % NT]) for n in range(NT)]
    )
    half = (settings["walkoff"] * frequency_grid(NT, DT) - 700.0) * length / 2
    expected = 1j * KAPPA * length * np.exp(1j * half) * np.sinc(half / math.pi) * both
    np.testing.assert_allclose(np.fft.fft(closed) / NT, expected, atol=1e-13)
    a1, a2 = crystal(start, length, **settings)
    scale = np.abs(closed).max()
    np.testing.assert_allclose(a2, closed, atol=1e-4 * scale)
    np.testing.assert_allclose(a1, start, atol=1e-5 * np.abs(start).max())


def test_a_slow_harmonic_trails_behind():
    """By less than walk-off times length, which is what its first light does."""
    a2 = undepleted(pulse(60e-15), 2e-3, walkoff=2e-10)
    center = np.sum(TIME * power(a2)) / np.sum(power(a2))
    np.testing.assert_allclose(center, 2e-10 * 2e-3 / 2, rtol=1e-3)


def test_bad_grids_are_errors_that_name_what_to_change():
    with pytest.raises(RuntimeError, match="raise `steps` from 200, to 400"):
        crystal(pulse(), 400 * DEPTH)
    with pytest.raises(RuntimeError, match="window `nt [*] dt` of 1.6e-12 s"):
        crystal(pulse(), DEPTH, walkoff=4e-9)
    with pytest.raises(RuntimeError, match="Lower `dt` from 1.25e-14 s"):
        crystal(pulse(6e-15), DEPTH)
    with pytest.raises(ValueError, match="`steps` is 0"):
        crystal(pulse(), DEPTH, 0)
    with pytest.raises(ValueError, match="`dt` must be positive"):
        undepleted_second_harmonic(pulse(), 1.0, dt=-1.0, coupling=1.0)


def layer(energy=1e-9, **settings):
    own = SecondHarmonic(5, 6, key=jax.random.key(0), controls=4, **settings)
    return eqx.tree_at(lambda m: m.energy, own, jnp.asarray(energy))


X = jnp.asarray(np.random.default_rng(1).normal(size=(40, 5)))


def test_the_spectrometer_sees_all_of_the_harmonic_and_no_more_than_there_is():
    own = layer()
    x = X.reshape(20, 2, 5)
    y, shaped, harmonic = response(own, x)
    assert y.shape == (20, 2, 6)
    energy = np.sum(power(shaped), -1) * own.dt
    assert np.all(energy < own.energy)
    all_of_it = np.sum(power(harmonic), -1) * own.dt / own.energy
    np.testing.assert_allclose(np.sum(y, -1), all_of_it, rtol=1e-10)
    bright = eqx.tree_at(
        lambda m: (m.scale, m.offset, m.control),
        own,
        (jnp.zeros(5), jnp.full(5, math.pi / 2), jnp.full(4, math.pi / 2)),
    )
    full = np.sum(power(response(bright, x)[1]), -1) * own.dt
    np.testing.assert_allclose(full, own.energy, rtol=1e-12)


def test_inputs_and_controls_take_turns_along_the_spectrum():
    """An input changes one channel of the pulse, from blue to red lines as counted."""
    own = layer()
    x = 0.1 * jnp.ones(5)
    x = jnp.stack([x, x.at[1].add(0.5)])
    before, after = np.fft.fft(response(own, x)[1])
    lines = -np.flatnonzero(np.abs(after - before) > 1e-9 * np.abs(before).max())
    lines = np.sort((lines + own.nt // 2) % own.nt - own.nt // 2)
    # Channels are x0 c0 x1 c1 x2 c2 x3 c3 x4 of two lines each; line 0 is the tenth.
    assert lines.tolist() == [4 - 9, 5 - 9]


def test_a_weak_pulse_needs_no_steps():
    closed = response(layer(1e-14), X)[0]
    stepped = response(layer(1e-14, steps=60), X)[0]
    np.testing.assert_allclose(stepped, closed, atol=1e-3 * np.abs(closed).max())
    strong = np.sum(response(layer(3e-7, steps=60), X)[0], -1)
    assert np.all(strong > 0.1) and np.all(strong < 1)
    single = jax.tree.map(
        lambda a: a.astype(jnp.float32) if eqx.is_array(a) else a, layer()
    )
    y = response(single, X.astype(jnp.float32))[0]
    assert y.dtype == jnp.float32
    np.testing.assert_allclose(y, response(layer(), X)[0], rtol=3e-4, atol=1e-9)


def test_the_layer_refuses_what_can_not_be_built():
    with pytest.raises(ValueError, match="inputs, .* must be at least 1"):
        SecondHarmonic(0, 3, key=jax.random.key(0))
    with pytest.raises(ValueError, match="15 frequencies, which is too few"):
        SecondHarmonic(2, 16, key=jax.random.key(0))
    with pytest.raises(ValueError, match="must be positive"):
        SecondHarmonic(2, 3, key=jax.random.key(0), length=0.0)
    with pytest.raises(ValueError, match="5 inputs, but the shape of `x`"):
        layer()(jnp.ones((2, 4)))


def test_spectra_are_drawn_by_class(tmp_path):
    own = layer()
    labels = np.arange(40) % 3
    _, shaped, harmonic = response(own, X)
    fig = pnn.plots.spectra(
        {"Fundamental": shaped, "Second harmonic": harmonic}, own.dt, labels, "abc"
    )
    fig.savefig(tmp_path / "spectra.png")
    assert [len(ax.lines) for ax in fig.axes] == [3, 3]
    with pytest.raises(ValueError, match="39 labels"):
        pnn.plots.spectra({"Pulse": shaped}, own.dt, labels[:39], "abc")
