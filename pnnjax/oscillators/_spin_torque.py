"""Coupled spin-torque oscillators that lock to the microwaves they receive."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Complex, Float, PRNGKeyArray

from .._fast_angles import cos_sin
from .._fast_random import fast_normal
from .._frozen import Frozen
from .._layer import AbstractLayer, Facts
from ._auto_oscillator import free_flow, stationary_power


def synchronization_rule(
    frequency: Float[Array, " n"],  # rad/s
    inputs: Float[Array, "*batch inputs"],  # rad/s
    locked: Bool[Array, "*batch n inputs"],
    wanted: Bool[Array, "*batch n inputs"],
    rate: float | Float[Array, ""],  # rad/s
) -> Float[Array, " n"]:
    r"""The frequencies to give to the oscillators next, from who locked to what.

    $f_i \leftarrow f_i \pm \mu$ for each example: towards an input that the oscillator
    should have locked to and did not, away from one that it should not have. So it
    rests where as many examples are missed at either end of its locking range as are
    caught wrongly. Nothing but the frequencies is known, and no derivative.

    **Source:** after Romera *et al.*, *Nature* 563, 230 (2018),
    doi:10.1038/s41586-018-0632-y.
    """
    sign = wanted.astype(frequency.dtype) - locked.astype(frequency.dtype)
    side = jnp.sign(inputs[..., None, :] - _column(frequency, inputs.ndim + 1))
    moved = jnp.sum((sign * side).reshape(-1, *locked.shape[-2:]), axis=(0, 2))
    return frequency + rate * moved


class SpinTorqueOscillators(AbstractLayer):
    r"""Which oscillator keeps in step with which of the incoming microwaves?

    $$\dot c_i + i\omega_i(|c_i|^2)c_i + [\Gamma_+ - \Gamma_-](|c_i|^2)\,c_i
    = \sum_j \Omega_{ij}c_j + F\sum_k e^{-i\omega_kt},$$

    with the terms of `stationary_power`. The inputs are the frequencies $\omega_k$, the
    outputs are the locking $|\langle e^{i(\arg c_i + \omega_kt)}\rangle|$ of each
    oscillator to each of them: 1 in step, near 0 if not. The currents are trained:
    they tune the frequencies $\omega_i + N_ip_i$.

    With a key, thermal noise of $\langle f f^*\rangle = 2D\,\delta(t)$ shakes each
    oscillator, and they start at random phases.

    **Error:** of the second order in $\delta\,h$, where $\delta$ is the greatest
    detuning between an oscillator and a microwave, and $h$ the step: at
    $\delta h = 0.4$, a force is 0.7 % off.
    **Source:** Slavin, Tiberkevich, *IEEE Trans. Magn.* 45, 1875 (2009),
    doi:10.1109/TMAG.2008.2009935; as a classifier, Romera *et al.*, *Nature* 563, 230
    (2018), doi:10.1038/s41586-018-0632-y.
    """

    supercriticality: Float[Array, " n"]  # dimensionless, current over threshold
    resonance: Frozen[Float[Array, " n"]]  # rad/s
    coupling: Frozen[Complex[Array, "n n"]]  # rad/s
    damping: float  # rad/s
    nonlinear_damping: float
    shift: float  # rad/s
    force: float  # rad/s
    noise: float  # 1/s
    step: float  # s
    settle: int = eqx.field(static=True)
    measure: int = eqx.field(static=True)
    facts: ClassVar[Facts] = Facts()

    def __init__(
        self,
        supercriticality: Float[Array, " n"],
        resonance: Float[Array, " n"],  # rad/s
        *,
        damping: float,  # rad/s
        nonlinear_damping: float,  # dimensionless
        shift: float,  # rad/s
        force: float,  # rad/s
        step: float,  # s
        settle: int,
        measure: int,
        coupling: Complex[Array, "n n"] | None = None,  # rad/s
        noise: float = 0.0,  # 1/s
    ):
        r"""`n` oscillators, each with its current and its own frequency $\omega_i$.

        **Arguments:**

        - `damping`, `nonlinear_damping`, `shift`: $\Gamma_G$, $Q$, $N$.
        - `force`: $F$ of each microwave.
        - `settle`: how many steps pass before it is measured, for `measure` steps: a
            beat that is slow over this time looks like being locked.
        - `coupling`: $\Omega$; none unless given. `noise`: $D$.

        **Raises:** `ValueError` for what can't be built.
        """
        _check(damping, step, settle, measure, noise)
        none = jnp.zeros(2 * supercriticality.shape, supercriticality.dtype)
        self.supercriticality = supercriticality
        self.resonance = Frozen(resonance)
        self.coupling = Frozen(
            lax.complex(none, none) if coupling is None else coupling
        )
        self.damping = damping
        self.nonlinear_damping = nonlinear_damping
        self.shift = shift
        self.force = force
        self.noise = noise
        self.step = step
        self.settle = settle
        self.measure = measure

    @property
    def frequency(self) -> Float[Array, " n"]:
        """Of each oscillator alone, without microwaves (rad/s)."""
        power = stationary_power(self.supercriticality, self.nonlinear_damping)
        return self.resonance.value + self.shift * power

    def currents_for(
        self,
        frequency: Float[Array, "*batch n"],  # rad/s
    ) -> Float[Array, "*batch n"]:
        r"""The supercriticality with which the oscillators have these frequencies.

        Not a number, or below 1, where no current can: $p_0$ must be from 0 to 1.
        """
        power = (frequency - self.resonance.value.astype(frequency.dtype)) / self.shift
        return (1 + self.nonlinear_damping * power) / (1 - power)

    def __call__(
        self,
        x: Float[Array, "*batch inputs"],  # rad/s
        *,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "*batch n inputs"]:
        current = self.supercriticality.astype(x.dtype)
        resonance = self.resonance.value.astype(x.dtype)
        # In a frame that turns as the oscillators do on average.
        center = lax.stop_gradient(jnp.mean(self.frequency.astype(x.dtype)))
        own, beats = resonance - center, x - center
        shape = (*x.shape[:-1], len(current))
        # What the couplings do in half a step.
        coupling = self.coupling.value.astype(jax.eval_shape(_turning, x).dtype)
        half = jax.scipy.linalg.expm(0.5 * self.step * coupling)
        kick = self.force * self.step

        def flow(c):
            return free_flow(
                c,
                jnp.broadcast_to(current, shape),
                jnp.broadcast_to(own, shape),
                0.5 * self.step,
                damping=self.damping,
                nonlinear_damping=self.nonlinear_damping,
                shift=self.shift,
            )

        def advance(carry, now):
            (c, locking), (number, own) = carry, now
            begin = number.astype(x.dtype) * self.step
            middle, end = begin + 0.5 * self.step, begin + self.step
            force = kick * jnp.sum(_turning(beats * middle), axis=-1, keepdims=True)
            c = flow(_product(half, _product(half, flow(c)) + force))
            if own is not None and self.noise:
                c = c + self._shake(own, c)
            against = jnp.conj(_turning(beats * end))[..., None, :]
            locking = locking + _phasor(c)[..., :, None] * against
            return (c, jnp.where(number < self.settle, 0, locking)), None

        first, keys = self._keys(key)
        start = self._start(current, shape, first)
        blank = jnp.zeros((*shape, x.shape[-1]), start.dtype)
        numbers = jnp.arange(self.settle + self.measure)
        (_, locking), _ = lax.scan(advance, (start, blank), (numbers, keys))
        return _modulus(locking) / self.measure

    def _start(self, current, shape, key):
        amplitude = _root(stationary_power(current, self.nonlinear_damping))
        phase = jnp.zeros(shape, current.dtype)
        if key is not None:
            phase = 2 * jnp.pi * jax.random.uniform(key, shape, current.dtype)
        turn = _turning(phase)
        return jnp.broadcast_to(amplitude, shape).astype(turn.dtype) * turn

    def _keys(self, key):
        """For the start, and for each step."""
        if key is None:
            return None, None
        first, key = jax.random.split(key)
        return first, jax.random.split(key, self.settle + self.measure)

    def _shake(self, key, c):
        size = (self.noise * self.step) ** 0.5
        # As a part of what comes next, they would be drawn one by one.
        draws = lax.optimization_barrier(fast_normal(key, (2, *c.shape), c.real.dtype))
        return lax.complex(*(size * draws))


def _column(values, ndim):
    return values.reshape((1,) * (ndim - 2) + (-1, 1))


def _turning(phase):
    cosine, sine = cos_sin(phase)
    return lax.complex(cosine, -sine)


def _phasor(c):
    size = _modulus(c)
    return c / jnp.where(size > 0, size, 1).astype(c.dtype)


def _modulus(c):
    return _root(c.real**2 + c.imag**2)


def _root(power):
    """With a slope of zero, and not of NaN, at zero."""
    return jnp.where(power > 0, jnp.sqrt(jnp.where(power > 0, power, 1)), 0)


def _product(matrix, c):
    return jnp.einsum("ij,...j->...i", matrix, c)


def _check(damping, step, settle, measure, noise):
    if not (damping > 0 and step > 0 and noise >= 0):
        raise ValueError(
            "`damping` and `step` must be positive and `noise` not negative, but they "
            f"are {damping} rad/s, {step} s and {noise} 1/s."
        )
    if settle < 0 or measure < 1:
        raise ValueError(
            f"`settle` must be 0 or more steps and `measure` 1 or more, not {settle} "
            f"and {measure}."
        )
