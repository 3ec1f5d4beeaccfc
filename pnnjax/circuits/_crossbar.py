"""Crossbar: a matrix of memory cells where word lines and bit lines cross."""

import math
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from .._layer import AbstractTransposableLayer, Facts
from ._encoding import AbstractEncoding, DifferentialPair


class Crossbar(AbstractTransposableLayer):
    r"""Voltages on the rows, currents from the columns: $y = Wx + b$ in one step.

    A cell of conductance $g\,G$, $G$ the `maximum`, passes the current $g\,G\,v$ from
    its row to its column, which is held at ground and adds up what flows into it
    (Ohm's and Kirchhoff's laws). The `encoding` makes signed weights of it, within the
    `weight_range` $r$: $W = r\,(g^+ - g^-)$ for pairs of cells. The states $g$ are
    trained, as parts of the maximum; the bias $b$ is digital.

    Driven from the columns, the same cells give $W^\top\bar y$.

    **Source:** Gokmen & Vlasov, *Front. Neurosci.* 10, 333 (2016),
    doi:10.3389/fnins.2016.00333.
    """

    conductance: Float[Array, "devices outputs inputs"]  # parts of `maximum`, in [0, 1]
    bias: Float[Array, " outputs"] | None
    traffic: Float[Array, "devices outputs inputs"] | None
    encoding: AbstractEncoding = eqx.field(static=True)
    weight_range: float = eqx.field(static=True)
    maximum: float = eqx.field(static=True)  # S
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
    ):
        r"""`key` draws weights uniform in $\pm 1/\sqrt{\text{inputs}}$, if in range.

        **Arguments:** `weight_range`: the largest weight that can be held, by default
        four times the largest of these. `counting`: have a `traffic`, for pulsed
        updates.
        **Raises:** `ValueError` if a size, the range or the maximum is not positive.
        """
        _check(inputs, outputs, weight_range, maximum)
        bound = 1 / math.sqrt(inputs)
        weight_range = 4 * bound if weight_range is None else float(weight_range)
        share = min(bound / weight_range, 1.0)
        weight = jax.random.uniform(key, (outputs, inputs), minval=-share, maxval=share)
        self.conductance = encoding.encode(weight)
        self.bias = jnp.zeros(outputs, weight.dtype) if use_bias else None
        self.traffic = jnp.zeros_like(self.conductance) if counting else None
        self.encoding = encoding
        self.weight_range = weight_range
        self.maximum = maximum

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
    ) -> "Crossbar":
        """The crossbar that holds `weight`, as well as its encoding can.

        **Arguments:** `weight_range`: by default the largest weight.
        **Raises:** `ValueError` if that is not known yet, as under `jit`, or is zero;
        at run time, if a weight is beyond the range.
        """
        outputs, inputs = weight.shape
        if weight_range is None:
            weight_range = _largest(weight)
        beyond = jnp.any(jnp.abs(weight) > weight_range * (1 + 1e-6))
        weight = eqx.error_if(
            weight, beyond, "A weight is beyond `weight_range`: widen it, or clip."
        )
        blank = cls(
            inputs,
            outputs,
            key=jax.random.key(0),
            encoding=encoding,
            weight_range=weight_range,
            counting=counting,
            maximum=maximum,
        )
        states = encoding.encode(weight / weight_range)
        traffic = jnp.zeros_like(states) if counting else None
        return _with(blank, states, bias, traffic)

    @property
    def facts(self) -> Facts:
        return Facts(linear=self.bias is None, reciprocal=True, accessible=True)

    @property
    def weight(self) -> Float[Array, "outputs inputs"]:
        """$W$, of cells read one by one."""
        return self._decoded(self.encoding.arrays(self.conductance))

    def __call__(
        self, x: Float[Array, "*batch inputs"], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "*batch outputs"]:
        del key
        y = x @ self.weight.astype(x.dtype).T
        if self.bias is None:
            return y
        return y + jnp.broadcast_to(self.bias.astype(y.dtype), y.shape)

    def read_back(
        self, y_bar: Float[Array, "*batch outputs"], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "*batch inputs"]:
        del key
        return y_bar @ self.weight.astype(y_bar.dtype)

    def outer_product(
        self, x: Float[Array, "*batch inputs"], y_bar: Float[Array, "*batch outputs"]
    ) -> "Crossbar":
        x, y_bar = x.reshape(-1, x.shape[-1]), y_bar.reshape(-1, y_bar.shape[-1])
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

    def _decoded(self, arrays: list[Array]) -> Float[Array, "outputs inputs"]:
        encoding = self.encoding
        readings = encoding.readings(arrays)
        weighed = [
            (self.weight_range * d) * reading
            for d, reading in zip(encoding.factors, readings, strict=True)
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

        def cells(layer: AbstractTransposableLayer) -> tuple[Any, Any]:
            return layer.conductance, layer.traffic

        return eqx.tree_at(cells, marks, jax.tree.map(lambda _: True, cells(node)))

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
    inputs: int, outputs: int, weight_range: float | None, maximum: float
) -> None:
    if min(inputs, outputs) < 1:
        raise ValueError(
            f"A crossbar needs an input and an output, not {inputs} and {outputs}."
        )
    if weight_range is not None and not weight_range > 0:
        raise ValueError(f"`weight_range` must be positive, not {weight_range}.")
    if not maximum > 0:
        raise ValueError(f"`maximum` must be positive (S), such as 25e-6: {maximum}.")
