"""What a served device and its client say to each other: arrays by name, and notes.

A message is in the safetensors format: a JSON header of names, dtypes and shapes, then
raw bytes. Nothing in it is code, and nothing is compressed.
"""

import importlib
import json
import re
from collections.abc import Mapping
from types import ModuleType
from typing import Any, NamedTuple

import jax
import numpy as np

from ._limits import Limits

PROTOCOL = "1"
SERVICE = "pnnjax.Device"
FAULT = "pnnjax-fault"
HEADER_LIMIT = 64 * 1024  # bytes
ARRAY_LIMIT = 256
DTYPES = {"F16": "<f2", "F32": "<f4", "F64": "<f8"}
NAME = re.compile(r"[0-9A-Za-z._-]{1,128}")


class WireError(ValueError):
    """A message that is not what this protocol says."""


class Signature(NamedTuple):
    """What a served device takes and gives; `None` is not said.

    **Arguments:** `parameters`: in the order in which it receives them. `example`: one
    example of the input, without batch axes. `answer`: its output, likewise.
    """

    parameters: tuple[jax.ShapeDtypeStruct, ...] | None = None
    example: jax.ShapeDtypeStruct | None = None
    answer: jax.ShapeDtypeStruct | None = None


class Request(NamedTuple):
    """One run that is asked for; by the same name, it is the same run."""

    name: str
    parameters: list[np.ndarray]
    x: np.ndarray


class Description(NamedTuple):
    """What a server says of its device."""

    limits: Limits
    signature: Signature
    message_limit: int  # bytes


def pack_request(request: Request) -> bytes:
    """**Raises:** `WireError` for a dtype that can't be sent."""
    arrays = {f"p{index}": p for index, p in enumerate(request.parameters)}
    return _pack(arrays | {"x": request.x}, {"run": request.name})


def unpack_request(message: bytes) -> Request:
    """**Raises:** `WireError` unless `message` is one request."""
    arrays, notes = _unpack(message)
    _expect("notes", notes, {"run"})
    if not NAME.fullmatch(notes["run"]):
        raise WireError(
            "A run is named by 1 to 128 letters, digits, dots, dashes or underscores"
        )
    names = [f"p{index}" for index in range(len(arrays) - 1)]
    _expect("arrays", arrays, {"x", *names})
    return Request(notes["run"], [arrays[name] for name in names], arrays["x"])


def pack_answer(name: str, y: np.ndarray) -> bytes:
    """**Raises:** `WireError` for a dtype that can't be sent."""
    return _pack({"y": y}, {"run": name})


def unpack_answer(message: bytes, name: str) -> np.ndarray:
    """**Raises:** `WireError` unless `message` answers the run of this name."""
    arrays, notes = _unpack(message)
    _expect("arrays", arrays, {"y"})
    _expect("notes", notes, {"run"})
    if notes["run"] != name:
        raise WireError("This is the answer to another run")
    return arrays["y"]


def pack_description(description: Description) -> bytes:
    """The message that says what can be asked for."""
    limits, signature, message_limit = description
    notes = {"message_limit": f"{message_limit}"}
    for name in _RANGES:
        notes[name] = " ".join(repr(float(end)) for end in getattr(limits, name))
    for name in _SETTINGS:
        notes[name] = json.dumps(getattr(limits, name))
    for name, part in signature._asdict().items():
        parts = part if isinstance(part, tuple) or part is None else (part,)
        if parts is not None:
            notes[name] = " ".join(map(kind_of, parts))
    return _pack({}, notes)


def unpack_description(message: bytes) -> Description:
    """**Raises:** `WireError` unless `message` describes a device."""
    arrays, notes = _unpack(message)
    _expect("arrays", arrays, set())
    needed = {*_RANGES, *_SETTINGS, "message_limit"}
    _expect("notes", notes, needed, set(Signature._fields))
    parts = {name: notes[name] for name in Signature._fields if name in notes}
    try:
        ranges = {name: _range(notes[name]) for name in _RANGES}
        settings = {name: json.loads(notes[name]) for name in _SETTINGS}
        signature = Signature(
            **{name: _kinds(text, name == "parameters") for name, text in parts.items()}
        )
        limits = Limits(**ranges, **settings)
        return Description(limits, signature, int(notes["message_limit"]))
    except (ValueError, TypeError, RecursionError) as error:
        raise WireError(f"This describes no device: {error}") from None


def kind_of(array: Any) -> str:
    """Its dtype and shape, as in `float32[64,784]`."""
    return f"{np.dtype(array.dtype)}[{','.join(map(str, array.shape))}]"


def library(name: str) -> ModuleType:
    """A library of the extra `instruments`, imported when it is used.

    **Raises:** `ImportError` that says how to install it.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"A device on the network needs `{name}`: pip install 'pnnjax[instruments]'"
        ) from error


def _pack(arrays: Mapping[str, np.ndarray], notes: Mapping[str, str]) -> bytes:
    real, pairs = {}, []
    for name, array in arrays.items():
        if np.iscomplexobj(array):
            pairs.append(name)
            array = np.stack([np.real(array), np.imag(array)], axis=-1)
        if array.dtype.newbyteorder("=") not in map(np.dtype, DTYPES.values()):
            raise WireError(f"{name} is {array.dtype}; {_ALLOWED} can be sent")
        # Not `ascontiguousarray`, which makes a vector of a scalar.
        real[name] = np.require(array, array.dtype.newbyteorder("="), "C")
    own = {"protocol": PROTOCOL, "complex": " ".join(pairs)}
    return library("safetensors.numpy").save(real, own | dict(notes))


def _unpack(message: bytes) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    length = int.from_bytes(message[:8], "little")
    if len(message) < 8 or length > len(message) - 8:
        raise WireError(f"{len(message)} bytes are no message, or not all of one")
    if length > HEADER_LIMIT:
        raise WireError(f"The header has {length} bytes; {HEADER_LIMIT} are the limit")
    try:
        # Every offset, shape and length is checked there, and checked to fit together.
        entries = library("safetensors").deserialize(message)
        header = json.loads(message[8 : 8 + length], object_pairs_hook=_without_twins)
    except ImportError:
        raise
    except Exception as error:
        raise WireError(f"This is no safetensors message: {error}") from None
    notes = header.get("__metadata__", {})
    if notes.pop("protocol", None) != PROTOCOL:
        raise WireError(f"Protocol {PROTOCOL} is spoken here")
    pairs = notes.pop("complex", "").split()
    if len(entries) > ARRAY_LIMIT:
        raise WireError(f"{len(entries)} arrays; {ARRAY_LIMIT} are the limit")
    arrays = {name: _array(name, entry, name in pairs) for name, entry in entries}
    if not arrays.keys() >= set(pairs):
        raise WireError("Complex arrays are named that are not there")
    return arrays, notes


def _array(name: str, entry: Mapping[str, Any], is_complex: bool) -> np.ndarray:
    if entry["dtype"] not in DTYPES:
        raise WireError(f"An array is {entry['dtype']}; {_ALLOWED} can be sent")
    dtype = np.dtype(DTYPES[entry["dtype"]])
    try:
        array = np.frombuffer(entry["data"], dtype).reshape(entry["shape"])
    except (ValueError, OverflowError):
        raise WireError(f"No array has the shape {entry['shape']}") from None
    array = array.astype(dtype.newbyteorder("="), copy=False)
    if not is_complex:
        return array
    if array.shape[-1:] != (2,) or entry["dtype"] == "F16":
        raise WireError("A complex array is sent as float32 or float64 pairs")
    return array.view(np.result_type(array.dtype, np.complex64))[..., 0]


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a name is there twice")
    return dict(pairs)


def _expect(
    what: str, given: Mapping[str, Any], needed: set[str], allowed: set[str] = set()
) -> None:
    if not needed <= given.keys() <= needed | allowed:
        raise WireError(
            f"The {what} are not those of this message: {sorted(needed)} belong there"
        )


def _range(text: str) -> tuple[float, float]:
    low, high = map(float, text.split(" "))
    return low, high


def _kinds(text: str, many: bool) -> Any:
    found = [_KIND.fullmatch(word) for word in text.split()]
    if not all(found) or not (many or len(found) == 1):
        raise ValueError("an array is described as in `float32[64,784]`")
    kinds = [
        jax.ShapeDtypeStruct(tuple(map(int, filter(None, m[2].split(",")))), m[1])
        for m in found
        if m
    ]
    return tuple(kinds) if many else kinds[0]


_ALLOWED = "float16, float32, float64, complex64 and complex128"
_KIND = re.compile(
    r"(float(?:16|32|64)|complex(?:64|128))\[((?:[0-9]{1,9}(?:,[0-9]{1,9})*)?)\]"
)
_RANGES = ("parameter_range", "input_range", "output_range")
_SETTINGS = ("saturates", "batch_limit", "example_ndim", "latency")
