"""What a served device refuses, with a reason, and that it goes on serving."""

import json
import random
import socket
import struct
import threading
import time

import grpc
import jax
import numpy as np
import pytest
from hypothesis import HealthCheck, given, seed, settings, strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from pnnjax.devices import Limits, RemoteDevice, Signature, serve
from pnnjax.devices._served_runs import without_paths
from pnnjax.devices._wire import (
    Request,
    WireError,
    pack_answer,
    pack_request,
    unpack_answer,
    unpack_description,
    unpack_request,
)

TOKEN = "the-token-of-a-test"
WEIGHT = np.arange(12.0, dtype=np.float32).reshape(3, 4) / 12
X = np.ones((2, 4), np.float32)
LIMITS = Limits(
    parameter_range=(-1.0, 1.0),
    input_range=(-2.0, 2.0),
    output_range=(-1e3, 1e3),
    batch_limit=8,
)
SIGNATURE = Signature(
    (jax.ShapeDtypeStruct((3, 4), np.float32),),
    jax.ShapeDtypeStruct((4,), np.float32),
    jax.ShapeDtypeStruct((3,), np.float32),
)
FIVE_MINUTES = 300.0  # s


free = threading.Event()
free.set()


def matrix(parameters, x):
    assert free.wait(20)
    return np.einsum("ij,...j->...i", parameters[0], x)


@pytest.fixture(scope="module")
def server():
    with serve(
        matrix,
        token=TOKEN,
        limits=LIMITS,
        signature=SIGNATURE,
        message_limit=128 * 1024,
        waiting=4,
        patience=0.5,
    ) as server:
        yield server


@pytest.fixture(scope="module")
def channel(server):
    with grpc.insecure_channel(server.address, [("grpc.enable_http_proxy", 0)]) as one:
        yield one


def headers(token=TOKEN):
    return (("authorization", f"Bearer {token}"),)


def call(channel, message, *, metadata=headers(), method="Run", **options):
    """Status and sentence, or the answer."""
    ask = channel.unary_unary(f"/pnnjax.Device/{method}")
    try:
        return "OK", ask(message, timeout=20, metadata=metadata, **options)
    except grpc.RpcError as error:
        return error.code().name, error.details()


def request(name, parameters=(WEIGHT,), x=X):
    return pack_request(Request(name, list(parameters), x))


names = iter(f"good-{number}" for number in range(10**9))


def assert_good_request_is_answered(channel):
    name = next(names)
    status, answer = call(channel, request(name))
    assert status == "OK", answer
    np.testing.assert_allclose(unpack_answer(answer, name), X @ WEIGHT.T, rtol=1e-6)


def raw(header, data=b""):
    text = json.dumps(header).encode() if isinstance(header, dict) else header
    return len(text).to_bytes(8, "little") + text + data


def tensor(dtype="F32", shape=(2, 4), offsets=(0, 32)):
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


NOTES = {"protocol": "1", "complex": "", "run": "odd"}
ODD = {
    "INVALID_ARGUMENT": {
        "are no message": b"",
        "not all of one": request("odd")[:20],
        "are the limit": raw(b" " * 70_000),
        "Protocol 1 is spoken here": raw({"__metadata__": NOTES | {"protocol": "2"}}),
        "no safetensors message": raw(b"[1, 2]"),
        "not fully covered": request("odd")[:-5],
        "a name is there twice": raw(
            b'{"__metadata__":{"protocol":"1","run":"a","run":"b"}}'
        ),
        "is BF16; float16, float32": raw(
            {"__metadata__": NOTES, "x": tensor("BF16", (4, 4))}, bytes(32)
        ),
        "is I64; float16, float32": raw(
            {"__metadata__": NOTES, "x": tensor("I64", (4,))}, bytes(32)
        ),
        "The arrays are not those": raw(
            {"__metadata__": NOTES, "z": tensor()}, bytes(32)
        ),
        "The notes are not those": raw(
            {"__metadata__": NOTES | {"more": "x"}, "x": tensor()}, bytes(32)
        ),
        "A run is named by": request("../etc/passwd"),
        "No array has the shape": raw(
            {"__metadata__": NOTES, "x": tensor("F32", [0] + [2**62] * 2, (0, 0))}
        ),
        "float32 or float64 pairs": raw(
            {"__metadata__": NOTES | {"complex": "x"}, "x": tensor()}, bytes(32)
        ),
        "are named that are not there": raw(
            {"__metadata__": NOTES | {"complex": "q"}, "x": tensor()}, bytes(32)
        ),
        "0 parameter arrays, but the device has 1": request("odd", []),
        "the device has float32[3,4]": request("odd", [WEIGHT.T]),
        "the device takes float32[4]": request("odd", x=X.astype(np.float64)),
        "The input is float32[2,3]": request("odd", x=X[:, :3]),
        "less than one example": request("odd", x=X[0, 0]),
        "An array is empty": request("odd", x=X[:0]),
        "9 examples, and 8 are the limit": request("odd", x=X[np.zeros(9, int)]),
        "The input has values that are not finite": request("odd", x=X * np.inf),
        "Parameter 0 has values": request("odd", [WEIGHT * np.nan]),
    },
    "OUT_OF_RANGE": {
        "Parameter 0 out of range: 5 of 12 values": request("odd", [WEIGHT * 2 - 0.1]),
        "input out of range: 8 of 8 values": request("odd", x=X * 3),
    },
}


@pytest.mark.parametrize(
    "status, reason", [(status, reason) for status in ODD for reason in ODD[status]]
)
def test_a_wrong_request_is_refused_with_its_reason(channel, server, status, reason):
    made = server.made
    code, said = call(channel, ODD[status][reason])
    assert code == status and reason in said and len(said) <= 300
    assert server.made == made


def test_the_server_goes_on_after_all_of_them(channel):
    assert_good_request_is_answered(channel)


@pytest.mark.parametrize(
    "metadata",
    [(), headers(""), headers(TOKEN[:-1]), headers(TOKEN + "x"), headers("Z" * 4000),
     (("authorization", TOKEN),), (("authorization-bin", b"\xff\x00"),)],
)  # fmt: skip
def test_without_the_token_nothing_is_read_or_told(channel, metadata):
    for method in ("Run", "Describe"):
        status, said = call(channel, b"", metadata=metadata, method=method)
        assert (status, said) == ("UNAUTHENTICATED", "The token is missing or wrong")
    # The body never comes: the answer does not wait for it.
    ask = channel.stream_unary("/pnnjax.Device/Run")
    with pytest.raises(grpc.RpcError, match="The token is missing"):
        ask(iter(lambda: time.sleep(0.3), 1), metadata=metadata, timeout=0.25)
    assert_good_request_is_answered(channel)


def test_what_is_too_large_or_compressed_is_not_read(channel, capfd):
    status, said = call(channel, request("big", x=np.ones((50_000, 4), np.float32)))
    assert status == "RESOURCE_EXHAUSTED" and "larger than max" in said
    bomb = bytes(10**7)
    for kind in (grpc.Compression.Gzip, grpc.Compression.Deflate):
        status, said = call(channel, bomb, compression=kind)
        assert status == "UNIMPLEMENTED" and "is disabled" in said
    status, _ = call(channel, b"", metadata=(*headers(), ("more", "x" * 100_000)))
    assert status == "RESOURCE_EXHAUSTED"
    assert call(channel, b"", method="Shell")[0] == "UNIMPLEMENTED"
    assert_good_request_is_answered(channel)
    capfd.readouterr()


def test_slow_clients_are_hung_up_on_and_do_not_keep_others_waiting(channel, server):
    """More of them than there are threads; each sends a byte now and then."""
    host, port = server.address.split(":")
    slow = [socket.create_connection((host, int(port))) for _ in range(40)]
    for one in slow[:30]:
        one.sendall(slow_request(server.address))
    start = time.monotonic()
    for _ in range(3):
        for one in slow:
            one.sendall(data_frame(b"\0") if one in slow[:30] else b"P")
        time.sleep(0.05)
    assert_good_request_is_answered(channel)
    assert time.monotonic() - start < 5
    for one in slow[:30]:
        one.settimeout(5)
        told = b""
        while b"did not arrive whole within 0.5 s" not in told:
            more = one.recv(4096)
            assert more, told
            told += more
    assert time.monotonic() - start < 10
    for one in slow:
        one.close()
    assert_good_request_is_answered(channel)


def frame(kind, flags, stream, payload):
    length = len(payload).to_bytes(3, "big")
    return length + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def data_frame(payload):
    return frame(0, 0, 1, payload)


def slow_request(address):
    """HTTP/2 by hand: good headers, and the first bytes of a message of 1000."""

    def field(name, value):
        name, value = name.encode(), value.encode()
        return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value

    fields = {
        ":method": "POST", ":scheme": "http", ":path": "/pnnjax.Device/Run",
        ":authority": address, "content-type": "application/grpc", "te": "trailers",
        "authorization": f"Bearer {TOKEN}",
    }  # fmt: skip
    block = b"".join(field(*pair) for pair in fields.items())
    return (
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        + frame(4, 0, 0, b"")
        + frame(1, 4, 1, block)
        + data_frame(b"\0" + struct.pack(">I", 1000))
    )


LATE = "The request did not arrive whole within 0.5 s"


def test_two_hundred_connections_at_once(channel, server):
    """Each gets its answer, or is told to come again; runs are counted once."""
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]
    channels = [grpc.insecure_channel(server.address, options) for _ in range(200)]
    made, waiting, answers = server.made, dict(enumerate(channels)), {}
    refused = 0
    free.clear()
    while waiting:
        calls = {
            number: one.unary_unary("/pnnjax.Device/Run").future(
                request(f"crowd-{number}", x=np.full_like(X, number / 200)),
                metadata=headers(),
                timeout=20,
            )
            for number, one in waiting.items()
        }
        # One run is being made, four wait, and all others are told so at once.
        while not free.is_set() and sum(one.done() for one in calls.values()) < 195:
            time.sleep(0.01)
        free.set()
        for number, future in calls.items():
            error = future.exception()
            if error is None:
                answers[number] = unpack_answer(future.result(), f"crowd-{number}")
                del waiting[number]
            else:
                # On a machine with much else to do, some arrive too slowly.
                assert (error.code(), error.details().partition(":")[0]) in (
                    (grpc.StatusCode.RESOURCE_EXHAUSTED, "Busy"),
                    (grpc.StatusCode.DEADLINE_EXCEEDED, LATE),
                )
                refused += 1
    for one in channels:
        one.close()
    assert refused >= 195 and server.made == made + 200
    for number, answer in answers.items():
        true = np.full_like(X, number / 200) @ WEIGHT.T
        np.testing.assert_allclose(answer, true, rtol=1e-5)
    assert_good_request_is_answered(channel)


def test_many_that_wait_for_one_run_leave_room_to_be_told(channel, server):
    """As where clients ask again and again for a run on which the device hangs."""
    made, ask = server.made, channel.unary_unary("/pnnjax.Device/Run")
    free.clear()
    calls = [
        ask.future(request("hang"), metadata=headers(), timeout=20) for _ in range(40)
    ]
    while sum(one.done() for one in calls) < 40 - 12:
        time.sleep(0.01)
    assert call(channel, b"", metadata=headers("wrong"))[0] == "UNAUTHENTICATED"
    assert call(channel, b"", method="Describe")[0] == "OK"
    free.set()
    errors = [one.exception() for one in calls]
    assert {error.details() for error in errors if error is not None} == {
        "Busy: too many wait; try later"
    }
    answers = {one.result() for one, error in zip(calls, errors) if error is None}
    assert len(answers) == 1 and server.made == made + 1


def test_no_answer_says_where_the_files_are():
    said = without_paths(
        "in '/home/lab/drivers/x.py', C:\\lab\\y.py: 3 V/s\n1 / 2 \x1b"
    )
    assert said == "in '<path>', <path>: 3 V/s 1 / 2"


@pytest.mark.parametrize(
    "unsafe, why",
    [
        ({"token": "short"}, "at least 16 printable"),
        ({"token": "a token with spaces in"}, "at least 16 printable"),
        ({"host": "0.0.0.0"}, "cross the network in plain text"),
        ({"host": "bench.example"}, "SSH tunnel"),
        ({"host": "::"}, "plain_text"),
        ({"waiting": 0}, "must be positive"),
        ({"patience": float("nan")}, "must be positive"),
        ({"limits": Limits(example_ndim=2)}, "1 axes by its signature, but 2"),
    ],
)
def test_what_would_be_unsafe_is_not_served(unsafe, why, tmp_path):
    safe = {"token": TOKEN, "limits": LIMITS, "signature": SIGNATURE}
    with pytest.raises(ValueError, match=why):
        serve(matrix, **(safe | unsafe))
    with pytest.raises(ValueError, match="both, a certificate and"):
        serve(matrix, **safe, certificate=tmp_path / "c.pem")
    with pytest.raises(ValueError, match="nothing is plain text"):
        serve(matrix, **safe, certificate=tmp_path / "c.pem", plain_text=True)


def test_a_client_does_not_send_the_token_over_a_network_in_plain_text(monkeypatch):
    monkeypatch.delenv("PNNJAX_DEVICE_TOKEN", raising=False)
    for address, token, why in [
        ("bench.example:50051", TOKEN, "cross the network to bench.example"),
        ("127.0.0.1", TOKEN, "a host and a port"),
        ("127.0.0.1:1", None, "set PNNJAX_DEVICE_TOKEN"),
    ]:
        with pytest.raises(ValueError, match=why):
            RemoteDevice(address, token=token)


def mutated(message):
    """A message of which some bytes are changed, left out, or put in."""

    def change(data):
        message, changes, end = data
        message = bytearray(message)
        for place, value, kind in changes:
            at = place % (len(message) + 1)
            if kind == 0:
                message[at : at + 1] = bytes([value])
            elif kind == 1:
                del message[at : at + value]
            else:
                message[at:at] = bytes([value]) * (1 + value % 9)
        return bytes(message[: len(message) - end])

    edit = st.tuples(st.integers(0, 10**4), st.integers(0, 255), st.integers(0, 2))
    ends = st.sampled_from([0, 0, 0, 1, 8, 31])
    return st.tuples(message, st.lists(edit, max_size=4), ends).map(change)


TEXT = st.text(max_size=9) | st.sampled_from(["x", "p0", "p1", "y", "run", "complex"])
SIZES = st.integers(-1, 9) | st.sampled_from([2**31, 2**62, 2**63, 2**64, 10**30])
JUNK = st.recursive(
    st.none() | st.booleans() | SIZES | st.floats() | TEXT,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3)
    ),
    max_leaves=5,
)
ENTRIES = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "F64", "F16", "C64", "BF16", "I8", "U64", ""]),
        "shape": st.lists(SIZES, max_size=4) | JUNK,
        "data_offsets": st.lists(SIZES, min_size=2, max_size=2) | JUNK,
    },
    optional={"more": JUNK},
)
HEADERS = st.fixed_dictionaries(
    {"__metadata__": st.just(NOTES) | st.dictionaries(TEXT, TEXT, max_size=4) | JUNK},
    optional={"x": st.just(tensor()) | ENTRIES, "p0": ENTRIES, "q": ENTRIES | JUNK},
)
VALUES = arrays(
    st.sampled_from([np.float32, np.float64, np.float16, np.complex64, np.complex128]),
    array_shapes(min_dims=0, max_dims=4, max_side=4),
)
ASKED = st.builds(
    lambda name, parameters, x: pack_request(Request(name, parameters, x)),
    TEXT,
    st.lists(st.just(WEIGHT) | VALUES, max_size=2),
    st.just(X) | VALUES,
)
MESSAGES = (
    st.binary(max_size=200)
    | st.builds(raw, st.binary(max_size=100), st.binary(max_size=50))
    | st.builds(raw, HEADERS, st.just(bytes(32)) | st.binary(max_size=64))
    | ASKED
    | mutated(ASKED | st.just(request("odd")) | st.just(pack_answer("a", X)))
)
TOKENS = st.just(TOKEN) | st.text(st.characters(min_codepoint=32, max_codepoint=126))
EXPECTED = {"OK", "INVALID_ARGUMENT", "OUT_OF_RANGE", "FAILED_PRECONDITION"}


def assert_decoders_refuse_or_read(message):
    for unpack in (unpack_request, unpack_description):
        try:
            assert unpack(message)
        except WireError as error:
            assert f"{error}"
    try:
        assert np.issubdtype(unpack_answer(message, "a").dtype, np.inexact)
    except WireError:
        pass


def fuzz(channel, server, examples, number):
    """Hostile messages to each decoder, to the live server, and to its port."""
    fixed = settings(
        max_examples=examples, deadline=None, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    sent = []

    @seed(number)
    @fixed
    @given(MESSAGES)
    def decoders(message):
        sent.append(1)
        assert_decoders_refuse_or_read(message)

    @seed(number)
    @fixed
    @given(MESSAGES, TOKENS)
    def live(message, token):
        sent.append(1)
        status, said = call(channel, message, metadata=headers(token))
        allowed = EXPECTED if token == TOKEN else {"UNAUTHENTICATED"}
        assert status in allowed, (status, said)
        assert said

    @seed(number)
    @settings(fixed, max_examples=1 + examples // 10)
    @given(st.binary(max_size=300) | mutated(st.just(slow_request(server.address))))
    def port(noise):
        sent.append(1)
        host, port = server.address.split(":")
        with socket.create_connection((host, int(port))) as one:
            one.sendall(noise)

    for part in (decoders, live, port):
        part()
    return len(sent)


def storm(channel, count, number):
    """Good messages with a few bytes changed: blind, but many."""
    rng = random.Random(number)
    good = [request("odd"), request("odd", x=X * 1j), pack_answer("a", X)]
    for index in range(count):
        message = bytearray(rng.choice(good))
        for _ in range(rng.randrange(1, 6)):
            at, length = rng.randrange(len(message)), rng.randrange(3)
            message[at : at + length] = rng.randbytes(rng.randrange(3))
        assert_decoders_refuse_or_read(bytes(message))
        if index % 20 == 0:
            status, said = call(channel, bytes(message))
            assert status in EXPECTED, (status, said)
    return count


def test_fuzz_for_two_seconds(channel, server):
    fuzz(channel, server, examples=50, number=0)
    storm(channel, 500, number=0)
    assert_good_request_is_answered(channel)


@pytest.mark.slow
def test_fuzz_for_five_minutes(channel, server):
    end, sent, number = time.monotonic() + FIVE_MINUTES, 0, 0
    while time.monotonic() < end:
        number += 1
        sent += fuzz(channel, server, examples=200, number=number)
        sent += storm(channel, 20_000, number)
        assert_good_request_is_answered(channel)
    print(f"{sent} inputs; {server.made} runs were made; the server still answers")
