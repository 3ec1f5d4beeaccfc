"""Nonlinear auto-oscillators: what a current sustains against the damping."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Complex, Float

from .._fast_angles import cos_sin


def stationary_power(
    supercriticality: Float[Array, "*shape"],  # dimensionless, current over threshold
    nonlinear_damping: float,  # dimensionless
) -> Float[Array, "*shape"]:
    r"""$p_0 = (\zeta - 1)/(\zeta + Q)$, and nothing below the threshold $\zeta = 1$.

    Of $\dot c + i\omega(p)c + \Gamma_+(p)c - \Gamma_-(p)c = 0$ with the power
    $p = |c|^2$, the frequency $\omega = \omega_0 + Np$, the damping
    $\Gamma_+ = \Gamma_G(1 + Qp)$ and that of the current,
    $\Gamma_- = \zeta\Gamma_G(1 - p)$.

    **Source:** Slavin, Tiberkevich, *IEEE Trans. Magn.* 45, 1875 (2009),
    doi:10.1109/TMAG.2008.2009935.
    """
    above = jnp.maximum(supercriticality - 1, 0)
    return above / (supercriticality + nonlinear_damping)


def power_after(
    power: Float[Array, "*shape"],  # dimensionless
    supercriticality: Float[Array, "*shape"],  # dimensionless
    time: float,  # s
    *,
    damping: float,  # rad/s
    nonlinear_damping: float,  # dimensionless
    thermal: float = 0.0,  # 1/s
) -> Float[Array, "*shape"]:
    r"""The power after a `time` of constant current.

    $\dot p = s + 2\Gamma_G(\zeta - 1)p - 2\Gamma_G(\zeta + Q)p^2$. Thermal motion feeds
    in $s$ on average, so that an oscillator below the threshold is not silent for ever.

    **Error:** rounding only: it is a fraction of two linear functions of $p$.
    """
    growth = damping * (supercriticality - 1)
    limit = 2 * damping * (supercriticality + nonlinear_damping)
    reach = _reach(growth, limit, time, thermal)
    return _moved(power, growth, limit, reach, thermal)


def free_flow(
    amplitude: Complex[Array, "*shape"],
    supercriticality: Float[Array, "*shape"],  # dimensionless
    detuning: Float[Array, "*shape"],  # rad/s, of the linear frequency from the frame's
    time: float,  # s
    *,
    damping: float,  # rad/s
    nonlinear_damping: float,  # dimensionless
    shift: float,  # rad/s, N
) -> Complex[Array, "*shape"]:
    r"""The amplitude $c$ after a `time` without any force.

    **Error:** rounding only: the power is a logistic curve, and the phase its integral,
    $\int p\,dt = \ln(1 + g)/2\Gamma_G(\zeta + Q)$.
    """
    power = amplitude.real**2 + amplitude.imag**2
    growth = damping * (supercriticality - 1) * time
    limit = 2 * damping * (supercriticality + nonlinear_damping)
    still = growth == 0
    doubled = jnp.where(still, 1, 2 * growth)
    rise = jnp.where(still, 1, jnp.expm1(doubled) / doubled)
    slowed = limit * time * power * rise
    phase = detuning * time + shift * jnp.log1p(slowed) / limit
    gain = jnp.exp(growth) / jnp.sqrt(1 + slowed)
    # As a part of a complex product, they would be found one by one.
    phase, gain = lax.optimization_barrier((phase, gain))
    cosine, sine = cos_sin(phase)
    return amplitude * lax.complex(gain * cosine, -gain * sine)


def injection_locking_range(
    force: float,  # rad/s
    supercriticality: Float[Array, "*shape"],  # dimensionless
    *,
    damping: float,  # rad/s
    nonlinear_damping: float,  # dimensionless
    shift: float,  # rad/s, N
) -> Float[Array, "*shape"]:
    r"""How far from its own frequency a weak force $Fe^{-i\omega t}$ locks it (rad/s).

    $\Delta = \sqrt{1 + \nu^2}\,F/\sqrt{p_0}$ to either side, with
    $\nu = N/\Gamma_G(\zeta + Q)$: power that follows the force turns the frequency.

    **Valid for:** $F \ll \Gamma_G(\zeta - 1)\sqrt{p_0}$.
    **Source:** Slavin, Tiberkevich (2009), as above; Adler, *Proc. IRE* 34, 351 (1946).
    """
    nonlinearity = shift / (damping * (supercriticality + nonlinear_damping))
    power = stationary_power(supercriticality, nonlinear_damping)
    return force * jnp.sqrt((1 + nonlinearity**2) / power)


def _reach(growth, limit, time, thermal):
    rate = jnp.sqrt(growth**2 + limit * thermal)
    still = rate == 0
    safe = jnp.where(still, 1, rate)
    return jnp.where(still, time, jnp.tanh(safe * time) / safe)


def _moved(power, growth, limit, reach, thermal):
    raised = (1 + reach * growth) * power + reach * thermal
    return raised / (reach * limit * power + 1 - reach * growth)
