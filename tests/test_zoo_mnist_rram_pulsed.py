"""mnist-rram-pulsed: what the README says of it, and that the others learn too."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import needs_files

import pnnjax as pnn
from pnnjax.data import Dataset
from pnnjax.zoo._dfa_on_pcm import DFAOnPCM
from pnnjax.zoo._ep_on_memristors import EPOnMemristors
from pnnjax.zoo._mnist_rram_pulsed import (
    CLASSES,
    PIXELS,
    MnistRRAMPulsed,
    cells,
    perceptron,
)


def stack():
    return perceptron((6, 4, 3), 1.0, key=jax.random.key(0))


def test_cells_before_and_after_are_drawn(tmp_path):
    before, after = stack(), stack()
    after = eqx.tree_at(lambda s: s.layers[0].conductance, after, replace_fn=jnp.square)
    fig = pnn.plots.conductance_histogram(cells({"before": before, "after": after}))
    fig.savefig(tmp_path / "cells.png")
    assert [ax.get_title() for ax in fig.axes] == [
        "crossbar 1: 24 cells",
        "crossbar 2: 12 cells",
    ]
    for ax in fig.axes:
        outlines = [patch.get_data() for patch in ax.patches]
        assert len(outlines) == 4  # an outline and its filling, twice
        for drawn in outlines:
            assert drawn.values.sum() == pytest.approx(1)
    with pytest.raises(ValueError, match="no states"):
        pnn.plots.conductance_histogram({"crossbar 1": {}})
    with pytest.raises(ValueError, match="NaN"):
        pnn.plots.conductance_histogram({"one": {"after": np.array([np.nan])}})


def strokes(count, seed):
    """Images with a bright row each, whose height is the class; flat."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, CLASSES, count)
    images = 0.1 * random.random((count, 28, 28))
    images[np.arange(count), 2 * labels + 4] += 0.9
    flat = images.reshape(count, PIXELS)
    return flat.astype(np.float32), labels.astype(np.int32)


@pytest.mark.slow
@pytest.mark.parametrize(
    "experiment",
    [
        MnistRRAMPulsed(hidden=56, epochs=8, batch_size=8),
        MnistRRAMPulsed(hidden=56, epochs=8, batch_size=8, updates="tiki-taka"),
        MnistRRAMPulsed(hidden=56, epochs=8, batch_size=8, updates="sgd"),
        EPOnMemristors(hidden=24, epochs=6, batch_size=8),
        DFAOnPCM(hidden=24, epochs=6, batch_size=8),
    ],
    ids=["tiki-taka-2", "tiki-taka", "sgd", "ep", "dfa"],
)
def test_pulses_learn_strokes_and_are_drawn(experiment):
    names = tuple(str(k) for k in range(CLASSES))
    data = Dataset(*strokes(640, 0), *strokes(80, 1), names)
    steps = experiment.epochs * len(data.train_x) // experiment.batch_size
    with jax.enable_x64(False):
        result = pnn.fit(
            experiment.model(key=jax.random.key(1)),
            data,
            experiment.objective,
            experiment.optimizer(steps),
            epochs=experiment.epochs,
            batch_size=experiment.batch_size,
            metrics=experiment.metrics(),
            key=jax.random.key(2),
            progress=False,
        )
        assert result.history.final()["accuracy"] > 0.9
        figures = [experiment.picture(result.model, data)]
        drawn = experiment.further_pictures.values()
        figures += [draw(result.model, data) for draw in drawn]
    assert all(fig.axes for fig in figures)


@needs_files
@pytest.mark.slow
def test_tiki_taka_makes_up_for_asymmetric_cells():
    def accuracy(**settings):
        experiment = MnistRRAMPulsed(epochs=2, **settings)
        with jax.enable_x64(False):
            return experiment.run(
                seed=0, checkpoint=None, resume=False, progress=False
            ).value

    descent = {"updates": "sgd", "learning_rate": 0.5}
    symmetric = accuracy(device="constant-step", **descent)
    assert accuracy() > accuracy(**descent) + 0.02
    assert symmetric > accuracy(**descent) + 0.02


@needs_files
@pytest.mark.slow
def test_mnist_rram_pulsed_reaches_its_accuracy():
    with jax.enable_x64(False):
        run = MnistRRAMPulsed().run(
            seed=0, checkpoint=None, resume=False, progress=False
        )
    assert run.value >= 0.965
