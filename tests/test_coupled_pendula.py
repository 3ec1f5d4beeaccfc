"""Pendula, against elliptic integrals, normal modes and what they conserve."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import ellipj, ellipk

import pnnjax as pnn
from pnnjax.waves import (
    CanonicalPendula,
    CoupledPendula,
    pendulum_energy,
    pendulum_stiffness,
    swing,
)


@eqx.filter_jit
def swung(angle, stiffness, drive, duration, steps, nonlinearity=0.0):
    still = jnp.zeros_like(angle)
    settings = {"duration": duration, "steps": steps, "nonlinearity": nonlinearity}
    return swing(angle, still, stiffness, drive, **settings)


@eqx.filter_jit
def energy(angle, velocity, stiffness, drive, nonlinearity=0.0):
    return pendulum_energy(angle, velocity, stiffness, drive, nonlinearity)


def coupled(n, strength=0.3, seed=0):
    rng = np.random.default_rng(seed)
    half = np.triu(strength * np.abs(rng.normal(size=(n, n))), 1)
    stiffness = pendulum_stiffness(jnp.asarray(half + half.T))
    return stiffness, jnp.asarray(0.1 * rng.normal(size=n))


def test_single_pendulum_has_the_period_of_the_elliptic_integral():
    r"""$T = 4K(\sin^2(q_0/2))$, far from $2\pi$ at large amplitudes."""
    start = np.asarray([0.1, 1.0, 2.0, 3.0])[:, None]
    modulus = np.sin(start / 2) ** 2
    periods = 4 * ellipk(modulus)
    assert periods[-1, 0] > 2.5 * 2 * math.pi
    one, none = jnp.ones((1, 1)), jnp.zeros(1)
    duration, steps = 20.0, 2000
    angle, velocity = swung(jnp.asarray(start), one, none, duration, steps)
    times = duration / steps * np.arange(1, steps + 1)[:, None, None]
    sn, cn, dn, _ = ellipj(periods / 4 - times, modulus)
    np.testing.assert_allclose(np.sin(angle / 2), np.sqrt(modulus) * sn, atol=1e-7)
    rate = -2 * np.sqrt(modulus) * cn
    np.testing.assert_allclose(velocity, rate, atol=1e-7)


def test_small_swings_have_the_normal_modes_of_the_stiffness():
    stiffness, _ = coupled(5)
    squares, modes = np.linalg.eigh(stiffness)
    assert squares[0] == pytest.approx(1)  # all together: no spring is stretched
    small = 1e-5
    start = jnp.asarray(small * modes.T)
    angle, _ = swung(start, stiffness, jnp.zeros(5), 6.0, 600)
    times = 6.0 * np.arange(1, 601) / 600
    swings = np.cos(np.sqrt(squares) * times[:, None])
    np.testing.assert_allclose(
        angle, small * swings[..., None] * modes.T[None], atol=1e-6 * small
    )


def test_error_is_of_fourth_order():
    stiffness, drive = coupled(4)
    start = jnp.asarray([1.0, -0.5, 2.0, 0.3])
    ends = [swung(start, stiffness, drive, 2.0, n)[0][-1] for n in (10, 20, 40, 640)]
    errors = [float(jnp.linalg.norm(end - ends[-1])) for end in ends[:-1]]
    for coarse, fine in zip(errors, errors[1:]):
        assert math.log2(coarse / fine) == pytest.approx(4, abs=0.3)


@pytest.mark.parametrize("nonlinearity", [0.0, 0.1])
def test_energy_with_the_inverse_mass_is_conserved(nonlinearity):
    stiffness, drive = coupled(4)
    start = jnp.asarray([1.0, -0.5, 2.0, 0.3])
    path = swung(start, stiffness, drive, 10.0, 640, nonlinearity)
    course = np.asarray(energy(*path, stiffness, drive, nonlinearity))
    assert np.ptp(course) < 1e-6 * abs(course[0])
    _, velocity = path
    assert np.ptp(np.sum(np.asarray(velocity) ** 2, -1)) > 0.5


def test_uncoupled_pendula_have_the_energy_of_the_textbook():
    angle, velocity = jnp.asarray([1.0, -2.0]), jnp.asarray([0.3, 0.4])
    torque = jnp.asarray([0.2, -0.1])
    known = np.sum(0.5 * velocity**2 + 1 - np.cos(angle) - torque * angle)
    assert energy(angle, velocity, jnp.eye(2), torque) == pytest.approx(float(known))


def test_acceleration_is_the_published_sum_over_pairs():
    stiffness, drive = coupled(4)
    coupling = np.diag(np.diag(stiffness)) - np.asarray(stiffness)
    np.fill_diagonal(coupling, 0)
    q, step = np.asarray([1.0, -0.5, 2.0, 0.3]), 1e-4
    pull = coupling * (np.sin(q)[None] - np.sin(q)[:, None])
    expected = -np.sin(q) + pull.sum(-1) + drive
    _, velocity = swung(jnp.asarray(q), stiffness, drive, step, 1)
    np.testing.assert_allclose(velocity[0] / step, expected, rtol=1e-6)
    slope = coupling * np.cos(q)
    assert np.abs(slope - slope.T).max() > 0.1  # no slope of an energy


@eqx.filter_jit
def response(layer, x, key=None):
    return layer(x, key=key)


def network(outputs=2, **settings):
    key = jax.random.key(0)
    return CoupledPendula(5, key=key, inputs=3, outputs=outputs, **settings)


def test_inputs_start_the_first_and_outputs_are_the_last():
    layer = network()
    drive = jnp.linspace(-0.2, 0.2, 5)
    layer = eqx.tree_at(lambda p: p.drive, layer, drive)
    x = jnp.asarray([[0.5, -0.3, 1.0], [0.0, 0.2, 0.1]])
    start = jnp.concatenate([x, jnp.zeros((2, 2))], axis=-1)
    angle, _ = swung(start, layer.stiffness(), drive, 0.5, 5)
    y = response(layer, x)
    np.testing.assert_allclose(y, angle[-1][:, 3:], rtol=1e-12)
    # Only the strict upper triangle counts, and it counts in both directions.
    other = eqx.tree_at(lambda p: p.coupling, layer, jnp.triu(layer.coupling, 1))
    np.testing.assert_allclose(response(other, x), y, rtol=1e-12)
    np.testing.assert_array_equal(layer.stiffness(), layer.stiffness().T)


def test_noise_is_of_the_starting_angles():
    layer, x = network(noise=0.02, duration=1e-3, outputs=5), jnp.zeros((2000, 3))
    y = response(layer, x, jax.random.key(1))
    np.testing.assert_allclose(np.std(y[:, :3], 0), 0.02, rtol=0.1)
    np.testing.assert_allclose(y[:, 3:], 0, atol=1e-6)


def test_single_precision_is_kept():
    layer, x = network(), jnp.asarray([0.5, -0.3, 1.0])
    small = jax.tree.map(
        lambda leaf: leaf.astype(jnp.float32) if eqx.is_inexact_array(leaf) else leaf,
        layer,
    )
    y = response(small, x.astype(jnp.float32))
    assert y.dtype == jnp.float32
    np.testing.assert_allclose(y, response(layer, x), atol=1e-6)


def test_coarse_steps_are_refused_with_what_would_do():
    """The fastest swing of five pendula with couplings of 300 has K = 1 + 1500."""
    pull = jnp.full((5, 5), 300.0)
    stiff, fine = (
        eqx.tree_at(lambda p: p.coupling, network(steps=n), pull) for n in (5, 20)
    )
    assert 0.5 / 10 * math.sqrt(1501) > 1.2 > 0.5 / 20 * math.sqrt(1501)
    with pytest.raises(Exception, match="`steps=20` it is 0.025"):
        response(stiff, jnp.ones(3))
    x = jnp.full(3, 0.01)
    finest, _ = fine.motion(x, steps=640)
    # At a radian a step, a few percent of the amplitude after three turns.
    np.testing.assert_allclose(response(fine, x), finest[-1, 3:], atol=5e-4)


def test_bad_settings_are_refused():
    key = jax.random.key(0)
    for settings, match in [
        ({"inputs": 5}, "inputs"),
        ({"outputs": 0}, "outputs"),
        ({"steps": 0}, "steps"),
        ({"duration": 0.0}, "duration"),
        ({"noise": -0.1}, "noise"),
    ]:
        with pytest.raises(ValueError, match=match):
            CoupledPendula(4, key=key, **settings)
    with pytest.raises(ValueError, match="3 pendula are set"):
        network()(jnp.ones(4))


@eqx.filter_jit
def echoed(layer, x, steps):
    """Angles of fourth order, and the energy on the way."""
    fine = eqx.tree_at(
        lambda p: p.splitting,
        layer,
        pnn.integrators.Splitting(layer.splitting.duration, steps, order=4),
    )
    path = fine.trajectory(fine.initial_state(x), None)
    return fine(x), jax.vmap(lambda state: fine.energy(state, None))(path)


def test_canonical_pendula_move_as_the_published_ones():
    """With the torques e = K d; and conserve their Hamiltonian."""
    settings = {"inputs": 3, "outputs": 2, "key": jax.random.key(0), "spread": 1.0}
    splitting = pnn.integrators.Splitting(3.0, 5)
    canonical = CanonicalPendula(5, splitting=splitting, **settings)
    torque = jnp.linspace(-0.3, 0.2, 5)
    canonical = eqx.tree_at(lambda p: p.torque, canonical, torque)
    published = CoupledPendula(5, duration=3.0, steps=200, **settings)
    drive = published.stiffness() @ torque
    published = eqx.tree_at(lambda p: p.drive, published, drive)
    x = jnp.asarray([[0.5, -0.3, 1.0], [1.5, 0.2, -2.0]])
    angles, energies = echoed(canonical, x, 200)
    np.testing.assert_allclose(angles, response(published, x), atol=1e-7)
    assert np.ptp(np.asarray(energies), axis=0).max() < 1e-6
    with pytest.raises(Exception, match="`steps=20`"):
        response(eqx.tree_at(lambda p: p.coupling, canonical, jnp.full((5, 5), 5.0)), x)


def test_phase_portrait_draws_what_fits(tmp_path):
    times = np.linspace(0, 6, 50)[:, None, None]
    start = np.linspace(-1, 1, 10).reshape(2, 5)
    angle, velocity = start * np.cos(times), -start * np.sin(times)
    fig = pnn.plots.phase_portrait(angle, velocity, 2, ["first", "second"])
    fig.savefig(tmp_path / "portrait.png")
    assert [ax.get_title() for ax in fig.axes] == ["first", "second"]
    ends = [line.get_xdata() for line in fig.axes[0].lines if line.get_marker() == "o"]
    np.testing.assert_allclose(ends[1], angle[-1, 0, 3])
    with pytest.raises(ValueError, match="1 titles"):
        pnn.plots.phase_portrait(angle, velocity, 2, ["one"])
