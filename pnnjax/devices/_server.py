"""A device that a training process elsewhere can reach, over gRPC."""

import hmac
import ipaddress
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ._callback import Run
from ._limits import Limits
from ._served_runs import Refusal, ServedRuns
from ._wire import (
    FAULT,
    SERVICE,
    Description,
    Signature,
    WireError,
    library,
    pack_description,
    unpack_request,
)

TOKEN_LENGTH = 16
MIB = 1024**2
_LOG = logging.getLogger("pnnjax.devices")


def serve(
    run: Run,
    *,
    token: str,
    limits: Limits,
    signature: Signature = Signature(),
    host: str = "127.0.0.1",
    port: int = 0,
    certificate: Path | None = None,
    private_key: Path | None = None,
    plain_text: bool = False,
    message_limit: int = 16 * MIB,  # bytes
    waiting: int = 16,
    kept: int = 1024,
    patience: float = 10.0,  # s
) -> "DeviceServer":
    """Serve `run(parameters, x) -> y` until the server is closed.

    Runs happen one after the other, in one thread. Each has a name: who asks for it
    again, since the answer was lost, gets the same frame, as long as it is kept.

    **Arguments:** `token`: what a client must know, at least 16 characters. `limits`,
    `signature`: what is asked for beyond them is refused. `port`: 0 for a free one.
    `certificate`, `private_key`: PEM files, for TLS. `plain_text`: on a network, token
    and arrays may be read by whoever is on the way. `message_limit` of a request and of
    an answer. `waiting`: how many runs may wait for the device. `kept`: how many
    answers are; 256 MiB of them at most. `patience`: how long a request may take to
    arrive.
    **Raises:** `ValueError` for what would be unsafe or has no meaning; `OSError` if
    the port is taken.
    """
    _check_token(token)
    if min(message_limit, waiting, kept) < 1 or not patience > 0:
        raise ValueError(
            "`message_limit`, `waiting`, `kept` and `patience` must be positive."
        )
    example = signature.example
    if example is not None and len(example.shape) != limits.example_ndim:
        raise ValueError(
            f"One example has {len(example.shape)} axes by its signature, but "
            f"{limits.example_ndim} by the limits: give `example_ndim`."
        )
    _check_host(host, certificate is not None, plain_text)
    credentials = _credentials(certificate, private_key)
    runs = ServedRuns(
        run, limits, signature, message_limit=message_limit, waiting=waiting, kept=kept
    )
    description = Description(limits, signature, message_limit)
    service = _Service(runs, description, token, waiting, patience)
    return DeviceServer(service, host, port, credentials)


class DeviceServer:
    """What `serve` started. Close it, or use it in a `with` statement."""

    def __init__(self, service: "_Service", host: str, port: int, credentials: Any):
        """Listen; `serve` is how to get here."""
        self._service = service
        # More than the runs that can wait, so that some are free to refuse and tell.
        self._threads = ThreadPoolExecutor(service.waiting + 16)
        self._server = library("grpc").server(
            self._threads,
            handlers=[service.handlers()],
            options=_options(service.description.message_limit),
            maximum_concurrent_rpcs=1024,
        )
        name = f"[{host}]" if ":" in host else host
        try:
            if credentials is None:
                port = self._server.add_insecure_port(f"{name}:{port}")
            else:
                port = self._server.add_secure_port(f"{name}:{port}", credentials)
        except RuntimeError:
            service.close()
            raise OSError(
                f"{name}:{port} can't be listened on: give a port that is free, or 0."
            ) from None
        self.address = f"{name}:{port}"
        self._server.start()

    @property
    def made(self) -> int:
        """Runs that the device has made, each counted once."""
        return self._service.runs.made

    def wait(self, timeout: float | None = None) -> bool:
        """Wait (s) until it is closed; whether it still runs."""
        return self._server.wait_for_termination(timeout)

    def close(self, grace: float = 1.0) -> None:
        """Refuse what waits; what is under way has `grace` (s) to end."""
        ended = self._server.stop(grace)
        self._service.close()
        ended.wait()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def __enter__(self) -> "DeviceServer":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class _Service:
    """What is done with one call; the token is looked at before anything is read."""

    def __init__(
        self,
        runs: ServedRuns,
        description: Description,
        token: str,
        waiting: int,
        patience: float,
    ):
        self.runs = runs
        self.description = description
        self.waiting = waiting
        self._authorization = f"Bearer {token}".encode()
        self._patience = patience
        self._readers = ThreadPoolExecutor(waiting + 16)
        # Fewer than there are threads: also where a device hangs, some can tell so.
        self._seats = threading.BoundedSemaphore(waiting + 8)

    def handlers(self) -> Any:
        """The methods by their names on the wire."""
        grpc = library("grpc")
        # Streams of one message: a unary handler is called when all has been read.
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "Describe": grpc.stream_unary_rpc_method_handler(self._describe),
                "Run": grpc.stream_unary_rpc_method_handler(self._run),
            },
        )

    def close(self) -> None:
        """Stop the device's thread."""
        self.runs.close()
        self._readers.shutdown(wait=False, cancel_futures=True)

    def _describe(self, requests: Iterator[bytes], context: Any) -> bytes:
        del requests
        return self._answer(context, lambda: pack_description(self.description))

    def _run(self, requests: Iterator[bytes], context: Any) -> bytes:
        def answer() -> bytes:
            try:
                request = unpack_request(self._read(requests))
            except WireError as error:
                raise Refusal("INVALID_ARGUMENT", f"{error}") from None
            if not self._seats.acquire(blocking=False):
                raise Refusal("RESOURCE_EXHAUSTED", "Busy: too many wait; try later")
            try:
                return _outcome(self.runs.ask(request), context)
            finally:
                self._seats.release()

        return self._answer(context, answer)

    def _answer(self, context: Any, answer: Callable[[], bytes]) -> bytes:
        try:
            self._authenticate(context)
            return answer()
        except Refusal as refusal:
            code, reason = refusal.code, refusal.reason
            context.set_trailing_metadata(((FAULT, refusal.kind),))
        except BaseException:
            _LOG.exception("a call failed")
            code, reason = "INTERNAL", "The server failed; its log says how"
        return context.abort(library("grpc").StatusCode[code], reason)

    def _authenticate(self, context: Any) -> None:
        given = dict(context.invocation_metadata()).get("authorization", "")
        given = given.encode() if isinstance(given, str) else given
        if not hmac.compare_digest(given, self._authorization):
            raise Refusal("UNAUTHENTICATED", "The token is missing or wrong")

    def _read(self, requests: Iterator[bytes]) -> bytes:
        try:
            message = self._readers.submit(next, requests, None).result(self._patience)
        except TimeoutError:
            raise Refusal(
                "DEADLINE_EXCEEDED",
                f"The request did not arrive whole within {self._patience} s",
            ) from None
        except Exception:
            raise Refusal("CANCELLED", "The call was cancelled") from None
        if message is None:
            raise Refusal("INVALID_ARGUMENT", "There is no message in the call")
        return message


def _outcome(future: Future, context: Any) -> bytes:
    """Its result, unless the call ends before."""
    ended = threading.Event()
    if context.add_callback(ended.set):
        future.add_done_callback(lambda _: ended.set())
        ended.wait()
    if not future.done():
        raise Refusal("CANCELLED", "The call ended before the run")
    return future.result()


def _options(message_limit: int) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", message_limit),
        ("grpc.max_send_message_length", message_limit),
        # A small message that unpacks to a huge one never gets to its size check.
        ("grpc.compression_enabled_algorithms_bitset", 1),
        ("grpc.per_message_decompression", 0),
        # A second server on the same port is an error, not a share of the calls.
        ("grpc.so_reuseport", 0),
        ("grpc.max_concurrent_streams", 64),
        ("grpc.max_connection_idle_ms", 600_000),
        ("grpc.server_handshake_timeout_ms", 10_000),
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ]


def _check_token(token: str) -> None:
    if len(token) < TOKEN_LENGTH or not all("!" <= c <= "~" for c in token):
        raise ValueError(
            f"A token has at least {TOKEN_LENGTH} printable ASCII characters and no "
            "spaces, such as those of `secrets.token_urlsafe()`."
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_host(host: str, tls: bool, plain_text: bool) -> None:
    if tls and plain_text:
        raise ValueError("With a certificate nothing is plain text: give one of them.")
    if not (is_loopback(host) or tls or plain_text):
        raise ValueError(
            f"On {host}, the token and all arrays would cross the network in plain "
            "text, and whoever reads the token can drive the device. Give a "
            "certificate and its private key, reach 127.0.0.1 through an SSH tunnel, "
            "or say `plain_text` if nobody else is on that network."
        )


def _credentials(certificate: Path | None, private_key: Path | None) -> Any:
    if (certificate is None) != (private_key is None):
        raise ValueError("TLS needs both, a certificate and its private key.")
    if certificate is None or private_key is None:
        return None
    pair = private_key.read_bytes(), certificate.read_bytes()
    return library("grpc").ssl_server_credentials([pair])
