"""Diffractive networks of the zoo: their physics, and that they learn."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pnnjax as pnn
from pnnjax import zoo

NAMES = "mnist-d2nn", "fashion-d2nn"
SMALL = {"grid": 32, "spacing": 5e-3, "detector_size": 4, "detector_spacing": 6}
SMALL |= {"magnification": 1, "layers": 2, "images": 400, "epochs": 8, "batch_size": 8}
PRESETS = {}, {"preset": "paper"}, SMALL


@pytest.fixture
def handwriting(monkeypatch):
    """The 1797 digits that come along, in the format of the large data sets."""
    small = pnn.data.digits()

    def enlarged(x):
        images = np.repeat(np.repeat(x.reshape(-1, 8, 8), 3, axis=1), 3, axis=2)
        return np.pad(images / images.max(), [(0, 0), (2, 2), (2, 2)])

    large = small._replace(
        train_x=enlarged(small.train_x),
        test_x=enlarged(small.test_x[:200]),
        test_y=small.test_y[:200],
    )
    monkeypatch.setattr(pnn.data, "mnist", lambda: large)
    monkeypatch.setattr(pnn.data, "fashion_mnist", lambda: large)
    return large


def untrained(experiment):
    return experiment.model(key=jax.random.key(0))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("settings", PRESETS)
def test_each_pixel_reaches_each_pixel_of_the_next_plane(name, settings):
    e = zoo.configure(zoo.find(name), settings)
    steepest = math.asin(e.wavelength / (2 * e.pitch))
    # Within a pixel: the paper's own geometry is at this limit.
    assert e.spacing * math.tan(steepest) > (e.grid - 1) * e.pitch
    image = jax.ShapeDtypeStruct((2, 28, 28), jnp.float32)
    powers = eqx.filter_eval_shape(lambda m, x: jax.vmap(m)(x), untrained(e), image)
    assert powers.shape == (2, 10) and powers.dtype == jnp.float32


@pytest.mark.parametrize("name", NAMES)
def test_the_laser_carries_one_watt_and_no_plane_gains_any(name):
    e = zoo.configure(zoo.find(name), SMALL)
    *elements, detector = untrained(e).layers
    light = jnp.ones((28, 28), jnp.float32)
    powers = []
    for element in elements:
        light = element(light)
        powers.append(np.sum(np.abs(np.asarray(light, complex)) ** 2))
    assert powers[0] == pytest.approx(1, rel=1e-6)
    assert all(b <= a * (1 + 1e-6) for a, b in zip(powers, powers[1:]))
    assert float(jnp.sum(detector(light))) <= powers[-1]


def test_digits_dim_the_light_and_clothing_delays_it():
    half = jnp.full((28, 28), 0.5, jnp.float32)
    dimmed, delayed = (
        untrained(zoo.configure(zoo.find(name), SMALL)).layers[0](half)
        for name in NAMES
    )
    edge = np.asarray(delayed)
    assert edge[0, 0] == 0 and np.asarray(dimmed)[0, 0] == 0
    np.testing.assert_allclose(dimmed[2:-2, 2:-2], 0.5 / 28, rtol=1e-6)
    np.testing.assert_allclose(delayed[2:-2, 2:-2], 1j / 28, rtol=1e-5, atol=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, balanced, least",
    [("mnist-d2nn", False, 0.8), ("fashion-d2nn", True, 0.7)],
)
def test_a_few_hundred_digits_are_learned(handwriting, name, balanced, least):
    experiment = zoo.configure(zoo.find(name), SMALL | {"balanced": balanced})
    outcome = zoo.run(experiment, seed=0, progress=False)
    assert outcome.history.metrics["accuracy"][0] < outcome.value
    assert outcome.value > least
    assert outcome.model.layers[2].mask.phase.dtype == jnp.float32
    outcome.pictures["physics"]()


def test_an_image_that_does_not_fit_is_refused(handwriting):
    experiment = zoo.configure(zoo.find("mnist-d2nn"), {"magnification": 3})
    with pytest.raises(ValueError, match="takes a scale from 1 to 2"):
        zoo.run(experiment, progress=False)


@pytest.mark.slow
@pytest.mark.parametrize("name, least", [("mnist-d2nn", 0.96), ("fashion-d2nn", 0.86)])
def test_the_default_reaches_its_figure(name, least):
    experiment = zoo.find(name)()
    outcome = zoo.run(experiment, seed=0, progress=False)
    assert outcome.value >= least
