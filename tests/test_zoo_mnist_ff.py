"""mnist-ff, ff-fiber and phyll-cavity: what the README says of them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import needs_files

import pnnjax as pnn
from pnnjax.zoo._ff_fiber import CLASSES, SIDE, FFFiber
from pnnjax.zoo._mnist_ep import Wobble
from pnnjax.zoo._mnist_ff import PIXELS, MnistFF, MovedImage
from pnnjax.zoo._phyll_cavity import RASTER, PhyLLCavity


def run(experiment, seed=0):
    with jax.enable_x64(False):
        return experiment.run(seed=seed, checkpoint=None, resume=False, progress=False)


def test_the_image_moves_and_the_label_stays():
    x = jnp.zeros(PIXELS**2 + CLASSES).at[400].set(1.0).at[-3].set(5.0)
    moved = MovedImage(Wobble(1))
    keys = jax.random.split(jax.random.key(0), 60)
    many = np.asarray(jax.vmap(lambda key: moved(x, key=key))(keys))
    reached = np.flatnonzero(many.sum(0)[: PIXELS**2])
    steps = [row + column for row in (-PIXELS, 0, PIXELS) for column in (-1, 0, 1)]
    np.testing.assert_array_equal(reached, 400 + np.asarray(steps))
    np.testing.assert_array_equal(many[:, PIXELS**2 :], np.tile(x[-CLASSES:], (60, 1)))
    assert jnp.array_equal(moved(x), x)


@pytest.mark.slow
def test_optics_of_a_block_conserve_the_light_and_answer_to_the_label():
    experiment = FFFiber(groups=4, units=9, steps=8)
    setup = experiment.optics(SIDE**2 + CLASSES, jax.random.key(1)).value
    x = jnp.zeros((2, SIDE**2 + CLASSES)).at[1, -1].set(1.0)

    @eqx.filter_jit
    def stages(layers, x):
        found = []
        for layer in layers:
            x = layer(x)
            found.append(x)
        return found

    light, modes, guided, _, power, seen = stages(setup.layers, x)
    emitted = jnp.sum(light.real**2 + light.imag**2, (1, 2))
    np.testing.assert_allclose(emitted, experiment.power, rtol=1e-12)
    # The fiber loses nothing.
    lengths = [jnp.linalg.norm(a, axis=-1) for a in (modes, guided)]
    np.testing.assert_allclose(*lengths, rtol=1e-12)
    background = setup.layers[-1].background.value
    np.testing.assert_allclose(power[0], background, rtol=1e-5)
    np.testing.assert_allclose(jnp.mean(seen[1] ** 2), 1, rtol=1e-5)


def test_pictures_show_scores_fields_and_waves(tmp_path):
    random = np.random.default_rng(0)
    scores = random.random((2, 3, 4))
    fig = pnn.plots.label_scores(
        random.random((2, 5, 5)), scores, np.asarray([1, 3]), list("abcd"), skip=1
    )
    fig.savefig(tmp_path / "scores.png")
    taken = [int(ax.lines[0].get_xdata()[0]) for ax in fig.axes if ax.lines]
    np.testing.assert_array_equal(taken, scores[:, 1:].sum(1).argmax(-1))
    with pytest.raises(ValueError, match="`skip` is 3"):
        pnn.plots.label_scores(np.ones((1, 2, 2)), scores[:1], np.zeros(1, int), skip=3)
    fields = random.normal(size=(2, 3, 6, 6)) + 1j
    pnn.plots.labeled_fields(fields, list("abc"), 1e-6).savefig(tmp_path / "fields.png")
    with pytest.raises(ValueError, match="2 titles are for 3"):
        pnn.plots.labeled_fields(fields, ["a", "b"])
    places = random.uniform(-0.2, 0.2, (5, 2))
    waves, shifts = random.random((2, 8, 8)), random.random((2, 5))
    fig = pnn.plots.cavity_fields(waves, places, shifts, places[0], 0.5, ["a", "b"])
    fig.savefig(tmp_path / "waves.png")
    assert fig.axes[0].get_title() == "a"
    with pytest.raises(ValueError, match="need as many titles"):
        pnn.plots.cavity_fields(waves, places, shifts, places[0], 0.5, ["a"])


@pytest.mark.slow
def test_cavities_learn_alone_and_together(monkeypatch):
    """On a few digits; both rules train the same cavities and weights."""
    digits = pnn.data.digits()
    few = digits._replace(
        train_x=digits.train_x[:40], train_y=digits.train_y[:40],
        test_x=digits.test_x[:30], test_y=digits.test_y[:30],
    )  # fmt: skip
    monkeypatch.setattr(pnn.data, "digits", lambda: few)
    settings = {"epochs": 2, "receivers": 8, "blocks": 1, "batch_size": 40}
    experiment = PhyLLCavity(**settings)
    outcome = run(experiment)
    assert outcome.history.loss[-1] < outcome.history.loss[0]
    waves = outcome.pictures["physics"]().axes[0].images[0].get_array()
    assert waves.shape == (RASTER, RASTER)
    with jax.enable_x64(False):
        other = PhyLLCavity(**settings, training="backprop")
        blocks = [e.model(key=jax.random.key(0)).layers[0] for e in (experiment, other)]
    assert eqx.tree_equal(*(block.layers[0] for block in blocks))


@needs_files
@pytest.mark.slow
def test_fibers_beat_the_same_layers_without():
    table = run(FFFiber()).table
    with_fiber, without = table["accuracy"][::2], table["accuracy"][1::2]
    assert np.mean(with_fiber) > np.mean(without)


@needs_files
@pytest.mark.slow
def test_mnist_ff_reaches_its_accuracy():
    assert run(MnistFF()).value >= 0.975


@pytest.mark.slow
def test_local_learning_comes_close_to_backprop():
    alone, together = (
        run(PhyLLCavity(training=training)).value for training in ("phyll", "backprop")
    )
    assert alone > together - 0.015
