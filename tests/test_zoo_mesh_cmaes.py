"""A noisy chip and CMA-ES: what is counted, and what is learned."""

import csv

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pnnjax import zoo
from pnnjax.zoo._mesh_cmaes import MeshCMAES
from pnnjax.zoo._moons_insitu import pair_powers
from pnnjax.zoo._noisy_detectors import NoisyDetectors


def test_detectors_are_as_noisy_as_they_say_and_only_with_a_key():
    detectors = NoisyDetectors(pair_powers, 0.1)
    field = jnp.ones((4000, 4), jnp.complex64)
    np.testing.assert_array_equal(detectors(field), 2 * np.ones((4000, 2)))
    noisy = detectors(field, key=jax.random.key(0))
    np.testing.assert_allclose(jnp.std(noisy, axis=0), 0.1, rtol=0.05)
    np.testing.assert_allclose(jnp.mean(noisy, axis=0), 2.0, atol=0.005)


def test_the_chip_is_not_what_it_is_set_to():
    mesh = MeshCMAES().chip(key=jax.random.key(0)).layers[0]
    x = jnp.ones((1, 4), jnp.complex64)
    assert jnp.abs(mesh(x) - mesh.layer(x)).max() > 0.1


@pytest.mark.slow
def test_a_short_run_counts_its_physical_runs(tmp_path):
    experiment = MeshCMAES(epochs=3, population=4)
    out = zoo.run(experiment, out=tmp_path / "run", progress=False)
    with open(tmp_path / "run" / "metrics.csv") as file:
        rows = list(csv.DictReader(file))
    # 200 points to train with: one batch, and one generation, an epoch.
    assert [int(row["physical_runs"]) for row in rows] == [800, 1600, 2400]
    assert 0 <= out.value <= 1
    assert (tmp_path / "run" / "physics.png").exists()


@pytest.mark.slow
def test_the_noisy_chip_learns_the_moons():
    values = [zoo.run(MeshCMAES(), seed=s, progress=False).value for s in range(3)]
    assert np.mean(values) >= 0.95
