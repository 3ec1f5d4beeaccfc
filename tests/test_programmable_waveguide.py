"""Beams in slabs, against closed forms of the paraxial and of the full wave."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pnnjax as pnn
from pnnjax.optics import (
    GaussianModes,
    ProgrammableWaveguide,
    beam_propagation,
    gaussian_modes,
)

WAVELENGTH, INDEX = 1.55e-6, 1.8
K0 = 2 * np.pi / WAVELENGTH
K = INDEX * K0
N, PITCH = 128, 2e-6
X = (np.arange(N) - (N - 1) / 2) * PITCH


def slab(index, **settings):
    """Small: 4 x 6 pixels over 120 µm, in a window of 256 µm."""
    settings = {
        "length": 400e-6,
        "width": 120e-6,
        "samples": N,
        "steps": 8,
        "pitch": PITCH,
        "wavelength": WAVELENGTH,
    } | settings
    return ProgrammableWaveguide(jnp.asarray(index), **settings)


def pixels(seed=0):
    return np.random.default_rng(seed).uniform(0, 1e-3, (4, 6))


def beams(*positions, waist=12e-6):
    fields = gaussian_modes(np.asarray(positions), waist, N, PITCH)
    return jnp.asarray(fields, complex)


@eqx.filter_jit
def propagate(field, index, length, paraxial):
    settings = WAVELENGTH, PITCH
    return beam_propagation(
        field, index, length, *settings, background=INDEX, paraxial=paraxial
    )


@eqx.filter_jit
def maps(layer, field):
    return layer.index_map(), layer.intensity_map(field)


@eqx.filter_jit
def both_ways(layer, forward, backward):
    """Fields, and what detectors on the planes see."""
    look = lambda field: field  # noqa: E731
    return layer.transmit(forward, look), layer.transmit_back(backward, look)


@pytest.mark.parametrize("distance", [0.3e-3, 1.2e-3])
def test_a_gaussian_beam_widens_and_curves_as_theory_says(distance):
    r"""$u = (1 + iz/z_R)^{-1/2} \exp[-x^2/w^2(1 + iz/z_R)]$, $z_R = kw^2/2$."""
    waist = 15e-6
    spread = 1 + 2j * distance / (K * waist**2)
    start, end = (
        np.exp(-(X**2) / (waist**2 * s)) / np.sqrt(s) for s in (1 + 0j, spread)
    )
    out = propagate(jnp.asarray(start), jnp.zeros((3, N)), distance, True)
    np.testing.assert_allclose(out, end, atol=1e-5)  # the tails reach round the window
    width = np.sqrt(np.sum(X**2 * np.abs(out) ** 2) / np.sum(np.abs(out) ** 2))
    np.testing.assert_allclose(2 * width, waist * abs(spread), rtol=1e-4)


def test_tilted_waves_have_the_phase_of_their_path():
    """Exactly, at any angle; the paraxial phase falls behind."""
    order = np.asarray([0, 5, 40])
    sideways = 2 * np.pi * order / (N * PITCH)
    waves, distance = np.exp(1j * sideways[:, None] * X), 1e-3
    exact = propagate(jnp.asarray(waves), jnp.zeros((3, N)), distance, False)
    turn = np.exp(1j * (np.sqrt(K**2 - sideways**2) - K) * distance)
    np.testing.assert_allclose(exact, waves * turn[:, None], atol=1e-10)
    paraxial = propagate(jnp.asarray(waves), jnp.zeros((3, N)), distance, True)
    turn = np.exp(-0.5j * sideways**2 / K * distance)
    np.testing.assert_allclose(paraxial, waves * turn[:, None], atol=1e-10)


def test_modes_of_a_parabolic_guide_only_turn_their_phase():
    r"""$\Delta n = -n_0 g^2 x^2/2$: Hermite-Gauss modes, $\beta_m = -g(m + 1/2)$."""
    g, length, steps = 4e3, 1e-3, 200
    scaled = X * np.sqrt(K * g)
    ground = np.exp(-(scaled**2) / 2)
    modes = np.stack([ground, scaled * ground, (2 * scaled**2 - 1) * ground])
    index = np.tile(-INDEX * g**2 * X**2 / 2, (steps, 1))
    out = propagate(jnp.asarray(modes, complex), jnp.asarray(index), length, True)
    turn = np.exp(-1j * g * (np.arange(3) + 0.5) * length)
    np.testing.assert_allclose(out, modes * turn[:, None], atol=3e-4)


def test_light_changes_over_between_two_guides_in_half_a_beat():
    r"""$L = \pi / (\beta_+ - \beta_-)$, from the modes of both guides together."""
    index = 1e-3 * sum(np.exp(-(((X - c) / 6e-6) ** 2)) for c in (-12e-6, 12e-6))
    sideways = 2 * np.pi * np.fft.fftfreq(N, PITCH)
    bend = np.fft.ifft(np.fft.fft(np.eye(N)) * (-(sideways**2) / (2 * K)))
    beta, modes = np.linalg.eigh(np.real(bend) + np.diag(K0 * index))
    even, odd = modes[:, -1], modes[:, -2]
    odd = odd * np.sign(np.sum(even[:64]) * np.sum(odd[:64]))
    left = (even + odd) / np.sqrt(2)
    assert np.sum(left[:64] ** 2) > 0.98
    length = float(np.pi / (beta[-1] - beta[-2]))
    fields = jnp.asarray(np.stack([left, even, odd]), complex)
    out = propagate(fields, jnp.asarray(np.tile(index, (200, 1))), length, True)
    overlaps = np.abs(np.asarray(out) @ np.stack([left[::-1], even, odd]).T) ** 2
    np.testing.assert_allclose(np.diag(overlaps), 1, atol=2e-3)


def test_a_beam_beside_the_axis_swings_over_with_an_error_of_second_order():
    """After half a period of a parabolic guide any field is its mirror image."""
    g, start = 4e3, 20e-6
    scaled = (X - start) * np.sqrt(K * g)
    field = np.exp(-(scaled**2) / 2)

    def error(steps):
        index = np.tile(-INDEX * g**2 * X**2 / 2, (steps, 1))
        out = propagate(
            jnp.asarray(field, complex), jnp.asarray(index), np.pi / g, True
        )
        return np.linalg.norm(np.asarray(out) - -1j * field[::-1])

    errors = np.asarray([error(steps) for steps in (20, 40, 80)])
    np.testing.assert_allclose(np.log2(errors[:-1] / errors[1:]), 2, atol=0.1)


def test_a_slope_of_the_index_bends_a_beam_towards_more_index():
    r"""$x = s z^2 / 2n_0$ for $\Delta n = s x$, paraxial."""
    slope, length = 4.0, 3e-3
    field = np.exp(-((X / 30e-6) ** 2))
    index = np.tile(slope * X, (60, 1))
    out = propagate(jnp.asarray(field, complex), jnp.asarray(index), length, True)
    power = np.abs(out) ** 2
    center = np.sum(X * power) / np.sum(power)
    np.testing.assert_allclose(center, slope * length**2 / (2 * INDEX), rtol=1e-3)


def test_lossless_and_reciprocal():
    layer = slab(pixels())
    every = jnp.eye(N, dtype=complex)
    (forward, seen), (backward, seen_back) = both_ways(layer, every, every)
    np.testing.assert_allclose(backward, forward.T, atol=1e-13)
    np.testing.assert_allclose(forward @ forward.conj().T, every, atol=1e-12)
    # One row a plane and example: light on the same side of it, from either end.
    assert seen.shape == seen_back.shape == (8, N, N)
    across = jnp.einsum("pix,pjx->pij", seen, seen_back)
    np.testing.assert_allclose(across, jnp.broadcast_to(forward, across.shape))
    x = beams(-30e-6, 10e-6)
    np.testing.assert_allclose(eqx.filter_jit(layer)(x), x @ forward, atol=1e-13)


def test_reverse_rule_is_the_derivative_and_needs_no_memory_for_steps():
    weight = np.random.default_rng(1).normal(size=(2, 32, N))
    field = jnp.repeat(beams(-10e-6, 20e-6), 16, 0)

    def loss(run, operands):
        out = run(*operands)
        return jnp.sum(weight[0] * out.real * out.imag + weight[1] * out.real)

    def plainly(index, field):
        return both_ways(
            eqx.tree_at(lambda s: s.index, slab(pixels()), index), field, field
        )[0][0]

    def by_rule(steps):
        layer = slab(pixels(), steps=steps)
        return lambda index, field: eqx.tree_at(lambda s: s.index, layer, index)(field)

    def gradient(run):
        return jax.jit(jax.grad(lambda operands: loss(run, operands)))

    operands = jnp.asarray(pixels()), field
    expected = gradient(plainly)(operands)
    short = gradient(by_rule(8)).lower(operands).compile()
    for bar, exact in zip(short(operands), expected, strict=True):
        np.testing.assert_allclose(bar, exact, rtol=1e-9, atol=1e-12)
    longer = gradient(by_rule(64)).lower(operands).compile()
    needs = [c.memory_analysis().temp_size_in_bytes for c in (short, longer)]
    assert needs[1] - needs[0] < 56 * field.nbytes / 8  # kept fields: all 56


def test_pixels_are_blurred_and_keep_their_sum():
    one = np.zeros((4, 6))
    one[1, 2] = 1e-3
    sharp = slab(one, smoothing=0.0).index_map()
    inside = (np.arange(N) >= 54) & (np.arange(N) < 64)  # 20 µm at 2 µm a sample
    np.testing.assert_allclose(sharp[2:4], 1e-3 * np.tile(inside, (2, 1)))
    assert float(jnp.sum(sharp)) == pytest.approx(2 * 10 * 1e-3)
    soft = np.asarray(slab(one, smoothing=6e-6).index_map())
    center = np.sum(X * soft[2]) / soft[2].sum()
    variance = np.sum((X - center) ** 2 * soft[2]) / soft[2].sum()
    np.testing.assert_allclose(center, -10e-6, atol=1e-12)
    # Of a box and of a Gaussian, added up.
    np.testing.assert_allclose(variance, 20e-6**2 / 12 + 6e-6**2, rtol=1e-3)
    np.testing.assert_allclose(soft.sum(), 0.02, rtol=0.05)


def test_the_layer_is_the_propagation_through_its_index():
    layer, x = slab(pixels()), beams(0.0, 25e-6)
    out = propagate(x, layer.index_map(), 400e-6, False)
    np.testing.assert_allclose(eqx.filter_jit(layer)(x), out, atol=1e-13)
    np.testing.assert_allclose(maps(layer, x[0])[1].sum(1), 1, rtol=1e-12)


def test_the_stated_error_of_the_steps():
    """At half a radian a step, one a row, against eight times as many."""
    index = np.random.default_rng(2).uniform(0, 1e-3, (8, 30))
    x, length = beams(0.0, 25e-6), 8 * 0.5 / (K0 * 1e-3)
    coarse, fine = (
        eqx.filter_jit(slab(index, length=0.999 * length, steps=s))(x) for s in (8, 64)
    )
    assert 1e-4 < float(jnp.linalg.norm(coarse - fine) / jnp.linalg.norm(fine)) < 1e-2


def test_bounds_precision_and_axes():
    layer = slab(pixels() * 3 - 1e-3).project()
    assert jnp.all((layer.index >= 0) & (layer.index <= 1e-3))
    both = slab(pixels() - 1e-3, min_index=-5e-4).project().index
    assert float(both.min()) == -5e-4
    x = jnp.stack([beams(0.0, 9e-6)] * 3)
    np.testing.assert_allclose(
        *eqx.filter_jit(lambda x: (jax.vmap(layer)(x), layer(x)))(x), atol=1e-13
    )
    single = eqx.filter_jit(slab(jnp.asarray(pixels(), jnp.float32)))
    out = single(x.astype(jnp.complex64))
    assert out.dtype == jnp.complex64
    np.testing.assert_allclose(jnp.sum(jnp.abs(out) ** 2, -1), 1, rtol=1e-5)


def test_modes_carry_unit_power_and_collect_what_they_send():
    modes = GaussianModes(np.asarray([-60e-6, 0.0, 60e-6]), 10e-6, N, PITCH)
    x = np.asarray([[0.3, -1.0, 2.0], [0, 0, 1]])

    @jax.jit
    def there_and_back(x):
        field = modes(x)
        return field, modes.collect(field)

    field, back = map(np.asarray, there_and_back(jnp.asarray(x)))
    np.testing.assert_allclose(np.sum(np.abs(field) ** 2, -1), np.sum(x**2, -1))
    np.testing.assert_allclose(back, x, atol=1e-7)
    np.testing.assert_allclose(np.sum(X * np.abs(field[1]) ** 2), 60e-6)


class TestRefuses:
    def test_steps_that_are_too_coarse(self):
        with pytest.raises(ValueError, match="at least 17 `steps`"):
            slab(pixels(), length=2e-3, steps=3)
        slab(pixels(), length=2e-3, steps=17)

    def test_a_window_without_room_for_the_pixels(self):
        with pytest.raises(ValueError, match="at least 60 `samples`"):
            slab(pixels(), samples=59)
        slab(pixels(), samples=60)

    def test_evanescent_waves(self):
        with pytest.raises(ValueError, match="half wavelength 4.306e-07 m"):
            slab(pixels(), pitch=0.3e-6, width=30e-6)
        slab(pixels(), pitch=0.3e-6, width=30e-6, paraxial=True)

    @pytest.mark.parametrize(
        "settings", [{"max_index": 0.0}, {"smoothing": -1.0}, {"stray": 1.0}]
    )
    def test_settings(self, settings):
        with pytest.raises(ValueError, match=next(iter(settings))):
            slab(pixels(), **settings)
        with pytest.raises(ValueError, match="must be positive"):
            slab(pixels(), wavelength=-1e-6)

    def test_light_at_the_edge_of_the_window_or_of_the_spectrum(self):
        layer = eqx.filter_jit(slab(pixels(), length=100e-6))
        with pytest.raises(Exception, match="more `samples` than 128"):
            layer(jnp.roll(beams(0.0), N // 2, -1))
        fast = beams(0.0) * np.where(np.arange(N) % 2, -1.0 + 0j, 1.0)[None]
        with pytest.raises(Exception, match="finer than a `pitch` of 2e-06 m"):
            layer(fast)

    def test_modes_that_do_not_fit(self):
        with pytest.raises(ValueError, match="pitch of 1.5e-06 m, or less"):
            gaussian_modes(np.zeros(1), 3e-6, N, PITCH)
        with pytest.raises(ValueError, match="140 samples or more"):
            gaussian_modes(np.asarray([120e-6]), 10e-6, N, PITCH)

    def test_fields_of_another_window(self):
        with pytest.raises(ValueError, match="128 samples"):
            slab(pixels())(jnp.ones(5, complex))
        with pytest.raises(ValueError, match="128 columns"):
            propagate(jnp.ones(5, complex), jnp.zeros((3, N)), 1e-3, True)


class TestPicture:
    def test_shows_the_index_the_light_and_what_the_boxes_get(self, tmp_path):
        layer = slab(pixels())
        index, light = maps(layer, beams(20e-6)[0])
        boxes = ((20, 50), (50, 78), (78, 108))
        fig = pnn.plots.beam(index, light, layer.length, PITCH, boxes=boxes, lit=2)
        fig.savefig(tmp_path / "beam.png")
        lower = fig.axes[2]
        assert lower.get_ylabel() == "$x$ (µm)" and lower.get_xlabel() == "$z$ (µm)"
        shares = [bar.get_width() for bar in fig.axes[3].patches]
        power = np.asarray(light[-1])
        expected = [power[a:b].sum() for a, b in boxes]
        np.testing.assert_allclose(shares, expected / np.sum(expected))

    def test_refuses_what_does_not_fit(self):
        with pytest.raises(ValueError, match="steps along the slab"):
            pnn.plots.beam(np.ones((3, 4)), np.ones((3, 5)), 1e-3, 1e-6)
        with pytest.raises(ValueError, match="leaves the 4 samples"):
            maps = np.ones((3, 4)), np.ones((3, 4))
            pnn.plots.beam(*maps, 1e-3, 1e-6, boxes=((1, 5),))
