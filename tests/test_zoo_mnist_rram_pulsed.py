"""mnist-rram-pulsed: what the README says of it, and that the others learn too."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
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
    crossbars,
    in_blocks,
    in_stages,
    perceptron,
)


def stack(counting=True):
    return perceptron((6, 4, 3), 1.0, counting=counting, key=jax.random.key(0))


def one_column():
    """Moves column after column by one."""

    def update(updates, step, params=None):
        del params

        def moved(array):
            return jnp.zeros_like(array).at[..., step % array.shape[-1]].set(1.0)

        return jax.tree.map(moved, updates), step + 1

    return optax.GradientTransformation(lambda params: jnp.int32(0), update)


@pytest.mark.parametrize("counting", [True, False])
def test_as_many_columns_are_read_as_there_are_blocks(counting):
    trained = eqx.filter(stack(counting), eqx.is_inexact_array)
    optimizer = in_blocks(one_column(), 2)
    memory, seen = optimizer.init(trained), []
    for _ in range(3):
        changes, memory = optimizer.update(trained, memory, trained)
        assert jax.tree.structure(changes) == jax.tree.structure(trained)
        seen.append([np.asarray(c.conductance) for c in crossbars(changes)])
    first, second = zip(*seen, strict=True)
    np.testing.assert_array_equal(np.add.reduce(first), 1)
    for moved, width in ((first[0], 6), (second[1], 4)):
        found = np.flatnonzero(moved[0].all(0))
        assert len(found) == 2 and np.diff(found) == width // 2
    np.testing.assert_array_equal(second[0], second[2])  # two columns a block


def test_stages_share_the_steps_and_the_memory():
    def scaled(by):
        return optax.GradientTransformation(
            lambda params: jnp.zeros(()),
            lambda updates, memory, params=None: (by * updates, memory + 1),
        )

    optimizer = in_stages([scaled(4.0), scaled(2.0), scaled(1.0)], 6)
    memory, changes = optimizer.init(jnp.ones(())), []
    for _ in range(7):
        change, memory = optimizer.update(jnp.ones(()), memory, jnp.ones(()))
        changes.append(float(change))
    assert changes == [4, 4, 2, 2, 1, 1, 1]
    assert memory[1] == 7


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
