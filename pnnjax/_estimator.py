"""Contract 2: a rule that produces a layer's vector-Jacobian product."""

import abc
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
from jaxtyping import Array, Inexact, PRNGKeyArray, PyTree

from ._layer import AbstractLayer, Facts


class GradientBiasWarning(UserWarning):
    """An estimator will run on this layer, but not follow the gradient exactly."""


@dataclass(frozen=True)
class Exact:
    """The gradient, to rounding."""

    rtol: float = 1e-8


@dataclass(frozen=True)
class Order:
    """The error falls as the power `p` of the estimator's field `in_`."""

    p: int
    in_: str


@dataclass(frozen=True)
class Unbiased:
    """The mean over keys is the gradient."""


@dataclass(frozen=True)
class Biased:
    """Its cosine with the gradient stays above `min_cosine`."""

    min_cosine: float


Claim = Exact | Order | Unbiased | Biased
"""What an estimator promises; a test holds it to that on every layer it accepts."""


class PhysicalCost(NamedTuple):
    """What one gradient of one example takes."""

    runs: int
    """Passes of the signal through the physical system, in any direction."""
    relaxations: int = 0
    """Times that the system is left to settle."""
    measurements: int = 0
    """Real numbers read from sensors (a complex field counts two)."""
    flops: int = 0
    """Digital floating-point operations, those of a simulated twin included."""


class Conditions(NamedTuple):
    """What a rule asks of a layer. Each fact carries the sentence a user is shown."""

    capability: type = eqx.Module
    """The abstract class that the layer must be."""
    required: Mapping[str, str] = {}
    """Facts without which the rule is meaningless: the layer is refused."""
    expected: Mapping[str, str] = {}
    """Facts without which the rule is biased: a `GradientBiasWarning` says how."""


class AbstractEstimator(eqx.Module):
    """How the gradient of a layer is obtained: `Physical(layer, estimator)` runs it.

    `x` and `y_bar` may have any leading axes, one physical batch; `layer_bar` is
    already summed over them. `y_bar` follows JAX's convention, for complex signals
    too: to first order the loss changes by `Re(sum(y_bar * dy))`; `x_bar` likewise.
    """

    claim: eqx.AbstractVar[Claim]
    conditions: ClassVar[Conditions] = Conditions()
    sets_hardware: ClassVar[bool] = False
    """Whether it sets hardware to the parameters: then it is given a wrapper as it is,
    since what the wrapper does to them is the model's, and not the hardware's."""

    @abc.abstractmethod
    def forward(
        self, layer: Any, x: Inexact[Array, "..."], *, key: PRNGKeyArray | None
    ) -> tuple[Inexact[Array, "..."], PyTree[Array]]:
        """The output, and what `backward` will need, one row an example."""

    @abc.abstractmethod
    def backward(
        self,
        layer: Any,
        x: Inexact[Array, "..."],
        residuals: PyTree[Array],
        y_bar: Inexact[Array, "..."],
        *,
        key: PRNGKeyArray | None,
    ) -> tuple[PyTree, Inexact[Array, "..."]]:
        """`(layer_bar, x_bar)`. `key` is the one that `forward` had."""

    @abc.abstractmethod
    def cost(self, layer: Any, x: Any) -> PhysicalCost:
        """For one gradient of one example; `x` is that example, or its shape."""


def unmet(
    estimator: AbstractEstimator | type[AbstractEstimator], layer: Any
) -> list[str]:
    """Why `estimator` can't run on `layer`; empty if it can."""
    conditions = estimator.conditions
    if not isinstance(layer, conditions.capability):
        return [f"it is no `{conditions.capability.__name__}`"]
    facts = facts_of(layer)
    return [why for name, why in conditions.required.items() if not facts[name]]


def bias(estimator: AbstractEstimator, layer: Any) -> list[str]:
    """Why `estimator` will be biased on `layer`; empty if it keeps its claim."""
    facts = facts_of(layer)
    expected = estimator.conditions.expected
    return [why for name, why in expected.items() if not facts[name]]


def facts_of(layer: Any) -> Mapping[str, bool]:
    """The physical facts of a layer by name; a foreign module declares none."""
    facts = layer.facts if isinstance(layer, AbstractLayer) else Facts()
    return facts._asdict()
