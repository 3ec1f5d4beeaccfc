"""The resistive network of the zoo: its images, its circuit, and that it learns."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pnnjax as pnn
from pnnjax import zoo
from pnnjax.zoo._mnist_drn import Shaken

SMALL = {"hidden": 32, "epochs": 4, "batch_size": 16, "images": 1200}
SMALL |= {"learning_rate": 3e-3}


@pytest.fixture
def handwriting(monkeypatch):
    """The 1797 digits that come along, in the format of the large data set."""
    small = pnn.data.digits()

    def enlarged(x):
        images = np.repeat(np.repeat(x.reshape(-1, 8, 8), 3, axis=1), 3, axis=2)
        return np.pad(images / images.max(), [(0, 0), (2, 2), (2, 2)])

    large = small._replace(
        train_x=enlarged(small.train_x), test_x=enlarged(small.test_x)
    )
    monkeypatch.setattr(pnn.data, "mnist", lambda: large)
    return large


@pytest.mark.slow
def test_a_thousand_digits_are_learned(handwriting, tmp_path):
    experiment = zoo.configure(zoo.find("mnist-drn"), SMALL)
    outcome = zoo.run(experiment, seed=0, progress=False)
    assert outcome.value > 0.85
    network = outcome.model.layers[1].layer
    assert all(float(g.min()) >= 0 for g in network.conductance)
    outcome.pictures["physics"]().savefig(tmp_path / "physics.png")


def test_images_move_by_a_pixel_and_only_in_training(getkey):
    image = jnp.zeros((28, 28)).at[10:15, 12:20].set(1.0)
    shaken = Shaken(1)
    keys = jax.random.split(getkey(), 100)
    moved = jax.vmap(lambda key: shaken(image, key=key))(keys).reshape(-1, 28, 28)
    places = np.argwhere(np.asarray(moved[:, :-1, :-1]) > 0)
    assert places[:, 1].min() == 9 and places[:, 1].max() == 15
    assert places[:, 2].min() == 11 and places[:, 2].max() == 20
    np.testing.assert_allclose(moved.sum((1, 2)), 40.0)
    still = eqx.nn.inference_mode(shaken)
    np.testing.assert_array_equal(still(image, key=getkey()), image.ravel())
    np.testing.assert_array_equal(shaken(image), image.ravel())


def test_voltages_of_a_layer_are_drawn_by_the_way_of_the_diode():
    hidden = np.array([[0.0, 2.0, -1.0, 0.0], [3.0, 0.0, 0.0, 0.0]])
    outputs = np.array([[0.5, -0.5], [0.25, 0.75]])
    left, right = pnn.plots.node_voltages([hidden, outputs], np.array([0, 1])).axes
    assert left.get_title() == "Hidden layer 1: 62 % held at 0 V"
    heights = [sum(bar.get_height() for bar in part) for part in right.containers]
    assert heights == [2, 2]
    with pytest.raises(ValueError, match="2 numbers from 0 to 1"):
        pnn.plots.node_voltages([outputs], np.array([0, 2]))
    with pytest.raises(ValueError, match="no layers"):
        pnn.plots.node_voltages([], np.array([0]))


@pytest.mark.slow
def test_the_default_reaches_its_figure():
    outcome = zoo.run(zoo.find("mnist-drn")(), seed=0, progress=False)
    assert outcome.value >= 0.985
