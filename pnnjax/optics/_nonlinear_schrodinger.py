"""Pulses in a single-mode fiber: dispersion, Kerr and Raman effect, gain."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Complex, PRNGKeyArray

from .._fast_angles import cos_sin
from .._layer import AbstractLayer, Facts
from ..integrators import split_step
from ._pulse import (
    Dispersion,
    Number,
    Worst,
    check_counts,
    checked,
    frequency_grid,
    orders,
    taylor,
    times,
    transfer,
)
from ._raman import RamanResponse


def nonlinear_schrodinger(
    envelope: Complex[Array, "*batch nt"],  # √W
    length: Number,  # m
    *,
    dt: float,  # s
    beta2: Dispersion,  # s²/m, then s³/m and so on
    gamma: Number,  # 1/(W m)
    steps: int,
    gain: Number = 0.0,  # 1/m, of the power
    raman: RamanResponse | None = None,
    order: int = 2,
    tolerance: float = 1e-3,
) -> Complex[Array, "*batch nt"]:  # √W
    r"""A pulse's envelope after a length of fiber, in the frame that moves with it.

    $$\partial_z A = i \sum_{k \ge 2} \frac{\beta_k}{k!} (i\partial_t)^k A
      + i\gamma A \int_0^\infty R(t')\, |A(t - t')|^2\, dt' + \frac{g}{2} A$$

    The field is $\operatorname{Re} A\, e^{i(\beta_0 z - \omega_0 t)}$, so that
    $\Omega > 0$ is blue. With $\beta_2 > 0$, red runs ahead of blue; $\gamma > 0$
    raises the index where there is light; solitons have $\beta_2 < 0$. Without `raman`,
    $R = \delta$.

    Without gain, $\int |A|^2 dt$ is conserved to rounding, by every step. With `raman`
    it stands for the number of photons: what a photon loses to the glass as it gets
    redder, $\Omega/\omega_0$ of its energy, is neglected, as is self-steepening.

    **Arguments:** `gain` is negative for loss. `order`: 2 or 4, of the splitting.
    `tolerance`: the share of the energy that may be at the edges of the window or of
    the spectrum, a thirty-second of it on each side; 1 for light that is periodic.
    **Raises:** at run time, if a pulse reaches the edge of the window or of the
    spectrum, or if the nonlinear phase of a step is above 0.5 rad; it says which of
    `nt`, `dt` and `steps` to change.
    **Error:** of the order in `length / steps`. In single precision give dispersion as
    floats, of which phases are computed in double precision.
    **Source:** Agrawal, *Nonlinear Fiber Optics* (2019), chapters 2 and 8.
    """
    check_counts(dt, steps)
    dtype, nt = envelope.dtype, envelope.shape[-1]
    real = jnp.finfo(dtype).dtype
    step = length / steps
    wavenumber = taylor(beta2, frequency_grid(nt, dt), real)
    response = None if raman is None else _delayed(raman, nt, dt, dtype)

    def drift(fraction):
        factor = transfer(wavenumber, gain, fraction * step, dtype)

        def flow(state):
            envelope, worst = state
            spectrum = times(factor, jnp.fft.fft(envelope))
            return jnp.fft.ifft(spectrum), worst.after_drift(_power(spectrum))

        return flow

    def kick(fraction):
        strength = jnp.asarray(gamma * (fraction * step), real)

        def flow(state):
            envelope, worst = state
            power = _power(envelope)
            phase = strength * _felt(power, raman, response)
            most = jnp.max(jnp.abs(phase), -1)
            turn = lax.complex(*cos_sin(phase))
            return turn * envelope, worst.after_kick(power, most)

        return flow

    start = envelope, Worst.none(envelope.shape[:-1], real)
    envelope, worst = split_step(drift, kick, start, steps, order=order)
    return checked(envelope, worst, tolerance, nt, dt, steps)


class NonlinearFiber(AbstractLayer):
    """A length of single-mode fiber: an envelope in, an envelope out.

    What is given as a float is fixed; what is given as an array is trained. See
    `nonlinear_schrodinger` for all of it.
    """

    length: Number  # m
    dt: float  # s
    beta2: Dispersion
    gamma: Number  # 1/(W m)
    gain: Number  # 1/m
    raman: RamanResponse | None
    steps: int = eqx.field(static=True)
    order: int = eqx.field(static=True)
    tolerance: float

    def __init__(
        self,
        length: Number,  # m
        *,
        dt: float,  # s
        beta2: Dispersion,  # s²/m, then s³/m and so on
        gamma: Number,  # 1/(W m)
        steps: int,
        gain: Number = 0.0,  # 1/m, of the power
        raman: RamanResponse | None = None,
        order: int = 2,
        tolerance: float = 1e-3,
    ):
        self.length = length
        self.dt = dt
        self.beta2 = beta2
        self.gamma = gamma
        self.gain = gain
        self.raman = raman
        self.steps = steps
        self.order = order
        self.tolerance = tolerance

    @property
    def facts(self) -> Facts:
        """Odd orders of dispersion tell forth from back."""
        even = all(_is_zero(beta) for beta in orders(self.beta2)[1::2])
        linear, lossless = _is_zero(self.gamma), _is_zero(self.gain)
        return Facts(
            linear=linear,
            reciprocal=linear and even,
            lossless=lossless,
            time_reversible=lossless and even and self.raman is None,
        )

    def __call__(
        self,
        x: Complex[Array, "*batch nt"],  # √W
        *,
        key: PRNGKeyArray | None = None,
    ) -> Complex[Array, "*batch nt"]:  # √W
        return self._through(x, self.length, self.steps)

    def evolution(
        self,
        x: Complex[Array, "*batch nt"],  # √W
        pieces: int,
    ) -> Complex[Array, "planes *batch nt"]:  # √W
        """The envelope at the start, and after each of equal pieces of the fiber.

        **Raises:** `ValueError` if `steps` is no multiple of `pieces`.
        """
        if pieces < 1 or self.steps % pieces:
            raise ValueError(
                f"{self.steps} steps can't be shared by {pieces} pieces: take a "
                "divisor."
            )

        def advance(envelope, _):
            after = self._through(envelope, self.length / pieces, self.steps // pieces)
            return after, after

        after = lax.scan(advance, x, length=pieces)[1]
        return jnp.concatenate([x[None], after])

    def _through(self, x, length, steps):
        return nonlinear_schrodinger(
            x,
            length,
            dt=self.dt,
            beta2=self.beta2,
            gamma=self.gamma,
            steps=steps,
            gain=self.gain,
            raman=self.raman,
            order=self.order,
            tolerance=self.tolerance,
        )


def _power(field):
    return field.real**2 + field.imag**2


def _delayed(raman, nt, dt, dtype):
    # `rfft` counts frequencies as its own, the conjugate of those of e^{-i omega t}.
    omega = 2 * np.pi * np.fft.rfftfreq(nt, dt)
    return jnp.asarray(raman.delayed(omega).conj(), dtype)


def _felt(power, raman, response):
    """The power that the medium responds to."""
    if raman is None:
        return power
    late = jnp.fft.irfft(times(response, jnp.fft.rfft(power)), power.shape[-1])
    return (1 - raman.fraction) * power + raman.fraction * late


def _is_zero(value: Number) -> bool:
    return isinstance(value, int | float) and value == 0
