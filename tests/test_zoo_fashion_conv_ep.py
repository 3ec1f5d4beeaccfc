"""fashion-conv-ep: the network it builds, that it learns, and the paper's network."""

import io
import tarfile

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import pnnjax as pnn
from pnnjax import data, plots, zoo
from pnnjax.data import _cifar10
from pnnjax.zoo._fashion_conv_ep import RATES, FashionConvEP, Variation, momentum


def stripes(count, shape, classes=2):
    """Images of stripes along `y` (label 0) or along `x`, with noise."""
    random = np.random.default_rng(0)
    labels = random.integers(0, classes, count)
    ny, nx, channels = shape
    wave = np.sin(np.arange(ny) * 1.5)[:, None] * np.ones(nx)
    images = np.stack([wave.T if label else wave for label in labels])[..., None]
    noisy = images + 0.3 * random.standard_normal((count, ny, nx, channels))
    return noisy.astype(np.float32), labels.astype(np.int32)


def step(experiment, x, y):
    """Gradients of one batch, as arrays or, without a machine, as shapes."""
    model = experiment.model(key=jax.random.key(0))

    def loss(model, x, y):
        keys = jax.random.split(jax.random.key(1), len(x))
        return experiment.objective(jax.vmap(lambda x, k: model(x, key=k))(x, keys), y)

    return model, eqx.filter_value_and_grad(loss), (model, x, y)


def parts(tree):
    return tree.layers[1].layer.couplings


@pytest.fixture
def paper():
    return zoo.configure(FashionConvEP, {"preset": "paper"})


@pytest.mark.slow
def test_it_learns_to_tell_stripes():
    with jax.enable_x64(False):
        x, y = stripes(240, (28, 28, 1))
        experiment = FashionConvEP(
            epochs=2, batch_size=20, channels=2, free=6, nudged=3, learning_rate=0.01
        )
        model, history = pnn.fit(
            experiment.model(key=jax.random.key(0)),
            data.Dataset(x[:200], y[:200], x[200:], y[200:], ("along y", "along x")),
            experiment.objective,
            experiment.optimizer(20),
            epochs=2,
            batch_size=20,
            metrics=experiment.metrics(),
            key=jax.random.key(1),
            progress=False,
        )
        assert history.final()["accuracy"] > 0.9
        figure = plots.feature_maps(
            model.layers[1].layer, jnp.asarray(x[0]), [str(i) for i in range(10)]
        )
        titles = [ax.get_title() for ax in figure.axes]
        assert titles[:4] == ["Image", "Layer 1: 2 maps", "Layer 2: 4 maps", "Outputs"]
        figure.canvas.draw()


def test_the_paper_network_has_its_size(paper):
    """Counted by hand: 3 x 3 kernels and biases, then 512 units to 10."""
    model = eqx.filter_eval_shape(lambda: paper.model(key=jax.random.key(0)))
    shapes = [coupling.above for coupling in parts(model)]
    assert shapes == [(16, 16, 128), (8, 8, 256), (4, 4, 512), (1, 1, 512), (10,)]
    count = sum(leaf.size for leaf in jax.tree.leaves(parts(model)))
    pairs = ((3, 128), (128, 256), (256, 512), (512, 512))
    assert count == sum(9 * a * b + b for a, b in pairs) + 512 * 10 + 10
    relaxation = model.layers[1].layer.relaxation
    assert (relaxation.free, relaxation.nudged) == (250, 30)
    assert (paper.batch_size, paper.epochs, paper.beta) == (128, 120, 0.5)


def test_the_paper_network_makes_a_step_in_full_size_on_paper(paper):
    def update(x, y):
        model = paper.model(key=jax.random.key(0))
        optimizer = paper.optimizer(100)
        trained, fixed = eqx.partition(model, pnn.is_trainable(model))
        keys = jax.random.split(jax.random.key(1), len(x))

        def loss(trained):
            model = eqx.combine(trained, fixed)
            outputs = jax.vmap(lambda x, k: model(x, key=k))(x, keys)
            return paper.objective(outputs, y)

        grads = jax.grad(loss)(trained)
        updates, _ = optimizer.update(grads, optimizer.init(trained), trained)
        return optax.apply_updates(trained, updates)

    with jax.enable_x64(False), jax.numpy_dtype_promotion("standard"):
        x = jax.ShapeDtypeStruct((128, 32, 32, 3), jnp.float32)
        new = jax.eval_shape(update, x, jax.ShapeDtypeStruct((128,), jnp.int32))
    assert parts(new)[3].kernel.shape == (3, 3, 512, 512)


@pytest.mark.slow
def test_the_paper_network_makes_a_small_step(paper):
    small = eqx.tree_at(lambda e: (e.channels, e.free, e.nudged), paper, (2, 6, 3))
    with jax.enable_x64(False):
        x, y = stripes(3, (32, 32, 3))
        model, loss, inputs = step(small, jnp.asarray(x), jnp.asarray(y))
        value, grads = eqx.filter_jit(loss)(*inputs)
    assert np.isfinite(value)
    assert all(np.isfinite(g).all() for g in jax.tree.leaves(parts(grads)))
    assert any(np.any(g != 0) for g in jax.tree.leaves(parts(grads)[-1]))


@pytest.mark.slow
def test_momentum_gives_each_coupling_its_rate(paper):
    with jax.enable_x64(False), jax.numpy_dtype_promotion("standard"):
        model = eqx.tree_at(lambda e: e.channels, paper, 1).model(key=jax.random.key(0))
        trained = eqx.filter(model, pnn.is_trainable(model))
        optimizer = momentum(1.0, 4, 100)
        grads = jax.tree.map(jnp.ones_like, trained)
        updates, _ = optimizer.update(grads, optimizer.init(trained), trained)
    for coupling, old, rate in zip(parts(updates), parts(trained), RATES, strict=True):
        expected = -rate * (1 + 3e-4 * old.bias)
        np.testing.assert_allclose(coupling.bias, expected, rtol=1e-6)


def test_variation_moves_and_mirrors_only_while_training():
    image = jnp.zeros((8, 8, 1)).at[3, 2].set(1.0)
    variation = Variation(2, True)
    keys = jax.random.split(jax.random.key(0), 500)
    seen = jax.vmap(lambda k: variation(image, key=k))(keys)[..., 0]
    where = {tuple(int(i) for i in np.argwhere(one)[0]) for one in np.asarray(seen)}
    columns = {*range(0, 5), *range(3, 8)}
    assert where == {(y, x) for y in range(1, 6) for x in columns}
    still = eqx.nn.inference_mode(variation)
    np.testing.assert_array_equal(still(image, key=keys[0]), image)
    np.testing.assert_array_equal(variation(image), image)


def archive(path, batches):
    with tarfile.open(path, "w:gz") as tar:
        for name, content in batches.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))


def record(label, red, green, blue):
    return bytes([label]) + b"".join(bytes([c]) * 1024 for c in (red, green, blue))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PNNJAX_DATA", str(tmp_path))
    (tmp_path / "cifar-10").mkdir()
    return tmp_path / "cifar-10" / "cifar-10-binary.tar.gz"


def batches(**changed):
    train = {name: record(i, 255, 0, 51) for i, name in enumerate(_cifar10.TRAIN)}
    return {**train, _cifar10.TEST[0]: record(9, 0, 255, 0), **changed}


def test_cifar10_is_read_as_its_format_says(folder):
    archive(folder, batches())
    pictures = data.cifar10()
    assert pictures.train_x.shape == (5, 32, 32, 3)
    np.testing.assert_allclose(pictures.train_x[0, 5, 7], [1, 0, 0.2])
    np.testing.assert_array_equal(pictures.train_y, range(5))
    assert pictures.classes[pictures.test_y[0]] == "truck"
    assert pictures.train_x.dtype == np.float32 and pictures.test_y.dtype == np.int32


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (record(1, 0, 0, 0)[:-1], "records of 3073"),
        (b"", "batch of 0 bytes"),
        (record(10, 0, 0, 0), "label 10"),
    ],
)
def test_a_damaged_cifar10_is_named(folder, content, message):
    archive(folder, batches(**{_cifar10.TEST[0]: content}))
    with pytest.raises(ValueError, match=message):
        data.cifar10()


def test_a_cifar10_archive_cut_short_is_named(folder):
    archive(folder, batches())
    folder.write_bytes(folder.read_bytes()[:-30])
    with pytest.raises(ValueError, match=r"cifar-10-binary.tar.gz.*no whole archive"):
        data.cifar10()
    archive(folder, {})
    with pytest.raises(ValueError, match="no whole archive"):
        data.cifar10()
    folder.unlink()
    with pytest.raises(FileNotFoundError, match=r"cs.toronto.edu"):
        data.cifar10()


@pytest.mark.slow
def test_ten_thousand_images_thrice_reach_their_accuracy():
    experiment = FashionConvEP(epochs=3)
    with jax.enable_x64(False):
        images = experiment.data()
        _, history = pnn.fit(
            experiment.model(key=jax.random.key(0)),
            images._replace(
                train_x=images.train_x[:10_000], train_y=images.train_y[:10_000]
            ),
            experiment.objective,
            experiment.optimizer(600),
            epochs=3,
            batch_size=50,
            metrics=experiment.metrics(),
            key=jax.random.key(1),
            progress=False,
        )
    assert history.final()["accuracy"] > 0.845
