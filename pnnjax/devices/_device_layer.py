"""A device in the place of a layer, where no model of it is to be used."""

from typing import Any

import equinox as eqx
from jaxtyping import Array, Inexact, PRNGKeyArray

from .._layer import AbstractLayer, Facts
from ._device import AbstractDevice


class DeviceLayer(AbstractLayer):
    """`layer` as the `device` runs it: a black box that can only be tried out.

    Of the layer itself, only the trainable parameters and the shape of the output
    count. For methods that need no derivative of it (perturbations, populations, a
    readout), or that replace it (feedback alignment, local learning).

    **Raises:** `TypeError` when it is differentiated, by its parameters or its input.
    """

    layer: Any
    device: AbstractDevice

    def __init__(self, layer: Any, device: AbstractDevice):
        self.layer = layer
        self.device = device

    @property
    def facts(self) -> Facts:
        return self.layer.facts if isinstance(self.layer, AbstractLayer) else Facts()

    def __call__(
        self, x: Inexact[Array, "..."], *, key: PRNGKeyArray | None = None
    ) -> Inexact[Array, "..."]:
        return _run((self.layer, x), self.device, key)


@eqx.filter_custom_vjp
def _run(inputs: Any, device: AbstractDevice, key: PRNGKeyArray | None) -> Array:
    layer, x = inputs
    return device(layer, x, key=key)


@_run.def_fwd
def _run_fwd(perturbed: Any, inputs: Any, device: AbstractDevice, key: Any) -> Any:
    del perturbed, device, key
    raise TypeError(
        f"A device has no derivative, but that of `DeviceLayer` around "
        f"`{type(inputs[0]).__name__}` was asked for. Join it with a rule that needs "
        "none, such as `Physical(layer, estimators.SPSA())`, or train its model: "
        "`Physical(layer.layer, estimators.PhysicsAware(layer.device))`."
    )


@_run.def_bwd
def _run_bwd(
    residuals: Any, y_bar: Any, perturbed: Any, inputs: Any, device: Any, key: Any
) -> Any:
    raise AssertionError("The forward rule raises.")
