"""Linear ion drift: the memristor that was found in titanium dioxide."""

from jaxtyping import Array, Float

from ._memristor import (
    AbstractMemristor,
    Number,
    check_resistances,
    mixed_resistance,
    state_of_mixed_resistance,
)
from ._windows import AbstractWindow, HardStop


class IonDrift(AbstractMemristor):
    r"""A film of which the part $x = w/D$ is doped, and drifts with the current.

    $$R = R_\text{on}\,x + R_\text{off}\,(1 - x), \qquad
    \dot x = \frac{\mu R_\text{on}}{D^2}\,i\,f(x)$$

    Without a window ($f = 1$) the state is the charge that has passed, up to factors.
    A positive voltage turns the device on.

    **Valid for:** fields at which ions drift in proportion, below about 1 MV/cm.
    **Source:** Strukov, Snider, Stewart, Williams, *Nature* 453, 80 (2008),
    doi:10.1038/nature06932. The numbers are those commonly simulated.
    """

    on_resistance: Number = 100.0
    off_resistance: Number = 16e3
    thickness: Number = 10e-9
    """Of the film, $D$ (m)."""
    mobility: Number = 1e-14
    r"""Of the ions, $\mu$ (m²/(V s))."""
    window: AbstractWindow = HardStop()

    def __check_init__(self):
        check_resistances(self.on_resistance, self.off_resistance)

    def rate(
        self,
        state: Float[Array, "*shape"],
        voltage: float | Float[Array, "*shape"],  # V
    ) -> Float[Array, "*shape"]:
        # In this order, no factor leaves the range of single precision.
        speed = self.mobility / self.thickness * self.on_resistance / self.thickness
        drift = speed * voltage / self.resistance(state)
        return drift * self.window(state, drift > 0)

    def resistance(self, state: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        return mixed_resistance(state, self.on_resistance, self.off_resistance)

    def state_of(
        self,
        resistance: Float[Array, "*shape"],  # Ω
    ) -> Float[Array, "*shape"]:
        return state_of_mixed_resistance(
            resistance, self.on_resistance, self.off_resistance
        )
