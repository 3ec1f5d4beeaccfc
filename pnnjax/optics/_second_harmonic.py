"""Second-harmonic generation by shaped pulses in a crystal."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Complex, Float, PRNGKeyArray

from .._layer import AbstractLayer, Facts
from ..integrators import split_step
from ._pulse import (
    Dispersion,
    Number,
    Worst,
    check_counts,
    checked,
    frequency_grid,
    taylor,
    times,
    transfer,
)
from ._sampling import polar


def second_harmonic(
    fundamental: Complex[Array, "*batch nt"],  # √W
    length: Number,  # m
    *,
    dt: float,  # s
    coupling: Number,  # 1/(√W m)
    steps: int,
    mismatch: Number = 0.0,  # rad/m
    walkoff: Number = 0.0,  # s/m
    beta2: tuple[Dispersion, Dispersion] = (0.0, 0.0),  # s²/m, ...
    tolerance: float = 1e-3,
) -> tuple[Complex[Array, "*batch nt"], Complex[Array, "*batch nt"]]:  # √W
    r"""What leaves a quadratic crystal: the fundamental, and its second harmonic.

    $$\partial_z A_1 = i\hat D_1 A_1 + i\kappa A_1^* A_2, \qquad
      \partial_z A_2 = i\hat D_2 A_2 + i\kappa A_1^2$$

    Both fields are seen from the frame of the fundamental, $A_2$ against the carrier
    $e^{2i(k_1 z - \omega_0 t)}$: $D_1 = \sum_k \beta_{1,k}\Omega^k/k!$ and $D_2 =
    -\Delta k + \delta\,\Omega + \sum_k \beta_{2,k}\Omega^k/k!$, with the `mismatch`
    $\Delta k = 2k_1 - k_2$ and the `walkoff` $\delta = 1/v_2 - 1/v_1$. Every step
    conserves $|A_1|^2 + |A_2|^2$ at each instant, which is Manley and Rowe's relation:
    two photons for one. A cw beam, phase-matched, has
    $|A_2|^2 = P\tanh^2(\kappa\sqrt P z)$.

    **Arguments:** `coupling`: $\kappa^2 = 2\omega_0^2 d^2/(\epsilon_0 c^3 n_1^2 n_2 S)$
    with the effective nonlinearity $d$ (m/V) and a beam of area $S$; a weak cw beam is
    converted by $\kappa^2 P z^2$. `beta2`: of the fundamental and of the harmonic, from
    the second order on. `tolerance`: see `nonlinear_schrodinger`.
    **Raises:** at run time, if a pulse reaches the edge of the window or of the
    spectrum, or if a step converts too much; it says which of `nt`, `dt` and `steps` to
    change.
    **Error:** of order 2 in `length / steps`.
    **Source:** Armstrong *et al.*, *Phys. Rev.* 127, 1918 (1962),
    doi:10.1103/PhysRev.127.1918; Boyd, *Nonlinear Optics* (2020), chapter 2.
    """
    check_counts(dt, steps)
    dtype, nt = fundamental.dtype, fundamental.shape[-1]
    real = jnp.finfo(dtype).dtype
    step = length / steps
    omega = frequency_grid(nt, dt)
    first = taylor(beta2[0], omega, real)
    second = _wavenumber(omega, mismatch, walkoff, beta2[1], real)

    def drift(fraction):
        factors = [transfer(k, 0.0, fraction * step, dtype) for k in (first, second)]

        def flow(state):
            *fields, worst = state
            spectra = [times(f, jnp.fft.fft(a)) for f, a in zip(factors, fields)]
            worst = worst.after_drift(_power(spectra[0]) + _power(spectra[1]))
            return *(jnp.fft.ifft(spectrum) for spectrum in spectra), worst

        return flow

    def kick(fraction):
        strength = jnp.asarray(coupling * (fraction * step), real)

        def flow(state):
            a1, a2, worst = state
            middle = _mixed(a1, a2, a1, strength / 2)[0]
            angle = jnp.abs(strength) * jnp.sqrt(jnp.max(_power(middle), -1))
            a1, a2 = _mixed(a1, a2, middle, strength)
            return a1, a2, worst.after_kick(_power(a1) + _power(a2), angle)

        return flow

    nothing = Worst.none(fundamental.shape[:-1], real)
    start = fundamental, jnp.zeros_like(fundamental), nothing
    *fields, worst = split_step(drift, kick, start, steps)
    a1, a2 = checked(tuple(fields), worst, tolerance, nt, dt, steps)
    return a1, a2


def undepleted_second_harmonic(
    fundamental: Complex[Array, "*batch nt"],  # √W
    length: Number,  # m
    *,
    dt: float,  # s
    coupling: Number,  # 1/(√W m)
    mismatch: Number = 0.0,  # rad/m
    walkoff: Number = 0.0,  # s/m
    beta2: Dispersion = 0.0,  # s²/m, ...
) -> Complex[Array, "*batch nt"]:  # √W
    r"""The second harmonic of a pulse that hardly changes itself.

    $$\tilde A_2(\Omega) = i\kappa L\, e^{iD_2L/2}
      \operatorname{sinc}\frac{D_2 L}{2} \int \tilde A_1(\Omega')\,
      \tilde A_1(\Omega - \Omega')\, \frac{d\Omega'}{2\pi}$$

    The spectrum's autoconvolution, through the crystal's phase matching.

    **Arguments:** as those of `second_harmonic`; `beta2` is that of the harmonic.
    **Valid for:** weak conversion, and a crystal that is thin for the dispersion of the
    fundamental.
    """
    check_counts(dt, 1)
    dtype = fundamental.dtype
    omega = frequency_grid(fundamental.shape[-1], dt)
    wavenumber = _wavenumber(omega, mismatch, walkoff, beta2, jnp.finfo(dtype).dtype)
    turn = transfer(wavenumber, 0.0, length / 2, dtype)
    matching = jnp.sinc(
        jnp.asarray(wavenumber * (length / 2) / math.pi, turn.real.dtype)
    )
    strength = jnp.asarray(coupling * length, turn.real.dtype) * matching
    factor = lax.complex(-turn.imag * strength, turn.real * strength)
    return jnp.fft.ifft(times(factor, jnp.fft.fft(fundamental * fundamental)))


class SecondHarmonic(AbstractLayer):
    r"""A pulse shaper, a crystal, and a spectrometer for the second harmonic.

    The shaper has a channel for each input and each free control, in turn along the
    spectrum. Channel $c$ transmits $\sin(u_c)\, e^{i\varphi_c}$ of the amplitude, where
    $u$ is `scale * x + offset` of an input, or the `control`; all four are trained. The
    outputs are the energies in equal bins of the harmonic's band, over the energy of
    the laser's pulse (dimensionless).

    The field is periodic, as from a shaper whose channels are `samples` times as wide
    as the lines of a comb.

    **Source:** Wright *et al.*, *Nature* 601, 549 (2022),
    doi:10.1038/s41586-021-04223-6.
    """

    scale: Float[Array, " inputs"]  # rad per unit of the input
    offset: Float[Array, " inputs"]  # rad
    control: Float[Array, " controls"]  # rad
    phase: Float[Array, " channels"]  # rad
    outputs: int = eqx.field(static=True)
    width: float = eqx.field(static=True)  # Hz
    bandwidth: float = eqx.field(static=True)  # Hz
    samples: int = eqx.field(static=True)
    energy: float  # J
    length: float  # m
    coupling: float  # 1/(√W m)
    mismatch: float  # rad/m
    walkoff: float  # s/m
    steps: int | None = eqx.field(static=True)
    facts = Facts()

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        key: PRNGKeyArray,
        controls: int | None = None,
        scale: float = 0.3,  # rad per unit of the input
        width: float = 0.25e12,  # Hz
        bandwidth: float | None = None,  # Hz
        samples: int = 2,
        energy: float = 1e-9,  # J
        length: float = 0.5e-3,  # m
        coupling: float = 7.6,  # 1/(√W m)
        mismatch: float = 0.0,  # rad/m
        walkoff: float = 0.19e-9,  # s/m
        steps: int | None = None,
    ):
        r"""Offsets and controls that half transmit, and random phases, from `key`.

        **Arguments:**

        - `controls`: free channels; as many as inputs, unless given.
        - `scale`: how far an input begins to turn its channel.
        - `width` of a channel; `bandwidth` of the laser, full width at half maximum of
            a Gaussian: the band of all channels, unless given.
        - `samples`: frequencies in a channel.
        - `energy` of a pulse of the laser. The crystal is by default like 0.5 mm of
            barium borate at 800 nm: 190 fs/mm, and $\kappa$ for 2 pm/V and a focus of
            radius 15 µm.
        - `steps` through the crystal, or `None`: the undepleted harmonic, which takes
            no steps.

        **Raises:** `ValueError` for counts and sizes that can't be built.
        """
        controls = inputs if controls is None else controls
        channels = inputs + controls
        if min(inputs, outputs, samples) < 1 or controls < 0:
            raise ValueError(
                f"{inputs} inputs, {controls} controls, {samples} samples and "
                f"{outputs} outputs: all but the controls must be at least 1."
            )
        if outputs > 2 * channels * samples - 1:
            raise ValueError(
                f"The harmonic has {2 * channels * samples - 1} frequencies, which is "
                f"too few for {outputs} outputs: take more `samples` or `controls`."
            )
        if min(width, energy, length) <= 0:
            raise ValueError(
                f"`width` {width} Hz, `energy` {energy} J and `length` {length} m must "
                "be positive."
            )
        self.scale = scale * jnp.ones(inputs)
        self.offset = math.pi / 4 * jnp.ones(inputs)
        self.control = math.pi / 4 * jnp.ones(controls)
        self.phase = jax.random.uniform(key, (channels,), maxval=2 * math.pi)
        self.outputs = outputs
        self.width = width
        self.bandwidth = channels * width if bandwidth is None else bandwidth
        self.samples = samples
        self.energy = energy
        self.length = length
        self.coupling = coupling
        self.mismatch = mismatch
        self.walkoff = walkoff
        self.steps = steps

    @property
    def nt(self) -> int:
        """Samples of the fields: half as many again as the harmonic needs."""
        return 3 * self.phase.size * self.samples

    @property
    def dt(self) -> float:
        """Between samples (s)."""
        return self.samples / (self.nt * self.width)

    def __call__(
        self,
        x: Float[Array, "*batch inputs"],
        *,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "*batch outputs"]:
        spectrum = _power(jnp.fft.fft(self.harmonic(x))) * (self.dt / self.nt)
        band = 2 * self.phase.size * self.samples - 1
        # The sum of two lines; the transform counts frequencies backwards.
        lines = np.arange(band) - 2 * (self.phase.size * self.samples // 2)
        bins = (
            np.arange(band) * self.outputs // band == np.arange(self.outputs)[:, None]
        )
        shares = spectrum[..., -lines % self.nt] / self.energy
        return jnp.einsum(
            "...l,ol->...o",
            shares,
            jnp.asarray(bins, shares.dtype),
            precision=lax.Precision.HIGHEST,
        )

    def pulse(
        self, x: Float[Array, "*batch inputs"]
    ) -> Complex[Array, "*batch nt"]:  # √W
        """The shaped pulse that enters the crystal."""
        if x.shape[-1] != self.scale.size:
            raise ValueError(
                f"The shaper has {self.scale.size} inputs, but the shape of `x` is "
                f"{x.shape}."
            )
        shape = x.shape[:-1]
        data = _each(self.scale, x) * x + _each(self.offset, x)
        control = jnp.broadcast_to(_each(self.control, x), (*shape, self.control.size))
        drive = jnp.concatenate([data, control], -1)[..., self._order()]
        amplitude, phase = jnp.sin(drive), _each(self.phase, x)
        transmission = polar(amplitude, jnp.broadcast_to(phase, amplitude.shape))
        unit, lines = self._laser()
        laser = jnp.sqrt(jnp.asarray(self.energy, x.dtype)) * _each(unit, x)
        lit = jnp.repeat(transmission, self.samples, -1) * laser.astype(
            transmission.dtype
        )
        spectrum = jnp.zeros((*shape, self.nt), lit.dtype)
        return jnp.fft.ifft(spectrum.at[..., -lines % self.nt].set(lit))

    def harmonic(
        self, x: Float[Array, "*batch inputs"]
    ) -> Complex[Array, "*batch nt"]:  # √W
        """The second harmonic that leaves the crystal."""
        crystal: dict[str, Any] = {
            "dt": self.dt,
            "coupling": self.coupling,
            "mismatch": self.mismatch,
            "walkoff": self.walkoff,
        }
        pulse = self.pulse(x)
        if self.steps is None:
            return undepleted_second_harmonic(pulse, self.length, **crystal)
        crystal |= {"steps": self.steps, "tolerance": 1.0}
        return second_harmonic(pulse, self.length, **crystal)[1]

    def _order(self) -> np.ndarray:
        """Inputs and controls, each evenly spread over the channels."""
        counts = self.scale.size, self.control.size
        places = [(np.arange(n) + 0.5) / n for n in counts]
        return np.argsort(np.concatenate(places), kind="stable")

    def _laser(self) -> tuple[np.ndarray, np.ndarray]:
        """Its spectral amplitude at 1 J, as the FFT has it, and on which lines."""
        count = self.phase.size * self.samples
        lines = np.arange(count) - count // 2
        frequency = (lines + 0.5 * (count % 2 == 0)) * self.width / self.samples
        shape = np.exp(-2 * math.log(2) * (frequency / self.bandwidth) ** 2)
        return shape * math.sqrt(self.nt / self.dt / np.sum(shape**2)), lines


def _mixed(a1, a2, by, strength):
    r"""The fields turned into each other by the constant field `by`: a unitary map."""
    angle = strength**2 * _power(by)
    small = angle < 1e-8
    root = jnp.sqrt(jnp.where(small, 1, angle))
    cosine = jnp.where(small, 1 - angle / 2, jnp.cos(root)).astype(a1.dtype)
    sine = strength * jnp.where(small, 1 - angle / 6, jnp.sin(root) / root)
    turn = lax.complex(-sine * by.imag, sine * by.real)  # i sin by
    return cosine * a1 - turn.conj() * a2, cosine * a2 + turn * a1


def _wavenumber(omega, mismatch, walkoff, beta2, dtype):
    """D_2, by NumPy where all of it is known."""
    if any(isinstance(a, jax.Array) for a in (mismatch, walkoff)):
        omega_ = jnp.asarray(omega, dtype)
        known = jnp.asarray(taylor(beta2, omega, dtype), dtype)
        return walkoff * omega_ - mismatch + known
    return taylor(beta2, omega, dtype) + (walkoff * omega - mismatch)


def _each(values, x):
    values = jnp.asarray(values, x.dtype)
    return values.reshape((1,) * (x.ndim - 1) + values.shape)


def _power(field):
    return field.real**2 + field.imag**2
