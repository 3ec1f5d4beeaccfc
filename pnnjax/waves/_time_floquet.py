"""Resonators on a waveguide whose resonances are modulated in time."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Complex, Float, PRNGKeyArray

from .._frozen import Frozen
from .._layer import AbstractLayer, Facts

LEFT_OUT = 1e-3
"""The share of the stored energy that the outermost harmonics may hold."""


def floquet_scattering(
    incident: Complex[Array, "*batch h"],  # √W
    detuning: Float[Array, " n"],  # rad/s
    modulation: Complex[Array, "*batch n tones"],  # rad/s
    emission: Float[Array, " n"],  # rad/s
    absorption: Float[Array, " n"],  # rad/s
    position: Float[Array, " n"],  # m
    wavenumber: Float[Array, " h"],  # rad/m
    frequency: float | Float[Array, ""],  # rad/s
) -> tuple[
    Complex[Array, "*batch h"], Complex[Array, "*batch h"], Complex[Array, "*batch n h"]
]:
    r"""What modulated resonators send back and on, and the amplitudes in them ($√J$).

    Resonator $j$, of amplitude $a_j = \sum_m a_{jm} e^{-i(\omega + m\Omega)t}$, has the
    resonance $\omega + \delta_j + \operatorname{Re}\sum_l M_{jl}e^{-il\Omega t}$ and

    $$\Big[i(\delta_j - m\Omega) + \tfrac{\kappa_j}2\Big]a_{jm}
      + \tfrac i2\sum_l\big(M_{jl}a_{j,m-l} + M_{jl}^*a_{j,m+l}\big)
      + \sum_k\tfrac12\sqrt{\gamma_j\gamma_k}\,e^{ik_m|z_j - z_k|}a_{km}
      = i\sqrt{\gamma_j/2}\;s_m e^{ik_m z_j},$$

    since each emits to both sides. Outgoing fields are referred to $z = 0$. Without
    absorption the harmonics together carry the incident power: to this order a
    modulated resonance moves photons between harmonics and makes none.

    **Arguments:** `incident`: $s_m$, from the left, for $m = -M \dots M$; `detuning`:
    $\delta$; `modulation`: $M_{jl}$ for $l = 1, 2, \dots$; `emission`: $\gamma$, the
    rate of the energy into the waveguide; `absorption`: $\kappa$; `wavenumber`: $k_m$;
    `frequency`: $\Omega$.
    **Returns:** the reflected, the transmitted and the stored amplitudes.
    **Valid for:** rates and $\Omega$ far below the optical, or acoustic, frequency.
    **Error:** falls faster than exponentially once $M$ exceeds the modulation index
    $\sum_l|M_{jl}|/l\Omega$; what lies beyond $M$ is left out.
    """
    harmonics = incident.shape[-1] // 2
    _check_shapes(incident, modulation, detuning, wavenumber)
    orders = jnp.arange(-harmonics, harmonics + 1).astype(detuning.dtype)
    gap = jnp.abs(position[:, None] - position[None])
    travel = _turned(wavenumber[:, None, None] * gap[None])
    rates = 0.5 * jnp.sqrt(jnp.outer(emission, emission))
    exchange = travel * rates.astype(travel.dtype)[None]
    diagonal = lax.complex(
        jnp.broadcast_to(absorption[:, None] / 2, (*detuning.shape, len(orders))),
        detuning[:, None] - frequency * orders[None],
    )
    matrix = _system(diagonal, _toeplitz(modulation, harmonics), exchange)
    rate = lax.complex(jnp.zeros_like(emission), jnp.sqrt(emission / 2))
    phase = _turned(jnp.outer(position, wavenumber))
    into, onward = rate[:, None] * phase, rate[:, None] * phase.conj()
    source = jnp.einsum("nh,...h->...nh", into, incident)
    size = source.shape[-2] * source.shape[-1]
    flat = source.reshape(*source.shape[:-2], size, 1)
    stored = jnp.linalg.solve(matrix, flat).reshape(source.shape)
    reflected = jnp.einsum("nh,...nh->...h", into, stored)
    transmitted = incident + jnp.einsum("nh,...nh->...h", onward, stored)
    return reflected, transmitted, stored


class TimeFloquet(AbstractLayer):
    r"""Data modulate resonators in time; a probe that passes them is read by harmonics.

    The medium is linear in the probe, and yet the harmonics are strongly nonlinear in
    what modulates it. Feature $(j, l)$, in the order of rows, drives resonator $j$ at
    the tone $l\Omega$: its modulation is `depth` times the feature, plus an offset. The
    output are the amplitudes of the harmonics $-M \dots M$, reflected and then
    transmitted. Trained are the detunings and, as cosine and sine parts, the offsets.

    A waveguide is chosen for the waves between the resonators since nothing leaves it:
    all power can be accounted for.

    **Raises:** at run time, if the outermost harmonics hold more than a thousandth of
    the energy.
    **Source:** after Momeni & Fleury, *Nat. Commun.* 13, 2651 (2022),
    doi:10.1038/s41467-022-30297-5, who modulate a slab in front of static scatterers.
    """

    detuning: Float[Array, " n"]  # rad/s
    offset: Float[Array, "2 n tones"]  # rad/s
    position: Frozen[Float[Array, " n"]]  # m
    emission: Frozen[Float[Array, " n"]]  # rad/s
    absorption: float  # rad/s
    depth: float  # rad/s
    frequency: float  # rad/s
    wavenumber: float  # rad/m
    speed: float  # m/s
    power: float  # W
    harmonics: int = eqx.field(static=True)
    facts = Facts()

    def __init__(
        self,
        resonators: int,
        *,
        key: PRNGKeyArray,
        tones: int = 1,
        harmonics: int = 4,
        frequency: float = 2 * math.pi * 1e6,  # rad/s
        emission: float = 2 * math.pi * 1e6,  # rad/s
        absorption: float = 0.0,  # rad/s
        depth: float = 2 * math.pi * 1e6,  # rad/s
        carrier: float = 2 * math.pi * 5e9,  # rad/s
        speed: float = 3e8,  # m/s
        length: float = 1.0,  # m
        power: float = 1.0,  # W
    ):
        r"""`resonators` at random places on a waveguide.

        **Arguments:**

        - `tones`: $l = 1 \dots$, at each resonator; `harmonics`: $M$.
        - `frequency`: $\Omega$; `depth`: the modulation by a feature of 1.
        - `emission`, `absorption`: rates of the energy into the waveguide and into
            heat. Emissions are spread by 30 %, detunings by the emission, at random.
        - `carrier`: the angular frequency of the probe; `speed` of the waves;
            `length`: of the stretch of waveguide with resonators.

        **Raises:** `ValueError` for what can't be built.
        """
        _check_counts(resonators, tones, harmonics)
        positive = {"frequency": frequency, "emission": emission, "carrier": carrier}
        _check_positive(positive | {"speed": speed, "length": length, "power": power})
        if not absorption >= 0:
            raise ValueError(f"`absorption` can't be negative (rad/s): {absorption}.")
        keys = jax.random.split(key, 3)
        places = jax.random.uniform(keys[0], (resonators,), maxval=length)
        spread = jax.random.uniform(keys[1], (resonators,), minval=0.7, maxval=1.3)
        self.detuning = emission * jax.random.normal(keys[2], (resonators,))
        self.offset = jnp.zeros((2, resonators, tones), places.dtype)
        self.position = Frozen(jnp.sort(places))
        self.emission = Frozen(emission * spread)
        self.absorption = absorption
        self.depth = depth
        self.frequency = frequency
        self.wavenumber = carrier / speed
        self.speed = speed
        self.power = power
        self.harmonics = harmonics

    def __call__(
        self,
        x: Float[Array, "*batch features"],
        *,
        key: PRNGKeyArray | None = None,
    ) -> Complex[Array, "*batch outputs"]:  # √W
        _, resonators, tones = self.offset.shape
        if x.shape[-1] != resonators * tones:
            raise ValueError(
                f"{resonators} resonators with {tones} tones each take "
                f"{resonators * tones} features, but the shape of `x` is {x.shape}."
            )
        features = x.reshape(*x.shape[:-1], resonators, tones)
        cosine, sine = (jnp.broadcast_to(o, features.shape) for o in self.offset)
        modulation = lax.complex(self.depth * features + cosine, sine)
        orders = jnp.arange(-self.harmonics, self.harmonics + 1).astype(x.dtype)
        probe = jnp.where(orders == 0, math.sqrt(self.power), 0.0).astype(x.dtype)
        incident = lax.complex(probe, jnp.zeros_like(probe))
        reflected, transmitted, stored = floquet_scattering(
            jnp.broadcast_to(incident, (*x.shape[:-1], len(orders))),
            self.detuning,
            modulation,
            self.emission.value,
            jnp.full_like(self.detuning, self.absorption),
            self.position.value,
            self.wavenumber + orders * (self.frequency / self.speed),
            self.frequency,
        )
        outgoing = jnp.concatenate([reflected, transmitted], axis=-1)
        return self._complete(outgoing, stored)

    def _complete(self, outgoing: Array, stored: Array) -> Array:
        energy = jnp.sum(stored.real**2 + stored.imag**2, axis=-2)
        edge = energy[..., 0] + energy[..., -1]
        return eqx.error_if(
            outgoing,
            edge > LEFT_OUT * jnp.sum(energy, axis=-1),
            f"The modulation is so strong that harmonics beyond {self.harmonics} matter"
            f": make `TimeFloquet` with `harmonics={2 * self.harmonics}`, or modulate "
            "less.",
        )


def _system(
    diagonal: Complex[Array, "n h"],
    modulation: Complex[Array, "*batch n h h"],
    exchange: Complex[Array, "h n n"],
) -> Complex[Array, "*batch nh nh"]:
    """The matrix on `n` resonators times `h` harmonics."""
    n, h = diagonal.shape
    each, same = (jnp.eye(size, dtype=modulation.dtype) for size in (n, h))
    own = jnp.einsum("nm,mp->nmp", diagonal, same)
    local = modulation + jnp.broadcast_to(own, modulation.shape)
    matrix = jnp.einsum("...imp,ij->...imjp", local, each)
    coupled = jnp.einsum("mij,mp->imjp", exchange, same)
    matrix = matrix + jnp.broadcast_to(coupled, matrix.shape)
    return matrix.reshape(*matrix.shape[:-4], n * h, n * h)


def _toeplitz(
    modulation: Complex[Array, "*batch n tones"], harmonics: int
) -> Complex[Array, "*batch n h h"]:
    r"""$\tfrac i2 M_{m - m'}$, from harmonic $m'$ to $m$."""
    tones = modulation.shape[-1]
    none = jnp.zeros_like(modulation[..., :1])
    spectrum = jnp.concatenate(
        [modulation.conj()[..., ::-1], none, modulation], axis=-1
    )
    order = jnp.arange(2 * harmonics + 1)
    step = order[:, None] - order[None]
    inside = jnp.abs(step) <= tones
    picked = spectrum[..., jnp.clip(step + tones, 0, 2 * tones)]
    half = jnp.broadcast_to(0.5 * inside.astype(picked.real.dtype), picked.shape)
    return lax.complex(-half * picked.imag, half * picked.real)


def _turned(phase: Float[Array, "..."]) -> Complex[Array, "..."]:
    return lax.complex(jnp.cos(phase), jnp.sin(phase))


def _check_shapes(incident, modulation, detuning, wavenumber) -> None:
    count = incident.shape[-1]
    if count % 2 == 0 or wavenumber.shape != (count,):
        raise ValueError(
            "`incident` and `wavenumber` hold the harmonics -M to M, an odd number, "
            f"but are of shape {incident.shape} and {wavenumber.shape}."
        )
    if modulation.shape[-2] != detuning.shape[0]:
        raise ValueError(
            f"`modulation` is of {modulation.shape[-2]} resonators, `detuning` of "
            f"{detuning.shape[0]}."
        )


def _check_counts(resonators: int, tones: int, harmonics: int) -> None:
    counts = {"resonators": resonators, "tones": tones, "harmonics": harmonics}
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"`{name}` must be at least 1, but is {count}.")
    if harmonics < tones:
        raise ValueError(
            f"{tones} tones need at least as many `harmonics`, not {harmonics}."
        )


def _check_positive(values: dict[str, float]) -> None:
    for name, value in values.items():
        if not 0 < value < math.inf:
            raise ValueError(f"`{name}` must be positive, but is {value}.")
