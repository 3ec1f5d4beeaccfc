"""Crossbar: a matrix of memory cells where word lines and bit lines cross."""

import math
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from .._frozen import Frozen
from .._layer import AbstractTransposableLayer, Facts
from ..imperfections import ADC, DAC
from ._encoding import AbstractEncoding, DifferentialPair
from ._line_resistance import LineResistance
from ._tiles import read_columns, read_rows


class Crossbar(AbstractTransposableLayer):
    r"""Voltages on the rows, currents from the columns: $y = Wx + b$ in one step.

    A cell of conductance $g\,G$, $G$ the `maximum`, passes the current $g\,G\,v$ from
    its row to its column, which is held at ground and adds up what flows into it
    (Ohm's and Kirchhoff's laws). The `encoding` makes signed weights of it, within the
    `weight_range` $r$: $W = r\,(g^+ - g^-)$ for pairs of cells. The states $g$ are
    trained, as parts of the maximum; the bias $b$ is digital. Driven from the columns,
    the same cells give $W^\top\bar y$.

    With `wires`, each array of the encoding is a network of its own, in which voltage
    is lost on the way to each cell. A `tile` bounds the rows and the columns of an
    array: what the tiles read is added digitally. A `dac` rounds the inputs. An `adc`
    rounds each reading of a tile before anything digital is done to it, in parts of
    what one cell of maximum conductance passes at an input of 1. Both hold what is
    beyond their range at its end, and pass gradients straight through within it.
    Amplification before a converter is a narrower range.

    **Source:** Gokmen & Vlasov, *Front. Neurosci.* 10, 333 (2016),
    doi:10.3389/fnins.2016.00333; converters and slices: Shafiee et al., *ISCA*
    (2016), doi:10.1109/ISCA.2016.12.
    """

    conductance: Float[Array, "devices outputs inputs"]  # parts of `maximum`, in [0, 1]
    bias: Float[Array, " outputs"] | None
    traffic: Float[Array, "devices outputs inputs"] | None
    dac: Frozen[DAC] | None
    adc: Frozen[ADC] | None
    encoding: AbstractEncoding = eqx.field(static=True)
    weight_range: float = eqx.field(static=True)
    maximum: float = eqx.field(static=True)  # S
    wires: LineResistance | None = eqx.field(static=True)
    tile: tuple[int, int] | None = eqx.field(static=True)
    example_ndim: ClassVar[int] = 1

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        key: PRNGKeyArray,
        encoding: AbstractEncoding = DifferentialPair(),
        weight_range: float | None = None,
        use_bias: bool = False,
        counting: bool = False,
        maximum: float = 25e-6,  # S
        wires: LineResistance | None = None,
        dac: DAC | None = None,
        adc: ADC | None = None,
        tile: tuple[int, int] | None = None,
    ):
        r"""`key` draws weights uniform in $\pm 1/\sqrt{\text{inputs}}$, if in range.

        **Arguments:**

        - `weight_range`: the largest weight that can be held, by default four times the
            largest of these.
        - `counting`: have a `traffic`, for pulsed updates.
        - `wires`: by default, ideal ones.
        - `tile`: the most rows and columns of an array, `(inputs, outputs)`; by default
            one array holds them all.

        **Raises:** `ValueError` if a size, the range or the maximum is not positive.
        """
        _check(inputs, outputs, weight_range, maximum, tile)
        bound = 1 / math.sqrt(inputs)
        weight_range = 4 * bound if weight_range is None else float(weight_range)
        share = min(bound / weight_range, 1.0)
        weight = jax.random.uniform(key, (outputs, inputs), minval=-share, maxval=share)
        self.conductance = encoding.encode(weight)
        self.bias = jnp.zeros(outputs, weight.dtype) if use_bias else None
        self.traffic = jnp.zeros_like(self.conductance) if counting else None
        self.dac = None if dac is None else Frozen(dac)
        self.adc = None if adc is None else Frozen(adc)
        self.encoding = encoding
        self.weight_range = weight_range
        self.maximum = maximum
        self.wires = wires
        self.tile = tile

    @classmethod
    def from_weights(
        cls,
        weight: Float[Array, "outputs inputs"],
        bias: Float[Array, " outputs"] | None = None,
        *,
        encoding: AbstractEncoding = DifferentialPair(),
        weight_range: float | None = None,
        counting: bool = False,
        maximum: float = 25e-6,  # S
        wires: LineResistance | None = None,
        dac: DAC | None = None,
        adc: ADC | None = None,
        tile: tuple[int, int] | None = None,
    ) -> "Crossbar":
        """The crossbar that holds `weight`, as well as its encoding can.

        **Arguments:** `weight_range`: by default the largest weight.
        **Raises:** `ValueError` if that is not known yet, as under `jit`, or is zero;
        at run time, if a weight is beyond the range.
        """
        if weight_range is None:
            weight_range = _largest(weight)
        beyond = jnp.any(jnp.abs(weight) > weight_range * (1 + 1e-6))
        weight = eqx.error_if(
            weight, beyond, "A weight is beyond `weight_range`: widen it, or clip."
        )
        blank = cls(
            *reversed(weight.shape),
            key=jax.random.key(0),
            encoding=encoding,
            weight_range=weight_range,
            maximum=maximum,
            wires=wires,
            dac=dac,
            adc=adc,
            tile=tile,
        )
        states = encoding.encode(weight / weight_range)
        traffic = jnp.zeros_like(states) if counting else None
        return _with(blank, states, bias, traffic)

    @property
    def facts(self) -> Facts:
        converted = self.dac is not None or self.adc is not None
        return Facts(
            linear=self.bias is None and not converted,
            reciprocal=True,
            accessible=self.wires is None and not converted,
        )

    @property
    def weight(self) -> Float[Array, "outputs inputs"]:
        """$W$, of cells read one by one."""
        encoding = self.encoding
        return self._weighed(encoding.readings(encoding.arrays(self.conductance)))

    @property
    def effective_weight(self) -> Float[Array, "outputs inputs"]:
        """By what inputs are multiplied: $W$, less what is lost on the wires."""
        if self.wires is None:
            return self.weight
        inputs, dtype = self.conductance.shape[-1], self.conductance.dtype
        return self._weighed(self._readings(jnp.eye(inputs, dtype=dtype))).T

    def __call__(
        self, x: Float[Array, "*batch inputs"], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "*batch outputs"]:
        del key
        rows = self._converted(x)
        if self.wires is None and self.adc is None:
            y = rows @ self.weight.astype(x.dtype).T
        else:
            readings = self._readings(rows.reshape(-1, x.shape[-1]))
            y = self._weighed(readings).reshape(*x.shape[:-1], -1)
        if self.bias is None:
            return y
        return y + jnp.broadcast_to(self.bias.astype(y.dtype), y.shape)

    def read_back(
        self, y_bar: Float[Array, "*batch outputs"], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "*batch inputs"]:
        """What arrives at the inputs of an error that drives the outputs.

        It is not converted, at either end.
        """
        del key
        if self.wires is None:
            return y_bar @ self.weight.astype(y_bar.dtype)
        flat = y_bar.reshape(-1, y_bar.shape[-1])
        arrays = jnp.stack(self.encoding.arrays(self.conductance))
        found = read_rows(arrays, flat, self.wires, self.maximum, self.tile)
        weighed = self._weighed(self.encoding.readings(list(found)))
        return weighed.reshape(*y_bar.shape[:-1], -1)

    def outer_product(
        self, x: Float[Array, "*batch inputs"], y_bar: Float[Array, "*batch outputs"]
    ) -> "Crossbar":
        x = self._converted(x).reshape(-1, x.shape[-1])
        y_bar = y_bar.reshape(-1, y_bar.shape[-1])
        dtype = self.conductance.dtype
        change = self._at_cells((y_bar.T @ x).astype(dtype))
        bias = None
        if self.bias is not None:
            bias = jnp.sum(y_bar, 0).astype(self.bias.dtype)
        traffic = None
        if self.traffic is not None:
            sizes = self._at_cells((jnp.abs(y_bar).T @ jnp.abs(x)).astype(dtype))
            traffic = jnp.abs(sizes)
        return _with(self, change, bias, traffic)

    def project(self) -> "Crossbar":
        """Every state from 0 to 1."""
        inside = jnp.clip(self.conductance, 0, 1)
        return eqx.tree_at(lambda layer: layer.conductance, self, inside)

    def _converted(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        return x if self.dac is None else self.dac.value.before(x, None)

    def _readings(
        self, x: Float[Array, "batch inputs"]
    ) -> list[Float[Array, "batch outputs"]]:
        """Of each slice: what its tiles sense and convert, added up."""
        arrays = jnp.stack(self.encoding.arrays(self.conductance))
        sensed = read_columns(arrays, x, self.wires, self.maximum, self.tile)
        readings = self.encoding.readings(list(sensed))
        if self.adc is not None:
            readings = [self.adc.value.after(one, None) for one in readings]
        return [jnp.sum(one, 0) for one in readings]

    def _weighed(self, readings: list[Float[Array, "..."]]) -> Float[Array, "..."]:
        weighed = [
            (self.weight_range * d) * reading
            for d, reading in zip(self.encoding.factors, readings, strict=True)
        ]
        return sum(weighed[1:], start=weighed[0])

    def _at_cells(
        self, weight_bar: Float[Array, "outputs inputs"]
    ) -> Float[Array, "devices outputs inputs"]:
        coefficients = self.encoding.coefficients
        return jnp.stack([self.weight_range * c * weight_bar for c in coefficients])


def is_conductance(model: PyTree) -> PyTree[bool]:
    """Which leaves are states of a crossbar's cells, or the traffic at them.

    A tree of booleans, of any model or tree of its parameters, for `optax.masked`
    and the like.
    """

    def mark(node: Any) -> PyTree[bool]:
        marks = jax.tree.map(lambda _: False, node)
        if not _is_matrix_of_cells(node):
            return marks

        def cells(layer: AbstractTransposableLayer) -> list[Any]:
            return [
                part for part in (layer.conductance, layer.traffic) if part is not None
            ]

        return eqx.tree_at(cells, marks, [True] * len(cells(node)))

    return jax.tree.map(mark, model, is_leaf=_is_matrix_of_cells)


def _with(
    layer: Crossbar, states: Array, bias: Array | None, traffic: Array | None
) -> Crossbar:
    return eqx.tree_at(
        lambda layer: (layer.conductance, layer.bias, layer.traffic),
        layer,
        (states, bias, traffic),
        is_leaf=lambda node: node is None,
    )


def _is_matrix_of_cells(node: Any) -> bool:
    return isinstance(node, AbstractTransposableLayer)


def _largest(weight: Float[Array, "outputs inputs"]) -> float:
    if isinstance(weight, Tracer):
        raise ValueError(
            "The weights are not known yet, so nor is the largest: give a "
            "`weight_range`, such as 1.0."
        )
    largest = float(jnp.max(jnp.abs(weight)))
    if largest == 0:
        raise ValueError("All weights are zero: give a `weight_range`, such as 1.0.")
    return largest


def _check(
    inputs: int,
    outputs: int,
    weight_range: float | None,
    maximum: float,
    tile: tuple[int, int] | None,
) -> None:
    if min(inputs, outputs) < 1:
        raise ValueError(
            f"A crossbar needs an input and an output, not {inputs} and {outputs}."
        )
    if weight_range is not None and not weight_range > 0:
        raise ValueError(f"`weight_range` must be positive, not {weight_range}.")
    if not maximum > 0:
        raise ValueError(f"`maximum` must be positive (S), such as 25e-6: {maximum}.")
    if tile is not None and min(tile) < 1:
        raise ValueError(
            f"A tile has rows for inputs and columns for outputs, such as (128, 128), "
            f"not {tile}."
        )
