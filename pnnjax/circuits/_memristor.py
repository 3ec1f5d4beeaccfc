"""What a memristor is: a resistor with a state that its voltage moves."""

import abc

import equinox as eqx
from jaxtyping import Array, Float

Number = float | Float[Array, ""]
"""Of a device. Not trained, unless it is given as an array."""


class AbstractMemristor(eqx.Module):
    r"""$i = v / R(x)$, $\dot x = F(x, v)$, with a state $x$ from 0 (off) to 1 (on).

    **Source:** Chua and Kang, *Proc. IEEE* 64, 209 (1976),
    doi:10.1109/PROC.1976.10092.
    """

    on_resistance: eqx.AbstractVar[Number]
    r"""At $x = 1$ (Ω)."""
    off_resistance: eqx.AbstractVar[Number]
    r"""At $x = 0$ (Ω)."""

    @abc.abstractmethod
    def rate(
        self,
        state: Float[Array, "*shape"],
        voltage: float | Float[Array, "*shape"],  # V
    ) -> Float[Array, "*shape"]:
        r"""How fast the state moves, $\dot x$ (1/s)."""

    @abc.abstractmethod
    def resistance(self, state: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """What a small voltage meets (Ω)."""

    @abc.abstractmethod
    def state_of(
        self,
        resistance: Float[Array, "*shape"],  # Ω
    ) -> Float[Array, "*shape"]:
        """The state that has this resistance."""


def mixed_resistance(state: Array, on: Number, off: Number) -> Array:
    r"""Two resistors in series: $R_\text{on}\,x + R_\text{off}\,(1 - x)$."""
    return off + (on - off) * state


def state_of_mixed_resistance(resistance: Array, on: Number, off: Number) -> Array:
    """The inverse of `mixed_resistance`."""
    return (off - resistance) / (off - on)


def check_resistances(on: Number, off: Number) -> None:
    """**Raises:** `ValueError` unless 0 < on < off, where they are known."""
    known = all(isinstance(number, float | int) for number in (on, off))
    if known and not 0 < on < off:
        raise ValueError(
            f"`on_resistance` must be positive and below `off_resistance`: {on} and "
            f"{off} Ω."
        )
