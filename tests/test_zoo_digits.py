"""digits-mesh and the mismatch study: what the README says of them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pnnjax as pnn
from pnnjax.zoo._digits_mesh import DigitsMesh, jittered
from pnnjax.zoo._mismatch_study import IDEAL, IN_SILICO, IN_SITU, METHODS, MismatchStudy


def gradient(experiment, x, y):
    """Of the first batch, in single precision."""
    model = experiment.model(key=jax.random.key(0))
    loss = lambda m: experiment.objective(jax.vmap(m)(x), y)  # noqa: E731
    layers = eqx.filter_jit(eqx.filter_grad(loss))(model).layers
    phases = layers[0].layer, layers[2].layer
    return [(mesh.theta, mesh.phi, mesh.gamma) for mesh in phases], layers[1]


@pytest.mark.slow
def test_in_situ_gradients_are_those_of_autodiff_in_single_precision():
    with jax.enable_x64(False):
        digits = DigitsMesh().data()
        x, y = jnp.asarray(digits.train_x[:32]), jnp.asarray(digits.train_y[:32])
        measured = gradient(DigitsMesh(), x, y)
        exact = gradient(DigitsMesh(estimator="autodiff"), x, y)
        assert pnn.relative_error(measured, exact) < 1e-5


def test_jitter_moves_half_a_pixel():
    image = np.zeros((1, 3, 3))
    image[0, 1, 1] = 1.0
    copies = jittered(image)[:, 0]
    rows, columns = np.indices((3, 3))
    centers = [(np.sum(c * rows), np.sum(c * columns)) for c in copies]
    assert centers == [(1, 1), (1.5, 1), (0.5, 1), (1, 1.5), (1, 0.5)]
    assert all(copy.sum() == 1 for copy in copies)


@pytest.mark.slow
def test_study_trains_each_chip_four_ways():
    study = MismatchStudy(seeds=1, levels=1, smallest=0.2, epochs=1, size=4)
    with jax.enable_x64(False):
        outcome = study.run(seed=0, checkpoint=None, resume=False, progress=False)
    table = outcome.table
    assert list(table["method"]) == list(METHODS)
    result = dict(zip(zip(table["phase_error"], table["method"]), table["accuracy"]))
    worst = max(table["phase_error"])
    assert result[worst, IDEAL] > 0.6
    assert result[worst, IN_SITU] > result[worst, IN_SILICO] + 0.2
    assert outcome.pictures["physics"]().axes


@pytest.mark.slow
def test_digits_mesh_reaches_its_accuracy():
    with jax.enable_x64(False):
        runs = [
            DigitsMesh().run(seed=s, checkpoint=None, resume=False, progress=False)
            for s in range(3)
        ]
    assert np.mean([run.value for run in runs]) >= 0.975


@pytest.mark.slow
def test_measured_gradients_recover_what_the_model_does_not_know():
    with jax.enable_x64(False):
        outcome = MismatchStudy(levels=3).run(
            seed=0, checkpoint=None, resume=False, progress=False
        )
    grid = np.reshape(outcome.table["accuracy"], (5, 3, len(METHODS))).mean(0)
    ideal, in_silico, _, physics_aware, in_situ = grid[1]  # 0.1 rad
    assert in_silico <= ideal - 0.1
    assert min(physics_aware, in_situ) >= ideal - 0.01
