"""vowel-wave: recordings, folds, a short run, and its pictures."""

import equinox as eqx
import jax
import numpy as np
import pytest
from helpers import needs_files

import pnnjax as pnn
from pnnjax.data import _vowel_recordings as recordings
from pnnjax.zoo._vowel_wave import VowelWave, field_frames

pytestmark = needs_files

TINY = VowelWave(
    epochs=1,
    folds=3,  # of 93 recordings: one shape, one compiled program
    samples=40,
    height=16,
    width=34,
    absorber=3,
    spacing=4,
    batch_size=64,
    courant=0.7,
)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return tmp_path_factory.mktemp("run") / "checkpoint"


@pytest.fixture(scope="module")
def run(checkpoint):
    with jax.enable_x64(False):
        return TINY.run(seed=0, checkpoint=checkpoint, resume=False, progress=False)


@pytest.fixture(scope="module")
def sounds():
    return pnn.data.vowel_recordings()


def test_recordings_are_centered_scaled_and_of_equal_number(sounds):
    assert sounds.x.shape == (279, 1000) and len(set(sounds.talkers)) == 93
    assert np.all(np.bincount(sounds.y) == 93)
    np.testing.assert_allclose(sounds.x.mean(1), 0, atol=1e-6)
    np.testing.assert_allclose((sounds.x**2).mean(1), 1, rtol=1e-5)


def test_vowels_have_the_formants_that_hillenbrand_measured(sounds):
    """F1 of women: 669 Hz in ae, 536 Hz in ei, 437 Hz in iy (his table V); the energy
    below 560 Hz is that of the first harmonics only in the last two."""
    spectrum = np.abs(np.fft.rfft(sounds.x, axis=1)) ** 2
    hertz = np.fft.rfftfreq(1000, 1 / sounds.rate)
    shares = spectrum[:, hertz < 560].sum(1) / spectrum.sum(1)
    ae, ei, iy = (np.median(shares[sounds.y == label]) for label in range(3))
    assert ae < 0.5 < ei < iy


def test_folds_share_no_recording_and_if_asked_no_talker(sounds):
    for by_talker in (False, True):
        parts = [sounds.fold(i, by_talker=by_talker) for i in range(5)]
        rows = np.concatenate([part.test_x for part in parts])
        assert len(np.unique(rows, axis=0)) == 279
        for part in parts:
            assert len(part.train_y) + len(part.test_y) == 279
            assert np.ptp(np.bincount(part.test_y)) <= 3
    voices = dict(zip(map(bytes, sounds.x), sounds.talkers, strict=True))
    last = sounds.fold(4, by_talker=True)
    train, test = ({voices[bytes(r)] for r in p} for p in (last.train_x, last.test_x))
    assert not train & test
    with pytest.raises(ValueError, match="no fold 5 of 5"):
        sounds.fold(5)


def test_files_that_are_missing_or_damaged(monkeypatch, tmp_path):
    with pytest.raises(ValueError, match="`samples` can't be 9999"):
        pnn.data.vowel_recordings(9999)
    whole = recordings._contents()
    monkeypatch.setattr(recordings, "_from_folder", lambda _: whole[:-1] + [b""])
    with pytest.raises(ValueError, match="damaged"):
        recordings._contents()
    monkeypatch.undo()
    monkeypatch.setenv("PNNJAX_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="Put a zip of the 279 files"):
        pnn.data.vowel_recordings()


@pytest.mark.slow
def test_folds_are_trained_and_reported(run):
    assert list(run.table["fold"]) == [0, 1, 2]
    assert run.value == np.mean(run.table["test_accuracy"])
    assert len(run.model) == 3
    changed = [np.ptp(np.asarray(model.density)) for model in run.model]
    assert min(changed) > 0.01


@pytest.mark.slow
def test_a_finished_run_is_read_from_its_checkpoints(run, checkpoint, capsys):
    with jax.enable_x64(False):
        again = TINY.run(seed=0, checkpoint=checkpoint, resume=True, progress=True)
    assert again.value == run.value
    assert again.table["train_accuracy"] == run.table["train_accuracy"]
    assert "Mean over the folds" in " ".join(capsys.readouterr().err.split())


def test_paper_has_the_plate_of_the_papers_code():
    settings = VowelWave.presets["paper"]
    plate = VowelWave(**settings).model()
    assert plate.damping.value.shape == (140, 140)
    assert plate.sources == ((70, 40),)
    assert plate.probes == ((35, 99), (70, 99), (105, 99))


@pytest.mark.slow
def test_frames_are_the_field_at_their_times(run):
    model = run.model[0]
    with jax.enable_x64(False):
        x = jax.numpy.ones((3, 40), jax.numpy.float32)
        frames = field_frames(model, x, 5)
        end = eqx.filter_jit(lambda model, x: model.run(x).field)(model, x)
    assert frames.shape == (3, 5, 16, 34)
    np.testing.assert_allclose(frames[:, -1], end**2, rtol=1e-4, atol=1e-10)


@pytest.mark.slow
def test_pictures(run, tmp_path):
    with jax.enable_x64(False):
        figures = {name: draw() for name, draw in run.pictures.items()}
    figures["movie"].savefig(tmp_path / "movie.png")
    ax = figures["physics"].axes[0]
    assert [text.get_text() for text in ax.texts] == ["ae", "ei", "iy"]
    assert len(figures["movie"].axes) == 3 * 5 + 1


def test_pictures_refuse_what_does_not_fit():
    speed, cells = np.ones((4, 5)), [(1, 1)]
    with pytest.raises(ValueError, match="2 names do not fit 1 probes"):
        pnn.plots.wave_speed(speed, [], cells, ["a", "b"])
    with pytest.raises(ValueError, match="not on a plate"):
        pnn.plots.wave_speed(speed, [(4, 0)], cells)
    with pytest.raises(ValueError, match="1 titles and 2 times"):
        pnn.plots.wave_movie(np.ones((1, 3, 4, 5)), ["a"], ["0", "1"])


@pytest.mark.slow
def test_vowel_wave_reaches_its_accuracy():
    with jax.enable_x64(False):
        outcome = VowelWave().run(seed=0, checkpoint=None, resume=False, progress=False)
    assert outcome.value >= 0.86
