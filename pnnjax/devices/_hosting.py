"""What can be served, and who may ask for it."""

import importlib
import os
import secrets
import sys
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from .._frozen import is_trainable
from ._callback import AbstractNamedRun, CallbackDevice, Run
from ._device import parameters_of
from ._device_layer import DeviceLayer
from ._error import raising_device_errors
from ._limits import Limits, Range
from ._server import DeviceServer, serve
from ._wire import Signature

TOKEN_VARIABLE = "PNNJAX_DEVICE_TOKEN"


class NotServableError(LookupError):
    """What was named can't be found, or can't be served."""


class LayerRun(AbstractNamedRun):
    """`layer.device` run with the parameters that are sent, in the place of `layer`'s.

    With a key, the noise of a simulated device is drawn from it and the name of the
    run: a run that is made again by its name has the noise that it had.
    """

    def __init__(self, layer: DeviceLayer, *, key: PRNGKeyArray | None = None):
        self.key = key
        self._respond = eqx.filter_jit(_respond)
        self._layer = layer

    def __call__(
        self, parameters: list[np.ndarray], x: np.ndarray, request: str
    ) -> np.ndarray:
        key = self.key
        if key is not None:
            key = jax.random.fold_in(key, zlib.crc32(request.encode()))
        with raising_device_errors():
            return np.asarray(self._respond(self._layer, parameters, x, key))


def open_server(
    name: str,
    *,
    token_file: Path | None,
    seed: int | None,
    parameter_range: Range | None,
    input_range: Range | None,
    batch_limit: int | None,
    host: str,
    port: int,
    certificate: Path | None,
    private_key: Path | None,
    plain_text: bool,
) -> tuple[DeviceServer, str]:
    """Serve the object of this name, and say where the token is.

    **Raises:** `NotServableError` if there is nothing to serve; and as `serve`.
    """
    key = None if seed is None else jax.random.key(seed)
    run, limits, signature = hosted(find_served(name), key=key)
    token, where = server_token(token_file)
    server = serve(
        run,
        token=token,
        limits=tightened(
            limits,
            parameter_range=parameter_range,
            input_range=input_range,
            batch_limit=batch_limit,
        ),
        signature=signature,
        host=host,
        port=port,
        certificate=certificate,
        private_key=private_key,
        plain_text=plain_text,
    )
    return server, where


def find_served(name: str) -> Any:
    """The object that `module:name` names; a module of the present folder, too.

    **Raises:** `NotServableError` if there is none.
    """
    module, _, attribute = name.partition(":")
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ModuleNotFoundError, AttributeError, ValueError) as error:
        raise NotServableError(
            f"There is no `{name}`: {error}. Give MODULE:NAME, as in `bench:chip` for "
            "what bench.py calls `chip`."
        ) from error


def hosted(
    served: Any, *, key: PRNGKeyArray | None = None
) -> tuple[Run, Limits, Signature]:
    """How to run what is served: a `DeviceLayer`, a `CallbackDevice`, or a function.

    **Arguments:** `key`: for the noise of a simulated device in a `DeviceLayer`.
    **Raises:** `NotServableError` for anything else, and for a key with no use.
    """
    if isinstance(served, DeviceLayer):
        kinds = tuple(
            jax.ShapeDtypeStruct(p.shape, p.dtype) for p in parameters_of(served.layer)
        )
        return LayerRun(served, key=key), served.device.limits, Signature(kinds)
    if key is not None:
        raise NotServableError(
            "A seed is for a `DeviceLayer`; what is served draws its own noise."
        )
    if isinstance(served, CallbackDevice):
        return served.run, served.limits, Signature()
    if callable(served) and not isinstance(served, eqx.Module | type):
        return served, Limits(), Signature()
    raise NotServableError(
        f"A `{type(served).__name__}` can't be served: give a function "
        "`run(parameters, x)`, a `CallbackDevice`, or `DeviceLayer(layer, device)`."
    )


def tightened(
    limits: Limits,
    *,
    parameter_range: Range | None = None,
    input_range: Range | None = None,
    batch_limit: int | None = None,
) -> Limits:
    """`limits`, and those that are given: of two, the tighter one."""
    batches = [b for b in (limits.batch_limit, batch_limit) if b is not None]
    return replace(
        limits,
        parameter_range=_overlap(limits.parameter_range, parameter_range),
        input_range=_overlap(limits.input_range, input_range),
        batch_limit=min(batches, default=None),
    )


def server_token(file: Path | None) -> tuple[str, str]:
    """The token of a server, and a sentence that says where it is.

    It is in the file, which is written if it isn't there, or else in the environment,
    or else a new one, which the sentence tells.

    **Raises:** `ValueError` if others can read the file.
    """
    if file is not None:
        if not file.exists():
            _write_token(file)
        elif os.name == "posix" and file.stat().st_mode & 0o077:
            raise ValueError(f"Others can read {file}: `chmod 600 {file}` first.")
        return file.read_text().strip(), f"The token is in {file}"
    if token := os.environ.get(TOKEN_VARIABLE):
        return token, f"The token is that of {TOKEN_VARIABLE}"
    token = secrets.token_urlsafe(32)
    return token, f"The token, shown this once: {token}"


def client_token(token: str | Path | None) -> str:
    """The token itself, from a file, or from the environment.

    **Raises:** `ValueError` if there is none.
    """
    if isinstance(token, Path):
        return token.read_text().strip()
    found = os.environ.get(TOKEN_VARIABLE, "") if token is None else token
    if not found:
        raise ValueError(
            "A device is served to those who have its token: give `token`, or set "
            f"{TOKEN_VARIABLE}."
        )
    return found


def _write_token(file: Path) -> None:
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as opened:
        opened.write(secrets.token_urlsafe(32) + "\n")


def _overlap(one: Range, other: Range | None) -> Range:
    return one if other is None else (max(one[0], other[0]), min(one[1], other[1]))


def _respond(
    served: DeviceLayer, parameters: list, x: Any, key: PRNGKeyArray | None
) -> Any:
    own, rest = eqx.partition(served.layer, is_trainable(served.layer))
    given = jax.tree.unflatten(jax.tree.structure(own), parameters)
    return served.device(eqx.combine(given, rest), x, key=key)
