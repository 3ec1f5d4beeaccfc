"""Data sets: what is in them, how they are parted, where they come from; encoders."""

import functools
import gzip
import hashlib
import http.server
import os
import socket
import struct
import threading
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pooch
import pytest
from helpers import needs_files
from jax.test_util import check_grads

from pnnjax import data
from pnnjax.data import _deterding_vowels, _mnist, _source, _vowels

FOLDER = os.environ.get("PNNJAX_DATA")
SEVEN = ("ae", "ah", "aw", "er", "ih", "iy", "uw")


def check_dataset(dataset, train, test, shape, classes):
    assert dataset.train_x.shape == (train, *shape)
    assert dataset.test_x.shape == (test, *shape)
    assert dataset.train_y.shape == (train,) and dataset.test_y.shape == (test,)
    assert dataset.train_x.dtype == dataset.test_x.dtype == np.float32
    assert dataset.train_y.dtype == dataset.test_y.dtype == np.int32
    assert len(dataset.classes) == classes
    assert set(dataset.train_y) == set(dataset.test_y) == set(range(classes))


def rows(x):
    return {row.tobytes() for row in x.reshape(len(x), -1)}


# Parts and scales


def test_split_keeps_every_example_once_and_the_proportions():
    x = np.arange(300.0)[:, None]
    y = np.repeat([0, 1, 2], [150, 100, 50])
    parts = data.split(x, y, "abc", test_fraction=0.2, seed=3)
    both = np.concatenate([parts.train_x, parts.test_x])
    assert sorted(both.ravel()) == list(range(300))
    assert list(np.bincount(parts.test_y)) == [30, 20, 10]
    np.testing.assert_array_equal(parts.train_y, y[parts.train_x.ravel().astype(int)])


@pytest.mark.parametrize(
    "load", [data.digits, data.iris, data.moons, data.circles, data.xor]
)
def test_the_seed_alone_decides_the_parts(load):
    first, again, other = load(seed=1), load(seed=1), load(seed=2)
    np.testing.assert_array_equal(first.train_x, again.train_x)
    np.testing.assert_array_equal(first.test_y, again.test_y)
    assert rows(first.test_x) != rows(other.test_x)


def test_select_relabels_in_the_order_given():
    flowers = data.iris()
    two = data.select(flowers, ("virginica", "setosa"))
    assert two.classes == ("virginica", "setosa")
    assert len(two.train_y) == 80 and len(two.test_y) == 20
    np.testing.assert_array_equal(
        two.train_x[two.train_y == 0], flowers.train_x[flowers.train_y == 2]
    )
    with pytest.raises(ValueError, match=r"rose.*there are.*setosa"):
        data.select(flowers, ("rose",))
    with pytest.raises(ValueError, match="twice"):
        data.select(flowers, ("setosa", "setosa"))
    with pytest.raises(ValueError, match="at least one"):
        data.select(flowers, ())


def test_scales_are_those_of_the_training_part():
    x = np.array([[0.0, 5.0], [2.0, 5.0], [4.0, 5.0], [6.0, 7.0]])
    y = np.zeros(4, int)
    made = data.Dataset(*(x[:3].astype("f4"), y[:3], x[3:].astype("f4"), y[3:], ("a",)))
    unit = data.rescaled(made)
    np.testing.assert_allclose(unit.train_x, [[0, 0], [0.5, 0], [1, 0]])
    np.testing.assert_allclose(unit.test_x, [[1.5, 2]])
    normal = data.standardized(made)
    root = np.sqrt(1.5)
    np.testing.assert_allclose(normal.train_x, [[-root, 0], [0, 0], [root, 0]])
    np.testing.assert_allclose(normal.test_x, [[2 * root, 2]])
    assert unit.test_x.dtype == normal.test_x.dtype == np.float32


# Data without files


def test_digits():
    dataset = data.digits()
    check_dataset(dataset, 1437, 360, (8, 8), 10)
    assert dataset.train_x.min() == 0 and dataset.train_x.max() == 1
    counts = np.bincount(np.concatenate([dataset.train_y, dataset.test_y]))
    assert list(counts) == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    np.testing.assert_allclose(np.bincount(dataset.test_y) / counts, 0.2, atol=0.005)


def test_iris():
    dataset = data.iris(test_fraction=0.3)
    check_dataset(dataset, 105, 45, (4,), 3)
    assert list(np.bincount(dataset.test_y)) == [15, 15, 15]
    petal = dataset.train_x[dataset.train_y == 0, 2]
    assert petal.max() < 2  # cm; those of the other kinds are longer than 2.9


def test_moons_lie_on_two_half_circles():
    dataset = data.moons(noise=0.0)
    check_dataset(dataset, 200, 50, (2,), 2)
    upper = dataset.train_x[dataset.train_y == 0]
    lower = dataset.train_x[dataset.train_y == 1] - np.array([1, 0.5], np.float32)
    for half, side in (upper, 1), (lower, -1):
        np.testing.assert_allclose(np.hypot(*half.T), 1, atol=1e-6)
        assert (side * half[:, 1] > -1e-6).all()


def test_circles_differ_in_radius_only():
    dataset = data.circles(noise=0.0, inner=0.3)
    check_dataset(dataset, 200, 50, (2,), 2)
    radius = np.hypot(*dataset.train_x.T)
    np.testing.assert_allclose(radius, np.where(dataset.train_y, 0.3, 1), atol=1e-6)


def test_xor_is_the_sign_of_the_product():
    dataset = data.xor(400, noise=0.0)
    check_dataset(dataset, 320, 80, (2,), 2)
    np.testing.assert_array_equal(dataset.train_x.prod(1) < 0, dataset.train_y)
    everything = np.concatenate([dataset.train_x, dataset.test_x])
    assert set(np.unique(everything, axis=0, return_counts=True)[1]) == {100}
    spread = data.xor(4000, noise=0.2).train_x
    assert abs((spread - np.sign(spread)).std() - 0.2) < 0.01


def test_xor_refuses_what_is_impossible():
    with pytest.raises(ValueError, match="multiple of four"):
        data.xor(10)
    with pytest.raises(ValueError, match="negative"):
        data.xor(noise=-0.1)


# Published data


@needs_files
def test_mnist():
    dataset = data.mnist()
    check_dataset(dataset, 60_000, 10_000, (28, 28), 10)
    assert list(dataset.train_y[:5]) == [5, 0, 4, 1, 9]
    assert list(dataset.test_y[:5]) == [7, 2, 1, 0, 4]
    assert list(np.bincount(dataset.train_y)[:3]) == [5923, 6742, 5958]
    assert dataset.train_x.min() == 0 and dataset.train_x.max() == 1
    # The figures that everybody standardizes with.
    assert round(dataset.train_x.mean(dtype=float).item(), 4) == 0.1307
    assert round(dataset.train_x[:20_000].std(dtype=float).item(), 2) == 0.31


@needs_files
def test_fashion_mnist():
    dataset = data.fashion_mnist()
    check_dataset(dataset, 60_000, 10_000, (28, 28), 10)
    assert set(np.bincount(dataset.train_y)) == {6000}
    assert set(np.bincount(dataset.test_y)) == {1000}
    assert dataset.classes[dataset.train_y[0]] == "Ankle boot"
    assert round(dataset.train_x.mean(dtype=float).item(), 4) == 0.2860


@needs_files
def test_vowels_of_six_kinds():
    every = data.vowels(complete=False)
    check_dataset(every, 540, 294, (6,), 6)  # the counts of Bandyopadhyay 2024
    assert set(np.bincount(every.train_y)) == {90}
    complete = data.vowels()
    assert (complete.train_x > 0).all() and (complete.test_x > 0).all()
    assert len(complete.train_y) + len(complete.test_y) == 787


@needs_files
def test_vowels_of_seven_kinds_spoken_by_women():
    dataset = data.vowels(
        SEVEN, data.FORMANT_TRACK, talkers=("women",), test_fraction=0.25
    )
    assert dataset.train_x.shape[1] == 12 and dataset.classes == SEVEN
    assert len(dataset.train_y) + len(dataset.test_y) == 316
    everyone = data.vowels(
        SEVEN, data.FORMANT_TRACK, talkers=("women",), complete=False
    )
    assert len(everyone.train_y) + len(everyone.test_y) == 7 * 48


@needs_files
def test_vowels_are_read_from_the_right_columns():
    features = ("duration", "f0", "F1", "F4", "F1@20", "F3@50", "F2@80", "F3@80")
    dataset = data.vowels(("ae", "uw"), features, complete=False)
    x = np.concatenate([dataset.train_x, dataset.test_x])
    y = np.concatenate([dataset.train_y, dataset.test_y])
    m01ae = [323, 174, 663, 3691, 669, 2659, 1773, 2680]
    g21uw = [227, 225, 446, 4504, 465, 3265, 1619, 3099]
    for label, token in enumerate((m01ae, g21uw)):
        assert y[(x == token).all(1)] == [label]


@needs_files
@pytest.mark.parametrize("seed", range(3))
def test_no_talker_is_in_both_parts(seed):
    names, _ = _vowels._read(Path(FOLDER or "") / _vowels._FILE.path)
    is_test = _vowels._by_talker(names, 0.35, seed)
    talkers = [{name[:3] for name in names[part]} for part in (is_test, ~is_test)]
    assert len(talkers[0]) == 49 and len(talkers[1]) == 90
    assert not talkers[0] & talkers[1]
    # Each kind of talker in equal proportion: 45 men, 48 women, 27 boys, 19 girls.
    kinds = [sum(name[0] == kind for name in talkers[0]) for kind in "mwbg"]
    np.testing.assert_allclose(np.array(kinds) / [45, 48, 27, 19], 0.35, atol=0.03)


@needs_files
def test_vowels_with_shared_talkers_are_stratified_by_vowel():
    dataset = data.vowels(complete=False, shared_talkers=True, test_fraction=0.25)
    assert np.ptp(np.bincount(dataset.test_y)) <= 1
    again = data.vowels(complete=False, shared_talkers=True, test_fraction=0.25)
    np.testing.assert_array_equal(dataset.test_x, again.test_x)
    other = data.vowels(complete=False, shared_talkers=True, seed=1)
    assert rows(dataset.test_x) != rows(other.test_x)


def test_vowels_refuses_names_that_it_does_not_know():
    with pytest.raises(ValueError, match=r"vowel.*\['ee'\].*iy"):
        data.vowels(("ae", "ee"))
    with pytest.raises(ValueError, match=r"feature.*F5.*F4"):
        data.vowels(features=("F5",))
    with pytest.raises(ValueError, match=r"kind of talker.*children.*girls"):
        data.vowels(talkers=("children",))
    with pytest.raises(ValueError, match="twice"):
        data.vowels(("ae", "ae"))


@needs_files
def test_deterding_vowels():
    dataset = data.deterding_vowels()
    check_dataset(dataset, 528, 462, (10,), 11)
    assert set(np.bincount(dataset.train_y)) == {48}
    assert set(np.bincount(dataset.test_y)) == {42}
    np.testing.assert_allclose(dataset.train_x[0, :3], [-3.639, 0.418, -0.670])


# Where files come from


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PNNJAX_DATA", str(tmp_path))
    return tmp_path


def write_mnist(folder, images=None, labels=None):
    """A data set in the format of MNIST with `n` images in each part."""
    pixels = bytes(range(0, 250, 25)) * (3 * 784 // 10) + bytes(2)
    images = images or gzip.compress(struct.pack(">4I", 2051, 3, 28, 28) + pixels)
    labels = labels or gzip.compress(struct.pack(">2I", 2049, 3) + bytes([7, 0, 9]))
    (folder / "mnist").mkdir()
    for part in ("train", "t10k"):
        (folder / f"mnist/{part}-images-idx3-ubyte.gz").write_bytes(images)
        (folder / f"mnist/{part}-labels-idx1-ubyte.gz").write_bytes(labels)


def test_idx_is_read_as_specified(folder):
    write_mnist(folder)
    dataset = data.mnist()
    assert dataset.train_x.shape == (3, 28, 28)
    np.testing.assert_allclose(dataset.train_x[0, 0, :4] * 255, [0, 25, 50, 75])
    assert list(dataset.test_y) == [7, 0, 9]


@pytest.mark.parametrize(
    "images, labels, message",
    [
        (b"not gzip", None, r"images.*no complete gzip"),
        (gzip.compress(bytes(4000))[:-9], None, r"images.*no complete gzip"),
        (gzip.compress(b"abc"), None, r"images.*cut short"),
        (
            gzip.compress(struct.pack(">4I", 2049, 3, 28, 28)),
            None,
            r"images.*magic number is 2049, not 2051",
        ),
        (
            gzip.compress(struct.pack(">4I", 2051, 3, 28, 28) + bytes(10)),
            None,
            r"images.*announces \[3, 28, 28\].*holds 10",
        ),
        (
            None,
            gzip.compress(struct.pack(">2I", 2049, 2) + bytes(2)),
            r"labels.*2 labels for 3 images",
        ),
        (
            None,
            gzip.compress(struct.pack(">2I", 2049, 3) + bytes([1, 10, 2])),
            r"labels.*the label 10",
        ),
    ],
    ids=lambda value: type(value).__name__,  # compressed bytes hold the time
)
def test_damaged_idx_names_the_file(folder, images, labels, message):
    write_mnist(folder, images, labels)
    with pytest.raises(ValueError, match=message):
        data.mnist()


@pytest.mark.parametrize("load", [data.vowels, data.deterding_vowels])
@pytest.mark.parametrize("text", ["", "1, 2, x\n", "m01ae 323 174\n", "0, 1, 2, 3\n"])
@pytest.mark.filterwarnings("ignore:loadtxt. input contained no data")
def test_damaged_table_names_the_file(folder, load, text):
    for file in _vowels._FILE, _deterding_vowels._FILE:
        path = folder / file.path
        path.parent.mkdir(parents=True)
        path.write_text(text)
    with pytest.raises(ValueError, match=r"vow.*` is damaged"):
        load()


def test_a_folder_without_the_file_is_told_where_it_should_be(folder):
    place = folder / "mnist/t10k-labels-idx1-ubyte.gz"
    with pytest.raises(FileNotFoundError, match=r"unset PNNJAX_DATA") as caught:
        _source.locate(_mnist._file(place.name, "0" * 64))
    assert str(place) in str(caught.value) and "https://" in str(caught.value)


@pytest.fixture
def no_folder(tmp_path, monkeypatch):
    """No data at hand, an empty cache, and no proxy in the way of a local server."""
    monkeypatch.delenv("PNNJAX_DATA", raising=False)
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / "cache" / name)
    return tmp_path


@pytest.fixture
def server(no_folder):
    """The address of a web server; what it offers lies in `offered`."""
    offered = no_folder / "offered"
    offered.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format, *args):
            pass

    handler = functools.partial(Quiet, directory=str(offered))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()
        thread.join()


def test_download_once_then_from_the_cache(server, no_folder):
    content = b"ten vowels"
    (no_folder / "offered/a.dat").write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    mirrors = (f"{server}/missing.dat", f"{server}/a.dat")
    file = _source.RemoteFile("set/a.dat", mirrors, sha256)
    path = _source.locate(file)
    assert path == no_folder / "cache/pnnjax/set/a.dat"
    assert path.read_bytes() == content
    (no_folder / "offered/a.dat").unlink()
    assert _source.locate(file) == path
    path.write_bytes(b"damaged")
    with pytest.raises(FileNotFoundError, match="could not be downloaded"):
        _source.locate(file)


def test_a_download_with_other_bytes_is_refused(server, no_folder):
    (no_folder / "offered/a.dat").write_bytes(b"something else")
    sha256 = hashlib.sha256(b"ten vowels").hexdigest()
    file = _source.RemoteFile("set/a.dat", (f"{server}/a.dat",), sha256)
    with pytest.raises(FileNotFoundError, match=f"(?s)hash.*{sha256}"):
        _source.locate(file)
    assert not (no_folder / "cache/pnnjax/set/a.dat").exists()


@pytest.mark.parametrize(
    "load, name",
    [
        (data.mnist, "mnist/train-labels-idx1-ubyte.gz"),
        (data.fashion_mnist, "fashion-mnist/train-labels-idx1-ubyte.gz"),
        (data.vowels, "vowels/hillenbrand/vowdata.dat"),
        (data.deterding_vowels, "vowels/deterding/vowel-context.data"),
    ],
)
def test_no_file_and_no_network_names_both_ways_out(no_folder, monkeypatch, load, name):
    def refuse(*args, **kwargs):
        raise socket.gaierror("no network here")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    with pytest.raises(FileNotFoundError) as caught:
        load()
    message = str(caught.value)
    assert f"set PNNJAX_DATA to a folder that holds `{name}`" in message
    assert "connect to the network" in message and "https://" in message


@needs_files
def test_the_files_at_hand_are_those_that_would_be_downloaded(monkeypatch):
    wanted = []

    def note(file):
        wanted.append(file)
        return Path(FOLDER or "") / file.path

    for module in "_idx", "_vowels", "_deterding_vowels":
        monkeypatch.setattr(f"pnnjax.data.{module}.locate", note)
    for load in data.mnist, data.fashion_mnist, data.vowels, data.deterding_vowels:
        load()
    assert len(wanted) == 10
    for file in wanted:
        content = (Path(FOLDER or "") / file.path).read_bytes()
        assert hashlib.sha256(content).hexdigest() == file.sha256, file.path


# Encoders


def power(field):
    return field.real**2 + field.imag**2


@pytest.mark.parametrize("real", [jnp.float32, jnp.float64])
@pytest.mark.parametrize("encode", [data.amplitude, data.phase, data.power_normalized])
@pytest.mark.parametrize("axis", [-1, (-2, -1)])
def test_encoders_keep_precision_and_broadcast(encode, real, axis, getkey):
    x = jax.random.uniform(getkey(), (3, 2, 4, 5), real)
    encode = functools.partial(encode, power=2e-3, axis=axis)
    field = jax.jit(encode)(x)
    assert field.shape == x.shape
    assert field.dtype == (jnp.complex64 if real == jnp.float32 else jnp.complex128)
    one_by_one = jax.jit(jax.vmap(jax.vmap(encode)))(x)
    np.testing.assert_allclose(one_by_one, field, rtol=1e-6)
    assert power(field).sum(axis).max() <= 2e-3 * (1 + 1e-6)


def test_amplitude_shares_the_laser_equally():
    full = data.amplitude(jnp.ones((2, 8)), 3e-3)
    np.testing.assert_allclose(power(full), 3e-3 / 8)
    field = data.amplitude(jnp.array([1.0, 0.5, -0.5, 0.0]), 4.0)
    np.testing.assert_allclose(field, [1, 0.5, -0.5, 0])


def test_phase_turns_the_field_and_keeps_the_power():
    field = data.phase(jnp.array([0, jnp.pi / 2, jnp.pi, 4.0]), 4.0)
    np.testing.assert_allclose(field[:3], [1, 1j, -1], atol=1e-15)
    np.testing.assert_allclose(jnp.sum(power(field)), 4.0, rtol=1e-14)
    assert field[3] == jnp.exp(4j)


def test_power_normalized_keeps_ratios_and_phases(getkey):
    x = jax.random.normal(getkey(), (5, 6), jnp.complex128)
    field = data.power_normalized(x, 2e-3)
    np.testing.assert_allclose(jnp.sum(power(field), -1), 2e-3, rtol=1e-14)
    np.testing.assert_allclose(field / field[:, :1], x / x[:, :1], rtol=1e-12)
    images = data.power_normalized(jnp.ones((2, 3, 4)), axis=(-2, -1))
    np.testing.assert_allclose(images, 1 / np.sqrt(12))


def test_power_normalized_leaves_darkness_dark():
    x = jnp.zeros((2, 3)).at[1].set(1.0)
    slopes = jax.jit(lambda x: jax.jvp(data.power_normalized, (x,), (x + 1,)))
    field, slope = slopes(x)
    np.testing.assert_array_equal(field[0], 0)
    assert jnp.isfinite(slope).all()
    total = jax.jit(jax.grad(lambda x: jnp.sum(power(data.power_normalized(x)))))
    np.testing.assert_allclose(total(x), 0, atol=1e-15)  # the power is constant


def test_with_reference_carries_the_rest_of_the_power(getkey):
    x = 0.3 * jax.random.normal(getkey(), (20, 2))
    field = data.with_reference(x, 2, power=5.0)
    assert field.shape == (20, 4) and field.dtype == jnp.complex128
    np.testing.assert_allclose(jnp.sum(power(field), -1), 5.0, rtol=1e-14)
    np.testing.assert_array_equal(field[:, :2], x)
    np.testing.assert_array_equal(field[:, 2], field[:, 3])
    powers = jax.jit(lambda x: power(data.with_reference(jnp.asarray(x), power=5.0)))
    check_grads(powers, (x,), order=1)


def test_with_reference_at_its_limit(getkey):
    full = data.power_normalized(jax.random.normal(getkey(), (50, 3), jnp.float32))
    field = data.with_reference(full)
    assert jnp.abs(field[:, -1]).max() < 1e-3
    gradient = jax.jit(jax.grad(lambda x: data.with_reference(x)[-1].real))
    assert jnp.isfinite(gradient(jnp.array([1.0, 0.0]))).all()
    with pytest.raises(Exception, match="more than `power`"):
        data.with_reference(jnp.array([1.0, 0.1]))
    with pytest.raises(ValueError, match="`modes` must be at least 1"):
        data.with_reference(jnp.ones(2), 0)


def test_repeated_gives_each_screen_all_features(getkey):
    x = jax.random.normal(getkey(), (4, 3, 5))
    assert data.repeated(x, 2).shape == (4, 3, 2, 5)
    planes = data.repeated(x, 6, axis=-3)
    assert planes.shape == (4, 6, 3, 5)
    for k in range(6):
        np.testing.assert_array_equal(planes[:, k], x)
    # Passed K times, modulated by the data each time: a polynomial of degree K.
    np.testing.assert_allclose(data.repeated(x, 3).prod(-2), x**3)
    with pytest.raises(ValueError, match="`copies` must be at least 1"):
        data.repeated(x, 0)


@pytest.mark.parametrize("n", [8, 9])
@pytest.mark.parametrize("size", [3, 4, 8])
def test_low_frequencies_of_a_wave_are_one_point(n, size):
    y, x = np.mgrid[:n, :n]
    for ky, kx in (0, 0), (1, 0), (-1, 1):
        wave = np.exp(2j * np.pi * (ky * y + kx * x) / n)
        spectrum = data.low_frequencies(jnp.asarray(wave), size)
        expected = np.zeros((size, size))
        expected[size // 2 + ky, size // 2 + kx] = n  # unitary: its norm stays
        np.testing.assert_allclose(spectrum, expected, atol=1e-12)


def test_low_frequencies_conserve_power(getkey):
    image = jax.random.uniform(getkey(), (2, 8, 8), jnp.float32)
    spectrum = data.low_frequencies(image, 8)
    assert spectrum.dtype == jnp.complex64
    np.testing.assert_allclose(
        jnp.sum(power(spectrum), (-2, -1)), jnp.sum(image**2, (-2, -1)), rtol=1e-5
    )
    # A real image: opposite frequencies are conjugate.
    inner = data.low_frequencies(image, 5)
    np.testing.assert_allclose(inner[:, ::-1, ::-1], inner.conj(), atol=1e-5)
    with pytest.raises(ValueError, match="from 1 to 8, but is 9"):
        data.low_frequencies(image, 9)


def test_on_grid_enlarges_and_centers(getkey):
    image = jax.random.uniform(getkey(), (3, 4, 5), jnp.float32)
    plane = data.on_grid(image, (11, 20), 2)
    assert plane.shape == (3, 11, 20) and plane.dtype == image.dtype
    inside = plane[:, 1:9, 5:15]
    for dy, dx in (0, 0), (0, 1), (1, 0), (1, 1):
        np.testing.assert_array_equal(inside[:, dy::2, dx::2], image)
    np.testing.assert_allclose(jnp.sum(plane), 4 * jnp.sum(image), rtol=1e-6)
    assert data.on_grid(image[0], (4, 5)).shape == (4, 5)


def test_on_grid_refuses_what_does_not_fit():
    image = jnp.ones((28, 28))
    with pytest.raises(ValueError, match="takes a scale from 1 to 7"):
        data.on_grid(image, (200, 200), 8)
    with pytest.raises(ValueError, match="does not fit"):
        data.on_grid(image, (20, 200))
    with pytest.raises(ValueError, match="takes a scale from 1"):
        data.on_grid(image, (200, 200), 0)
