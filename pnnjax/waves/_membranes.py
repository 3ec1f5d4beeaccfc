"""Membranes between a loudspeaker and microphones: sound at many frequencies."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Complex, Float, PRNGKeyArray

from .._frozen import Frozen
from .._layer import AbstractLayer, Facts

SETTLED = 1e-3
"""How much of the stiffening the last iteration may still change."""


def membrane_velocities(
    incident: Complex[Array, "*batch f"],  # √W
    frequency: Float[Array, " f"],  # rad/s
    stiffness: Float[Array, "*batch f n"],  # rad²/s²
    damping: Float[Array, " n"],  # rad/s
    coupling: Float[Array, "ports n"],  # √(rad/s)
) -> Complex[Array, "*batch f n"]:  # √J
    r"""Of each membrane at each frequency, times the root of its mass (RMS).

    Sound $s$ comes in at the first port. With the velocities $u$ and the couplings $D$,

    $$\big[\gamma_n + i(\omega_n^2/\omega - \omega)\big]u_n
      + \sum_m (D^\top D)_{nm} u_m = 2 D_{1n} s$$

    **Arguments:** `incident`: $s$ at each frequency; `stiffness`: $\omega_n^2$;
    `damping`: $\gamma$, the rate at which a membrane's energy is turned into heat.
    """
    matrix = _impedance(frequency, stiffness, damping, coupling)
    force = 2 * jnp.einsum("...f,n->...fn", incident, _complex(coupling[0]))
    return jnp.linalg.solve(matrix, force[..., None])[..., 0]


def membrane_scattering(
    frequency: Float[Array, " f"],  # rad/s
    resonance: Float[Array, " n"],  # rad/s
    damping: Float[Array, " n"],  # rad/s
    coupling: Float[Array, "ports n"],  # √(rad/s)
) -> Complex[Array, "f ports ports"]:
    r"""$S = 1 - 2D\,\big[\operatorname{diag}(\gamma + i\omega_n^2/\omega - i\omega)
    + D^\top D\big]^{-1}D^\top$, of membranes that are linear.

    Symmetric; unitary where nothing is damped. Of one membrane at one port, $1 - S$ is
    a Lorentzian of $\omega - \omega_n^2/\omega$.
    """
    shape = (len(frequency), len(damping))
    stiffness = jnp.broadcast_to(jnp.square(resonance), shape)
    matrix = _impedance(frequency, stiffness, damping, coupling)
    through = _complex(coupling)
    back = jnp.broadcast_to(through.T, (*matrix.shape[:-1], len(coupling)))
    passed = jnp.einsum("pn,fnq->fpq", through, jnp.linalg.solve(matrix, back))
    identity = jnp.eye(len(coupling), dtype=passed.dtype)
    return identity[None] - 2 * passed


class Membranes(AbstractLayer):
    r"""Data played as sound of many frequencies, through a random set of membranes.

    Feature $f$ is the amplitude of the tone $f$ of a loudspeaker. Each microphone shows
    the power of all tones together, $y_r = \sum_f |b_{rf}|^2$: without `hardening`
    a fixed matrix times the powers $x_f^2$, which is what transforms the data.

    With `hardening` $h$, the force on a membrane at $q$ (its displacement times the
    root of its mass) is $-\omega_n^2 q\,(1 + h\,\omega_n^2 q^2)$. Swinging stiffens it:
    at the tone $f$, by the factor
    $1 + 3h\,\omega_n^2\big(\sum_g q_{ng}^2 - q_{nf}^2/2\big)$ with the RMS of $q$.
    These are the resonant terms of the cubic force: those at sums and differences of
    other tones are left out.
    The tensions, as resonances, are trained; the rest is fixed.

    **Raises:** at run time, if the stiffening has not settled. Where a membrane is
    bistable, it is found in one of its states.
    **Source:** after Momeni et al., *Science* 382, 1297 (2023),
    doi:10.1126/science.adi8474.
    """

    resonance: Float[Array, " n"]  # rad/s
    damping: Frozen[Float[Array, " n"]]  # rad/s
    coupling: Frozen[Float[Array, "ports n"]]  # √(rad/s)
    frequency: Frozen[Float[Array, " f"]]  # rad/s
    hardening: float  # 1/J
    iterations: int = eqx.field(static=True)
    facts = Facts()

    def __init__(
        self,
        membranes: int,
        tones: int,
        microphones: int,
        *,
        key: PRNGKeyArray,
        band: tuple[float, float] = (2 * math.pi * 200, 2 * math.pi * 1000),  # rad/s
        damping: float = 2 * math.pi * 5,  # rad/s
        emission: float = 2 * math.pi * 20,  # rad/s
        hardening: float = 0.0,  # 1/J
        iterations: int = 20,
    ):
        r"""`membranes` with random resonances in the band of the tones.

        **Arguments:**

        - `tones`, `microphones`: the features and the outputs. Tones are equally spaced
            over `band`.
        - `damping`, `emission`: rates at which a membrane's energy goes into heat, and
            on average into each port. Both vary from membrane to membrane; couplings
            have either sign.
        - `hardening`: $h$; `iterations`: with which the stiffening is found.

        **Raises:** `ValueError` for what can't be built.
        """
        _check(membranes, tones, microphones, iterations)
        low, high = band
        if not 0 < low < high < math.inf:
            raise ValueError(f"`band` must rise from above 0 rad/s, but is {band}.")
        if not (damping >= 0 and emission > 0 and hardening >= 0):
            raise ValueError(
                "`damping` and `hardening` can't be negative, and `emission` must be "
                f"positive, but they are {damping}, {hardening} and {emission}."
            )
        keys = jax.random.split(key, 3)
        drawn = jax.random.uniform(keys[0], (membranes,), minval=low, maxval=high)
        self.resonance = drawn
        varied = jax.random.uniform(keys[1], (membranes,), minval=0.5, maxval=1.5)
        self.damping = Frozen(damping * varied)
        sides = jax.random.normal(keys[2], (1 + microphones, membranes))
        self.coupling = Frozen(math.sqrt(emission) * sides)
        self.frequency = Frozen(jnp.linspace(low, high, tones, dtype=drawn.dtype))
        self.hardening = hardening
        self.iterations = iterations

    def __call__(
        self,
        x: Float[Array, "*batch tones"],  # √W
        *,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "*batch microphones"]:  # W
        tones = self.frequency.value.shape[0]
        if x.shape[-1] != tones:
            raise ValueError(
                f"There are {tones} tones, but the shape of `x` is {x.shape}."
            )
        heard = jnp.einsum(
            "pn,...fn->...fp",
            _complex(self.coupling.value[1:]),
            self.velocities(x),
        )
        return jnp.sum(_power(heard), axis=-2)

    def velocities(
        self, x: Float[Array, "*batch tones"]
    ) -> Complex[Array, "*batch tones n"]:
        """As `membrane_velocities`, with the stiffness that the swing brings about."""
        rest = jnp.square(self.resonance)
        shape = (*x.shape, rest.shape[0])
        if self.hardening == 0:
            unit = jnp.ones_like(self.frequency.value)
            each = self._driven(unit, jnp.broadcast_to(rest, shape[-2:]))
            return jnp.einsum("...f,fn->...fn", _complex(x), each)

        def stiffen(rise, _):
            stiffness = jnp.broadcast_to(rest, shape) * (1 + rise)
            return 0.5 * (rise + self._rise(self._driven(x, stiffness))), rise

        rise, before = lax.scan(
            stiffen, jnp.zeros(shape, x.dtype), length=self.iterations
        )
        change = jnp.max(jnp.abs(rise - before[-1]))
        rise = eqx.error_if(
            rise,
            change > SETTLED * jnp.maximum(jnp.max(rise), 1e-3),
            f"The stiffness of the membranes has not settled in {self.iterations} "
            f"iterations: give `Membranes` `iterations={4 * self.iterations}`, or play "
            "more softly.",
        )
        return self._driven(x, jnp.broadcast_to(rest, shape) * (1 + rise))

    def _driven(self, x, stiffness):
        return membrane_velocities(
            _complex(x),
            self.frequency.value,
            stiffness,
            self.damping.value,
            self.coupling.value,
        )

    def _rise(self, velocities):
        """Of the stiffness, relative, by what `velocities` displace."""
        over = jnp.square(self.resonance[None] / self.frequency.value[:, None])
        tense = _power(velocities) * jnp.broadcast_to(over, velocities.shape)
        together = jnp.sum(tense, axis=-2, keepdims=True)
        return 3 * self.hardening * (together - tense / 2)


def _impedance(
    frequency: Float[Array, " f"],
    stiffness: Float[Array, "*batch f n"],
    damping: Float[Array, " n"],
    coupling: Float[Array, "ports n"],
) -> Complex[Array, "*batch f n n"]:
    """What turns velocities into forces, radiation included."""
    shape = stiffness.shape
    omega = jnp.broadcast_to(frequency[:, None], shape)
    own = lax.complex(jnp.broadcast_to(damping, shape), stiffness / omega - omega)
    identity = jnp.eye(len(damping), dtype=own.dtype)
    matrix = jnp.einsum("...n,nm->...nm", own, identity)
    return matrix + jnp.broadcast_to(_complex(coupling.T @ coupling), matrix.shape)


def _complex(x: Float[Array, "..."]) -> Complex[Array, "..."]:
    return lax.complex(x, jnp.zeros_like(x))


def _power(x: Complex[Array, "..."]) -> Float[Array, "..."]:
    return x.real**2 + x.imag**2


def _check(membranes: int, tones: int, microphones: int, iterations: int) -> None:
    counts = {
        "membranes": membranes,
        "tones": tones,
        "microphones": microphones,
        "iterations": iterations,
    }
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"`{name}` must be at least 1, but is {count}.")
