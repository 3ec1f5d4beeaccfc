"""Saturable absorber: a medium that strong light makes transparent."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact, PRNGKeyArray

from .._layer import AbstractPumpProbeLayer, Facts


def saturated_transmission(
    pump: Inexact[Array, "..."],  # √W
    optical_depth: float,  # dimensionless, of the power, unsaturated
    saturation_power: float,  # W
) -> Float[Array, "..."]:
    r"""Amplitude transmission $t = \exp\!\big(-\tfrac{\alpha_0/2}{1 + |E|^2/P_s}\big)$.

    $\alpha_0$ is the optical depth and $P_s$ the saturation power of a two-level medium
    on resonance.

    **Valid for:** a medium that is saturated by the input power over its whole length.
    **Source:** Guo et al., *Photonics Research* 9, B71 (2021), doi:10.1364/PRJ.411104.
    """
    power = (pump.real**2 + pump.imag**2) / saturation_power
    return jnp.exp(-0.5 * optical_depth / (1 + power))


class SaturableAbsorber(AbstractPumpProbeLayer):
    r"""A cell of saturable absorber for each mode: $E_\text{out} = t(|E|^2)\,E$.

    For a real field its derivative is $[1 + \alpha_0 p/(1 + p)^2]\,t$ with
    $p = E^2/P_s$. A weak probe sees the transmission $t$ only, which is what optical
    backpropagation puts in place of the derivative. Nothing here is trained.

    **Source:** Guo et al., *Photonics Research* 9, B71 (2021), doi:10.1364/PRJ.411104.
    """

    optical_depth: float
    saturation_power: float
    facts = Facts()

    def __init__(self, optical_depth: float, saturation_power: float = 1.0):
        """Absorb `optical_depth` (of the power) in the dark.

        **Arguments:** `saturation_power` (W) halves it.
        **Raises:** `ValueError` for a negative depth, or a saturation power that is
        not positive.
        """
        if optical_depth < 0:
            raise ValueError(f"`optical_depth` can't be negative: {optical_depth}.")
        if saturation_power <= 0:
            raise ValueError(f"`saturation_power` must be > 0: {saturation_power} W.")
        self.optical_depth = optical_depth
        self.saturation_power = saturation_power

    def __call__(
        self,
        x: Inexact[Array, "..."],
        *,
        key: PRNGKeyArray | None = None,
    ) -> Inexact[Array, "..."]:
        return self.probe(x, x)

    def probe(
        self, pump: Inexact[Array, "..."], probe: Inexact[Array, "..."]
    ) -> Inexact[Array, "..."]:
        transmission = saturated_transmission(
            pump, self.optical_depth, self.saturation_power
        )
        return transmission.astype(probe.dtype) * probe
