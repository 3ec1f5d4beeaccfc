"""What is trained, and what is not."""

from typing import Any, Generic, TypeVar

import equinox as eqx
import jax
from jaxtyping import PyTree

from ._estimator import AbstractEstimator

T = TypeVar("T")


class Frozen(eqx.Module, Generic[T]):
    """Arrays that belong to the physics and are not trained.

    Read them by `.value`: no gradient flows through it. A frozen layer can be called.
    """

    _value: T
    _held: bool = eqx.field(static=True, default=True)

    @property
    def value(self) -> T:
        """What was wrapped, behind `stop_gradient`."""
        if not self._held:
            return self._value
        return jax.tree.map(
            lambda leaf: jax.lax.stop_gradient(leaf) if eqx.is_array(leaf) else leaf,
            self._value,
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.value(*args, **kwargs)  # pyright: ignore[reportCallIssue]


def thawed(tree: PyTree) -> PyTree:
    """`tree`, with gradients through every `Frozen` in it, of which none is trained.

    For what finds the numbers of a model that no training changes.
    """

    def thaw(node: Any) -> Any:
        if isinstance(node, Frozen):
            return Frozen(thawed(node._value), False)
        return node

    return jax.tree.map(thaw, tree, is_leaf=lambda node: isinstance(node, Frozen))


def is_trainable(tree: PyTree) -> PyTree[bool]:
    """Which leaves an optimizer may change: a tree of booleans, for `eqx.partition`.

    Inexact arrays are trained, unless they are in `Frozen` or are an estimator's
    numbers.
    """

    def mark(node: Any) -> PyTree[bool]:
        if _is_fixed(node):
            return jax.tree.map(lambda _: False, node)
        return eqx.is_inexact_array(node)

    return jax.tree.map(mark, tree, is_leaf=_is_fixed)


def _is_fixed(node: Any) -> bool:
    return isinstance(node, Frozen | AbstractEstimator)
