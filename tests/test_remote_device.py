"""A device over the network: the same numbers, and each run made once."""

import threading
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import trustme

from pnnjax._physical import Physical
from pnnjax.devices import (
    CallbackDevice,
    DeviceError,
    DeviceLayer,
    Frame,
    Limits,
    RemoteDevice,
    RetryPolicy,
    Signature,
    SimulatedDevice,
    raising_device_errors,
    serve,
)
from pnnjax.devices._hosting import NotServableError, hosted, tightened
from pnnjax.devices._wire import (
    Description,
    Request,
    WireError,
    pack_answer,
    pack_description,
    pack_request,
    unpack_answer,
    unpack_description,
    unpack_request,
)
from pnnjax.estimators import PhysicsAware

TOKEN = "the-token-of-a-test"
QUICK = RetryPolicy(attempts=5, backoff=0.05, timeout=20.0)


def matrix(parameters, x):
    return np.einsum("ij,...j->...i", parameters[0], x)


class Instrument:
    """Plays a list of answers or errors; then multiplies, with a drift."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.runs = 0

    def __call__(self, parameters, x):
        self.runs += 1
        good = matrix(parameters, x) + 1e-3 * self.runs
        answer = self.answers.pop(0) if self.answers else good
        if isinstance(answer, BaseException):
            raise answer
        return answer(good) if callable(answer) else answer


@pytest.fixture
def served():
    """Serve something and connect to it; all is closed at the end."""
    opened = []

    def start(run, *, limits=Limits(), retry=QUICK, port=0, **settings):
        server = serve(run, token=TOKEN, limits=limits, port=port, **settings)
        opened.append(server)
        device = RemoteDevice(server.address, token=TOKEN, retry=retry)
        opened.append(device)
        return server, device

    yield start
    for one in opened:
        one.close()


def layer_of(key, shape=(3, 4)):
    layer = eqx.nn.Linear(shape[1], shape[0], use_bias=False, key=key)
    return eqx.tree_at(lambda l: l.weight, layer, jax.random.normal(key, shape))


def measured(device, layer, x, **settings):
    with raising_device_errors():
        return jax.block_until_ready(device(layer, x, **settings))


def test_messages_come_out_as_they_went_in():
    rng = np.random.default_rng(0)
    wide = rng.normal(size=(4, 3))
    arrays = [
        wide.T,
        wide.astype(">f8"),
        np.float32(2.5).reshape(()),
        (wide + 1j).astype(np.complex64),
        (wide[:, 0] + 2j).T[::2],
        np.array(1 - 1j),
        wide.astype(np.float16),
        np.zeros((0, 3), np.complex64),
    ]
    request = unpack_request(pack_request(Request("ab.1-2_3", arrays, wide[::2])))
    assert request.name == "ab.1-2_3"
    for sent, got in zip([*arrays, wide[::2]], [*request.parameters, request.x]):
        assert got.shape == sent.shape
        assert got.dtype == sent.dtype.newbyteorder("=")
        np.testing.assert_array_equal(got, sent)
    answer = pack_answer("a", wide)
    np.testing.assert_array_equal(unpack_answer(answer, "a"), wide)
    with pytest.raises(WireError, match="another run"):
        unpack_answer(answer, "b")
    for unsendable in (np.arange(3), np.array(["a"]), np.array([None])):
        with pytest.raises(WireError, match="can be sent"):
            pack_answer("a", unsendable)


def test_a_description_comes_out_as_it_went_in():
    limits = Limits(
        parameter_range=(0.0, 0.1),
        output_range=(-1.0, 1e30),
        saturates=True,
        batch_limit=7,
        example_ndim=0,
        latency=1e-3,
    )
    kind = jax.ShapeDtypeStruct
    full = Signature((kind((3, 4), jnp.float32), kind((), complex)), kind((), float))
    for description in (
        Description(limits, full, 1000),
        Description(Limits(), Signature((), None, kind((10,), jnp.float16)), 1),
    ):
        assert unpack_description(pack_description(description)) == description


def test_a_remote_device_is_a_device(served, getkey):
    """Eager, under `jit` and `vmap`, cut by the batch limit, and in a gradient."""
    limits = Limits(batch_limit=6, parameter_range=(-10.0, 10.0), latency=1e-4)
    server, device = served(matrix, limits=limits)
    assert device.limits == limits
    layer, x = layer_of(getkey()), jax.random.normal(getkey(), (5, 4))

    @eqx.filter_jit
    def all_of_it(layer, x):
        def loss(layer):
            return jnp.sum(Physical(layer, PhysicsAware(device))(x) ** 2)

        twice = jnp.concatenate([x, x])
        over = jax.vmap(lambda row: device(layer, row))(x)
        return over, device(layer, twice), eqx.filter_grad(loss)(layer)

    with raising_device_errors():
        over, twice, grad = jax.block_until_ready(all_of_it(layer, x))
    true = x @ layer.weight.T
    np.testing.assert_allclose(over, true, rtol=1e-13)
    np.testing.assert_allclose(twice, jnp.concatenate([true, true]), rtol=1e-13)
    np.testing.assert_allclose(grad.weight, 2 * true.T @ x, rtol=1e-12)
    assert server.made == device.runs == device.attempts == 4
    with pytest.raises(DeviceError, match="parameter 0 out of range") as error:
        layer = eqx.tree_at(lambda l: l.weight, layer, 11 * layer.weight / 1e-3)
        measured(device, layer, x)
    assert error.value.attempts == 0 and server.made == 4


def test_a_run_whose_answer_comes_late_is_made_once(served, getkey):
    def slow(good):
        time.sleep(0.4)
        return good

    instrument = Instrument(slow)
    policy = RetryPolicy(attempts=6, backoff=0.05, timeout=0.15)
    server, device = served(instrument, retry=policy)
    layer, x = layer_of(getkey()), jax.random.normal(getkey(), (5, 4))
    y = measured(device, layer, x)
    np.testing.assert_allclose(y, x @ layer.weight.T + 1e-3, rtol=1e-12)
    assert device.attempts > 1 and device.runs == server.made == instrument.runs == 1


def test_the_same_name_is_the_same_run(served, getkey):
    """Also where asked by another client, as after a crash, and at the same time."""
    instrument = Instrument()
    server, device = served(instrument, kept=4)
    layer, x = layer_of(getkey()), jax.random.normal(getkey(), (5, 4))
    names = jnp.array([[1, 2, 7], [1, 2, 8]], jnp.uint32)
    first, second = (measured(device, layer, x, request=name) for name in names)
    assert np.all(first != second)
    other = RemoteDevice(server.address, token=TOKEN)
    again = measured(other, layer, x, request=names[0])
    np.testing.assert_array_equal(again, first)
    assert server.made == 2
    with pytest.raises(DeviceError, match="0000000100000002-7 was asked for before"):
        measured(other, layer, -x, request=names[0])
    answers, sent = [], ([np.asarray(layer.weight)], np.asarray(x), "both")
    threads = [
        threading.Thread(target=lambda: answers.append(device.device.run(*sent)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    assert len(answers) == 4 and server.made == 3
    assert all(np.array_equal(answer, answers[0]) for answer in answers)
    for number in range(4):
        device.device.run(*sent[:2], f"more-{number}")
    with pytest.raises(Exception, match="no longer kept: 4 are"):
        device.device.run(*sent)
    assert server.made == 7


def test_faults_of_the_device_are_retried_or_told(served, getkey):
    nan, short = lambda y: y * np.nan, lambda y: y[:2]
    transient = [TimeoutError("no reading"), nan, None, short, OSError(5, "bus error")]
    instrument = Instrument(
        *transient, lambda y: Frame(y, 3), lambda y: Frame(y, 3), ValueError("in /a/b")
    )
    server, device = served(instrument, retry=RetryPolicy(6, 0.001, 20.0))
    layer, x = layer_of(getkey()), jax.random.normal(getkey(), (5, 4))
    measured(device, layer, x)
    assert device.runs == server.made == 1 and device.attempts == 6
    with pytest.raises(DeviceError, match="ValueError: in <path> .UNKNOWN.") as error:
        measured(device, layer, x)
    # The frame that came twice was tried again; the error of the driver was not.
    assert error.value.attempts == 2
    measured(device, layer, x)
    assert server.made == 2 and device.runs == 3


def test_a_server_that_was_restarted_is_found_again(served, getkey):
    server, device = served(matrix, retry=RetryPolicy(8, 0.05, 20.0))
    layer, x = layer_of(getkey()), jax.random.normal(getkey(), (5, 4))
    y = measured(device, layer, x)
    port = int(server.address.rpartition(":")[2])
    server.close()
    restart = threading.Timer(0.2, lambda: served(matrix, port=port))
    restart.start()
    np.testing.assert_array_equal(measured(device, layer, x), y)
    restart.join()
    assert device.attempts > 2


def test_nobody_answers():
    with serve(matrix, token=TOKEN, limits=Limits()) as server:
        with pytest.raises(OSError, match="can't be listened on"):
            port = int(server.address.rpartition(":")[2])
            serve(matrix, token=TOKEN, limits=Limits(), port=port)
    with pytest.raises(DeviceError, match="Run 0 of device .* after 2 attempts: Conn"):
        RemoteDevice(server.address, token=TOKEN, retry=RetryPolicy(2, 0.01, 5.0))


def test_a_layer_on_a_simulated_chip_can_be_served(served, getkey):
    """As it runs here; its noise belongs to the name of the run."""
    layer, x = layer_of(getkey()), jax.random.normal(getkey(), (5, 4))
    chip = DeviceLayer(layer, SimulatedDevice(Noisy(layer)))
    run, limits, signature = hosted(chip, key=jax.random.key(0))
    limits = tightened(limits, input_range=(-9.0, 9.0), batch_limit=5)
    assert limits == Limits(input_range=(-9.0, 9.0), batch_limit=5)
    server, device = served(run, limits=limits, signature=signature)
    name = jnp.array([0, 0, 1], jnp.uint32)
    parameters = [np.asarray(layer.weight)]
    y = run(parameters, np.asarray(x), "0000000000000000-1")
    np.testing.assert_array_equal(measured(device, layer, x, request=name), y)
    assert np.all(run(parameters, np.asarray(x), "b") != y)
    assert device.signature.parameters == (jax.ShapeDtypeStruct((3, 4), float),)
    with pytest.raises(Exception, match=r"is float32\[3,4\]; the device has float64"):
        device.device.run([parameters[0].astype("f4")], np.asarray(x), "c")
    assert server.made == 1


class Noisy(eqx.Module):
    """Gaussian noise on what a layer gives, where there is a key."""

    layer: eqx.nn.Linear

    def __call__(self, x, *, key=None):
        y = self.layer(x)
        return y if key is None else y + jax.random.normal(key, y.shape, y.dtype)


def test_what_can_not_be_served_says_so(getkey):
    layer = layer_of(getkey())
    device = CallbackDevice(
        matrix, parameter_range=(0, 1), input_range=(0, 1), output_range=(0, 2)
    )
    assert hosted(device)[0] is matrix and hosted(device)[1] == device.limits
    for wrong in (layer, SimulatedDevice(layer), 3, Instrument):
        with pytest.raises(NotServableError, match="can't be served: give a function"):
            hosted(wrong)
    with pytest.raises(NotServableError, match="A seed is for"):
        hosted(matrix, key=getkey())
    both = tightened(Limits(batch_limit=3), parameter_range=(0, 2), batch_limit=9)
    assert both == Limits(batch_limit=3, parameter_range=(0, 2))


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "grpc", None)
    for start in (
        lambda: serve(matrix, token=TOKEN, limits=Limits()),
        lambda: RemoteDevice("127.0.0.1:1", token=TOKEN),
    ):
        with pytest.raises(ImportError, match=r"pip install 'pnnjax\[instruments\]'"):
            start()


def test_tls(tmp_path, getkey):
    names = "root.pem", "certificate.pem", "key.pem"
    root, certificate, private_key = (tmp_path / name for name in names)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(root)
    own = authority.issue_cert("127.0.0.1")
    own.private_key_pem.write_to_path(private_key)
    chain, *_ = own.cert_chain_pems
    chain.write_to_path(certificate)
    layer, x = layer_of(getkey()), jax.random.normal(getkey(), (5, 4))
    policy = RetryPolicy(2, 0.01, 5.0)
    with serve(
        matrix,
        token=TOKEN,
        limits=Limits(),
        host="0.0.0.0",
        certificate=certificate,
        private_key=private_key,
    ) as server:
        address = server.address.replace("0.0.0.0", "127.0.0.1")
        device = RemoteDevice(address, token=TOKEN, certificate=root)
        y = measured(device, layer, x)
        np.testing.assert_allclose(y, x @ layer.weight.T, rtol=1e-13)
        device.close()
        with pytest.raises(DeviceError, match="ConnectionError"):
            RemoteDevice(address, token=TOKEN, retry=policy)
