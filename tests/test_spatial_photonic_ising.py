"""The spatial photonic Ising machine: interference, the camera, and the feedback."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pnnjax.spins import (
    Camera,
    IsingProblem,
    SpatialPhotonicIsing,
    mattis_brightness,
    mattis_sum,
)

H, C = 6.62607015e-34, 299792458


def glass(n, seed, field=0.5):
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.normal(size=(n, n)), 1)
    return IsingProblem(upper + upper.T, field * rng.normal(size=n))


def mattis(n, seed):
    rng = np.random.default_rng(seed)
    xi = rng.uniform(0.2, 1, n) * rng.choice([-1, 1], n)
    couplings = np.outer(xi, xi)
    np.fill_diagonal(couplings, 0)
    return IsingProblem(couplings), xi


def configurations(n):
    return jnp.asarray(2.0 * (np.arange(2**n)[:, None] >> np.arange(n)[::-1] & 1) - 1)


def brightness(magnets, spins):
    shown = jnp.concatenate([jnp.ones_like(spins[:, :1]), spins], axis=1)
    return mattis_brightness(magnets.amplitudes[None], shown[:, None])


def camera(**changes):
    settings = {
        "power": 1e-9,
        "wavelength": 532e-9,
        "exposure": 1e-5,
        "read_noise": 6.0,
        "efficiency": 0.6,
        "full_well": 2e4,
    }
    return Camera(**(settings | changes))


def test_the_lens_adds_the_fields_up():
    xi = jnp.asarray([0.5, -1.0, 0.25])
    spins = jnp.asarray([1.0, -1.0, -1.0])
    field = np.sum(np.asarray(xi) * np.exp(1j * np.pi * np.array([0, 1, 1])))
    expected = np.abs(field / 3) ** 2
    np.testing.assert_allclose(mattis_brightness(xi, spins), expected, rtol=1e-12)
    np.testing.assert_allclose(mattis_brightness(jnp.sign(xi), jnp.sign(xi)), 1)


@pytest.mark.slow
def test_the_brightnesses_are_the_energy():
    problem, spins = glass(7, 0), configurations(7)
    magnets = mattis_sum(problem)
    assert np.all(np.abs(magnets.amplitudes) <= 1 + 1e-12)
    measured = magnets.energy(brightness(magnets, spins))
    np.testing.assert_allclose(measured, problem.energy(spins), atol=1e-12)


def test_a_mattis_magnet_is_one_image():
    problem, xi = mattis(12, 1)
    magnets = mattis_sum(problem, rank=1)
    spins = configurations(12)
    measured = magnets.energy(brightness(magnets, spins))
    np.testing.assert_allclose(measured, problem.energy(spins), atol=1e-9)
    shown = np.abs(magnets.amplitudes[0, 1:])
    np.testing.assert_allclose(shown, np.abs(xi) / np.abs(xi).max(), atol=1e-9)


@pytest.mark.slow
def test_a_problem_of_rank_two_is_two_images():
    rng = np.random.default_rng(2)
    factors = rng.normal(size=(2, 16))
    couplings = factors.T @ np.diag([1.0, -0.7]) @ factors
    np.fill_diagonal(couplings, 0)
    problem = IsingProblem((couplings + couplings.T) / 2)
    spins = jax.random.rademacher(jax.random.key(0), (64, 16), float)
    magnets = mattis_sum(problem, rank=2)
    measured = magnets.energy(brightness(magnets, spins))
    np.testing.assert_allclose(measured, problem.energy(spins), atol=1e-6)
    machine = SpatialPhotonicIsing(0.1, 1.0, 5, rank=2)
    assert machine.intensities(problem) == 2 * (1 + 5 * 16)


@pytest.mark.slow
def test_the_error_falls_as_magnets_are_added():
    problem, spins = glass(8, 3), configurations(8)

    def error(rank):
        magnets = mattis_sum(problem, rank=rank)
        measured = magnets.energy(brightness(magnets, spins))
        return float(jnp.abs(measured - problem.energy(spins)).max())

    few, many, all_of_them = error(2), error(6), error(9)
    assert few > many > 0 and all_of_them < 1e-9


@pytest.mark.slow
def test_the_ground_state_of_a_mattis_magnet_from_one_pixel():
    problem, xi = mattis(30, 4)
    machine = SpatialPhotonicIsing(0.1, 5.0, 20, rank=1, camera=camera())
    spins = machine(problem, key=jax.random.key(1), replicas=8)
    aligned = np.asarray(spins) * np.sign(xi)
    assert np.abs(aligned.mean(axis=1)).max() == 1


def test_a_camera_counts_photons():
    device = camera()
    photons = 1e-9 * 1e-5 * 532e-9 / (H * C)
    assert device.electrons == pytest.approx(0.6 * photons)
    bright = jnp.repeat(jnp.asarray([[0.0], [0.3], [1.0]]), 50_000, axis=1)
    counts = device.electrons * device(bright, key=jax.random.key(2))
    mean = device.electrons * np.array([0.0, 0.3, 1.0])
    variance = mean + 6.0**2
    error = np.sqrt(variance / 50_000)
    assert np.all(np.abs(counts.mean(axis=1) - mean) < 5 * error)
    # The relative standard error of a Gaussian's variance is sqrt(2 / samples).
    np.testing.assert_allclose(counts.var(axis=1), variance, rtol=5 * np.sqrt(4e-5))


@pytest.mark.slow
def test_the_energy_is_as_uncertain_as_said():
    problem, device = glass(6, 5), camera()
    magnets = mattis_sum(problem)
    bright = brightness(magnets, jnp.ones((1, 6)))
    sigma = np.sqrt(device.electrons * bright[0] + 36) / device.electrons
    expected = 7**2 / 2 * np.sqrt(np.sum((magnets.weights * sigma) ** 2))
    many = jnp.repeat(bright, 20_000, axis=0)
    energy = magnets.energy(device(many, key=jax.random.key(3)))
    np.testing.assert_allclose(energy.std(), expected, rtol=5 / np.sqrt(4e4))


def test_without_noise_the_feedback_is_metropolis():
    problem, beta = glass(4, 6), 0.7
    machine = eqx.filter_jit(SpatialPhotonicIsing(beta, beta, 30))
    spins = machine(problem, key=jax.random.key(4), replicas=20_000)
    energy = np.asarray(problem.energy(configurations(4)))
    expected = np.exp(-beta * energy) / np.exp(-beta * energy).sum()
    index = (np.asarray(spins) > 0) @ np.array([8, 4, 2, 1])
    seen = np.bincount(index, minlength=16)
    mean = 20_000 * expected
    # 15 degrees of freedom: 1 +- 0.37.
    assert np.sum((seen - mean) ** 2 / mean) / 15 < 2.2


@pytest.mark.parametrize("noisy", [False, True])
def test_ground_states_of_spin_glasses(noisy):
    machine = SpatialPhotonicIsing(0.05, 3.0, 60, camera=camera() if noisy else None)
    run = eqx.filter_jit(machine)
    for seed in range(2):
        problem = glass(16, seed)
        spins = run(problem, key=jax.random.key(seed), replicas=48)
        exact = float(problem.energy(configurations(16)).min())
        best = float(problem.energy(spins).min())
        assert best == pytest.approx(exact, abs=1e-9)


@pytest.mark.slow
def test_light_that_is_too_weak_finds_nothing():
    # 16 electrons at best, of 6 in read noise.
    weak = camera(exposure=1e-8)
    problem, _ = mattis(30, 7)
    ends = [
        SpatialPhotonicIsing(0.1, 5.0, 20, rank=1, camera=device)(
            problem, key=jax.random.key(5), replicas=8
        )
        for device in (weak, camera())
    ]
    lost, found = (float(problem.energy(spins).mean()) for spins in ends)
    assert found < 2 * lost


@pytest.mark.slow
def test_single_precision_and_a_start():
    problem = IsingProblem(np.array([[0, 1], [1, 0]], np.float32))
    machine = SpatialPhotonicIsing(1.0, 9.0, 4, camera=camera())
    start = jnp.asarray([[1.0, -1.0]], jnp.float32)
    spins = machine(problem, key=jax.random.key(6), start=start)
    assert spins.dtype == np.float32
    assert float(problem.energy(spins)[0]) == -1


def test_bad_input():
    for name in ("power", "wavelength", "exposure"):
        with pytest.raises(ValueError, match=name):
            camera(**{name: 0.0})
    with pytest.raises(ValueError, match="read_noise"):
        camera(read_noise=-1.0)
    with pytest.raises(ValueError, match="efficiency"):
        camera(efficiency=1.5)
    with pytest.raises(ValueError, match="less power"):
        camera(power=1e-6)
    with pytest.raises(ValueError, match="at least once"):
        SpatialPhotonicIsing(0.1, 1.0, 0)
    with pytest.raises(ValueError, match="can't be < 0"):
        SpatialPhotonicIsing(0.1, -1.0, 3)
    with pytest.raises(ValueError, match="rank is in 1 to 4"):
        mattis_sum(glass(3, 0), rank=5)
