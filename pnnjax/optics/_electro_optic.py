"""Electro-optic activation: detected light modulates the rest of itself."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Inexact, PRNGKeyArray

from .._layer import AbstractBoundedLayer, Facts


def electro_optic(
    field: Inexact[Array, "*batch modes"],  # √W
    tap: float,  # dimensionless, share of the power that is detected
    gain: Float[Array, " modes"],  # rad/W, phase per detected power
    bias: Float[Array, " modes"],  # rad
) -> Complex[Array, "*batch modes"]:  # √W
    r"""A tapped photodetector drives a Mach-Zehnder modulator on what is left.

    $$f(z) = i\sqrt{1-\alpha}\;\frac{1 + e^{i\Delta}}{2}\,z
      = i\sqrt{1-\alpha}\;e^{i\Delta/2}\cos(\Delta/2)\,z,
      \qquad \Delta = \varphi_b + g\,\alpha\,|z|^2$$

    The detector sees $\alpha|z|^2$; with responsivity $R$ (A/W), transimpedance $G$
    (V/A) and half-wave voltage $V_\pi$, $g = \pi G R / V_\pi$. The paper's
    $g_\varphi$ is $g\,\alpha$, and its $j$ is $-i$, but for a global sign.

    **Valid for:** electronics faster than the signal, and a detector far from
    saturation.
    **Source:** Williamson et al., *IEEE J. Sel. Top. Quantum Electron.* 26, 7700412
    (2020), doi:10.1109/JSTQE.2019.2930455.
    """
    power = field.real**2 + field.imag**2
    phase = _like(bias, power) + _like(gain, power) * (tap * power)
    # i (1 + e^{i phase}), in real and imaginary parts
    response = jax.lax.complex(-jnp.sin(phase), 1 + jnp.cos(phase))
    return 0.5 * math.sqrt(1 - tap) * response * field.astype(response.dtype)


class ElectroOpticActivation(AbstractBoundedLayer):
    """An electro-optic activation on each of `modes` fields.

    The gain and the bias of every mode are electrical, so they are trained; the tap is
    a splitter made once, so it is not. Passive: no more power leaves than enters.
    """

    gain: Float[Array, " modes"]
    bias: Float[Array, " modes"]
    tap: float
    facts = Facts()

    def __init__(
        self,
        modes: int,
        tap: float = 0.1,
        gain: float = 5 * math.pi,
        bias: float = math.pi,
    ):
        """Start all modes alike.

        **Arguments:** `tap`: the share of the power that is detected, in [0, 1).
        `gain`: phase per detected power (rad/W), >= 0. `bias`: phase in the dark (rad);
        at pi dim light is blocked, at 0 it passes.
        **Raises:** `ValueError` if `tap` or `gain` is out of range.
        """
        if not 0 <= tap < 1:
            raise ValueError(f"`tap` is a share of the power, in [0, 1): {tap}.")
        if gain < 0:
            raise ValueError(f"`gain` can't be negative: {gain} rad/W.")
        self.gain = gain * jnp.ones(modes)
        self.bias = bias * jnp.ones(modes)
        self.tap = tap

    def __call__(
        self,
        x: Inexact[Array, "*batch modes"],
        *,
        key: PRNGKeyArray | None = None,
    ) -> Complex[Array, "*batch modes"]:
        return electro_optic(x, self.tap, self.gain, self.bias)

    def project(self) -> "ElectroOpticActivation":
        """Gains that are not negative, and the same biases within [0, 2 pi)."""
        gain = jnp.maximum(self.gain, jnp.zeros_like(self.gain))
        bias = jnp.mod(self.bias, 2 * math.pi)
        return eqx.tree_at(lambda m: (m.gain, m.bias), self, (gain, bias))


def _like(values: Array, power: Array) -> Array:
    return jnp.broadcast_to(values.astype(power.dtype), power.shape)
