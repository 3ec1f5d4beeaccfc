"""Diodes: the ideal valve, and the exponential law of a junction."""

import math
from dataclasses import dataclass

import jax.numpy as jnp
from jaxtyping import Array, Inexact

BOLTZMANN = 1.380649e-23
"""J/K."""
CHARGE = 1.602176634e-19
"""Of an electron (C)."""


def shockley_current(
    voltage: Inexact[Array, "..."],  # V
    saturation_current: Inexact[Array, "..."],  # A
    slope_voltage: Inexact[Array, "..."],  # V, ideality times k T / q
) -> Inexact[Array, "..."]:  # A
    r"""What a junction conducts: $i = I_s\,(e^{v/V_n} - 1)$.

    **Valid for:** direct current, below breakdown, without series resistance.
    **Source:** Shockley, *Bell System Technical Journal* 28, 435 (1949),
    doi:10.1002/j.1538-7305.1949.tb03645.x.
    """
    return saturation_current * jnp.expm1(voltage / slope_voltage)


def shockley_co_content(
    voltage: Inexact[Array, "..."],  # V
    saturation_current: Inexact[Array, "..."],  # A
    slope_voltage: Inexact[Array, "..."],  # V, ideality times k T / q
) -> Inexact[Array, "..."]:  # W
    r"""$\int_0^v i\,dv' = I_s\,\big(V_n\,(e^{v/V_n} - 1) - v\big)$ of a junction.

    **Source:** Millar, *Philosophical Magazine* 42, 1150 (1951),
    doi:10.1080/14786445108561361, for co-content.
    """
    rise = slope_voltage * jnp.expm1(voltage / slope_voltage)
    return saturation_current * (rise - voltage)


@dataclass(frozen=True)
class IdealDiode:
    """Blocks below `offset` (V), and conducts any current there, from anode to cathode.

    **Source:** Kendall et al. (2020), doi:10.48550/arXiv.2006.01981.
    """

    anode: int
    cathode: int
    offset: float = 0.0

    def __post_init__(self):
        if not math.isfinite(self.offset):
            raise ValueError(f"`offset` must be finite, but is {self.offset} V.")


@dataclass(frozen=True)
class ExponentialDiode:
    """A junction that obeys `shockley_current`, from anode to cathode.

    **Arguments:** `saturation_current` (A); `ideality`, dimensionless, from 1 to 2;
    `temperature` (K), of 27 °C by default.
    """

    anode: int
    cathode: int
    saturation_current: float = 1e-14
    ideality: float = 1.0
    temperature: float = 300.15

    def __post_init__(self):
        for name in ("saturation_current", "ideality", "temperature"):
            value = getattr(self, name)
            if not (value > 0 and math.isfinite(value)):
                raise ValueError(f"`{name}` must be positive, but is {value}.")

    @property
    def slope_voltage(self) -> float:
        """By how much the voltage rises (V) while the current grows e-fold."""
        return self.ideality * BOLTZMANN * self.temperature / CHARGE


Diode = IdealDiode | ExponentialDiode
