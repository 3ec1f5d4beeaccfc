"""A device that is reached by a Python function: an instrument, or a simulator."""

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jax.custom_batching import custom_vmap
from jax.experimental import io_callback
from jaxtyping import Array, Inexact, PRNGKeyArray

from .._layer import respond
from ._device import AbstractDevice, parameters_of, without_gradient
from ._error import DeviceError, record
from ._retry import FrameError, RetryPolicy

Range = tuple[float, float]
Run = Callable[[list[np.ndarray], np.ndarray], Any]


class CallbackDevice(AbstractDevice):
    """Calls `run(parameters, x) -> y` on the host, once for each batch.

    `run` gets NumPy arrays: the trainable leaves of the layer as a list in their order,
    and the batch. It returns one array, of the shape that the layer would give. Under
    `jax.vmap` it sees the whole batch at once; in a sweep that batches the parameters
    it is called for each of them, one after the other. Runs never overlap.

    **Raises:** `DeviceError` where a parameter, input or output is out of its range,
    or when the retry policy gives up. JAX shows it as a runtime error of its own:
    `raising_device_errors` gives it back.
    **Valid for:** use outside of `jax.checkpoint`, which runs things twice.
    """

    run: Run = eqx.field(static=True)
    parameter_range: Range = eqx.field(static=True)
    input_range: Range = eqx.field(static=True)
    output_range: Range = eqx.field(static=True)
    retry: RetryPolicy = eqx.field(static=True)
    deterministic: bool = eqx.field(static=True)
    _host: "_Host" = eqx.field(static=True)

    def __init__(
        self,
        run: Run,
        *,
        parameter_range: Range,
        input_range: Range,
        output_range: Range,
        retry: RetryPolicy = RetryPolicy(),
        deterministic: bool = False,
    ):
        """A device with stated ranges: beyond them is an error, never a clip.

        **Arguments:** ranges are `(low, high)`, ends included, in the units of what
        they bound; the modulus is what counts of a complex number, and `-inf`, `inf`
        are no bound. `deterministic`: `run` has no noise, no memory and no cost, so
        that XLA may merge, repeat or drop runs. Otherwise each run happens exactly
        once, in the order of the program.

        **Raises:** `ValueError` if a range is empty.
        """
        ranges = (parameter_range, input_range, output_range)
        if any(not low < high for low, high in ranges):
            raise ValueError(f"A range is `(low, high)` with low < high: {ranges}.")
        self.run = run
        self.parameter_range = parameter_range
        self.input_range = input_range
        self.output_range = output_range
        self.retry = retry
        self.deterministic = deterministic
        self._host = _Host()

    @property
    def runs(self) -> int:
        """Batches that the device was asked for until now."""
        return self._host.runs

    @property
    def attempts(self) -> int:
        """How often `run` was called until now, retries included."""
        return self._host.attempts

    def __call__(
        self,
        layer: Any,
        x: Inexact[Array, "..."],
        *,
        key: PRNGKeyArray | None = None,
    ) -> Inexact[Array, "..."]:
        arrays, static = eqx.partition(without_gradient(layer), eqx.is_array)

        def send(arrays: Any, x: Array) -> Array:
            layer = eqx.combine(arrays, static)
            shape = eqx.filter_eval_shape(respond, layer, x, None)
            return self._call(shape, parameters_of(layer), x)

        y = _whole_batch(send, arrays, jax.lax.stop_gradient(x))
        return jax.lax.stop_gradient(y)

    def _call(self, shape: jax.ShapeDtypeStruct, parameters: list, x: Array) -> Array:
        measure = partial(self._measure, shape)
        if self.deterministic:
            return jax.pure_callback(measure, shape, parameters, x)
        return io_callback(measure, shape, parameters, x, ordered=True)

    def _measure(
        self, shape: jax.ShapeDtypeStruct, parameters: list, x: Any
    ) -> np.ndarray:
        name = getattr(self.run, "__qualname__", type(self.run).__qualname__)
        sent = [np.asarray(p) for p in parameters], np.asarray(x)

        def attempt() -> np.ndarray:
            self._host.attempts += 1
            return _checked(self.run(*sent), shape)

        with self._host.lock:
            self._host.runs += 1
            refuse = partial(_refuse, name, self._host.runs)
            for index, parameter in enumerate(sent[0]):
                refuse(f"parameter {index}", parameter, self.parameter_range, 0)
            refuse("input", sent[1], self.input_range, 0)
            before = self._host.attempts
            y = self.retry(attempt, name, self._host.runs)
            tried = self._host.attempts - before
            refuse("output", y, self.output_range, tried)
        return y


class _Host:
    """What a device remembers between runs, outside of JAX."""

    def __init__(self):
        self.lock = threading.Lock()
        self.runs = 0
        self.attempts = 0


def _whole_batch(send: Callable[[Any, Array], Array], arrays: Any, x: Array) -> Array:
    """`send(arrays, x)`, which `vmap` turns into one call with a leading axis.

    A callback's own batching rule would call it for each example (`io_callback`).
    """

    @custom_vmap
    def run(arrays: Any, x: Array) -> Array:
        return send(arrays, x)

    @run.def_vmap
    def rule(size: int, batched: list, arrays: Any, x: Array) -> tuple[Array, bool]:
        mapped, shared = eqx.partition(arrays, batched[0])
        if not jax.tree.leaves(mapped):
            return run(arrays, x), True

        def one_point(point: tuple) -> Array:
            mapped, x_point = point
            return run(eqx.combine(mapped, shared), x if x_point is None else x_point)

        return jax.lax.map(one_point, (mapped, x if batched[1] else None)), True

    return run(arrays, x)


def _checked(frame: Any, shape: jax.ShapeDtypeStruct) -> np.ndarray:
    if frame is None:
        raise FrameError("dropped frame: `run` returned None")
    y = np.asarray(frame)
    if y.shape != shape.shape:
        raise FrameError(f"dropped frame: shape {y.shape}, expected {shape.shape}")
    if not np.can_cast(y.dtype, shape.dtype, "same_kind"):
        raise TypeError(f"`run` returned {y.dtype}, which is no {shape.dtype}.")
    if not np.all(np.isfinite(y)):
        raise FrameError(f"{np.sum(~np.isfinite(y))} of {y.size} values are not finite")
    return y.astype(shape.dtype)


def _refuse(
    device: str, run: int, what: str, values: np.ndarray, allowed: Range, tried: int
) -> None:
    """Raise a `DeviceError` if a value is out of range, or is not a number."""
    size = np.abs(values) if np.iscomplexobj(values) else values
    # In the dtype of the values: float32(2 pi) is above the 2 pi of a Python float.
    low, high = (size.dtype.type(end) for end in allowed)
    good = (size >= low) & (size <= high)
    if np.all(good):
        return
    bad = size[~good].ravel()
    reason = (
        f"{what} out of range: {bad.size} of {size.size} values, the first one "
        f"{bad[0]:.6g}, are not in [{low:.6g}, {high:.6g}]"
    )
    raise record(DeviceError(device, run, tried, reason))
