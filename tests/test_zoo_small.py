"""The experiments on small chips, and the toy of physics-aware training."""

import csv

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import needs_files

import pnnjax as pnn
from pnnjax import zoo
from pnnjax.zoo import _moons_insitu, _vowel_mesh
from pnnjax.zoo._moons_insitu import MoonsInSitu
from pnnjax.zoo._pat_toy import PATToy
from pnnjax.zoo._vowel_mesh import VowelMesh


@pytest.fixture
def speech(monkeypatch):
    """Six clouds in the place of the six vowels."""
    key, own = jax.random.split(jax.random.key(5))
    y = np.arange(60) % 6
    centers = 500 + 200 * jax.random.normal(key, (6, 6))
    x = np.float32(centers[y] + 50 * jax.random.normal(own, (60, 6)))
    y = y.astype(np.int32)
    clouds = pnn.data.Dataset(x[:48], y[:48], x[48:], y[48:], tuple("abcdef"))
    monkeypatch.setattr(_vowel_mesh, "vowels", lambda seed: clouds)


def accuracy(kind, **settings):
    def of(seed):
        experiment = zoo.configure(kind, settings)
        return zoo.run(experiment, seed=seed, progress=False).value

    return of


def without_rules(model):
    """Differentiated by JAX alone."""
    return jax.tree.map(
        lambda node: node.layer if isinstance(node, pnn.Physical) else node,
        model,
        is_leaf=lambda node: isinstance(node, pnn.Physical),
    )


def error_of_the_gradient(experiment):
    """Of the phases of all meshes, of one batch, relative to the exact one."""
    model, data = experiment.model(key=jax.random.key(0)), experiment.data()
    assert sum(isinstance(layer, pnn.Physical) for layer in model.layers) == 3
    x, y = jnp.asarray(data.train_x[:16]), jnp.asarray(data.train_y[:16])

    @eqx.filter_jit
    @eqx.filter_grad
    def bar(model):
        return experiment.objective(jax.vmap(model)(x), y)

    pair = bar(model), bar(without_rules(model))
    in_situ, exact = (
        jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(tree)])
        for tree in pair
    )
    return float(jnp.linalg.norm(in_situ - exact) / jnp.linalg.norm(exact))


# Two moons


def test_each_point_carries_the_whole_laser():
    light = MoonsInSitu(power=2e-3).data()
    assert light.train_x.dtype == np.complex64 and light.train_x.shape == (200, 4)
    for x in (light.train_x, light.test_x):
        np.testing.assert_allclose((np.abs(x) ** 2).sum(-1), 2e-3, rtol=1e-6)
        np.testing.assert_array_equal(x[:, 2], x[:, 3])


def test_the_center_is_dark_and_the_reach_takes_all_light():
    points = jnp.asarray([_moons_insitu.CENTER, (2.5, 0.25)])
    light = _moons_insitu.light_of(points, 2.0, 1e-3)
    half = np.sqrt(1e-3 / 2)
    expected = [[0, 0, half, half], [np.sqrt(1e-3), 0, 0, 0]]
    np.testing.assert_allclose(light, expected, atol=1e-8)
    with pytest.raises(RuntimeError, match="more than `power`"):
        _moons_insitu.light_of(points + 0.1, 2.0, 1e-3)


def test_pairs_hold_all_power():
    field = jax.random.normal(jax.random.key(1), (5, 4), complex)
    powers = _moons_insitu.pair_powers(field)
    np.testing.assert_allclose(powers[:, 0], (np.abs(field[:, :2]) ** 2).sum(-1))
    np.testing.assert_allclose(powers.sum(-1), (np.abs(field) ** 2).sum(-1))


@pytest.mark.slow
def test_moons_gradient_is_exact_without_noise():
    assert error_of_the_gradient(MoonsInSitu(bandwidth=0.0)) < 1e-5


@pytest.mark.slow
def test_moons_are_learned_and_drawn(tmp_path):
    out = zoo.run(
        MoonsInSitu(bandwidth=0.0, epochs=50), out=tmp_path / "run", progress=False
    )
    assert out.value >= 0.94
    names = {f.name for f in (tmp_path / "run").iterdir()}
    assert {"training.png", "physics.png", "metrics.csv", "result.json"} <= names


@pytest.mark.slow
def test_moons_reach_the_paper():
    assert np.mean([accuracy(MoonsInSitu)(seed) for seed in range(3)]) >= 0.97


# Six vowels


def test_modulators_are_half_open_at_the_mean_and_no_more_than_open():
    light = _vowel_mesh.light_of(jnp.asarray([[0.0, 1.0, -1.0, 9.0, -9.0, 0.0]]), 0.3)
    open_ = np.sqrt(_vowel_mesh.LASER / 6)
    expected = open_ * np.asarray([[0.5, 0.65, 0.35, 1, 0, 0.5]])
    np.testing.assert_allclose(light, expected, rtol=1e-12)


@pytest.mark.slow
@pytest.mark.usefixtures("speech")
def test_vowel_gradient_is_that_of_autodiff():
    assert error_of_the_gradient(VowelMesh()) < 1e-5


@pytest.mark.usefixtures("speech")
def test_the_estimator_is_a_setting():
    for name, rule in _vowel_mesh.RULES.items():
        model = VowelMesh(estimator=name).model(key=jax.random.key(0))
        meshes = model.layers[::2][:3]
        assert [type(mesh.estimator) for mesh in meshes] == 3 * [type(rule())]
    with pytest.raises(zoo.SettingError, match="in-situ"):
        zoo.configure(VowelMesh, {"estimator": "insitu"})


@pytest.mark.slow
@needs_files
def test_vowels_are_learned():
    assert accuracy(VowelMesh, estimator="autodiff", epochs=60)(0) >= 0.9


@needs_files
@pytest.mark.slow
def test_vowels_reach_the_floor():
    assert np.mean([accuracy(VowelMesh)(seed) for seed in range(3)]) >= 0.91


# Power laws


@pytest.mark.parametrize("error", [0.005, -0.1])
def test_gaps_follow_from_the_law(error):
    table = PATToy(error=error).run(
        seed=1, checkpoint=None, resume=False, progress=False
    ).table  # fmt: skip
    n = np.arange(1, 21)
    total = (1 + error) ** ((1.1**n - 1) / 0.1)
    for name, factor in (
        ("forward", total),
        ("in_silico", total),
        ("physics_aware", (1 + error) ** n),
    ):
        np.testing.assert_allclose(table[name], np.abs(factor - 1), rtol=1e-9)


def test_the_published_gaps_are_reached(tmp_path):
    out = zoo.run(PATToy(), out=tmp_path / "run", progress=False)
    assert out.value == pytest.approx(PATToy.published, abs=5e-5)
    with open(tmp_path / "run" / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["depth"]) for row in rows] == list(range(1, 21))
    percents = {
        name: [round(100 * float(rows[n - 1][name]), 2) for n in (1, 5, 20)]
        for name in ("forward", "physics_aware")
    }
    expected = {"forward": [0.5, 3.09, 33.06], "physics_aware": [0.5, 2.53, 10.49]}
    assert percents == expected
    assert (tmp_path / "run" / "physics.png").stat().st_size > 5000
