"""Stored: a network in memory cells, some time after they were programmed."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Float, Inexact, PRNGKeyArray, PyTree

from .._analog_memory import AbstractAnalogMemory
from .._layer import AbstractTransposableLayer
from ..imperfections import AbstractParameterImperfection
from ._drift_compensation import DriftCompensation


def conductances(model: Any) -> list[Any]:
    """The cells of each crossbar in `model`: what `Stored` acts on by default.

    As a `where`, it limits any imperfection of parameters to them.
    """
    nodes = jax.tree.leaves(model, is_leaf=_is_matrix_of_cells)
    found = [node.conductance for node in nodes if _is_matrix_of_cells(node)]
    if not found:
        raise ValueError(
            f"There is no crossbar in {type(model).__name__}: say `where` its cells "
            "are, as in `eqx.tree_at`."
        )
    return found


class Stored(AbstractParameterImperfection):
    """What a `memory` makes of states from 0 to 1, parts of its maximum, in `time`.

    Programming errors and drift are hidden, drawn once, and stay with the cells: one
    key is one chip, at any time. Each run reads them anew, with noise if it has a key.

    **Arguments:** `time`: after programming (s); `compensation`: of the drift, by a
    factor for each crossbar that a calibration at that time has found.
    **Error:** the factor is applied to the cells: as good as to what is read of them,
    where reading is linear.
    """

    memory: AbstractAnalogMemory
    time: float | Float[Array, ""]  # s
    compensation: DriftCompensation | None = None
    where: Callable[[Any], Any] | None = eqx.field(static=True, default=conductances)

    def __check_init__(self):
        if isinstance(self.time, float | int) and not self.time > 0:
            raise ValueError(f"`time` must be positive, such as 20 s, not {self.time}.")

    def draw(
        self, parameter: Inexact[Array, "..."], key: PRNGKeyArray | None
    ) -> PRNGKeyArray:
        if key is None:
            raise ValueError(
                "`Stored` draws the cells: call it with a key, "
                "`Stored(...)(layer, key=key)`."
            )
        return key

    def alter(
        self,
        parameter: Inexact[Array, "..."],
        hidden: PyTree[Array],
        key: PRNGKeyArray | None,
    ) -> Inexact[Array, "..."]:
        memory = self.memory
        written, exponents, first, second = jax.random.split(hidden, 4)
        programmed = memory.program(memory.maximum * parameter, key=written)
        now = memory.drift(programmed, self.time, key=exponents)
        shown = memory.read(now, self.time, key=key) / memory.maximum
        if self.compensation is None:
            return shown
        start = self.compensation.reference_time
        new = memory.drift(programmed, start, key=exponents)
        before = memory.read(new, start, key=first)
        after = memory.read(now, self.time, key=second)
        return self.compensation.factor(before, after) * shown


def _is_matrix_of_cells(node: Any) -> bool:
    return isinstance(node, AbstractTransposableLayer)
