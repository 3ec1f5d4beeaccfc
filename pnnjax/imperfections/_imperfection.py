"""What every imperfection is, and the wrappers: of parameters, and of signals."""

import abc
import operator
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Float, Inexact, PRNGKeyArray, PyTree

from .._estimator import facts_of
from .._frozen import Frozen, is_trainable
from .._layer import AbstractLayer, AbstractWrapper, Facts, respond

Number = float | Float[Array, ""]
"""A setting of an imperfection. It is never trained; as an array, `vmap` sweeps it."""

Where = Callable[[Any], Any] | None
"""Which parameters are touched, as in `eqx.tree_at`; `None` means all of them."""


class AbstractImperfection(eqx.Module):
    """Something that hardware does and the model doesn't: called on a layer, it returns
    the layer that has it.

    Imperfections compose by nesting. Of those on parameters, the outermost acts first:
    `Quantize(6, 0, tau)(Mismatch(0.05)(mesh, key=key))` rounds, then offsets.
    """

    @abc.abstractmethod
    def __call__(self, layer: Any, *, key: PRNGKeyArray | None = None) -> Any:
        """The imperfect `layer`; `key` draws what is hidden, where something is."""


class AbstractParameterImperfection(AbstractImperfection):
    """An imperfection of the trainable parameters of any layer, or stack of layers."""

    where: eqx.AbstractVar[Where]

    @abc.abstractmethod
    def draw(
        self, parameter: Inexact[Array, "..."], key: PRNGKeyArray | None
    ) -> PyTree[Array]:
        """What stays as it is in this device: drawn once, hidden, not trained."""

    @abc.abstractmethod
    def alter(
        self,
        parameter: Inexact[Array, "..."],
        hidden: PyTree[Array],
        key: PRNGKeyArray | None,
    ) -> Inexact[Array, "..."]:
        """The parameter that the hardware has, in one run; `key` draws that run."""

    def __call__(
        self, layer: Any, *, key: PRNGKeyArray | None = None
    ) -> "ImperfectParameters":
        _, parameters = _split(_bare(layer), self.where)
        if not parameters:
            name = type(self).__name__
            raise ValueError(
                f"`{name}` acts on trainable parameters, and found none to act on in "
                f"{type(_bare(layer)).__name__}."
            )
        keys = split_key(key, len(parameters))
        hidden = [self.draw(*pair) for pair in zip(parameters, keys, strict=True)]
        return ImperfectParameters(layer, self, hidden)


class ImperfectParameters(AbstractWrapper):
    """A layer with an imperfection between its parameters and the physics.

    It keeps the facts of what it wraps, and what it realizes keeps the capabilities.
    """

    layer: Any
    imperfection: Frozen[AbstractParameterImperfection]
    hidden: Frozen[list[PyTree[Array]]]
    facts: Facts = eqx.field(static=True)

    def __init__(
        self,
        layer: Any,
        imperfection: AbstractParameterImperfection,
        hidden: list[PyTree[Array]],
    ):
        """`hidden` is what `imperfection` drew for each parameter it acts on."""
        self.layer = layer
        self.imperfection = Frozen(imperfection)
        self.hidden = Frozen(hidden)
        self.facts = Facts(**facts_of(layer))

    def __call__(
        self,
        x: Inexact[Array, "..."],
        *,
        key: PRNGKeyArray | None = None,
    ) -> Inexact[Array, "..."]:
        parameters, signal = split_key(key, 2)
        return respond(self.realize(parameters), x, signal)

    def realize(self, key: PRNGKeyArray | None) -> Any:
        """The bare layer with the parameters of this run, all wrappers applied."""
        own, inner = split_key(key, 2)
        layer = _on_bare(self.layer, lambda bare: self._alter(bare, own))
        return layer.realize(inner) if isinstance(layer, AbstractWrapper) else layer

    def _alter(self, bare: Any, key: PRNGKeyArray | None) -> Any:
        imperfection = self.imperfection.value
        join, parameters = _split(bare, imperfection.where)
        keys = split_key(key, len(parameters))
        triples = zip(parameters, self.hidden.value, keys, strict=True)
        return join([imperfection.alter(*triple) for triple in triples])


class AbstractSignalImperfection(AbstractImperfection):
    """An imperfection of what goes into a layer, or of what comes out."""

    @abc.abstractmethod
    def before(
        self, x: Inexact[Array, "..."], key: PRNGKeyArray | None
    ) -> Inexact[Array, "..."]:
        """What reaches the layer."""

    @abc.abstractmethod
    def after(
        self, y: Inexact[Array, "..."], key: PRNGKeyArray | None
    ) -> Inexact[Array, "..."]:
        """What is seen of the layer's output."""

    @abc.abstractmethod
    def facts(self, inside: Facts) -> Facts:
        """What is still true of a layer of which `inside` was."""

    def __call__(
        self, layer: Any, *, key: PRNGKeyArray | None = None
    ) -> "ImperfectSignals":
        return ImperfectSignals(layer, self)


class ImperfectSignals(AbstractLayer):
    """A layer between imperfections of its input and of its output."""

    layer: Any
    imperfection: Frozen[AbstractSignalImperfection]
    facts: Facts = eqx.field(static=True)

    def __init__(self, layer: Any, imperfection: AbstractSignalImperfection):
        self.layer = layer
        self.imperfection = Frozen(imperfection)
        self.facts = imperfection.facts(Facts(**facts_of(layer)))

    def __call__(
        self,
        x: Inexact[Array, "..."],
        *,
        key: PRNGKeyArray | None = None,
    ) -> Inexact[Array, "..."]:
        imperfection = self.imperfection.value
        before, inside, after = split_key(key, 3)
        y = respond(self.layer, imperfection.before(x, before), inside)
        return imperfection.after(y, after)


def split_key(key: PRNGKeyArray | None, number: int) -> list[PRNGKeyArray | None]:
    """`number` new keys, or as many `None` where there is no key."""
    return [None] * number if key is None else list(jax.random.split(key, number))


def needs_key(key: PRNGKeyArray | None, imperfection: AbstractImperfection) -> Any:
    """The key, or a `ValueError` that says what it is for."""
    if key is None:
        name = type(imperfection).__name__
        raise ValueError(
            f"`{name}` draws what is hidden in this device: call it with a key, "
            f"`{name}(...)(layer, key=key)`."
        )
    return key


def not_negative(name: str, number: Number) -> None:
    """Raise a `ValueError` for a negative number, if it is known at trace time."""
    if isinstance(number, float | int) and number < 0:
        raise ValueError(f"`{name}` can't be negative: {number}.")


def positive(name: str, number: Number) -> None:
    """Raise a `ValueError` unless positive, if it is known at trace time."""
    if isinstance(number, float | int) and number <= 0:
        raise ValueError(f"`{name}` must be positive: {number}.")


def _bare(layer: Any) -> Any:
    return _bare(layer.layer) if isinstance(layer, AbstractWrapper) else layer


def _on_bare(layer: Any, change: Callable[[Any], Any]) -> Any:
    if not isinstance(layer, AbstractWrapper):
        return change(layer)
    inner = _on_bare(layer.layer, change)
    return eqx.tree_at(lambda wrapper: wrapper.layer, layer, inner)


def _split(layer: Any, where: Where) -> tuple[Callable[[list[Array]], Any], list]:
    """The parameters to act on, and how to put others in their place."""
    mask = is_trainable(layer)
    if where is not None:
        nothing = jax.tree.map(lambda _: False, layer)
        picked = eqx.tree_at(where, nothing, replace_fn=_all_true)
        mask = jax.tree.map(operator.and_, mask, picked)
    chosen, rest = eqx.partition(layer, mask)
    parameters, structure = jax.tree.flatten(chosen)

    def join(parameters: list[Array]) -> Any:
        return eqx.combine(jax.tree.unflatten(structure, parameters), rest)

    return join, parameters


def _all_true(node: Any) -> Any:
    return jax.tree.map(lambda _: True, node)
