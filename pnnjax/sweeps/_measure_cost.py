"""What a gradient costs on hardware, as a rule counts it."""

from typing import Any

from jaxtyping import Array

from .._estimator import AbstractEstimator, PhysicalCost
from .._layer import AbstractWrapper


def physical_cost(rule: AbstractEstimator, layer: Any, x: Array) -> PhysicalCost:
    """Of one gradient of one example; `x`: examples along one leading axis."""
    bare = layer.realize(None) if isinstance(layer, AbstractWrapper) else layer
    return rule.cost(layer if rule.sets_hardware else bare, x[0])
