"""Spoken digits and cochleagrams: what the ear hears of a tone, and who said what."""

import io
import zipfile

import numpy as np
import pytest
import scipy.io.wavfile
import scipy.signal
from helpers import needs_files

from pnnjax import data
from pnnjax.data import _spoken_digits, cochleagram, erb, erb_spaced

RATE = 8000.0  # Hz


def tone(frequency, seconds=0.25):
    return np.sin(2 * np.pi * frequency * np.arange(0, seconds, 1 / RATE))


def test_bandwidths_are_those_that_were_measured():
    """Glasberg and Moore: 24.7 (4.37 f/kHz + 1) Hz, which is 132.6 Hz at 1 kHz."""
    f = np.asarray([100.0, 1000.0, 3000.0])
    np.testing.assert_allclose(erb(f), 24.7 * (4.37e-3 * f + 1), rtol=2e-4)
    spaced = erb_spaced(100.0, 3600.0, 4000)
    assert spaced[[0, -1]] == pytest.approx([100, 3600])
    steps = np.diff(spaced) / erb((spaced[1:] + spaced[:-1]) / 2)
    np.testing.assert_allclose(steps, steps[0], rtol=1e-6)


def test_a_tone_excites_the_channel_of_its_frequency():
    places = erb_spaced(100.0, 3600.0, 24)
    heard = cochleagram(
        np.stack([tone(f) for f in places]), RATE, channels=24, low=100.0, high=3600.0
    )
    assert heard.shape == (24, 25, 24)
    assert (heard[:, 15:].mean(1).argmax(1) == np.arange(24)).all()


def test_loudness_grows_as_the_cube_root_and_ends_with_the_sound():
    sound = np.concatenate([tone(800.0), np.zeros(2000)])
    once, eightfold = cochleagram(np.stack([sound, 8 * sound]), RATE, channels=8)
    np.testing.assert_allclose(eightfold, 2 * once, rtol=1e-9)
    # Half of a sine is 1/pi of its height on average, and each filter passes its own.
    channel = erb_spaced(100.0, 3600.0, 8)[4]
    steady = cochleagram(tone(channel), RATE, channels=8, low=100.0, high=3600.0)
    assert steady[-5:, 4] ** 3 == pytest.approx(1 / np.pi, rel=0.03)
    assert once[-5:].max() < 0.1 * once.max() and once.min() >= 0
    logarithm = cochleagram(sound, RATE, channels=8, exponent=0)
    np.testing.assert_allclose(logarithm, np.log1p(once**3), atol=1e-12)
    single = cochleagram(sound.astype(np.float32), RATE, channels=8)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, once, atol=2e-3)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"high": 4000.0}, "half of the rate"),
        ({"channels": 0}, "0 channels"),
        ({"cutoff": 0.0}, "`cutoff` must be"),
        ({"frame": 1.0}, "fits in the sound"),
    ],
)
def test_what_can_not_be_heard_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        cochleagram(tone(500.0), RATE, **settings)


@pytest.fixture
def a_few(monkeypatch, tmp_path):
    """Two takes of two words by one voice, in a folder of a zip as GitHub makes it."""
    names, sounds = [], []
    for digit, take in ((3, 0), (3, 9), (4, 4), (4, 5)):
        names.append(f"{digit}_theo_{take}.wav")
        length = 1000 + 200 * take
        file = io.BytesIO()
        wave = (1e4 * tone(300.0 * digit, 1.0)[:length]).astype(np.int16)
        scipy.io.wavfile.write(file, int(RATE), wave)
        sounds.append(file.getvalue())
    (tmp_path / "spoken-digits").mkdir()
    with zipfile.ZipFile(tmp_path / "spoken-digits" / "fsdd.zip", "w") as archive:
        for name, content in zip(names, sounds, strict=True):
            archive.writestr(f"free-spoken-digit-dataset/recordings/{name}", content)
    digest = _spoken_digits.hashlib.sha256(b"".join(sounds)).hexdigest()
    monkeypatch.setattr(_spoken_digits, "NAMES", tuple(names))
    monkeypatch.setattr(_spoken_digits, "SHA256", digest)
    monkeypatch.setenv("PNNJAX_DATA", str(tmp_path))
    return tmp_path


def test_recordings_are_padded_and_parted(a_few):
    digits = data.spoken_digits(0.3)
    assert digits.x.shape == (4, 2400) and digits.rate == RATE
    assert list(digits.lengths) == [1000, 2400, 1800, 2000]
    assert list(digits.y) == [3, 3, 4, 4] and list(digits.takes) == [0, 9, 4, 5]
    assert list(digits.is_test) == [True, False, True, False]
    assert not digits.x[0, 1000:].any()
    np.testing.assert_allclose(np.mean(digits.x[0, :1000] ** 2), 1, rtol=1e-5)


def test_cochleagrams_of_many_are_those_of_each(a_few, monkeypatch):
    monkeypatch.setattr(_spoken_digits, "_GROUP", 3)
    digits = data.spoken_digits(0.3)
    images = digits.cochleagrams(6)
    assert list(images.lengths) == [12, 30, 22, 25]
    for image, sound, frames in zip(images.x, digits.x, images.lengths, strict=True):
        own = cochleagram(
            sound[: 80 * frames], RATE, channels=6, low=100.0, high=3600.0
        )
        np.testing.assert_allclose(image[:frames], own, atol=1e-6)
        assert not image[frames:].any()


def test_what_is_not_the_data_set_is_refused(a_few, monkeypatch):
    with pytest.raises(ValueError, match="`seconds` must be positive"):
        data.spoken_digits(0.0)
    monkeypatch.setattr(_spoken_digits, "SHA256", "")
    with pytest.raises(ValueError, match="damaged"):
        data.spoken_digits()
    monkeypatch.setattr(_spoken_digits, "NAMES", ("1_theo_0.wav",))
    with pytest.raises(ValueError, match="lacks 1 files"):
        data.spoken_digits()
    monkeypatch.setenv("PNNJAX_DATA", str(a_few / "elsewhere"))
    with pytest.raises(FileNotFoundError, match="Put a zip"):
        data.spoken_digits()


@needs_files
def test_the_official_parts_hold_all_voices_and_words():
    digits = data.spoken_digits(0.5)
    assert digits.x.shape == (3000, 4000) and digits.lengths.min() == 1148
    test = digits.is_test
    assert test.sum() == 300 and (np.bincount(digits.y[test]) == 30).all()
    voices = np.asarray(digits.speakers)
    for voice in _spoken_digits.SPEAKERS:
        assert (voices == voice).sum() == 500 and (voices[test] == voice).sum() == 50
