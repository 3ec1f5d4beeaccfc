"""digits-scattering: what the README says of it."""

import jax
import numpy as np
import pytest

import pnnjax as pnn
from pnnjax.zoo._digits_scattering import DigitsScattering


@pytest.fixture(scope="module")
def outcome():
    """Of a short run."""
    with jax.enable_x64(False):
        experiment = DigitsScattering(epochs=1, hidden=10, replicas=1, batch_size=200)
        return experiment.run(seed=0, checkpoint=None, resume=False, progress=False)


def test_an_epoch_learns_most_of_it(outcome):
    assert outcome.value > 0.6
    assert outcome.history.loss[-5:].mean() < outcome.history.loss[:5].mean() / 1.5


def test_black_is_off_resonance():
    digits, data = pnn.data.digits(), DigitsScattering().data()
    flat = digits.test_x.reshape(len(digits.test_x), -1)
    np.testing.assert_allclose(data.test_x, 5 * (1 - flat))
    assert data.train_x.shape == (5 * len(digits.train_x), 64)


@pytest.mark.slow
def test_pictures_show_what_the_outputs_read(outcome, tmp_path):
    with jax.enable_x64(False):
        figures = {name: draw() for name, draw in outcome.pictures.items()}
    for name in ("physics", "spectrum"):
        figures[name].savefig(tmp_path / f"{name}.png")
    network, data = outcome.model.layer, DigitsScattering(replicas=1).data()
    shown = [int(np.argmax(data.test_y == label)) for label in (0, 1, 8)]
    for ax, x in zip(figures["spectrum"].axes, data.test_x[shown]):
        matrix = np.diag(
            np.concatenate([network.detuning[0] + x, *network.detuning[1:]])
        )
        matrix[:64, 64:74], matrix[64:74, 74:] = network.coupling
        both = matrix + np.triu(matrix, 1).T - 0.5j * np.eye(84)
        scores = (1j * np.linalg.inv(both)).imag.diagonal()[74:]
        curves = [line.get_ydata()[120] for line in ax.lines[1:]]
        np.testing.assert_allclose(curves, scores, atol=1e-4)
    maps = figures["physics"].axes[:3]
    assert [ax.get_title() for ax in maps] == ["a 0", "a 1", "a 8"]
    for ax in maps:
        # Each row of a unitary matrix has the power of one port.
        power = np.asarray(ax.images[0].get_array())
        np.testing.assert_allclose(power.sum(0), 1, atol=84 * 1e-4 + 1e-3)


def test_pictures_refuse_what_does_not_fit():
    with pytest.raises(ValueError, match="2 titles and groups of"):
        pnn.plots.scattering_map(np.zeros((1, 3, 3)), (2, 1), ["a", "b"])
    with pytest.raises(ValueError, match="5 frequencies and 1 names"):
        pnn.plots.reflection_spectrum(
            np.zeros(5), np.zeros((1, 5, 2)), ["a"], probe=0.0, unit="Hz", names=["b"]
        )


@pytest.mark.slow
def test_digits_scattering_reaches_its_accuracy():
    with jax.enable_x64(False):
        runs = [
            DigitsScattering().run(
                seed=s, checkpoint=None, resume=False, progress=False
            )
            for s in range(3)
        ]
    assert np.mean([run.value for run in runs]) >= 0.95
