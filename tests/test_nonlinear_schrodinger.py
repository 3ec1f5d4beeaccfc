"""Pulses in fibers, against solitons and other closed forms."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pnnjax as pnn
from pnnjax.optics import (
    NonlinearFiber,
    RamanResponse,
    frequency_grid,
    nonlinear_schrodinger,
    time_grid,
)

# A standard fiber at 1550 nm and pulses of 1 ps: the soliton has 16.7 W.
BETA2, GAMMA, T0 = -21.7e-27, 1.3e-3, 1e-12
POWER = -BETA2 / (GAMMA * T0**2)
PERIOD = math.pi / 2 * T0**2 / -BETA2
NT, WINDOW = 320, 30e-12
DT = WINDOW / NT
TIME = time_grid(NT, DT)


def sech(order=1):
    return jnp.asarray(order * math.sqrt(POWER) / np.cosh(TIME / T0) + 0j)


@eqx.filter_jit
def pulse(fiber, x):
    return fiber(x)


@eqx.filter_jit
def evolution(fiber, x, pieces):
    return fiber.evolution(x, pieces)


def fiber(length, steps, *, beta2=(BETA2,), gamma=GAMMA, gain=0.0, dt=DT, **settings):
    """With numbers as arrays, for which nothing is compiled anew."""
    length, gamma, gain = map(jnp.asarray, (length, gamma, gain))
    numbers = {"beta2": tuple(map(jnp.asarray, beta2)), "gamma": gamma, "gain": gain}
    return NonlinearFiber(length, dt=dt, steps=steps, **numbers, **settings)


def energy(envelope):
    return np.sum(np.abs(envelope) ** 2, -1)


def gaussian(nt=NT, dt=DT, width=T0):
    return jnp.asarray(np.exp(-0.5 * (time_grid(nt, dt) / width) ** 2) + 0j)


def test_fundamental_soliton_keeps_its_shape_for_four_periods():
    """|A| stays; the phase turns by gamma P z / 2 = pi a four periods."""
    start = sech()
    course = evolution(fiber(4 * PERIOD, 160, order=4), start, 4)
    turn = np.exp(0.25j * math.pi * np.arange(5))[:, None]
    error = np.abs(np.asarray(course) / turn - np.asarray(start)) / math.sqrt(POWER)
    assert error.max() < 1e-5
    np.testing.assert_allclose(energy(course), energy(start), rtol=1e-12)


@pytest.fixture(scope="module")
def breather():
    """A second-order soliton along one period, in 40 pieces."""
    return evolution(fiber(PERIOD, 640, order=4), sech(2), 40)


def test_second_order_soliton_peaks_fourfold_and_recurs(breather):
    course = np.abs(breather)
    assert abs(course[20].max() ** 2 / course[0].max() ** 2 - 4) < 1e-3
    assert np.abs(course[40] - course[0]).max() < 1e-4 * course[0].max()


def test_dispersion_and_gain_alone_are_exact():
    """A Gaussian spreads and chirps as in any book; red leads for beta2 > 0.

    With a dispersion of third order too, each frequency gets its phase, and its gain.
    """
    z, b2, b3, g = 60.0, 30e-27, 4e-38, 0.02
    linear = {"gamma": 0.0, "gain": g}
    out = pulse(fiber(z, 8, beta2=(b2,), **linear), gaussian())
    scale = 1 - 1j * z * b2 / T0**2
    expected = np.exp(-0.5 * (TIME / T0) ** 2 / scale) / np.sqrt(scale)
    np.testing.assert_allclose(out, expected * np.exp(g * z / 2), atol=1e-11)
    frequency = -np.gradient(np.unwrap(np.angle(out)), DT)
    assert frequency[NT // 2 - 20] < -1e11 and frequency[NT // 2 + 20] > 1e11

    both = pulse(fiber(z, 8, beta2=(b2, b3), **linear), gaussian())
    omega = frequency_grid(NT, DT)
    phase = z * (b2 * omega**2 / 2 + b3 * omega**3 / 6)
    ratio = np.fft.fft(both)[:20] / np.fft.fft(gaussian())[:20]
    np.testing.assert_allclose(ratio, np.exp(1j * phase[:20] + g * z / 2), rtol=1e-9)


def test_frequencies_follow_the_sign_of_time():
    """e^{-i omega t} is at +omega, the light behind the carrier's blue side."""
    omega = frequency_grid(NT, DT)
    wave = np.exp(-1j * omega[5] * TIME)
    assert np.argmax(np.abs(np.fft.fft(wave))) == 5
    assert TIME[NT // 2] == 0 and np.allclose(np.diff(TIME), DT)
    np.testing.assert_allclose(TIME[-1] + DT, -TIME[0], rtol=1e-12)


def test_kerr_effect_alone_turns_each_instant_by_gamma_p_z():
    z, power = 400.0, 5.0
    start = math.sqrt(power) * gaussian()
    out = pulse(fiber(z, 8, beta2=(0.0,)), start)
    phase = GAMMA * z * np.abs(start) ** 2
    np.testing.assert_allclose(out, start * np.exp(1j * phase), atol=1e-13)
    # New light, of one part in six thousand of the peak and more, but no new energy.
    spectra = [np.abs(np.fft.fft(a)) ** 2 for a in (start, out)]
    assert np.sum(spectra[1] > 1e-4) > 2 * np.sum(spectra[0] > 1e-4)
    np.testing.assert_allclose(spectra[1].sum(), spectra[0].sum(), rtol=1e-13)
    red = np.gradient(np.unwrap(np.angle(out)), DT)[: NT // 2]
    assert np.all(red[NT // 2 - 20 :] > 0)  # the leading edge is red: -dphi/dt < 0


def test_error_falls_with_the_order_of_the_splitting():
    """Of a pulse with all there is; pieces of 10 steps, and as many as it takes."""
    everything = {"beta2": (BETA2, 3e-39), "gain": -1e-3, "raman": RamanResponse()}

    def end(order, pieces):
        piece = fiber(PERIOD / 4 / pieces, 10, order=order, **everything)
        out = sech(1.5)
        for _ in range(pieces):
            out = pulse(piece, out)
        return np.asarray(out)

    exact = end(4, 32)
    for order in (2, 4):
        errors = [np.linalg.norm(end(order, pieces) - exact) for pieces in (2, 4)]
        assert abs(math.log2(errors[0] / errors[1]) - order) < 0.3, (order, errors)


@pytest.mark.parametrize("raman", [RamanResponse(), RamanResponse.lin_agrawal()])
def test_soliton_gets_redder_as_gordon_found(raman):
    """Of 100 fs, over a tenth of its period, where its shape is still the first one.

    d<Omega>/dz = -gamma / (2 pi E) * integral of Omega Im(f_R h) |P(Omega)|^2, and for
    long pulses -8 gamma P T_R / (15 T0^2) with T_R = f_R d(Im h)/dOmega at 0.
    """
    width, dt = 100e-15, 1e-14
    short = T0 / width
    power, z = POWER * short**2, PERIOD / short**2 / 10
    time = time_grid(NT, dt)
    start = jnp.asarray(math.sqrt(power) / np.cosh(time / width) + 0j)
    out = pulse(fiber(z, 20, dt=dt, raman=raman), start)
    np.testing.assert_allclose(energy(out), energy(start), rtol=1e-12)
    omega = frequency_grid(NT, dt)
    spectrum = np.abs(np.fft.fft(out)) ** 2
    shift = np.sum(omega * spectrum) / spectrum.sum() / z

    grid = np.linspace(1e9, 3e14, 20001)
    in_power = power * math.pi * width**2 * grid / np.sinh(math.pi * grid * width / 2)
    pull = raman.fraction * raman.delayed(grid).imag * grid * in_power**2
    rate = -GAMMA / (2 * math.pi * 2 * power * width) * 2 * np.trapezoid(pull, grid)
    assert shift < 0 and abs(shift / rate - 1) < 0.01

    if raman.boson_fraction == 0:  # the boson peak is too narrow for 100 fs
        (slope,) = raman.fraction * raman.delayed(np.asarray([1e9])).imag / 1e9
        gordon = -8 * GAMMA * power * slope / (15 * width**2)
        assert abs(rate / gordon - 1) < 0.25


def test_raman_response_has_unit_area_and_is_causal():
    raman = RamanResponse.lin_agrawal()
    time = np.arange(0, 4e-12, 1e-16)
    omega = np.asarray([0.0, 3e13, 8e13, -8e13])
    t1, t2, tb = 12.2e-15, 32e-15, 96e-15
    vibration = (t1**2 + t2**2) / (t1 * t2**2) * np.exp(-time / t2) * np.sin(time / t1)
    boson = (2 * tb - time) / tb**2 * np.exp(-time / tb)
    h = 0.79 * vibration + 0.21 * boson
    direct = np.trapezoid(h * np.exp(1j * omega[:, None] * time), time)
    np.testing.assert_allclose(raman.delayed(omega), direct, atol=1e-4)
    assert raman.delayed(omega)[2].imag > 0
    with pytest.raises(ValueError, match="shares"):
        RamanResponse(1.2)
    with pytest.raises(ValueError, match="positive, in seconds"):
        RamanResponse(damping=0.0)


def test_a_conjugated_pulse_runs_back():
    there = fiber(PERIOD / 4, 10, order=4)
    start = sech(1.3) * jnp.asarray(np.exp(0.4j * TIME / T0))
    back = np.conj(pulse(there, jnp.conj(pulse(there, start))))
    np.testing.assert_allclose(back, start, atol=1e-11)


def test_facts_follow_the_settings():
    def facts(beta2=BETA2, gamma=GAMMA, **settings):
        settings = {"dt": DT, "beta2": beta2, "gamma": gamma, "steps": 1} | settings
        return NonlinearFiber(1.0, **settings).facts

    assert facts() == pnn.Facts(lossless=True, time_reversible=True)
    for settings in ({"gain": -0.1}, {"raman": RamanResponse()}, {"beta2": [0.0, 1.0]}):
        assert not facts(**settings).time_reversible
    assert facts(gamma=0.0).linear and facts(gamma=0.0).reciprocal


@pytest.mark.slow
def test_gradient_is_the_slope():
    """Of all that may be trained, through blocks that are computed again."""
    settings = jnp.asarray([PERIOD / 2, BETA2, GAMMA, 1e-3])
    start, aim = sech(1.2), sech(1.0)

    @jax.jit
    @jax.value_and_grad
    def overlap(settings):
        length, beta2, gamma, gain = settings
        out = fiber(length, 36, beta2=(beta2,), gamma=gamma, gain=gain)(start)
        return jnp.sum(out.real * aim.real) / energy(np.asarray(aim))

    slope = overlap(settings)[1]
    for i, size in enumerate(settings):
        shift = jnp.zeros(4).at[i].set(1e-5 * size)
        pair = [overlap(settings + sign * shift)[0] for sign in (1, -1)]
        ratio = (pair[0] - pair[1]) / (2e-5 * size) / slope[i]
        assert abs(ratio - 1) < 1e-6


@pytest.mark.slow
def test_memory_of_the_gradient_grows_as_the_root_of_the_steps():
    def memory(steps):
        def loss(x):
            return jnp.sum(fiber(PERIOD, steps)(x).real ** 4)

        compiled = jax.jit(jax.grad(loss)).lower(sech()).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    assert memory(900) < 3.3 * memory(100)  # the square root of 9, and some


def test_batches_vmap_and_single_precision():
    """With numbers as floats too."""
    start = jnp.stack([sech(), sech(1.2), 0 * sech()]).reshape(3, 1, NT)

    @jax.jit
    def ends(start):
        def through(x):
            return nonlinear_schrodinger(
                x,
                PERIOD / 10,
                dt=DT,
                beta2=(BETA2, 1e-40),
                gamma=GAMMA,
                steps=5,
                raman=RamanResponse(),
            )

        single = start.astype(jnp.complex64)
        return through(start), jax.vmap(through)(start), through(single)

    out, mapped, single = ends(start)
    np.testing.assert_allclose(mapped, out, atol=1e-13)
    assert single.dtype == jnp.complex64
    np.testing.assert_allclose(single, out, atol=2e-5)
    assert np.all(np.asarray(out[2]) == 0)
    traced = pulse(
        fiber(PERIOD / 10, 5, beta2=(BETA2, 1e-40), raman=RamanResponse()), sech()
    )
    np.testing.assert_allclose(traced, out[0, 0], atol=1e-12)


def test_bad_grids_are_errors_that_name_what_to_change():
    narrow = gaussian(width=T0 / 4)
    with pytest.raises(RuntimeError, match="window `nt [*] dt` of 3e-11 s.*640"):
        pulse(fiber(40 * PERIOD, 8, gamma=0.0), narrow)
    with pytest.raises(RuntimeError, match="Lower `dt` from 9.38e-14 s, to 4.69e-14"):
        pulse(fiber(1e-3, 8), gaussian(width=DT / 3))
    with pytest.raises(RuntimeError, match="raise `steps` from 8, to 16"):
        pulse(fiber(10 * PERIOD, 8), sech())
    with pytest.raises(RuntimeError, match="NaN or infinite"):
        pulse(fiber(1e-3, 8), jnp.nan * sech())
    pulse(fiber(PERIOD, 8, tolerance=1.0), jnp.ones(NT, complex))  # a cw laser
    with pytest.raises(ValueError, match="`order`"):
        fiber(1.0, 1, order=3)(sech())
    with pytest.raises(ValueError, match="`steps` is 0"):
        nonlinear_schrodinger(sech(), 1.0, dt=DT, beta2=0.0, gamma=0.0, steps=0)
    with pytest.raises(ValueError, match="`dt` must be positive"):
        nonlinear_schrodinger(sech(), 1.0, dt=0.0, beta2=0.0, gamma=0.0, steps=1)
    with pytest.raises(ValueError, match="20 steps can't be shared by 3 pieces"):
        fiber(1.0, 20).evolution(sech(), 3)


def test_pulse_evolution_shows_time_and_spectrum(breather, tmp_path):
    fig = pnn.plots.pulse_evolution(breather, DT, PERIOD)
    fig.savefig(tmp_path / "soliton.png")
    time, spectrum = (ax.images[0].get_array() for ax in fig.axes[:2])
    assert time.shape[0] == spectrum.shape[0] == 41
    assert np.argmax(time.max(1)) == 20
    with pytest.raises(ValueError, match="`dt` and `length`"):
        pnn.plots.pulse_evolution(breather, DT, 0.0)
