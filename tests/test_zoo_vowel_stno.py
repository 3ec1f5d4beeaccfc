"""vowel-stno: what the README says of it."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import needs_files

import pnnjax as pnn
from pnnjax.zoo._vowel_stno import FOUR, MHZ, VowelSTNO, microwaves, wanted


def test_each_vowel_has_a_pattern_of_its_own():
    patterns = wanted()
    assert patterns.shape == (7, 4, 2)
    assert len(np.unique(patterns.reshape(7, -1), axis=0)) == 7
    # No oscillator can lock to both, nor two to one that is asked of one.
    assert patterns.sum(2).max() == 1 and patterns.sum(1).max() == 1


def test_the_rule_moves_oscillators_into_step():
    """On a device that shows nothing but who locks: within 5 MHz, as Adler says."""
    experiment = VowelSTNO(settle=0, measure=1)
    network = experiment.network(jnp.asarray(FOUR) + 7.0)
    device = pnn.devices.CallbackDevice(
        lambda parameters, x: (
            (np.abs(x[..., None, :] - parameters[0][:, None] * MHZ) < 5 * MHZ) * 1.0
        ),
        parameter_range=(0, 1000),
        input_range=(0, 1e10),
        output_range=(0, 1),
    )
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 7, 210)
    inputs = microwaves_of(labels) + rng.normal(size=(210, 2))

    @jax.jit
    def hear(frequency, x, y):
        layer = eqx.tree_at(lambda k: k.supercriticality, network, frequency / MHZ)
        locked = pnn.devices.DeviceLayer(layer=layer, device=device)(x) > 0.5
        target = jnp.asarray(wanted())[y]
        right = jnp.all(locked == target, axis=(1, 2))
        rule = pnn.oscillators.synchronization_rule
        return rule(frequency, x, locked, target, 0.1 * MHZ), right

    frequency, x = network.frequency, jnp.asarray(inputs * MHZ)
    shares = []
    for _ in range(3):
        right = []
        for rows in np.arange(210).reshape(-1, 7):
            frequency, good = hear(frequency, x[rows], jnp.asarray(labels[rows]))
            right.append(good)
        shares.append(np.mean(right))
    assert shares[0] < 0.8 < shares[-1]
    # It rests where nothing is wrong any more: less than the 5 MHz from the middle.
    np.testing.assert_allclose(frequency / MHZ, FOUR, atol=4.0)


def microwaves_of(labels):
    """In the middle of each vowel's place."""
    from pnnjax.zoo._vowel_stno import FRONTNESS, OPENNESS, A, B

    return np.stack([A[OPENNESS], B[FRONTNESS]], -1)[labels]


@needs_files
def test_frequencies_of_the_microwaves_are_linear_in_the_logarithms():
    vowels = pnn.data.vowels(
        ("ae", "ah", "aw", "er", "ih", "iy", "uw"), talkers=("women",)
    )
    heard = microwaves(vowels)
    design = np.c_[np.log(vowels.train_x), np.ones(len(vowels.train_x))]
    _, residual, *_ = np.linalg.lstsq(design, heard.train_x)
    np.testing.assert_allclose(residual, 0, atol=1e-3)
    assert 310 < heard.train_x[:, 0].min() < heard.train_x[:, 0].max() < 350
    assert 345 < heard.train_x[:, 1].min() < heard.train_x[:, 1].max() < 390


@needs_files
@pytest.mark.slow
def test_an_epoch_with_few_steps():
    with jax.enable_x64(False):
        experiment = VowelSTNO(
            epochs=1, batch_size=100, settle=60, measure=60, noise=0.0
        )
        outcome = experiment.run(seed=0, checkpoint=None, resume=False, progress=False)
    assert 0 < outcome.value < 1
    assert outcome.table["epoch"].tolist() == [0, 1]


def test_picture_names_the_regions(tmp_path):
    locked = np.zeros((5, 6, 4, 2), bool)
    locked[:, 3:, 1, 0] = True
    fig = pnn.plots.synchronization_map(
        np.linspace(1, 2, 6),
        np.linspace(3, 4, 5),
        locked,
        np.asarray([[1.5, 3.5]]),
        np.asarray([0]),
        ["ae"],
    )
    fig.savefig(tmp_path / "map.png")
    assert [text.get_text() for text in fig.axes[0].texts] == ["none", "2A"]
    # The annotations speak first where they are checked.
    with pytest.raises((ValueError, TypeError), match="locked"):
        pnn.plots.synchronization_map(
            np.linspace(1, 2, 5),
            np.linspace(3, 4, 6),
            locked,
            np.asarray([[1.5, 3.5]]),
            np.asarray([0]),
            ["ae"],
        )


@needs_files
@pytest.mark.slow
def test_vowel_stno_reaches_its_accuracy():
    with jax.enable_x64(False):
        runs = [
            VowelSTNO().run(seed=s, checkpoint=None, resume=False, progress=False)
            for s in range(3)
        ]
    assert np.mean([run.value for run in runs]) >= 0.85
