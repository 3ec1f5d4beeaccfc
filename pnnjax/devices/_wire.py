"""What a served device and its client say to each other: arrays by name, and notes.

A message is in the safetensors format: a JSON header of names, dtypes and shapes, then
raw bytes. Nothing in it is code, and nothing is compressed.
"""

import importlib
import json
import math
import re
from collections.abc import Mapping
from types import ModuleType
from typing import Any, NamedTuple

import jax
import numpy as np

from ._limits import Limits

PROTOCOL = "1"
SERVICE = "pnnjax.Device"
HEADER_LIMIT = 64 * 1024  # bytes
ARRAY_LIMIT = 256
DTYPES = {"F16": "<f2", "F32": "<f4", "F64": "<f8"}
SESSION = re.compile(r"[0-9A-Za-z._-]{1,64}")
NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")


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


class Name(NamedTuple):
    """Which run: asked for again by the same name, it is the same run."""

    session: str
    number: int
    retake: int = 0
    """How many frames of this run were of no use to the client."""


class Request(NamedTuple):
    """One run that is asked for."""

    name: Name
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
    session, number, retake = request.name
    notes = {"session": session, "number": f"{number}", "retake": f"{retake}"}
    return _pack(arrays | {"x": request.x}, notes)


def unpack_request(message: bytes) -> Request:
    """**Raises:** `WireError` unless `message` is one request."""
    arrays, notes = _unpack(message)
    _expect("notes", notes, {"session", "number", "retake"})
    if not SESSION.fullmatch(notes["session"]):
        raise WireError(
            "A session is 1 to 64 letters, digits, dots, dashes or underscores"
        )
    count = len(arrays) - 1
    _expect("arrays", arrays, {"x", *(f"p{index}" for index in range(count))})
    name = Name(notes["session"], _whole(notes["number"]), _whole(notes["retake"]))
    return Request(name, [arrays[f"p{i}"] for i in range(count)], arrays["x"])


def pack_answer(name: Name, y: np.ndarray) -> bytes:
    """**Raises:** `WireError` for a dtype that can't be sent."""
    session, number, retake = name
    notes = {"session": session, "number": f"{number}", "retake": f"{retake}"}
    return _pack({"y": y}, notes)


def unpack_answer(message: bytes, name: Name) -> np.ndarray:
    """**Raises:** `WireError` unless `message` is the answer to the run of this name."""
    arrays, notes = _unpack(message)
    _expect("arrays", arrays, {"y"})
    _expect("notes", notes, {"session", "number", "retake"})
    given = Name(notes["session"], _whole(notes["number"]), _whole(notes["retake"]))
    if given != name:
        raise WireError(f"The answer is to run {given.number}, not to {name.number}")
    return arrays["y"]


def pack_description(description: Description) -> bytes:
    """The message that answers `Describe`."""
    limits, signature, message_limit = description
    notes = {name: f"{getattr(limits, name)!r}" for name in _LIMITS}
    for name in ("parameter_range", "input_range", "output_range"):
        notes[name] = " ".join(repr(float(end)) for end in getattr(limits, name))
    for name, part in signature._asdict().items():
        parts = (part,) if isinstance(part, jax.ShapeDtypeStruct) else part
        if parts is not None:
            notes[name] = " ".join(kind_of(array) for array in parts)
    return _pack({}, notes | {"message_limit": f"{message_limit}"})


def unpack_description(message: bytes) -> Description:
    """**Raises:** `WireError` unless `message` describes a device."""
    arrays, notes = _unpack(message)
    _expect("arrays", arrays, set())
    _expect("notes", notes, {*_LIMITS, "message_limit"}, set(Signature._fields))
    read = {name: read(notes[name]) for name, read in _LIMITS.items()}
    try:
        limits = Limits(**read)
    except ValueError as error:
        raise WireError(f"These are no limits: {error}") from None
    parts = {name: _kinds(notes[name]) for name in Signature._fields if name in notes}
    for name in {"example", "answer"} & parts.keys():
        if len(parts[name]) != 1:
            raise WireError(f"`{name}` is one array, not {notes[name]!r}")
        parts[name] = parts[name][0]
    signature = Signature(**parts)
    return Description(limits, signature, _whole(notes["message_limit"]))


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
            array = np.stack([array.real, array.imag], axis=-1)
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


def _whole(text: str) -> int:
    if not NUMBER.fullmatch(text):
        raise WireError("A number is written with at most 18 digits")
    return int(text)


def _range(text: str) -> tuple[float, float]:
    ends = text.split(" ")
    if len(ends) != 2:
        raise WireError("A range has two ends")
    return _float(ends[0]), _float(ends[1])


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise WireError("A number was expected") from None


def _kinds(text: str) -> Any:
    return tuple(map(_kind, text.split()))


def _kind(text: str) -> jax.ShapeDtypeStruct:
    found = _KIND.fullmatch(text)
    if not found:
        raise WireError("An array is described as in `float32[64,784]`")
    shape = tuple(map(int, filter(None, found[2].split(","))))
    return jax.ShapeDtypeStruct(shape, np.dtype(found[1]))


def _choice(**words: Any) -> Any:
    def read(text: str) -> Any:
        return words[text] if text in words else _whole(text)

    return read


_ALLOWED = "float16, float32, float64, complex64 and complex128"
_KIND = re.compile(
    r"(float16|float32|float64|complex64|complex128)\[((?:[0-9]{1,9}(?:,|(?=\])))*)\]"
)
_LIMITS = {
    "parameter_range": _range,
    "input_range": _range,
    "output_range": _range,
    "saturates": lambda text: text == "True",
    "batch_limit": _choice(None_=None),
    "example_ndim": _whole,
    "latency": _float,
}
