"""VTEAM: a memristor that moves only beyond threshold voltages."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from ._memristor import (
    AbstractMemristor,
    Number,
    check_resistances,
    mixed_resistance,
    state_of_mixed_resistance,
)
from ._windows import AbstractWindow, HardStop


class VTEAM(AbstractMemristor):
    r"""Voltage ThrEshold Adaptive Memristor.

    $$\dot w = \begin{cases}
    k_\text{off}\,(v/v_\text{off} - 1)^{\alpha_\text{off}}\,f(x), & v > v_\text{off} \\
    0, & v_\text{on} \le v \le v_\text{off} \\
    k_\text{on}\,(v/v_\text{on} - 1)^{\alpha_\text{on}}\,f(x), & v < v_\text{on}
    \end{cases}$$

    $w$ goes from 0, on, to the `thickness` $D$, off: $x = 1 - w/D$. The resistance is
    linear in $w$, or $R_\text{on}\,(R_\text{off}/R_\text{on})^{w/D}$ if `exponential`.
    A positive voltage turns the device *off*.

    **Source:** Kvatinsky, Ramadan, Friedman, Kolodny, *IEEE Trans. Circuits Syst. II*
    62, 786 (2015), doi:10.1109/TCSII.2015.2433536. The numbers are the defaults of
    MemTorch (`memtorch/bh/memristor/VTEAM.py`, Lammie et al., arXiv:2004.10971).
    """

    on_resistance: Number = 50.0
    off_resistance: Number = 1e3
    thickness: Number = 3e-9
    """How far $w$ can go, $D$ (m)."""
    on_speed: Number = -10.0
    r"""$k_\text{on}$, negative (m/s)."""
    off_speed: Number = 5e-4
    r"""$k_\text{off}$, positive (m/s)."""
    on_threshold: Number = -0.2
    r"""$v_\text{on}$, negative (V)."""
    off_threshold: Number = 0.02
    r"""$v_\text{off}$, positive (V)."""
    on_exponent: Number = 3.0
    r"""$\alpha_\text{on}$."""
    off_exponent: Number = 1.0
    r"""$\alpha_\text{off}$."""
    window: AbstractWindow = HardStop()
    exponential: bool = eqx.field(static=True, default=False)

    def __check_init__(self):
        check_resistances(self.on_resistance, self.off_resistance)
        for name, sign in (("on", -1), ("off", 1)):
            for what in ("speed", "threshold"):
                value = getattr(self, f"{name}_{what}")
                if isinstance(value, float | int) and not sign * value > 0:
                    side = "positive" if sign > 0 else "negative"
                    raise ValueError(f"`{name}_{what}` must be {side}, not {value}.")

    def rate(
        self,
        state: Float[Array, "*shape"],
        voltage: float | Float[Array, "*shape"],  # V
    ) -> Float[Array, "*shape"]:
        voltage = jnp.broadcast_to(jnp.asarray(voltage, state.dtype), state.shape)
        off = _beyond(voltage / self.off_threshold, self.off_exponent)
        on = _beyond(voltage / self.on_threshold, self.on_exponent)
        speed = -(self.off_speed * off + self.on_speed * on) / self.thickness
        return speed * self.window(state, speed > 0)

    def resistance(self, state: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        on, off = self.on_resistance, self.off_resistance
        if self.exponential:
            return on * (off / on) ** (1 - state)
        return mixed_resistance(state, on, off)

    def state_of(
        self,
        resistance: Float[Array, "*shape"],  # Ω
    ) -> Float[Array, "*shape"]:
        on, off = self.on_resistance, self.off_resistance
        if self.exponential:
            return 1 - jnp.log(resistance / on) / jnp.log(
                jnp.asarray(off / on, resistance.dtype)
            )
        return state_of_mixed_resistance(resistance, on, off)


def _beyond(ratio: Array, exponent: Number) -> Array:
    """$(r - 1)^a$ above one, zero below, with the slope of it there too."""
    beyond = ratio > 1
    return jnp.where(beyond, jnp.where(beyond, ratio - 1, 1) ** exponent, 0)
