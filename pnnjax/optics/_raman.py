"""Silica's delayed response to light: molecules that vibrate."""

import equinox as eqx
import numpy as np
from jaxtyping import Complex, Float


class RamanResponse(eqx.Module):
    r"""$R(t) = (1 - f_R)\,\delta(t) + f_R\,[(1 - f_b)\,h_a(t) + f_b\,h_b(t)]$.

    $$h_a = \frac{\tau_1^2 + \tau_2^2}{\tau_1 \tau_2^2}\, e^{-t/\tau_2}
      \sin\frac{t}{\tau_1}, \qquad
      h_b = \frac{2\tau_b - t}{\tau_b^2}\, e^{-t/\tau_b}, \qquad t > 0$$

    Both have unit area. `RamanResponse()` is that of Blow and Wood, without $h_b$.

    **Source:** Blow and Wood, *IEEE J. Quantum Electron.* 25, 2665 (1989),
    doi:10.1109/3.40655.
    """

    fraction: float
    """$f_R$, dimensionless."""
    vibration: float
    r"""$\tau_1$ (s), of a radian of the vibration."""
    damping: float
    r"""$\tau_2$ (s)."""
    boson_fraction: float
    """$f_b$, dimensionless."""
    boson: float
    r"""$\tau_b$ (s), of the boson peak."""

    def __init__(
        self,
        fraction: float = 0.18,
        vibration: float = 12.2e-15,  # s
        damping: float = 32e-15,  # s
        boson_fraction: float = 0.0,
        boson: float = 96e-15,  # s
    ):
        """**Raises:** `ValueError` for a share outside [0, 1], or a time that is not
        positive.
        """
        if not (0 <= fraction <= 1 and 0 <= boson_fraction <= 1):
            raise ValueError(
                f"`fraction` {fraction} and `boson_fraction` {boson_fraction} are "
                "shares, within [0, 1]."
            )
        if min(vibration, damping, boson) <= 0:
            raise ValueError(
                f"`vibration` {vibration}, `damping` {damping} and `boson` {boson} "
                "must be positive, in seconds."
            )
        self.fraction = fraction
        self.vibration = vibration
        self.damping = damping
        self.boson_fraction = boson_fraction
        self.boson = boson

    @classmethod
    def lin_agrawal(cls) -> "RamanResponse":
        """Of fused silica, with the boson peak.

        **Source:** Lin and Agrawal, *Opt. Lett.* 31, 3086 (2006),
        doi:10.1364/OL.31.003086.
        """
        return cls(fraction=0.245, boson_fraction=0.21)

    def delayed(
        self,
        omega: Float[np.ndarray, "..."],  # rad/s
    ) -> Complex[np.ndarray, "..."]:
        r"""The delayed part's $\int h(t)\, e^{i\Omega t} dt$: 1 at rest.

        Its imaginary part, positive below the vibration's frequency, is the gain of
        the light that is lower in frequency.
        """
        a = self.vibration**2 * (1 - 1j * omega * self.damping) ** 2 + self.damping**2
        slow = 1 - 1j * omega * self.boson
        single = (self.vibration**2 + self.damping**2) / a
        boson = (1 - 2j * omega * self.boson) / slow**2
        return (1 - self.boson_fraction) * single + self.boson_fraction * boson
