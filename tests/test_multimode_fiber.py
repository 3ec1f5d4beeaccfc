"""Modes of a parabolic index, and how a fiber mixes them."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pnnjax as pnn
from pnnjax.optics import (
    GradedIndexModes,
    Intensity,
    ModeImager,
    ModeProjector,
    MultimodeFiber,
    PhaseMask,
)
from pnnjax.optics._multimode_fiber import kerr_coupled

MODES = GradedIndexModes(4)
PITCH = 0.75e-6
SIDE = 96
PERIOD = 2 * math.pi / MODES.gradient
"""m: after which a field is itself again."""


def amplitudes(*batch, power=1.0):
    parts = np.random.default_rng(3).normal(size=(2, *batch, len(MODES.orders)))
    a = parts[0] + 1j * parts[1]
    a *= math.sqrt(power) / np.linalg.norm(a, axis=-1, keepdims=True)
    return jnp.asarray(a)


def images():
    """All modes on a fine grid (1/m), and its distances (m)."""
    x = (np.arange(SIDE) - (SIDE - 1) / 2) * PITCH
    along = MODES.profiles(x)
    mx, my = MODES.orders.T
    return along[my][:, :, None] * along[mx][:, None, :], x


@eqx.filter_jit
def through(fiber, a):
    return fiber(a)


def power(a):
    return np.sum(np.abs(a) ** 2, -1)


def test_modes_are_orthonormal_eigenfunctions_of_the_parabolic_index():
    """(Laplacian / 2k - k g^2 r^2 / 2) psi = -g (mx + my + 1) psi."""
    modes, x = images()
    overlap = np.einsum("pyx,qyx->pq", modes, modes) * PITCH**2
    np.testing.assert_allclose(overlap, np.eye(len(modes)), atol=1e-10)
    k, g = MODES.wavenumber, MODES.gradient
    wave = 2 * math.pi * np.fft.fftfreq(SIDE, PITCH)
    square = wave[:, None] ** 2 + wave**2
    bent = -np.fft.ifft2(square * np.fft.fft2(modes)).real / (2 * k)
    bent -= k * g**2 / 2 * (x[:, None] ** 2 + x**2) * modes
    eigenvalue = MODES.constants - g
    error = bent - eigenvalue[:, None, None] * modes
    assert np.abs(error).max() < 1e-7 * g * np.abs(modes).max()
    groups = MODES.orders.sum(1)
    np.testing.assert_allclose(MODES.constants, -g * groups)
    assert np.bincount(groups).tolist() == [1, 2, 3, 4]


def test_quadrature_gives_the_overlaps_of_four_modes():
    modes, _ = images()
    at_nodes, weights = MODES.quadrature()
    for p, q, r, s in [(0, 0, 0, 0), (9, 9, 9, 9), (1, 4, 7, 8), (2, 2, 5, 5)]:
        direct = np.sum(modes[p] * modes[q] * modes[r] * modes[s]) * PITCH**2
        both = at_nodes[p] * at_nodes[q] * at_nodes[r] * at_nodes[s]
        own = 1 / (math.pi * MODES.waist**2)
        np.testing.assert_allclose(np.sum(weights * both), direct, atol=1e-10 * own)
    # The effective area of a Gaussian is pi w^2.
    np.testing.assert_allclose(np.sum(weights * at_nodes[0] ** 4), own, rtol=1e-12)


def test_kerr_coupling_is_that_of_the_overlap_tensor():
    modes, weights = MODES.quadrature()
    tensor = np.einsum("pn,qn,rn,sn,n->pqrs", modes, modes, modes, modes, weights)
    a = np.asarray(amplitudes())
    slope = 1j * np.einsum("pqrs,q,r,s->p", tensor, a, a, a.conj())
    h = 1e-6 / np.abs(slope).max()
    after, _ = eqx.filter_jit(kerr_coupled)(
        jnp.asarray(a), jnp.asarray(modes), jnp.asarray(weights), jnp.asarray(h)
    )
    change = (np.asarray(after) - a) / h
    np.testing.assert_allclose(change, slope, atol=3e-6 * np.abs(slope).max())


def test_a_field_repeats_itself_and_is_upside_down_halfway():
    mask = np.zeros((2, SIDE, SIDE), complex)
    mask[0, 44:60, 50:70], mask[1, 30:44, 20:52] = 1.0, 1j
    into = ModeProjector(MODES, (SIDE, SIDE), PITCH)
    out = ModeImager(MODES, (SIDE, SIDE), PITCH)
    start = into(jnp.asarray(mask))
    image = out(start)
    np.testing.assert_allclose(into(image), start, atol=1e-9)
    assert np.all(power(start) < np.sum(np.abs(mask) ** 2, (1, 2)))
    for length, expected in [(PERIOD, image), (PERIOD / 2, image[:, ::-1, ::-1])]:
        fiber = MultimodeFiber(MODES, length, steps=1, nonlinear_index=0.0)
        field = out(fiber(start))
        np.testing.assert_allclose(field, expected, atol=1e-9)


def test_linear_fiber_is_unitary_and_mixes_as_much_as_it_is_told():
    """First order: the power that leaves is the sum of squares, 9 couplings a mode."""
    eye, length = jnp.eye(len(MODES.orders), dtype=complex), 1e-4
    settings = {"coupling": 300.0, "nonlinear_index": 0.0, "steps": 1}
    matrices = np.asarray(
        [
            through(
                MultimodeFiber(MODES, length, key=jax.random.key(n), **settings), eye
            )
            for n in range(12)
        ]
    )
    unit = matrices @ matrices.conj().transpose(0, 2, 1)
    np.testing.assert_allclose(unit, np.broadcast_to(eye, unit.shape), atol=1e-12)
    np.testing.assert_allclose(matrices, matrices.transpose(0, 2, 1), atol=1e-12)
    gap = (MODES.constants[:, None] - MODES.constants) * length / 2
    expected = (300.0 * length * np.sinc(gap / math.pi)) ** 2
    off = ~np.eye(len(gap), dtype=bool)
    ratio = np.mean(np.abs(matrices[:, off]) ** 2) / expected[off].mean()
    assert 0.8 < ratio < 1.2
    many = MultimodeFiber(
        MODES, 0.2, sections=5, loss=0.5, key=jax.random.key(0), **settings
    )
    out = np.asarray(through(many, eye))
    np.testing.assert_allclose(power(out), math.exp(-0.1), rtol=1e-12)
    assert np.abs(out - out.T).max() > 0.1  # but backwards it is the transposed one
    assert many.facts.reciprocal and many.facts.linear and not many.facts.lossless


def test_kerr_effect_conserves_power_and_energy(getkey):
    """To rounding, and to order 2 of the steps; both parts of the energy exchange.

    Pieces of 16 steps each, as many as it takes.
    """
    a, key = amplitudes(3, power=2e5), getkey()

    def end(pieces):
        length, out = jnp.asarray(4 * PERIOD / pieces), a
        piece = MultimodeFiber(MODES, length, steps=16, coupling=200.0, key=key)
        for _ in range(pieces):
            out = through(piece, out)
        return piece, np.asarray(out)

    fiber, out = end(16)
    np.testing.assert_allclose(power(out), power(a), rtol=1e-12)
    values, vectors = (np.asarray(part[0]) for part in fiber.generator.value)
    modes, weights = MODES.quadrature()
    strength = fiber.nonlinear_index * MODES.vacuum_wavenumber

    def energies(a):
        linear = np.sum(values * np.abs(np.asarray(a) @ vectors) ** 2, -1)
        density = np.abs(np.asarray(a) @ modes) ** 2
        return linear, strength / 2 * np.sum(weights * density**2, -1)

    before, after = energies(a), energies(out)
    exchanged = np.abs(after[1] - before[1])
    assert np.all(np.abs(sum(after) - sum(before)) < 0.02 * exchanged)
    exact = end(64)[1]
    errors = [np.linalg.norm(other - exact) for other in (end(8)[1], out)]
    assert abs(math.log2(errors[0] / errors[1]) - 2) < 0.3


def test_a_single_mode_gets_the_phase_gamma_p_l():
    one = GradedIndexModes(1)
    peak, length = 3e4, 0.02
    fiber = MultimodeFiber(one, length, steps=20)
    gamma = 2.6e-20 * 2 * math.pi / one.wavelength / (math.pi * one.waist**2)
    out = fiber(jnp.asarray([[math.sqrt(peak)], [0.0]], complex))
    expected = math.sqrt(peak) * np.exp(1j * gamma * peak * length)
    np.testing.assert_allclose(out, [[expected], [0]], rtol=1e-10)
    assert gamma * peak * length > 0.2


@pytest.mark.slow
def test_light_shaped_by_a_modulator_comes_out_as_speckle(getkey):
    """Layers in sequence, differentiated down to the modulator's pixels."""
    modes = GradedIndexModes(4)
    shape, pitch = (24, 24), 1.5e-6
    fiber = MultimodeFiber(modes, 1e-3, steps=3, coupling=500.0, key=getkey())
    system = eqx.nn.Sequential(
        [
            PhaseMask.random(shape, key=getkey()),
            ModeProjector(modes, shape, pitch),
            fiber,
            ModeImager(modes, shape, pitch),
            Intensity(),
        ]
    )
    beam = jnp.full((2, *shape), 5.0, complex)

    @eqx.filter_jit
    @eqx.filter_value_and_grad(has_aux=True)
    def brightness(mask):
        shown = eqx.tree_at(lambda s: s.layers[0].phase, system, mask)
        camera = pnn.respond(shown, beam, None)
        return camera[0, 12, 12], (camera, pnn.respond(shown[:2], beam, None))

    mask = system.layers[0].phase
    (_, (camera, coupled)), slope = brightness(mask)
    assert camera.shape == (2, *shape)
    np.testing.assert_allclose(np.sum(camera, (1, 2)), power(coupled), rtol=5e-3)
    step = 1e-5 * np.random.default_rng(2).normal(size=shape)
    ends = [float(brightness(mask + sign * step)[0][0]) for sign in (1, -1)]
    change = (ends[0] - ends[1]) / 2
    np.testing.assert_allclose(change, np.sum(slope * step), rtol=1e-5)


def test_leading_axes_vmap_and_single_precision(getkey):
    fiber = MultimodeFiber(
        MODES, 4e-3, steps=4, coupling=500.0, sections=2, key=getkey()
    )
    a = amplitudes(3, 2, power=1e5)

    @jax.jit
    def ends(a):
        return fiber(a), jax.vmap(fiber)(a), fiber(a.astype(jnp.complex64))

    out, mapped, single = ends(a)
    np.testing.assert_allclose(mapped, out, atol=1e-10)
    assert single.dtype == jnp.complex64
    np.testing.assert_allclose(single, out, atol=1e-3 * math.sqrt(1e5))


def test_what_does_not_fit_is_an_error_that_says_what_would():
    with pytest.raises(RuntimeError, match="raise `steps` from 1, to 2"):
        MultimodeFiber(MODES, 1.0, steps=1)(amplitudes(power=1e6))
    with pytest.raises(ValueError, match="guides 15 groups of modes, not 16"):
        GradedIndexModes(16)
    with pytest.raises(ValueError, match="must all be positive"):
        GradedIndexModes(3, radius=-1.0)
    with pytest.raises(ValueError, match="need a `key`"):
        MultimodeFiber(MODES, 1.0, steps=1, coupling=1.0)
    with pytest.raises(ValueError, match="a key is for these alone"):
        MultimodeFiber(MODES, 1.0, steps=1, key=jax.random.key(0))
    with pytest.raises(ValueError, match="must be positive"):
        MultimodeFiber(MODES, 1.0, steps=0)
    with pytest.raises(ValueError, match="10 modes, but the shape of `x` is [(]3,[)]"):
        MultimodeFiber(MODES, 1.0, steps=1)(jnp.ones(3, complex))
    with pytest.raises(ValueError, match="take a `pitch` of .* or less"):
        ModeProjector(MODES, (8, 8), 1e-6)
    with pytest.raises(ValueError, match="10 modes, but the shape of `x`"):
        ModeImager(MODES, (24, 24), 1.5e-6)(jnp.ones(3, complex))
    with pytest.raises(ValueError, match="have [(]24, 24[)] pixels"):
        ModeProjector(MODES, (24, 24), 1.5e-6)(jnp.ones((3, 3), complex))


def test_modes_are_drawn_by_group(tmp_path):
    modes = GradedIndexModes(2)
    fig = pnn.plots.fiber_modes(modes, 6e-7, 64)
    fig.savefig(tmp_path / "modes.png")
    drawn = [ax for ax in fig.axes if ax.images]
    assert len(drawn) == len(modes.orders)
    assert drawn[0].images[0].get_array().shape == (64, 64)
    with pytest.raises(ValueError, match="`pitch`"):
        pnn.plots.fiber_modes(modes, 0.0, 64)
