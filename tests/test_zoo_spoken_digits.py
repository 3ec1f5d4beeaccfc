"""spoken-digits-delay, on a few made-up sounds and at its full size."""

import jax
import numpy as np
import pytest
from helpers import needs_files

from pnnjax import data, plots, zoo
from pnnjax.zoo import _spoken_digits_delay
from pnnjax.zoo._spoken_digits_delay import SpokenDigitsDelay, part_means

TINY = {"nodes": 40, "channels": 4}


@pytest.fixture
def chirps(monkeypatch):
    """Ten sounds that differ in where they begin and end, six takes of each."""
    generator = np.random.default_rng(0)
    labels, takes = np.repeat(np.arange(10), 8), np.tile(np.arange(8), 10)
    time = np.arange(1600) / 8000
    first, last = 300 + 250 * (labels % 4), 300 + 350 * (labels // 4)
    pitch = first[:, None] + (last - first)[:, None] * time / time[-1]
    sound = np.sin(2 * np.pi * np.cumsum(pitch, 1) / 8000)
    sound += 0.1 * generator.normal(size=sound.shape)
    lengths = generator.integers(1200, 1600, len(sound)).astype(np.int32)
    sound[np.arange(1600) >= lengths[:, None]] = 0
    digits = data.SpokenDigits(
        x=sound.astype(np.float32),
        y=labels.astype(np.int32),
        lengths=lengths,
        takes=takes.astype(np.int32),
        speakers=("nobody",) * len(sound),
        classes=tuple("0123456789"),
        rate=8000.0,
    )
    monkeypatch.setattr(_spoken_digits_delay.data, "spoken_digits", lambda: digits)
    return digits


def test_words_are_told_apart_by_the_states_of_the_loop(chirps):
    study = zoo.configure(SpokenDigitsDelay, TINY)
    outcome = study.run(seed=0, checkpoint=None, resume=False, progress=False)
    assert outcome.table["numbers"] == [4, 40, 40]
    assert outcome.value == outcome.table["test accuracy"][-1] > 0.5
    heard, nodes, scores = outcome.pictures["physics"]().axes[:3]
    assert heard.get_title() == "A 7, said by nobody"
    assert len(nodes.images) == 1 and len(scores.lines) == 12
    (confusion, *_) = outcome.pictures["confusion"]().axes
    assert confusion.get_title().endswith(f"({100 * outcome.value:.1f} %)")


def test_silence_after_a_word_changes_nothing(chirps):
    study = zoo.configure(SpokenDigitsDelay, TINY)
    sounds = chirps.cochleagrams(4, low=100.0, high=3600.0)
    reservoir = study.reservoir(jax.random.key(0))
    x, lengths = sounds.x[:2], sounds.lengths[:2]
    found = _spoken_digits_delay.mean_states(reservoir, jax.numpy.asarray(x), lengths)
    for mean, image, frames in zip(found, x, lengths, strict=True):
        alone = reservoir(jax.numpy.asarray(image[:frames]))
        np.testing.assert_allclose(mean, alone.mean(0), rtol=1e-4)
    whole = part_means(data.Cochleagrams(x, lengths), 1)
    np.testing.assert_allclose(whole[0], x[0, : lengths[0]].mean(0), rtol=1e-5)


def test_settings_can_be_chosen_without_the_test_set(chirps):
    train, test = zoo.configure(SpokenDigitsDelay, {"validate": True}).parts(chirps)
    assert not (train & test).any() and not ((train | test) & chirps.is_test).any()
    assert (chirps.takes[test] < 10).all() and test.any()


def test_a_picture_needs_as_many_frames_of_everything():
    heard, states, scores = np.ones((5, 3)), np.ones((5, 4)), np.ones((5, 2))
    arguments = {"states": states, "scores": scores, "names": "ab"}
    with pytest.raises(ValueError, match="5 frames of sound, 4 of nodes"):
        plots.cochleagram(
            heard, np.arange(3.0), 0.01, **{**arguments, "states": states[:4]}
        )
    with pytest.raises(ValueError, match="have 1 names"):
        plots.cochleagram(heard, np.arange(3.0), 0.01, **{**arguments, "names": "a"})


# Measured: see the README.


@needs_files
@pytest.mark.slow
def test_spoken_digits_delay_reaches_its_accuracy():
    with jax.enable_x64(False):
        runs = [
            zoo.configure(SpokenDigitsDelay, {}).run(
                seed=seed, checkpoint=None, resume=False, progress=False
            )
            for seed in range(2)
        ]
    assert min(run.value for run in runs) >= 0.97
    mean, parts, loop = runs[0].table["test accuracy"]
    assert mean < 0.85 and parts < loop
