"""A device at the other end of a network."""

from pathlib import Path
from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Array, Inexact, PRNGKeyArray, UInt32

from ._callback import AbstractNamedRun, CallbackDevice
from ._device import AbstractOnceDevice
from ._hosting import client_token
from ._limits import Limits
from ._retry import FrameError, RetryPolicy
from ._server import MIB, is_loopback
from ._wire import (
    FAULT,
    SERVICE,
    Description,
    Request,
    Signature,
    WireError,
    library,
    pack_request,
    unpack_answer,
    unpack_description,
)


class ServerRefusal(Exception):
    """The server said no, and would say so again."""


class RemoteDevice(AbstractOnceDevice):
    """The device that `pnnjax serve-device` serves at `address`.

    Its limits are those that the server declares. A run whose answer was lost is asked
    for again by its name, and the hardware does not make it twice; the connection is
    made again where it broke. Otherwise it is a `CallbackDevice`.

    **Raises:** `DeviceError` with the server's reason where that refuses: at once if
    trying again would not help (the token, a shape, a range), or else when the retry
    policy gives up. Run 0 is the question for the limits.
    **Valid for:** one process at a time for each name of a run; names are remembered
    by the server until it is restarted.
    """

    device: CallbackDevice
    signature: Signature = eqx.field(static=True)
    _client: "_Client" = eqx.field(static=True)

    def __init__(
        self,
        address: str,
        *,
        token: str | Path | None = None,
        certificate: Path | None = None,
        plain_text: bool = False,
        retry: RetryPolicy = RetryPolicy(attempts=6, timeout=60.0),
    ):
        """Connect to `address`, as in `127.0.0.1:50051`, and ask for the limits.

        **Arguments:** `token`: itself, or a file that holds it; or else it is in the
        environment, as `PNNJAX_DEVICE_TOKEN`. `certificate`: a PEM file, the server's
        or that of who signed it, for TLS. `plain_text`: token and arrays may be read
        by whoever is on the way.

        **Raises:** `ValueError` if there is no token, or if it would cross a network
        in plain text unasked.
        """
        _check_address(address, certificate is not None, plain_text)
        self._client = _Client(address, client_token(token), certificate, retry.timeout)
        limits, self.signature, self._client.message_limit = retry(
            self._client.describe, address, 0
        )
        if retry.timeout is not None and retry.timeout <= limits.latency:
            raise ValueError(
                f"A run takes {limits.latency} s, but `retry` waits only "
                f"{retry.timeout} s: give it a `timeout` of {2 * limits.latency} s."
            )
        self.device = CallbackDevice(
            self._client,
            parameter_range=limits.parameter_range,
            input_range=limits.input_range,
            output_range=limits.output_range,
            saturates=limits.saturates,
            batch_limit=limits.batch_limit,
            example_ndim=limits.example_ndim,
            latency=limits.latency,
            # The call itself has the time-out: no thread is left behind.
            retry=RetryPolicy(retry.attempts, retry.backoff, None),
        )

    @property
    def limits(self) -> Limits:
        return self.device.limits

    @property
    def runs(self) -> int:
        """Runs that the device was asked for until now."""
        return self.device.runs

    @property
    def attempts(self) -> int:
        """How often it was asked until now, retries included."""
        return self.device.attempts

    def __call__(
        self,
        layer: Any,
        x: Inexact[Array, "..."],
        *,
        key: PRNGKeyArray | None = None,
        request: UInt32[Array, "3"] | None = None,
    ) -> Inexact[Array, "..."]:
        return self.device(layer, x, key=key, request=request)

    def close(self) -> None:
        """Hang up."""
        self._client.close()


class _Client(AbstractNamedRun):
    """The calls, and what their failures mean to a retry policy."""

    def __init__(
        self,
        address: str,
        token: str,
        certificate: Path | None,
        timeout: float | None,  # s
    ):
        self.__qualname__ = address  # the name of the device in its errors
        self.message_limit = 0
        self._metadata = (("authorization", f"Bearer {token}"),)
        self._timeout = timeout
        grpc = library("grpc")
        if certificate is None:
            self._channel = grpc.insecure_channel(address, _OPTIONS)
        else:
            credentials = grpc.ssl_channel_credentials(certificate.read_bytes())
            self._channel = grpc.secure_channel(address, credentials, _OPTIONS)

    def describe(self) -> Description:
        """What the server declares."""
        return unpack_description(self._call("Describe", b""))

    def __call__(
        self, parameters: list[np.ndarray], x: np.ndarray, request: str
    ) -> np.ndarray:
        message = pack_request(Request(request, parameters, x))
        if len(message) > self.message_limit:
            raise ServerRefusal(
                f"The request has {len(message)} bytes, and the server takes "
                f"{self.message_limit}: send a smaller batch"
            )
        answer = self._call("Run", message)
        try:
            return unpack_answer(answer, request)
        except WireError as error:
            raise FrameError(f"{error}", "malformed") from None

    def close(self) -> None:
        """Hang up."""
        self._channel.close()

    def _call(self, method: str, message: bytes) -> bytes:
        grpc = library("grpc")
        call = self._channel.unary_unary(f"/{SERVICE}/{method}")
        try:
            return call(message, timeout=self._timeout, metadata=self._metadata)
        except grpc.RpcError as error:
            code, reason = error.code().name, error.details()
            fault = dict(error.trailing_metadata() or ()).get(FAULT, "")
        raise _failure(code, reason, fault)


def _failure(code: str, reason: str, fault: str) -> Exception:
    """The error by which a retry policy knows what to do."""
    if code == "DEADLINE_EXCEEDED" or fault == "time-out":
        return TimeoutError(reason)
    if code == "ABORTED" and fault != "connection":
        return FrameError(reason, fault)
    if code in ("ABORTED", "UNAVAILABLE", "CANCELLED", "INTERNAL"):
        return ConnectionError(reason)
    if code == "RESOURCE_EXHAUSTED":
        return OSError(reason)
    return ServerRefusal(f"{reason} ({code})")


def _check_address(address: str, tls: bool, plain_text: bool) -> None:
    host, colon, port = address.rpartition(":")
    if not (colon and host and port.isdecimal()):
        raise ValueError(
            f"An address has a host and a port, as in `127.0.0.1:50051`: {address!r}."
        )
    if tls and plain_text:
        raise ValueError("With a certificate nothing is plain text: give one of them.")
    if not (is_loopback(host.strip("[]")) or tls or plain_text):
        raise ValueError(
            f"The token would cross the network to {host} in plain text. Give the "
            "server's `certificate`, or come through an SSH tunnel to 127.0.0.1, or "
            "say `plain_text=True` if nobody else is on that network."
        )


_OPTIONS = [
    ("grpc.max_receive_message_length", 256 * MIB),
    ("grpc.max_send_message_length", -1),
    ("grpc.compression_enabled_algorithms_bitset", 1),
    ("grpc.per_message_decompression", 0),
    # A proxy of the environment would see the token.
    ("grpc.enable_http_proxy", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
]
